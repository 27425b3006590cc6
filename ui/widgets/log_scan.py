"""One pass of a log's filter over what is held, a slice at a time, so that typing never waits for it.

Rule: a slice ends after a few milliseconds, whatever the pattern; only a single line can make it longer.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Final

from PySide6.QtCore import QElapsedTimer

from ui.widgets.log_filter import LogFilter, LogLine

SLICE_MS: Final = 6
SLOW_PASS_MS: Final = 4000
"""All slices of one pass together; a pattern that needs more is left out."""


class LogScan:
    """The numbers of the lines that pass `wanted`, found from the oldest line to the newest."""

    def __init__(self, wanted: LogFilter, first: int) -> None:
        self.wanted = wanted
        self.found: deque[int] = deque()
        self.is_slow = False
        """Whether the pattern took too long and was left out."""
        self._first = self._next = first
        self._spent_ms = 0
        self._is_shown = wanted.make_check()

    def ask(self, lines: deque[LogLine], first: int) -> bool:
        """Ask one slice of the lines, whose oldest has the number `first`; whether all of them were asked."""
        if first < self._first:  # older ones were put before: the pass begins with them
            self._begin(first)
        self._first = first
        self._next = max(self._next, first)  # the oldest went meanwhile
        while self.found and self.found[0] < first:
            self.found.popleft()
        spent = QElapsedTimer()
        spent.start()
        for line in islice(lines, self._next - first, None):
            if self._is_shown(line):
                self.found.append(self._next)
            self._next += 1
            if spent.elapsed() >= SLICE_MS:
                break
        self._spent_ms += spent.elapsed()
        if self._spent_ms > SLOW_PASS_MS and self.wanted.pattern is not None:
            self.is_slow = True
            self.wanted = self.wanted._replace(pattern=None)
            self._is_shown = self.wanted.make_check()
            self._begin(first)
            return False
        return self._next >= first + len(lines)

    def _begin(self, first: int) -> None:
        self.found.clear()
        self._next = first
