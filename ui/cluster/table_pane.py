"""The page's table in its two ways: figures of now, or the last five minutes as lines.

The one rule: of both only the one that is shown follows the scene; the lines are made when they are first asked for,
because what paints them takes long to load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from ui.cluster.model import ClusterModel
from ui.cluster.table import NodeTable, build_extras
from ui.widgets.label import ElidedLabel
from ui.widgets.segmented import Segmented

if TYPE_CHECKING:
    from ui.cluster.trend_table import TrendPane


class TablePane(QWidget):
    """A switch above the table. `chosen` and `opened` carry a node's id; which way was chosen stays while it lives."""

    chosen = Signal(str)
    opened = Signal(str)

    def __init__(self, model: ClusterModel, table: NodeTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._table = table
        self.trends: TrendPane | None = None
        """Made when it is first chosen."""
        self.ways = Segmented([("figures", "Figures"), ("trends", "Trends")], what="Show in the table")
        self._hint = ElidedLabel("", "label", "text3")
        self._stack = QStackedWidget()
        self._stack.addWidget(table)
        head = QHBoxLayout()
        head.setContentsMargins(8, 6, 8, 6)
        head.setSpacing(10)
        head.addWidget(self.ways)
        head.addWidget(self._hint, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(head)
        column.addWidget(self._stack, 1)
        self.ways.changed.connect(self._choose)
        table.chosen.connect(self.chosen)
        table.opened.connect(self.opened)

    def _choose(self, key: str) -> None:
        if key == "trends":
            self._stack.setCurrentWidget(self._make_trends())
        else:
            self._stack.setCurrentWidget(self._table)
            self.refresh()
        self._hint.setText("The last 5 minutes of each node, with the value of now" if key == "trends" else "")
        kind, node_id = self._model.selection
        self.select_node(node_id if kind == "node" else "")

    def _make_trends(self) -> TrendPane:
        if self.trends is None:
            from ui.cluster.trend_table import TrendPane

            self.trends = TrendPane(self._model)
            self.trends.chosen.connect(self.chosen)
            self.trends.opened.connect(self.opened)
            self._stack.addWidget(self.trends)
        return self.trends

    def refresh(self) -> None:
        """Show what is new in the one that is shown."""
        if self._table.isVisible():
            self._table.set_scene(self._model.scene, build_extras(self._model))
        elif self.trends is not None:
            self.trends.refresh()

    def catch_up(self) -> None:
        """Take the scene before it is shown."""
        if self._stack.currentWidget() is self._table:
            self._table.set_scene(self._model.scene, build_extras(self._model))

    def select_node(self, node_id: str) -> None:
        """Select a row without telling anybody."""
        self._table.select_node(node_id)
        if self.trends is not None:
            self.trends.select_node(node_id)
