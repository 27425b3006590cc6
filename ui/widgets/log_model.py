"""The lines of a log: a ring of the newest 50,000, filtered without copying.

Rule: a flood never grows memory and never freezes the window; what was dropped or cut is said, not hidden.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import Final

from PySide6.QtCore import (
    QAbstractListModel,
    QElapsedTimer,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    QTimer,
    Signal,
)

from sparkdesk.core.jobs.log_level import names_cause
from ui.widgets.log_filter import LogFilter, LogLine, clean_line, is_polling
from ui.widgets.log_scan import LogScan

MAX_LINES: Final = 50_000
FLUSH_MS: Final = 100
MOST_ERRORS: Final = 500
"""So many of those that came at once are asked whether they say why."""
LineRole: Final = Qt.ItemDataRole.UserRole + 1
SLOW_MS: Final = 700
"""Filtering what came at once takes no longer than this."""


class LogModel(QAbstractListModel):
    """A list model over the ring. `append` may be called at any rate; rows change at most ten times a second.

    `moved(added, dropped)` counts visible rows of one flush: added at the end, dropped at the start. `extended` counts
    those put before the first one. `too_slow` says that the filter's pattern took too long and was left out.

    Another filter is asked of what is held in slices: the rows of the one before stay until it is done.
    `filtering_changed` carries whether that goes on.
    """

    moved = Signal(int, int)
    extended = Signal(int)
    too_slow = Signal()
    filtering_changed = Signal(bool)

    def __init__(self, parent: QObject | None = None, *, max_lines: int = MAX_LINES) -> None:
        super().__init__(parent)
        self._max_lines = max_lines
        self._lines: deque[LogLine] = deque()
        self._first = 0
        """Sequence number of the oldest line in the ring."""
        self._shown: deque[int] | None = None
        """Sequence numbers that pass the filter; None while everything passes."""
        self._pending: deque[LogLine] = deque(maxlen=max_lines)
        self._filter = LogFilter()
        """What the rows show; another one may be on its way in `_scan`."""
        self._scan: LogScan | None = None
        self._source_chars = 2
        self._older = 0
        """Lines put before the others, which are held beyond the ring's size until they are let go."""
        self._error: tuple[bool, int, LogLine] | None = None
        """Whether it only says that something failed, its sequence number, the line."""
        self._last_attempt = 1
        self._polls = 0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(FLUSH_MS)
        self._timer.timeout.connect(self.flush)
        self._slices = QTimer(self)
        self._slices.setInterval(0)
        self._slices.timeout.connect(self._ask_slice)
        self.too_slow.connect(self._filter_again, Qt.ConnectionType.QueuedConnection)

    def append(self, lines: Iterable[LogLine]) -> None:
        """Take lines in; they show within 100 ms."""
        self._pending.extend(lines)
        if self._pending and not self._timer.isActive():
            self._timer.start()

    def clear(self) -> None:
        """Forget everything."""
        wanted = self.filter()
        self._end_scan()
        self.beginResetModel()
        self._filter = wanted
        self._lines.clear()
        self._pending.clear()
        self._first = self._older = self._polls = 0
        self._error = None
        self._last_attempt = 1
        self._shown = None if self._filter.is_open() else deque()
        self.endResetModel()

    def prepend(self, lines: Iterable[LogLine]) -> int:
        """Put older lines before the others, at most as many again as the ring holds; gives how many were taken."""
        self.flush()
        batch = [clean_line(line) for line in lines]
        batch = batch[max(0, len(batch) - (self._max_lines - self._older)) :]
        if not batch:
            return 0
        start = self._first - len(batch)
        passing = self._passing(batch, start)
        if passing:
            self.beginInsertRows(QModelIndex(), 0, len(passing) - 1)
        self._lines.extendleft(reversed(batch))
        self._first, self._older = start, self._older + len(batch)
        if self._shown is not None:
            self._shown.extendleft(reversed(passing))
        if passing:
            self.endInsertRows()
        self._note(batch, start)
        self.extended.emit(len(passing))
        return len(batch)

    def let_older_go(self) -> None:
        """Forget older lines beyond the ring's size: nobody reads them any more."""
        self._older = 0
        dropped = self._drop(max(0, len(self._lines) - self._max_lines))
        if dropped:
            self.moved.emit(0, dropped)

    def oldest(self) -> LogLine | None:
        """Return the oldest line held that lies in the log itself."""
        return next((line for line in self._lines if line.offset >= 0), None)

    def first_error(self) -> LogLine | None:
        """Return the first ERROR line that may say why, else the first one, also when it is not held any more."""
        return self._error[2] if self._error is not None else None

    def row_of_error(self) -> int:
        """Return the row of the first error; -1 when it is not held or not shown."""
        if self._error is None or self._error[1] < self._first:
            return -1
        if self._shown is None:
            return self._error[1] - self._first
        at = bisect_left(self._shown, self._error[1])
        return at if at < len(self._shown) and self._shown[at] == self._error[1] else -1

    def last_attempt(self) -> int:
        """Return the highest try that was seen."""
        return self._last_attempt

    def polls(self) -> int:
        """Return how many of the lines held are requests that only looked how the server is."""
        return self._polls

    def _passing(self, batch: Iterable[LogLine], start: int) -> list[int]:
        """Give the sequence numbers of the lines that pass; a pattern that takes too long is left out from there on."""
        if self._shown is None:
            return [start + i for i, _line in enumerate(batch)]
        passing, spent, is_slow = [], QElapsedTimer(), False
        spent.start()
        is_shown, has_pattern = self._filter.make_check(), self._filter.pattern is not None
        for i, line in enumerate(batch):
            if is_shown(line):
                passing.append(start + i)
            if has_pattern and spent.elapsed() > SLOW_MS:
                self._filter, is_slow, has_pattern = self._filter._replace(pattern=None), True, False
                is_shown = self._filter.make_check()
        if is_slow and self._scan is None:  # else nobody wants that pattern any more
            self.too_slow.emit()
        return passing

    def _note(self, batch: list[LogLine], start: int) -> None:
        """Remember of new lines what is said beside the rows."""
        self._source_chars = min(max(self._source_chars, *(len(line.source) for line in batch)), 12)
        self._last_attempt = max(self._last_attempt, *(line.attempt for line in batch))
        self._polls += sum(is_polling(line.text) for line in batch)
        if self._error is None or self._error[0] or start < self._error[1]:
            errors = ((start + i, line) for i, line in enumerate(batch) if line.level == "ERROR")
            found = [(not names_cause(line.text[:400]), at, line) for at, line in islice(errors, MOST_ERRORS)]
            self._error = min([*found, *([self._error] if self._error is not None else [])], default=None)

    def set_filter(self, wanted: LogFilter) -> None:
        """Show only what passes: at once where little is held, else as soon as every line was asked."""
        self.flush()
        self._end_scan()
        if wanted.is_open():
            self._show(wanted, None)
            return
        self._scan = LogScan(wanted, self._first)
        self._ask_slice()
        if self._scan is not None:
            self._slices.start()
            self.filtering_changed.emit(True)

    def is_filtering(self) -> bool:
        """Say whether the filter last set is still asked of the lines held."""
        return self._scan is not None

    def _ask_slice(self) -> None:
        scan = self._scan
        if scan is None or not scan.ask(self._lines, self._first):
            return
        self._end_scan()
        self._show(scan.wanted, scan.found)
        if scan.is_slow:
            self.too_slow.emit()

    def _end_scan(self) -> None:
        if self._scan is not None:
            self._scan = None
            if self._slices.isActive():
                self._slices.stop()
                self.filtering_changed.emit(False)

    def _show(self, wanted: LogFilter, shown: deque[int] | None) -> None:
        self.beginResetModel()
        self._filter, self._shown = wanted, shown
        self.endResetModel()

    def _filter_again(self) -> None:
        """What passed before its pattern was left out passed by the pattern."""
        if self._scan is None:
            self.set_filter(self._filter)

    def filter(self) -> LogFilter:
        """Return the filter that was set last, also while it is still asked of the lines held."""
        return self._scan.wanted if self._scan is not None else self._filter

    def total(self) -> int:
        """Return how many lines the ring holds."""
        return len(self._lines)

    def source_chars(self) -> int:
        """Return how wide the source column must be: the longest source seen, at most 12 characters."""
        return self._source_chars

    def flush(self) -> None:
        """Move what waits into the rows now."""
        self._timer.stop()
        if not self._pending:
            return
        batch = [clean_line(line) for line in self._pending]
        self._pending.clear()
        dropped = self._drop(max(0, len(self._lines) + len(batch) - self._max_lines - self._older))
        start = self._first + len(self._lines)
        passing = self._passing(batch, start)
        new_rows = len(passing)
        if new_rows:
            count = self.rowCount()
            self.beginInsertRows(QModelIndex(), count, count + new_rows - 1)
        self._lines.extend(batch)
        self._note(batch, start)
        if self._shown is not None:
            self._shown.extend(passing)
        if new_rows:
            self.endInsertRows()
        self.moved.emit(new_rows, dropped)

    def _drop(self, count: int) -> int:
        """Drop the oldest `count` lines; return how many rows went with them."""
        if count <= 0:
            return 0
        limit = self._first + count
        rows = count if self._shown is None else sum(1 for _ in _below(self._shown, limit))
        if rows:
            self.beginRemoveRows(QModelIndex(), 0, rows - 1)
        for _ in range(count):
            self._polls -= is_polling(self._lines.popleft().text)
        if self._shown is not None:
            for _ in range(rows):
                self._shown.popleft()
        self._first = limit
        if rows:
            self.endRemoveRows()
        return rows

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex | None = None) -> int:
        if parent is not None and parent.isValid():
            return 0
        return len(self._lines) if self._shown is None else len(self._shown)

    def line(self, row: int) -> LogLine:
        """Return the line of a visible row. Raises IndexError for a row that is gone."""
        place = row if self._shown is None else self._shown[row] - self._first
        return self._lines[place]

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid() or index.row() >= self.rowCount():
            return None
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return self.line(index.row()).as_text()
        return self.line(index.row()) if role == LineRole else None

    def text_of(self, rows: Iterable[int]) -> str:
        """Return rows as text, one a line."""
        return "\n".join(self.line(row).as_text() for row in rows)

    def all_text(self) -> str:
        """Return every visible row as text."""
        if self._shown is None:
            return "\n".join(line.as_text() for line in islice(self._lines, len(self._lines)))
        return self.text_of(range(len(self._shown)))


def _below(numbers: deque[int], limit: int) -> Iterable[int]:
    for number in numbers:
        if number >= limit:
            return
        yield number
