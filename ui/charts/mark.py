"""How the lines of a plot look: colour, dash and marker, one function for plot, legend and cursor.

The one rule: colour is never the only difference, and a line that is old is grey. Five colours come round again with
another dash and another marker, so that two lines with one dash have two markers, however many there are up to 25.
"""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPen, QPolygonF

from ui.theme import SERIES, SERIES_DASH, Token, color
from ui.widgets.paint import pen


def tint_of(slot: int, *, is_stale: bool = False) -> Token:
    """The colour of a line."""
    return "control" if is_stale else SERIES[slot % len(SERIES)]


def dash_of(slot: int) -> tuple[float, ...]:
    """The dash of a line: one further with each round of the colours."""
    return SERIES_DASH[(slot + slot // len(SERIES)) % len(SERIES_DASH)]


def marker_of(slot: int) -> int:
    """Which of the five shapes a line has: two further with each round of the colours."""
    return (slot + 2 * (slot // len(SERIES))) % len(SERIES)


def line_pen(slot: int, *, is_stale: bool = False, device_ratio: float = 1.0) -> QPen:
    """The pen of a line: one pixel wide, because a little more costs ten times as much to paint.

    pyqtgraph scales the painter, so the pen is cosmetic; such a one counts the pixels of the device.
    """
    result = QPen(pen(color(tint_of(slot, is_stale=is_stale)), dash=dash_of(slot)))
    result.setWidthF(device_ratio)
    result.setCosmetic(True)
    return result


def draw_marker(painter: QPainter, at: QPointF, slot: int, *, is_stale: bool = False, size: float = 3.5) -> None:
    """Paint a line's own shape: circle, square, diamond, triangle or cross."""
    shade = color(tint_of(slot, is_stale=is_stale))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(shade)
    x, y = at.x(), at.y()
    kind = marker_of(slot)
    if kind == 0:
        painter.drawEllipse(at, size, size)
    elif kind == 1:
        painter.drawRect(QRectF(x - size, y - size, 2 * size, 2 * size))
    elif kind == 2:
        tall = size * 1.3
        shape = [QPointF(x, y - tall), QPointF(x + tall, y), QPointF(x, y + tall), QPointF(x - tall, y)]
        painter.drawPolygon(QPolygonF(shape))
    elif kind == 3:
        shape = [QPointF(x, y - size * 1.2), QPointF(x + size * 1.2, y + size), QPointF(x - size * 1.2, y + size)]
        painter.drawPolygon(QPolygonF(shape))
    else:
        painter.setPen(pen(shade, 2))
        painter.drawLine(QPointF(x - size, y - size), QPointF(x + size, y + size))
        painter.drawLine(QPointF(x - size, y + size), QPointF(x + size, y - size))


def draw_swatch(painter: QPainter, rect: QRectF, slot: int, *, is_stale: bool = False) -> None:
    """Paint a piece of the line with its marker in the middle."""
    swatch = pen(color(tint_of(slot, is_stale=is_stale)), 1.6, dash=dash_of(slot))
    painter.setPen(swatch)
    painter.drawLine(QPointF(rect.left(), rect.center().y()), QPointF(rect.right(), rect.center().y()))
    draw_marker(painter, rect.center(), slot, is_stale=is_stale, size=3.0)
