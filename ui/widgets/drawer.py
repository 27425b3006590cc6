"""A panel that slides over the right side of a page when there is no room beside it.

Rule: the page underneath does not reflow, and Esc closes.
"""

from __future__ import annotations

from PySide6.QtCore import QEasingCurve, QEvent, QObject, QPoint, QPropertyAnimation, QRectF, Qt, Signal
from PySide6.QtGui import QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from ui import theme
from ui.theme import color
from ui.widgets.paint import box, pen


class Drawer(QFrame):
    """Lives over `host`; put the panel in with `set_panel`, take it back with `take_panel`."""

    closed = Signal()

    def __init__(self, host: QWidget, *, width: int = 340) -> None:
        super().__init__(host)
        self._width = width
        self._panel: QWidget | None = None
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(1, 1, 1, 1)
        self._move = QPropertyAnimation(self, b"pos", self)
        self._move.setEasingCurve(QEasingCurve.Type.OutCubic)
        host.installEventFilter(self)
        self.setVisible(False)
        theme.notifier.changed.connect(self.update)

    def set_panel(self, panel: QWidget) -> None:
        """Show this widget inside."""
        self.take_panel()
        self._panel = panel
        self._column.addWidget(panel)
        panel.setVisible(True)

    def take_panel(self) -> QWidget | None:
        """Give the widget back, without a parent of its own yet."""
        panel, self._panel = self._panel, None
        if panel is not None:
            self._column.removeWidget(panel)
        return panel

    def open(self) -> None:
        """Slide in."""
        host = self.parentWidget()
        if host is None or self.isVisible():
            return
        self.setGeometry(host.width() - self._width, 0, self._width, host.height())
        self.setVisible(True)
        self.raise_()
        if theme.move_ms():
            self._move.setDuration(theme.move_ms())
            self._move.setStartValue(QPoint(host.width() - self._width // 2, 0))
            self._move.setEndValue(QPoint(host.width() - self._width, 0))
            self._move.start()
        self.setFocus(Qt.FocusReason.PopupFocusReason)

    def close_drawer(self) -> None:
        """Go away and say so."""
        if self.isVisible():
            self._move.stop()
            self.setVisible(False)
            self.closed.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.close_drawer()
            event.accept()
            return
        super().keyPressEvent(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        host = self.parentWidget()
        if event.type() == QEvent.Type.Resize and host is not None and watched is host and self.isVisible():
            self._move.stop()
            self.setGeometry(host.width() - self._width, 0, self._width, host.height())
        return False

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box(painter, QRectF(self.rect()), theme.RADIUS_CARD, color("surface"), pen(color("control")))
