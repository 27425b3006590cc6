"""How full the model's context is, as a ring with its percent.

Rule: what is not known is an empty place, never 0 %.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from ui import theme
from ui.text import THIN_SPACE, is_known
from ui.theme import color
from ui.widgets.label import plain_tooltip
from ui.widgets.meter import level_token
from ui.widgets.paint import text_width, write

_RING: Final = 14
_WIDTH: Final = 3.0
_GAP: Final = 8


def fine_percent(fraction: float) -> str:
    """A share with one decimal, so that a large window is seen to fill: "18.6 %"."""
    shown = f"{fraction * 100:,.1f}" if fraction < 0.9995 else f"{fraction * 100:,.0f}"
    return f"{shown}{THIN_SPACE}%"


class ContextRing(QWidget):
    """Set with `show_use`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._fraction: float | None = None
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        theme.notifier.changed.connect(self.update)
        self.show_use(None)

    def show_use(self, fraction: float | None, words: str = "") -> None:
        """Show a share (0..1, or more when it is over); `words` say it whole. None or NaN is not known."""
        self._fraction = fraction if is_known(fraction) else None
        self.setVisible(self._fraction is not None)
        said = words or (f"{self.text()} of the context is in use" if self._fraction is not None else "")
        self.setAccessibleName(said)
        self.setToolTip(plain_tooltip(said) if said else "")
        self.updateGeometry()
        self.update()

    def text(self) -> str:
        """The percent."""
        return fine_percent(self._fraction) if self._fraction is not None else ""

    def sizeHint(self) -> QSize:
        return QSize(round(_RING + _GAP + text_width(self.text(), "dense") + 1), theme.CHIP_HEIGHT)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._fraction is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        inset = _WIDTH / 2
        ring = QRectF(inset, (self.height() - _RING) / 2 + inset, _RING - _WIDTH, _RING - _WIDTH)
        stroke = QPen(color("ledger_free"), _WIDTH)
        stroke.setCapStyle(Qt.PenCapStyle.FlatCap)
        painter.setPen(stroke)
        painter.drawEllipse(ring)
        stroke.setColor(color(level_token(self._fraction, "accent")))
        painter.setPen(stroke)
        # From twelve o'clock, with the clock; a 16th of a degree is Qt's unit.
        painter.drawArc(ring, 90 * 16, -round(min(self._fraction, 1.0) * 360 * 16))
        left = _RING + _GAP
        write(painter, QRectF(left, 0, self.width() - left, self.height()), self.text(), role="dense", tint="text2")
