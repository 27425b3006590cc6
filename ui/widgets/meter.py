"""A thin bar for a share of something: utilisation, memory, progress.

Rule: unknown is hatched and says "n/a"; it is never an empty bar.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QPointF, QRectF, QSize
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from ui import theme
from ui.text import is_known, percent
from ui.theme import Token, blend, color
from ui.widgets.paint import box, hatch, pen, rounded_clip

HIGH_SHARE: Final = 0.80
CRITICAL_SHARE: Final = 0.92


def level_token(fraction: float | None, normal: Token = "s1") -> Token:
    """Return the colour token for a load: normal, `warn` from 80 %, `crit` from 92 %."""
    if fraction is None or not is_known(fraction) or fraction < HIGH_SHARE:
        return normal
    return "crit" if fraction >= CRITICAL_SHARE else "warn"


class Meter(QWidget):
    """Set `has_levels` False for progress, where much is not a warning. `limit` (0..1) draws a tick."""

    def __init__(
        self,
        what: str,
        *,
        height: int = 6,
        has_levels: bool = True,
        tint: Token = "s1",
        limit: float | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._what = what
        self._bar_height = height
        self._has_levels = has_levels
        self._tint: Token = tint
        self._limit = limit
        self._fraction: float | None = None
        self._is_stale = False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_fraction(None)
        theme.notifier.changed.connect(self.update)

    def set_fraction(self, fraction: float | None) -> None:
        """Show a share (0..1); None or NaN is unknown."""
        known = fraction if fraction is not None and is_known(fraction) else None
        self.setAccessibleName(f"{self._what} {percent(known)}")
        self._fraction = known
        self.update()

    def fraction(self) -> float | None:
        """Return the share shown now, None when unknown."""
        return self._fraction

    def set_stale(self, is_stale: bool) -> None:
        """Pale the bar because the value is old."""
        self._is_stale = is_stale
        self.update()

    def level(self) -> Token:
        """Return the colour token of the bar now."""
        return level_token(self._fraction, self._tint) if self._has_levels else self._tint

    def sizeHint(self) -> QSize:
        return QSize(64, self._bar_height + (4 if self._limit is not None else 0))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        top = (self.height() - self._bar_height) / 2
        bar = QRectF(0, top, self.width(), self._bar_height)
        radius = self._bar_height / 2
        box(painter, bar, radius, color("ledger_free"))
        if self._fraction is None:
            painter.save()
            painter.setClipPath(rounded_clip(bar, radius))
            hatch(painter, bar, color("ledger_cache"), step=4, width=1)
            painter.restore()
        elif self._fraction > 0:
            fill = blend(self.level(), "surface", theme.STALE_SHARE) if self._is_stale else color(self.level())
            width = max(min(self._fraction, 1.0) * self.width(), min(self._bar_height, self.width()))
            box(painter, QRectF(0, top, width, self._bar_height), radius, fill)
        if self._limit is not None:
            x = round(self.width() * self._limit) + 0.5
            painter.setPen(pen(color("text2")))
            painter.drawLine(QPointF(x, top - 2), QPointF(x, top + self._bar_height + 2))
