"""How bad a line of a log is, and how a line is told, by words that most engines use.

The one rule: as remote/jobs.py judges lines on the node, so that a search there and the rows here agree; a test holds
the two together.
"""

from __future__ import annotations

import re
from typing import Literal

Level = Literal["info", "warning", "error"]
LEVELS: tuple[Level, ...] = ("info", "warning", "error")
"""From fine to bad."""
# The one letter behind the time is llama.cpp's.
ERROR = re.compile(r"\b(?:ERROR|FATAL|CRITICAL|Traceback)\b|[Ee]rror:|Exception\b|^[\d.]{5,24} E ")
WARNING = re.compile(r"\bWARN(?:ING)?\b|[Ww]arning:|^[\d.]{5,24} W ")
GUARD_MARK = "[sparkdesk] "
"""How the guard on the node begins its own lines in the engine's log."""
ENGINE, GUARD = "engine", "job"
"""Who wrote a line: LogLine.source."""
_PREFIX = re.compile(
    r"^\s*(?:"
    r"\(\w[\w.\- ]{0,60} pid=\d{1,10}\)"  # vLLM: which of its processes
    r"|(?:DEBUG|INFO|WARNING|ERROR|FATAL|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d(?:[.,]\d{1,9})? \[[\w./\-]{1,80}:\d{1,6}\]"
    r"|\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[^\]\n]{0,30}\]"  # SGLang
    r"|\[\d\d/\d\d/\d{4}-\d\d:\d\d:\d\d\]|\[TRT-LLM\]|\[TensorRT-LLM\]|\[RANK \d{1,4}\]|\[(?:[A-Z]|ERROR|WARNING)\]"
    r"|[\d.]{5,24} [EWID](?= )"  # llama.cpp
    r")\s*"
)
_PREFIXES = 6
"""A line has fewer parts before its words."""


def read_level(text: str) -> Level:
    """How bad a line is."""
    return "error" if ERROR.search(text) else "warning" if WARNING.search(text) else "info"


def drop_prefix(line: str) -> str:
    """A line from its words on, without what engines write before them: process, level, time, place in the source."""
    words = line
    for _ in range(_PREFIXES):
        match = _PREFIX.match(words)
        if match is None:
            break
        words = words[match.end() :]
    return words.strip() or line.strip()


def split_source(raw: str) -> tuple[str, str]:
    """(who wrote the line, its words)."""
    return (GUARD, raw.removeprefix(GUARD_MARK)) if raw.startswith(GUARD_MARK) else (ENGINE, raw)
