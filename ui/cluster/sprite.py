"""Small pictures that the map paints again and again, painted once: ports, sockets, empty cards, memory bars.

The one rule: a sprite's key tells everything that it shows; size, theme and screen are added here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QPointF, QRectF, QSizeF, Qt
from PySide6.QtGui import QPainter, QPixmap

from ui import theme

MOST: Final = 256
"""Sizes change with the window and bars with memory: the oldest are dropped. A bar is 10 to 30 KiB."""
_sprites: Final[dict[tuple[object, ...], QPixmap]] = {}


def draw_sprite(
    painter: QPainter, rect: QRectF, key: tuple[object, ...], draw: Callable[[QPainter, QRectF], None]
) -> None:
    """Paint what `draw` paints into a box of the size of `rect`, at its place to the nearest pixel."""
    ratio = painter.device().devicePixelRatioF()
    width, height = math.ceil(rect.width()), math.ceil(rect.height())
    full = (*key, width, height, ratio, theme.name())
    sprite = _sprites.get(full)
    if sprite is None:
        sprite = QPixmap(round(width * ratio), round(height * ratio))
        sprite.setDevicePixelRatio(ratio)
        sprite.fill(Qt.GlobalColor.transparent)
        inner = QPainter(sprite)
        inner.setRenderHint(QPainter.RenderHint.Antialiasing)
        draw(inner, QRectF(QPointF(0, 0), QSizeF(width, height)))
        inner.end()
        while len(_sprites) >= MOST:
            _sprites.pop(next(iter(_sprites)))
        _sprites[full] = sprite
    painter.drawPixmap(QPointF(round(rect.left()), round(rect.top())), sprite)
