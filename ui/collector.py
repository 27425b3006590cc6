"""Garbage collection in Qt's own thread only.

The one rule: while this runs, Python's collector runs nowhere else. It runs in whatever thread allocates next, also in
a database's; there it would end forgotten Qt objects in the wrong thread, and the process dies of that, sometimes
("QObject::~QObject: Timers cannot be stopped from another thread" is the harmless way to see it).
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from PySide6.QtCore import QObject, QTimer

PERIOD_MS: Final = 250
IDLE_PERIOD_MS: Final = 1000
"""After a beat at which nothing was due: an idle program is woken seldom."""


class Collector(QObject):
    """Does at its beat what Python would do by itself, generation by generation."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._thresholds = gc.get_threshold()
        self._timer = QTimer(self)
        self._timer.setInterval(PERIOD_MS)
        self._timer.timeout.connect(self.collect_due)
        self._timer.start()

    def collect_due(self) -> None:
        """Collect the oldest generation that is due, with all younger ones."""
        counts = gc.get_count()
        due = [generation for generation in (2, 1, 0) if counts[generation] > self._thresholds[generation]]
        if due:
            gc.collect(due[0])
        period_ms = PERIOD_MS if due else IDLE_PERIOD_MS
        if period_ms != self._timer.interval():
            self._timer.setInterval(period_ms)


@contextmanager
def collecting_here() -> Iterator[None]:
    """Collect in this thread only, as long as the block lasts. Qt's event loop must run in it."""
    was_enabled = gc.isenabled()
    gc.disable()
    collector = Collector()
    try:
        yield
    finally:
        collector.deleteLater()
        if was_enabled:
            gc.enable()
