"""The few strokes that own-painted widgets share.

Rule: lines of one pixel stay sharp (half-pixel inset), and nothing here owns a colour.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPainterPath, QPen, QStaticText

from ui.font import Role, font
from ui.theme import Token, color


def pen(shade: QColor, width: float = 1.0, *, dash: tuple[float, ...] = ()) -> QPen:
    """Return a pen; `dash` is in pixels, whatever the width. Shared: copy it before changing it."""
    return _pen(shade.rgba(), width, dash)


@lru_cache(maxsize=256)
def _pen(rgba: int, width: float, dash: tuple[float, ...]) -> QPen:
    result = QPen(QColor.fromRgba(rgba), width)
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
    free, over = rect.width() - text_width(text, role), rect.height() - line_height(role)
    share = _SHARES.get(align)
    if free < 0 or over < 0 or share is None or not text.isprintable():
        painter.drawText(rect, _flags(align), text)  # which cuts what does not fit, and makes one line of several
        return
    painter.drawStaticText(QPointF(rect.left() + free * share, rect.top() + over / 2), laid_out(text, role))


_SHARES: Final = {Qt.AlignmentFlag.AlignLeft: 0.0, Qt.AlignmentFlag.AlignHCenter: 0.5, Qt.AlignmentFlag.AlignRight: 1.0}
"""Of the free width, left of the text."""


@lru_cache(maxsize=2048)
def laid_out(text: str, role: Role) -> QStaticText:
    """Return plain text whose glyphs are placed once: that costs several times what painting them does."""
    result = QStaticText(text)
    result.setTextFormat(Qt.TextFormat.PlainText)
    result.prepare(font=font(role))
    return result


@lru_cache(maxsize=32)
def line_height(role: Role) -> float:
    """Return the height of a role's font in pixels; `LINE_HEIGHT` is what its lines take."""
    return QFontMetricsF(font(role)).height()


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
