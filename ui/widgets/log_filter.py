"""A line of a log, cleaned, and the filter that says which lines are shown.

Rule: a line is bounded and cannot act; a filter asks of it only what somebody wanted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from ui.text import cut
from ui.widgets.log_pattern import reach_chars

MAX_LINE_CHARS: Final = 8192
OWN_SOURCE: Final = "SparkDesk"
GUARD_SOURCE: Final = "guard"
"""What our own program on the node says."""
LEVELS: Final = ("DEBUG", "INFO", "WARN", "ERROR")
_COLOURING: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])")
"""Escape sequences of a terminal. Source: ECMA-48, control sequences and two-character escapes."""


_POLLING: Final = re.compile(
    r"\"(?:GET|HEAD) /(?:prometheus/)?(?:metrics|health)/? HTTP/1\.\d\" 200\b"
    r"|request: (?:GET|HEAD) /(?:metrics|health) \S{1,64} 200$"
)
"""A watcher's request that was answered. Source: uvicorn's access log, as vLLM, SGLang and TensorRT-LLM print it;
llama.cpp's server, which leaves most of these out by itself."""


def is_polling(text: str) -> bool:
    """Say whether a line of a log is about a request that only looked how the server is, and was answered."""
    return ("/metrics" in text or "/health" in text) and _POLLING.search(text[-200:]) is not None


class LogLine(NamedTuple):
    """One line. `source` is a rank or a node ("r0"), or one of ours for what SparkDesk itself or its guard says."""

    time_text: str
    source: str
    level: str
    text: str
    attempt: int = 1
    """Which try of the engine wrote it."""
    offset: int = -1
    """Where it ends in its log, in bytes; -1 for lines that are in none."""

    def is_own(self) -> bool:
        """Say whether SparkDesk wrote it, not the engine."""
        return self.source in (OWN_SOURCE, GUARD_SOURCE)

    def as_text(self) -> str:
        """Return the line as it is copied; one without a time leaves its column free."""
        return f"{self.time_text:12} {self.source} {self.level} {self.text}"


def clean_line(line: LogLine) -> LogLine:
    """Bound a line and take colouring and control characters (tabs apart) out of it."""
    text = cut(line.text, MAX_LINE_CHARS)
    if not text.isprintable():
        text = _COLOURING.sub("", text)
        text = "".join(c if c.isprintable() else ("    " if c == "\t" else "\ufffd") for c in text)
    return line if text == line.text else line._replace(text=text)


class LogFilter(NamedTuple):
    """What is shown: lines that hold `needle` (any case) and match `pattern`, from `sources` (all when empty).

    At `level` or above; of try `attempt` (0: of all).
    """

    needle: str = ""
    sources: frozenset[str] = frozenset()
    level: str = "DEBUG"
    pattern: re.Pattern[str] | None = None
    attempt: int = 0
    hides_polling: bool = False

    def is_open(self) -> bool:
        """Say whether everything passes."""
        return self == LogFilter()

    def passes(self, line: LogLine) -> bool:
        """Say whether a line is shown. A level that is none of ours counts as INFO."""
        return self.make_check()(line)

    def make_check(self) -> Callable[[LogLine], bool]:
        """What says of a line whether it is shown; made once for many lines, it asks only what the filter wants."""
        sources, attempt, needle, polls = self.sources, self.attempt, self.needle.lower(), self.hides_polling
        shown = LEVELS[LEVELS.index(self.level) :]
        hidden = LEVELS[: LEVELS.index(self.level)]
        search = self.pattern.search if self.pattern is not None else None
        reach = reach_chars(self.pattern) if self.pattern is not None else 0

        def is_shown(line: LogLine) -> bool:
            if sources and line.source not in sources and not line.is_own():
                return False
            if attempt and line.attempt != attempt:
                return False
            level, text = line.level, line.text
            if hidden and (level in hidden or (level not in shown and "INFO" in hidden)):
                return False
            if needle and needle not in text.lower():
                return False
            if polls and is_polling(text):
                return False
            return search is None or search(text, 0, reach) is not None

        return is_shown
