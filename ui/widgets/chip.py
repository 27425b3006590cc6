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

# kind: (fill, text, icon)
_LOOKS: Final[dict[ChipKind, tuple[Token, Token, str]]] = {
    "neutral": ("raised", "text2", ""),
    "accent": ("accentsoft", "accenttext", ""),
    "ok": ("oksoft", "ok", "check"),
    "warn": ("warnsoft", "warn", "triangle-alert"),
    "crit": ("critsoft", "crit", "octagon-alert"),
    "simulated": ("raised", "text2", "flask-conical"),
}
_PAD = 7
_ICON_GAP = 5


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
        if (text, kind, icon) == (self.text(), self._kind, self._icon):
            return
        self._kind, self._icon = kind, icon
        self.setText(text)
        self.updateGeometry()
        self.update()

    def kind(self) -> ChipKind:
        """Return the kind shown now."""
        return self._kind

    def _icon_name(self) -> str:
        return self._icon or _LOOKS[self._kind][2] if self._icon != "" else ""

    def sizeHint(self) -> QSize:
        icon_width = theme.ICON_SIZE_CHIP + _ICON_GAP if self._icon_name() else 0
        return QSize(round(text_width(self.text(), "label_medium") + 0.5) + icon_width + 2 * _PAD, theme.CHIP_HEIGHT)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        fill, tint, _ = _LOOKS[self._kind]
        is_bordered = self._kind in ("neutral", "simulated")
        edge = pen(color("border")) if is_bordered else None
        box(painter, QRectF(self.rect()), theme.RADIUS_CHIP, color(fill), edge)
        left = float(_PAD)
        name = self._icon_name()
        if name:
            top = (self.height() - theme.ICON_SIZE_CHIP) / 2
            draw_icon(painter, QPointF(left, top), name, tint, theme.ICON_SIZE_CHIP)
            left += theme.ICON_SIZE_CHIP + _ICON_GAP
        write(painter, QRectF(left, 0, self.width() - left, self.height()), self.text(), role="label_medium", tint=tint)
