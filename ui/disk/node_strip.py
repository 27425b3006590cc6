"""The disks of the nodes: name, how much is free, and what is the matter.

The one rule: figures of a node that is away say how old they are.
"""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QWidget

from sparkdesk.core.disk.view import DiskNode
from ui import text, theme
from ui.disk import words
from ui.disk.model import MOST_TILES
from ui.widgets.card import Card
from ui.widgets.label import ElidedLabel, Label
from ui.widgets.meter import Meter


class NodeTile(Card):
    """One node's disk."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.name = ElidedLabel("", "dense_medium", "text")
        self.free = Label("", "dense", "text2")
        self.meter = Meter("Disk used", height=4)
        self.said = ElidedLabel("", "label", "text3")
        column = self.column(spacing=4, margins=(12, 8, 12, 8))
        head = QHBoxLayout()
        head.addWidget(self.name, 1)
        head.addWidget(self.free)
        column.addLayout(head)
        column.addWidget(self.meter)
        column.addWidget(self.said)

    def show_node(self, node: DiskNode, now_ms: int) -> None:
        """Show a node's disk."""
        self.name.setText(text.one_line(node.name, 64))
        self.free.setText(words.free_words(node))
        is_known = node.free_bytes is not None and node.total_bytes
        used = 1 - (node.free_bytes or 0) / node.total_bytes if is_known and node.total_bytes else None
        self.meter.set_fraction(used)
        said = words.state_words(node, now_ms)
        self.said.setText(said or words.look_words(node, now_ms))
        self.said.setToolTip(said)
        self.said.set_tint("warn" if node.problem or words.is_nearly_full(node) else "text3")
        self.setAccessibleName(f"{node.name}: {words.free_words(node)}. {said}")


class NodeStrip(QWidget):
    """A tile for each node."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.tiles: list[NodeTile] = []
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(theme.GAP)

    def show_nodes(self, nodes: tuple[DiskNode, ...], now_ms: int) -> None:
        """Show these nodes, where they are few enough."""
        shown = nodes if len(nodes) <= MOST_TILES else ()
        while len(self.tiles) > len(shown):
            self.tiles.pop().deleteLater()
        while len(self.tiles) < len(shown):
            tile = NodeTile()
            self.tiles.append(tile)
            self._row.addWidget(tile, 1)
        for tile, node in zip(self.tiles, shown, strict=True):
            tile.show_node(node, now_ms)
        self.setVisible(bool(shown))
