"""A value against its band: a line with the zones that pass and that warn, a tick at the pass mark, a diamond.

The one rule: the figure stands beside it in words; a value that was not measured has no diamond.
"""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from ui import theme
from ui.bringup.proof_rows import Scale
from ui.theme import Token, blend, color
from ui.widgets.paint import box, pen, rounded_clip

_BAR = 5.0
_DIAMOND = 5.0


class Gauge(QWidget):
    """Show a `Scale`; `tint` is that of the grade."""

    def __init__(self, what: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scale = Scale(None, None, None)
        self._tint: Token = "text3"
        self.setAccessibleName(what)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.notifier.changed.connect(self.update)

    def show_scale(self, scale: Scale, tint: Token) -> None:
        """Show another value or band."""
        if (scale, tint) != (self._scale, self._tint):
            self._scale, self._tint = scale, tint
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(120, 14)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        width, middle = self.width() - 2 * _DIAMOND, self.height() / 2
        bar = QRectF(_DIAMOND, middle - _BAR / 2, width, _BAR)
        scale = self._scale
        box(painter, bar, _BAR / 2, color("ledger_free"))
        painter.save()
        painter.setClipPath(rounded_clip(bar, _BAR / 2))
        for low, high, tint in self._zones():
            painter.fillRect(QRectF(bar.left() + low * width, bar.top(), (high - low) * width, _BAR), tint)
        painter.restore()
        if scale.pass_at is not None:
            x = round(bar.left() + scale.pass_at * width) + 0.5
            painter.setPen(pen(color("text2"), 1.5))
            painter.drawLine(QPointF(x, 1), QPointF(x, self.height() - 1))
        if scale.value is not None:
            x = bar.left() + scale.value * width
            points = ((x, middle - _DIAMOND), (x + _DIAMOND, middle), (x, middle + _DIAMOND), (x - _DIAMOND, middle))
            painter.setPen(pen(color("surface"), 1))
            painter.setBrush(color(self._tint))
            painter.drawPolygon(QPolygonF([QPointF(*point) for point in points]))

    def _zones(self) -> list[tuple[float, float, QColor]]:
        scale = self._scale
        zones: list[tuple[float, float, QColor]] = []
        good, fair = blend("ok", "surface", 0.5), blend("warn", "surface", 0.25)
        if scale.pass_at is None:
            return []
        if scale.is_lower_better:
            zones.append((0.0, scale.pass_at, good))
            if scale.warn_at is not None and scale.warn_at > scale.pass_at:
                zones.append((scale.pass_at, scale.warn_at, fair))
        else:
            zones.append((scale.pass_at, 1.0, good))
            if scale.warn_at is not None and scale.warn_at < scale.pass_at:
                zones.append((scale.warn_at, scale.pass_at, fair))
        return zones
