"""The few strokes that own-painted widgets share.

Rule: lines of one pixel stay sharp (half-pixel inset), and nothing here owns a colour.
"""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QLineF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPainterPath, QPen

from ui.font import Role, font
from ui.theme import Token, color


def pen(shade: QColor, width: float = 1.0, *, dash: tuple[float, ...] = ()) -> QPen:
    """Return a pen; `dash` is in pixels, whatever the width."""
    result = QPen(shade, width)
    result.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    result.setCapStyle(Qt.PenCapStyle.FlatCap)
    if dash:
        result.setDashPattern([part / width for part in dash])
    return result


def box(painter: QPainter, rect: QRectF, radius: float, fill: QColor | None, edge: QPen | None = None) -> None:
    """Paint a rounded box; its edge lies inside `rect`."""
    inset = edge.widthF() / 2 if edge is not None else 0.0
    painter.setPen(edge if edge is not None else Qt.PenStyle.NoPen)
    painter.setBrush(fill if fill is not None else Qt.BrushStyle.NoBrush)
    painter.drawRoundedRect(rect.adjusted(inset, inset, -inset, -inset), radius, radius)


def fill(painter: QPainter, rect: QRectF, shade: QColor) -> None:
    """Paint a plain rectangle. Not `fillRect` or QBrush: they load all of Qt's preset gradients, 2 ms."""
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(shade)
    painter.drawRect(rect)


def write(
    painter: QPainter,
    rect: QRectF,
    text: str,
    *,
    role: Role = "body",
    tint: Token | QColor = "text",
    align: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft,
) -> None:
    """Paint one line of plain text, centred in the height of `rect`."""
    painter.setFont(font(role))
    painter.setPen(tint if isinstance(tint, QColor) else color(tint))
    painter.drawText(rect, _flags(align), text)


@lru_cache(maxsize=16)
def _flags(align: Qt.AlignmentFlag) -> int:
    # Python's enums cost more to join than the text to draw.
    return int(align | Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine)


@lru_cache(maxsize=4096)
def text_width(text: str, role: Role = "body") -> float:
    """Return the advance of one line of text in pixels."""
    return QFontMetricsF(font(role)).horizontalAdvance(text)


@lru_cache(maxsize=2048)
def elided(text: str, role: Role, width: float, mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight) -> str:
    """Return the text cut with an ellipsis to fit `width` pixels."""
    return QFontMetricsF(font(role)).elidedText(text, mode, width)


def hatch(
    painter: QPainter, rect: QRectF, shade: QColor, *, step: float = 6.0, width: float = 2.0, lean: int = 1
) -> None:
    """Fill `rect` with 45 degree lines; `lean` 1 rises to the right, -1 falls. Lines, because a brush scales badly."""
    painter.save()
    painter.setClipRect(rect, Qt.ClipOperation.IntersectClip)
    painter.setPen(pen(shade, width))
    run = rect.height()
    start = rect.left() - run - (rect.left() % step)
    low, high = (rect.bottom(), rect.top()) if lean > 0 else (rect.top(), rect.bottom())
    lines = []
    while start < rect.right() + step:
        lines.append(QLineF(start, low, start + run, high))
        start += step * 1.4142
    painter.drawLines(lines)
    painter.restore()


def rounded_clip(rect: QRectF, radius: float) -> QPainterPath:
    """Return a rounded box to clip to."""
    path = QPainterPath()
    path.addRoundedRect(rect, radius, radius)
    return path
