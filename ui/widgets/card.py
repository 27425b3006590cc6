"""A panel with a border, and the states a panel can be in.

Rule: the frame says how far its content can be trusted: dashed is old, red is failed, bars are not there yet.
"""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QEnterEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from ui import theme
from ui.theme import Token, blend, color
from ui.widgets.label import Label
from ui.widgets.paint import box, pen

CardState = Literal["normal", "selected", "stale", "error", "warn"]


class Card(QFrame):
    """A rounded panel. Clickable ones take focus and answer Enter and Space."""

    clicked = Signal()

    def __init__(self, parent: QWidget | None = None, *, is_clickable: bool = False, fill: Token = "surface") -> None:
        super().__init__(parent)
        self._state: CardState = "normal"
        self._fill: Token = fill
        self._is_clickable = is_clickable
        if is_clickable:
            self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            self.setProperty("has_focus_ring", True)
            self.setCursor(Qt.CursorShape.PointingHandCursor)
        theme.notifier.changed.connect(self.update)

    def state(self) -> CardState:
        """Return the state shown now."""
        return self._state

    def set_state(self, state: CardState) -> None:
        """Show a state; `stale` also pales every part inside that knows how."""
        if state == self._state:
            return
        was_stale, self._state = self._state == "stale", state
        if was_stale != (state == "stale"):
            for part in self.findChildren(QWidget):
                set_stale = getattr(part, "set_stale", None)
                if callable(set_stale):
                    set_stale(state == "stale")
        self.update()

    def column(self, *, spacing: int = 8, margins: tuple[int, int, int, int] | None = None) -> QVBoxLayout:
        """Give the card its column layout (card padding unless told) and return it."""
        layout = QVBoxLayout(self)
        layout.setSpacing(spacing)
        edge = margins or (theme.CARD_PADDING_X, theme.CARD_PADDING_Y, theme.CARD_PADDING_X, theme.CARD_PADDING_Y)
        layout.setContentsMargins(*edge)
        return layout

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(self.rect())
        if self._state == "selected":
            edge = pen(color("accent"), 2)
        elif self._state == "error":
            edge = pen(color("crit"))
        elif self._state == "warn":
            edge = pen(color("warn"))
        elif self._state == "stale":
            edge = pen(color("control"), dash=(3, 3))
        elif self._is_clickable and self.underMouse():
            edge = pen(color("control"))
        else:
            edge = pen(color("border"))
        box(painter, rect, theme.RADIUS_CARD, color(self._fill), edge)

    def enterEvent(self, event: QEnterEvent) -> None:
        super().enterEvent(event)
        if self._is_clickable:
            self.update()

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        if self._is_clickable:
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        is_inside = self.rect().contains(event.position().toPoint())
        if self._is_clickable and event.button() == Qt.MouseButton.LeftButton and is_inside:
            self.clicked.emit()
            event.accept()
            return
        super().mouseReleaseEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if self._is_clickable and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.clicked.emit()
            event.accept()
            return
        super().keyPressEvent(event)


class LoadingBars(QWidget):
    """Three flat bars where content will be. They do not move."""

    _SHARES = (0.69, 0.88, 0.50)

    def __init__(self, parent: QWidget | None = None, *, what: str = "Loading") -> None:
        super().__init__(parent)
        self.setAccessibleName(what)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.notifier.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(160, 44)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for i, share in enumerate(self._SHARES):
            box(painter, QRectF(0, i * 17, self.width() * share, 8), 4, blend("border", "surface", 0.7))


class Separator(QWidget):
    """A line of one pixel, lying or standing."""

    def __init__(self, parent: QWidget | None = None, *, is_vertical: bool = False) -> None:
        super().__init__(parent)
        if is_vertical:
            self.setFixedWidth(1)
        else:
            self.setFixedHeight(1)
        theme.notifier.changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:
        QPainter(self).fillRect(self.rect(), color("border"))


def card_header(title: str, hint: str = "") -> QHBoxLayout:
    """Return a row with a card's title and a paler hint; add chips or buttons after it."""
    row = QHBoxLayout()
    row.setSpacing(8)
    row.addWidget(Label(title, "dense_strong", "text"))
    if hint:
        row.addWidget(Label(hint, "label", "text3"))
    row.addStretch(1)
    return row
