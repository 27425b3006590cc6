"""A chip that opens something: the verdict beside the state.

The one rule: it looks like the chips beside it, and is a button for keyboard and screen reader.
"""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolButton, QWidget

from ui import theme
from ui.jobs.mark import NO_MARK, Mark
from ui.theme import color
from ui.widgets.chip import chip_width, draw_chip
from ui.widgets.paint import box, pen


class ChipButton(QToolButton):
    """A chip to click."""

    def __init__(self, what: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mark: Mark = NO_MARK
        self._what = what
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        theme.notifier.changed.connect(self.update)

    def set_mark(self, mark: Mark) -> None:
        """Say another state."""
        if mark != self._mark:
            self._mark = mark
            self.setText(mark.text)
            self.setAccessibleName(f"{self._what}: {mark.text}")
            self.updateGeometry()
            self.update()

    def mark(self) -> Mark:
        """What it says now."""
        return self._mark

    def sizeHint(self) -> QSize:
        return QSize(round(chip_width(self._mark) + 0.5), 24)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        top = (self.height() - theme.CHIP_HEIGHT) / 2
        draw_chip(painter, float(self.width()), top, self._mark)
        if self.underMouse() and self.isEnabled():
            rect = QRectF(0, top, self.width(), theme.CHIP_HEIGHT)
            box(painter, rect, theme.RADIUS_CHIP, None, pen(color("control")))
