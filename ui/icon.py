"""Icons: the bundled SVGs, stroked in the colour of a token and cached as pixmaps.

Rule: an icon is a name of a file in resources/icons and a token; nobody else reads the SVGs.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen, QPixmap

from ui.resource import resource_path
from ui.svg import read_outline
from ui.theme import ICON_SIZE, Token, color

if TYPE_CHECKING:
    from PySide6.QtGui import QIcon

_GRID = 24.0

# Stroke width in the icons' own grid of 24, by drawn size: small ones need more ink.
_STROKES = ((12, 2.0), (14, 1.9), (16, 1.75))


def _stroke_of(size: int) -> float:
    for limit, stroke in _STROKES:
        if size <= limit:
            return stroke
    return 1.6


@lru_cache(maxsize=256)
def _outline(name: str) -> QPainterPath:
    try:
        with open(resource_path("icons", f"{name}.svg"), encoding="utf-8") as file:
            return read_outline(file.read())
    except FileNotFoundError:
        raise ValueError(f"no icon named {name!r} in resources/icons") from None


@lru_cache(maxsize=1024)
def _pixmap(name: str, rgba: int, size: int, dpr: float) -> QPixmap:
    tint = QColor.fromRgba(rgba)
    outline = _outline(name)
    result = QPixmap(round(size * dpr), round(size * dpr))
    result.setDevicePixelRatio(dpr)
    result.fill(Qt.GlobalColor.transparent)
    painter = QPainter(result)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.scale(size / _GRID, size / _GRID)
    stroke = QPen(tint, _stroke_of(size))
    stroke.setCapStyle(Qt.PenCapStyle.RoundCap)
    stroke.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    painter.strokePath(outline, stroke)
    painter.end()
    return result


def icon_pixmap(name: str, tint: Token | QColor = "text2", size: int = ICON_SIZE, dpr: float = 1.0) -> QPixmap:
    """Return the tinted icon, `size` device-independent pixels square. Raises ValueError for an unknown name."""
    shade = tint if isinstance(tint, QColor) else color(tint)
    return _pixmap(name, shade.rgba(), size, dpr)


def draw_icon(painter: QPainter, at: QPointF, name: str, tint: Token | QColor, size: int = ICON_SIZE) -> None:
    """Paint an icon with its top left corner at `at`, sharp on the painter's own device."""
    painter.drawPixmap(at, icon_pixmap(name, tint, size, painter.device().devicePixelRatioF()))


def icon(name: str, tint: Token = "text2", size: int = ICON_SIZE) -> QIcon:
    """Return a QIcon in the colours of now; ask again after the theme has changed."""
    from PySide6.QtGui import QIcon  # not before the first frame, which has none

    result = QIcon()
    for dpr in (1.0, 2.0):
        result.addPixmap(icon_pixmap(name, tint, size, dpr))
        result.addPixmap(icon_pixmap(name, color(tint, 0.45), size, dpr), QIcon.Mode.Disabled)
    return result
