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


def read_level(text: str) -> Level:
    """How bad a line is."""
    return "error" if ERROR.search(text) else "warning" if WARNING.search(text) else "info"


def split_source(raw: str) -> tuple[str, str]:
    """(who wrote the line, its words)."""
    return (GUARD, raw.removeprefix(GUARD_MARK)) if raw.startswith(GUARD_MARK) else (ENGINE, raw)
