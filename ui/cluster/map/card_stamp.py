"""Every card as it was painted last, so that painting the map whole costs no more than what has changed.

The one rule: one picture for each node, and it is kept only while everything that goes into the card is equal. Where
pixels do not lie on whole points nothing is kept: a copy would be blurred.
"""

from __future__ import annotations

from collections.abc import Container

from PySide6.QtCore import QRectF
from PySide6.QtGui import QPainter, QPixmap

from ui import theme
from ui.cluster.card import NodeCard
from ui.cluster.map.card_paint import draw_node
from ui.cluster.map.place import Density
from ui.cluster.map.stamp import area_of, can_keep, make_stamp


class CardStamps:
    """Paints cards, each anew only when it differs: 4 MB for 64 compact ones."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[tuple[object, ...], QPixmap]] = {}

    def draw(
        self, painter: QPainter, rect: QRectF, card: NodeCard, density: Density, *, is_selected: bool, is_lit: bool
    ) -> None:
        """Paint a card."""
        ratio = painter.device().devicePixelRatio()

        def paint(strokes: QPainter, place: QRectF) -> None:
            draw_node(strokes, place, card, density, is_selected=is_selected, is_lit=is_lit)

        if not can_keep(ratio):
            paint(painter, rect)
            return
        area = area_of(rect)
        place = rect.translated(-area.left(), -area.top())
        key = (card, density, is_selected, is_lit, ratio, place.getRect(), theme.name())
        kept = self._kept.get(card.node_id)
        if kept is None or kept[0] != key:
            old = kept[1] if kept is not None else None
            kept = self._kept[card.node_id] = (key, make_stamp(area.size(), ratio, place, paint, old))
        painter.drawPixmap(area.topLeft(), kept[1])

    def keep_only(self, node_ids: Container[str]) -> None:
        """Forget the cards of nodes that are gone."""
        self._kept = {node_id: kept for node_id, kept in self._kept.items() if node_id in node_ids}
