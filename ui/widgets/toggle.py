"""Check box and switch, painted from the tokens.

Rule: the state is a shape (tick, place of the knob), not only a colour.
"""

from __future__ import annotations

from PySide6.QtCore import QPoint, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QCheckBox, QWidget

from ui import theme
from ui.font import font
from ui.icon import draw_icon
from ui.theme import blend, color
from ui.widgets.paint import box, pen, text_width, write


class CheckBox(QCheckBox):
    """A check box with its text."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setFont(font("dense"))
        theme.notifier.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(round(text_width(self.text(), "dense") + 0.5) + 24, 24)

    def hitButton(self, position: QPoint) -> bool:  # noqa: N802
        return self.rect().contains(position)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        mark = QRectF(0, (self.height() - 16) / 2, 16, 16)
        if self.isChecked():
            box(painter, mark, 3, color("accent") if self.isEnabled() else color("control"))
            draw_icon(painter, QPointF(mark.left() + 2, mark.top() + 2), "check", "accentfg", 12)
        else:
            box(painter, mark, 3, color("sunken"), pen(color("control")))
        ink = color("text") if self.isEnabled() else blend("text", "surface", theme.DISABLED_SHARE)
        write(painter, QRectF(24, 0, self.width() - 24, self.height()), self.text(), role="dense", tint=ink)


class Switch(QCheckBox):
    """On or off, at once. Its name is `what`; the text stands left of it where there is one."""

    def __init__(self, what: str, *, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setAccessibleName(what)
        self.setFont(font("dense"))
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        theme.notifier.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        text = round(text_width(self.text(), "dense") + 0.5) + 8 if self.text() else 0
        return QSize(text + 30, 24)

    def hitButton(self, position: QPoint) -> bool:  # noqa: N802
        return self.rect().contains(position)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        left = self.width() - 29
        write(painter, QRectF(0, 0, left, self.height()), self.text(), role="dense", tint="text2")
        track = QRectF(left, (self.height() - 16) / 2, 28, 16)
        is_on = self.isChecked()
        box(painter, track, 8, color("accent" if is_on else "sunken"), None if is_on else pen(color("control")))
        knob = QRectF(track.left() + (15 if is_on else 3), track.top() + 3, 10, 10)
        box(painter, knob, 5, color("accentfg" if is_on else "text2"))
