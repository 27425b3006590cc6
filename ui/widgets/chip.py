"""A state in a word with an icon: "Ready", "Stale 14 s", "Simulated".

Rule: a coloured chip always has an icon; colour alone never says anything.
"""

from __future__ import annotations

from typing import Final, Literal

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

from ui import theme
from ui.font import font
from ui.icon import draw_icon
from ui.theme import Token, color
from ui.widgets.paint import box, pen, text_width, write

ChipKind = Literal["neutral", "accent", "ok", "warn", "crit", "simulated"]

ChipState = tuple[str, ChipKind, str | None]
"""Words, kind and icon; None takes the kind's own icon, "" none."""
CHIP_LOOKS: Final[dict[ChipKind, tuple[Token, Token, str]]] = {
    "neutral": ("raised", "text2", ""),
    "accent": ("accentsoft", "accenttext", ""),
    "ok": ("oksoft", "ok", "check"),
    "warn": ("warnsoft", "warn", "triangle-alert"),
    "crit": ("critsoft", "crit", "octagon-alert"),
    "simulated": ("raised", "text2", "flask-conical"),
}
"""By kind: fill, ink, icon."""
_PAD = 7
_ICON_ROOM = theme.ICON_SIZE_CHIP + 5


def _icon_of(state: ChipState) -> str:
    return state[2] if state[2] is not None else CHIP_LOOKS[state[1]][2]


def chip_width(state: ChipState) -> float:
    """How wide a chip is."""
    return text_width(state[0], "label_medium") + 2 * _PAD + (_ICON_ROOM if _icon_of(state) else 0)


def draw_chip(painter: QPainter, right: float, top: float, state: ChipState) -> float:
    """Paint a chip whose right edge is at `right`; returns its left edge."""
    rect = QRectF(right - chip_width(state), top, chip_width(state), theme.CHIP_HEIGHT)
    _paint(painter, rect, state)
    return rect.left()


def _paint(painter: QPainter, rect: QRectF, state: ChipState) -> None:
    text, kind, _ = state
    fill, tint, _ = CHIP_LOOKS[kind]
    edge = pen(color("border")) if kind in ("neutral", "simulated") else None
    box(painter, rect, theme.RADIUS_CHIP, color(fill), edge)
    left = rect.left() + _PAD
    name = _icon_of(state)
    if name:
        top = rect.top() + (rect.height() - theme.ICON_SIZE_CHIP) / 2
        draw_icon(painter, QPointF(left, top), name, tint, theme.ICON_SIZE_CHIP)
        left += _ICON_ROOM
    write(painter, QRectF(left, rect.top(), rect.width(), rect.height()), text, role="label_medium", tint=tint)


class Chip(QLabel):
    """A chip. `icon` None takes the kind's own; "" means none (neutral and accent only)."""

    def __init__(
        self, text: str = "", kind: ChipKind = "neutral", icon: str | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setFont(font("label_medium"))
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._kind: ChipKind = kind
        self._icon = icon
        self.setText(text)
        theme.notifier.changed.connect(self.update)

    def set_state(self, text: str, kind: ChipKind = "neutral", icon: str | None = None) -> None:
        """Say another state; does nothing when it is the one already shown."""
        if (text, kind, icon) == self._state():
            return
        self._kind, self._icon = kind, icon
        self.setText(text)
        self.updateGeometry()
        self.update()

    def kind(self) -> ChipKind:
        """Return the kind shown now."""
        return self._kind

    def _state(self) -> ChipState:
        return self.text(), self._kind, self._icon

    def sizeHint(self) -> QSize:
        return QSize(round(chip_width(self._state()) + 0.5), theme.CHIP_HEIGHT)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        _paint(painter, QRectF(self.rect()), self._state())
