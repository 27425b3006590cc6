"""Whether anybody can see a window: it is shown, not minimised, and the screen has it.

The one rule: that a window comes into sight is told at once, that it goes only when it stays away, since windows are
hidden for moments all the time.
"""

from __future__ import annotations

from typing import cast

from PySide6.QtCore import QEvent, QObject, QTimer, Signal
from PySide6.QtGui import QWindow
from PySide6.QtWidgets import QWidget

GONE_AFTER_MS = 2000
_EVENTS = (QEvent.Type.Show, QEvent.Type.Hide, QEvent.Type.WindowStateChange, QEvent.Type.Expose)


class Sight(QObject):
    """Watches one window."""

    changed = Signal(bool)
    """It has come into sight, or has gone."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._gone = QTimer(self)
        self._gone.setSingleShot(True)
        self._gone.setInterval(GONE_AFTER_MS)
        self._gone.timeout.connect(lambda: self._tell(is_seen=False))
        self.is_seen = True
        window.installEventFilter(self)
        self._look()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in _EVENTS:
            # After the event: the window is as it will be.
            QTimer.singleShot(0, self, self._look)
        return False

    def _look(self) -> None:
        # What the screen's server says of the window comes to its handle, which is there from the first show on.
        handle = cast("QWindow | None", self._window.windowHandle())
        if handle is not None:
            handle.installEventFilter(self)
        is_exposed = handle is None or handle.isExposed()
        if self._window.isVisible() and not self._window.isMinimized() and is_exposed:
            self._gone.stop()
            self._tell(is_seen=True)
        elif self.is_seen and not self._gone.isActive():
            self._gone.start()

    def _tell(self, *, is_seen: bool) -> None:
        if is_seen != self.is_seen:
            self.is_seen = is_seen
            self.changed.emit(is_seen)
