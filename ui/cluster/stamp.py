"""Cards as they were painted last, so that painting the map whole costs no more than what has changed.

The one rule: a stamp stands for what is painted from equal values at an equal place on a pixel; anything else that goes
into a card belongs to its key. Where pixels do not lie on whole points nothing is kept: a copy would be blurred.
"""

from __future__ import annotations

from collections import OrderedDict

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter, QPixmap

from ui import theme
from ui.cluster.card import NodeCard
from ui.cluster.layout import Density
from ui.cluster.paint import draw_node

LIMIT = 96
"""More compact cards than a large window shows; about 8 MB."""
_EDGE = 2
"""A selected card's edge reaches out of its box."""


class CardStamps:
    """Paints cards, each anew only when it differs."""

    def __init__(self) -> None:
        self._stamps: OrderedDict[tuple[object, ...], QPixmap] = OrderedDict()
        self.made = 0
        """How many cards were painted stroke by stroke; benchmarks and tests read it."""

    def draw(
        self, painter: QPainter, rect: QRectF, card: NodeCard, density: Density, *, is_selected: bool, is_lit: bool
    ) -> None:
        """Paint a card."""
        ratio = painter.device().devicePixelRatio()
        if not ratio.is_integer():
            draw_node(painter, rect, card, density, is_selected=is_selected, is_lit=is_lit)
            return
        area = rect.toAlignedRect().adjusted(-_EDGE, -_EDGE, _EDGE, _EDGE)
        place = rect.translated(-area.left(), -area.top())
        key = (card, density, is_selected, is_lit, ratio, place.getRect(), theme.name())
        stamp = self._stamps.get(key)
        if stamp is None:
            stamp = QPixmap(area.size() * ratio)
            stamp.setDevicePixelRatio(ratio)
            stamp.fill(Qt.GlobalColor.transparent)
            strokes = QPainter(stamp)
            strokes.setRenderHint(QPainter.RenderHint.Antialiasing)
            draw_node(strokes, place, card, density, is_selected=is_selected, is_lit=is_lit)
            strokes.end()
            self.made += 1
            self._stamps[key] = stamp
            if len(self._stamps) > LIMIT:
                self._stamps.popitem(last=False)
        else:
            self._stamps.move_to_end(key)
        painter.drawPixmap(area.topLeft(), stamp)
