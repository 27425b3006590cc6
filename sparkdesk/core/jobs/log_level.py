"""How bad a line of a log is, and how a line is told, by words that most engines use.

The one rule: as the programs on the node judge lines (remote/jobs.py, log_search.py and guard.py hold copies), so that
a search there and the rows here agree; a test holds them together.
"""

from __future__ import annotations

import re
from typing import Literal

Level = Literal["info", "warning", "error"]
LEVELS: tuple[Level, ...] = ("info", "warning", "error")
"""From fine to bad."""
# The one letter behind the time is llama.cpp's; from the third row on words that stand without a level before them.
ERROR = re.compile(
    r"\b(?:ERROR|FATAL|CRITICAL|Traceback)\b|[Ee]rror:|Exception\b|^[\d.]{5,24} E |^[\w.]{0,99}Error\r?$"
    r"|\[TRT-LLM\] (?:\[RANK \d{1,4}\] )?\[E\]|[Ee]rror (?:response from daemon|while (?:handling|attempting))"
    r"|exiting due to .{1,40} error|gguf_init_from_\w{4,6}: (?:failed|invalid)|couldn't bind HTTP|GGML_ASSERT\("
    r"|ptxas fatal|^ +Value error,|Cannot connect to the Docker|permission denied while trying to connect"
    r"|unknown (?:shorthand )?flag: |exec format error",
    re.M,
)
MILD = re.compile(
    r"(?:\(\w[\w.\- ]{0,60} pid=\d{1,10}\) {0,3}){0,3}(?:DEBUG|INFO|WARNING)[: ]|[\d.]{5,24} [DIW] "
    r"|\[[\d/ :-]{19}\] \[TRT-LLM\] (?:\[RANK \d{1,4}\] )?\[[DIVW]\]|(?:time=\S{1,40} )?level=(?:DEBUG|INFO|WARN) "
)
"""How a line begins of which its engine says itself that it is no error, whatever words follow."""
HEADING = re.compile(
    r"Traceback \(most recent call last\)|(?:was the direct cause of|handling of) the (?:following|above) exception"
    r"|EngineCore failed to start|Engine core initialization failed|EngineCore encountered an issue"
    r"|Exception in ASGI application|Error with model error=|validation errors? for |PTX codegen error|`ptxas` stderr"
    r"|\[[\w./-]{1,80}:\d{1,6}\](?: {3,}| ?$)"
)
"""An error's line that says that something failed and not why, a place in a traceback (vLLM writes each as an error of
its own), or a fault of one request: it is told only where no other line is."""
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
    if ERROR.search(text) and not MILD.match(text):
        return "error"
    return "warning" if WARNING.search(text) else "info"


def names_cause(text: str) -> bool:
    """Whether a line of level "error" may say why: then it is pulled up before those that only say that it failed."""
    return HEADING.search(text) is None


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
