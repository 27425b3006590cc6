"""A page or panel without data: what would be here and how to get it.

Rule: it says what to do next; where that is impossible now, it says why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from ui import theme
from ui.icon import draw_icon
from ui.theme import Token, color
from ui.widgets.label import Label
from ui.widgets.paint import box

if TYPE_CHECKING:
    from ui.widgets.button import Button

_WIDEST: Final = 420
"""Of the text's lines, in px."""


class IconTile(QWidget):
    """An icon on a small soft square: the mark of a card."""

    def __init__(
        self, icon: str, *, tint: Token = "text2", fill: Token = "raised", size: int = 36, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._icon = icon
        self._tint: Token = tint
        self._fill: Token = fill
        self.setFixedSize(QSize(size, size))
        theme.notifier.changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box(painter, QRectF(self.rect()), theme.RADIUS_CARD, color(self._fill))
        inset = (self.width() - theme.ICON_SIZE_FEATURE) / 2
        draw_icon(painter, QPointF(inset, inset), self._icon, self._tint, theme.ICON_SIZE_FEATURE)


class EmptyState(QWidget):
    """Icon, title, one or two lines and a button, in the middle of the room there is."""

    action_clicked = Signal()

    def __init__(
        self,
        icon: str,
        title: str,
        text: str,
        *,
        action: str = "",
        is_primary: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._title = Label(title, "object_title", "text")
        self._text = Label(text, "body", "text2", is_wrapped=True)
        self._text.setAlignment(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
        self._text.setMaximumWidth(_WIDEST)
        column = QVBoxLayout(self)
        column.setSpacing(10)
        column.addStretch(1)
        for part in (IconTile(icon, size=44), self._title):
            column.addWidget(part, 0, Qt.AlignmentFlag.AlignHCenter)
        # Nearly all the room goes to the text, up to its widest, and what is left over to both sides. An alignment
        # would make it as narrow as its hint, and a widest width alone puts it at the left edge.
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self._text, 100)
        row.addStretch(1)
        column.addLayout(row)
        self._button = self._make_button(action, is_primary) if action else None
        if self._button is not None:
            column.addWidget(self._button, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(1)

    def _make_button(self, action: str, is_primary: bool) -> Button:
        from ui.widgets.button import Button  # the page before the first frame has none

        button = Button(action, kind="primary" if is_primary else "default")
        button.clicked.connect(self.action_clicked)
        return button

    def set_primary(self, is_primary: bool) -> None:
        """Whether its button is the one that a person most likely wants now."""
        if self._button is not None:
            self._button.set_kind("primary" if is_primary else "default")

    def set_words(self, title: str, text: str) -> None:
        """Say something else."""
        self._title.setText(title)
        self._text.setText(text)
