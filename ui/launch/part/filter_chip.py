"""A filter that is on or off, as a chip.

The one rule: on is a tick and a fill, not only a colour.
"""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolButton, QWidget

from ui import theme
from ui.icon import draw_icon
from ui.theme import color
from ui.widgets.paint import box, pen, text_width, write

_PAD = 9
_ICON_ROOM = 17


class FilterChip(QToolButton):
    """A checkable chip."""

    def __init__(self, words: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setText(words)
        self.setAccessibleName(words)
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.toggled.connect(lambda _on: self.updateGeometry())
        theme.notifier.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        icon = _ICON_ROOM if self.isChecked() else 0
        return QSize(round(text_width(self.text(), "label_medium") + 0.5) + 2 * _PAD + icon, 24)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        is_on = self.isChecked()
        edge = color("control" if self.underMouse() else "border")
        fill = color("accentsoft" if is_on else "raised")
        box(painter, QRectF(self.rect()), theme.RADIUS_CHIP, fill, None if is_on else pen(edge))
        left = float(_PAD)
        if is_on:
            draw_icon(painter, QPointF(left, 6), "check", "accenttext", 12)
            left += _ICON_ROOM
        tint = color("accenttext" if is_on else "text2")
        write(painter, QRectF(left, 0, self.width(), self.height()), self.text(), role="label_medium", tint=tint)
