"""An icon on its own, beside a word or a figure.

Rule: it repeats what the word says; where it stands alone it has a name.
"""

from __future__ import annotations

from PySide6.QtCore import QPointF, QSize
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from ui import theme
from ui.icon import draw_icon
from ui.theme import Token


class IconLabel(QWidget):
    """A tinted icon; "" shows nothing and keeps the room."""

    def __init__(
        self,
        icon: str,
        tint: Token = "text2",
        *,
        size: int = theme.ICON_SIZE,
        name: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._icon = icon
        self._tint: Token = tint
        self.setFixedSize(QSize(size, size))
        self.setAccessibleName(name)
        theme.notifier.changed.connect(self.update)

    def set_icon(self, icon: str, tint: Token | None = None) -> None:
        """Change icon and colour."""
        self._icon = icon
        if tint is not None:
            self._tint = tint
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._icon:
            draw_icon(QPainter(self), QPointF(0, 0), self._icon, self._tint, self.width())
