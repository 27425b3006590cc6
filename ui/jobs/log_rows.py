"""Lines of a job's log as the log view takes them: clock, rank, level, text, and which try wrote them.

The one rule: what was lost or cut is a row or a remark of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from sparkdesk.core.feed import Lost
from sparkdesk.core.jobs.record import LogLine as JobLogLine
from ui import text
from ui.widgets.log_filter import GUARD_SOURCE, OWN_SOURCE, LogLine

LEVELS: Final = {
    "debug": "DEBUG",
    "trace": "DEBUG",
    "info": "INFO",
    "warn": "WARN",
    "warning": "WARN",
    "error": "ERROR",
    "critical": "ERROR",
    "fatal": "ERROR",
}
_NEXT_TRY: Final = re.compile(r"\brestart (\d{1,3}) of \d")
"""What the guard on the node says before it starts an engine again (remote/job.py)."""
MOST_TRIES: Final = 99


class RowMaker:
    """Makes rows of one job's lines, in the order in which they came."""

    def __init__(self, ranks: int = 1) -> None:
        self.ranks = ranks
        self._attempt = 1

    def rows(self, items: Iterable[JobLogLine | Lost]) -> list[LogLine]:
        """The rows of these lines."""
        return [self._row(item) for item in items]

    def _row(self, item: JobLogLine | Lost) -> LogLine:
        if isinstance(item, Lost):
            said = f"{text.grouped(item.count)} lines were lost: they came faster than they could be shown"
            return LogLine("", OWN_SOURCE, "WARN", said, self._attempt)
        cut = f" {text.ELLIPSIS} {text.grouped(item.cut_bytes)} more bytes" if item.cut_bytes else ""
        level = LEVELS.get(item.level.lower(), "INFO")
        source = item.source
        if item.attempt:  # told with the line
            self._attempt = min(item.attempt, MOST_TRIES)
        if source in ("job", GUARD_SOURCE):
            source = GUARD_SOURCE
            again = _NEXT_TRY.search(item.text)
            if again is not None:
                self._attempt = min(max(self._attempt, int(again[1]) + 1), MOST_TRIES)
        elif source != OWN_SOURCE and self.ranks > 1:
            source = f"r{item.rank}"
        # When the engine said it is known by the look that found it: up to a second or so late.
        clock = clock_ms(item.t_ms) if source == OWN_SOURCE else clock_ms(item.t_ms)[:8]
        return LogLine(clock, source, level, item.text + cut, self._attempt, item.offset)


def clock_ms(t_ms: int) -> str:
    """Local wall-clock time of a moment to the millisecond; "" when it has none."""
    if t_ms <= 0:
        return ""
    return datetime.fromtimestamp(t_ms // 1000).strftime("%H:%M:%S") + f".{t_ms % 1000:03d}"
