"""The figures of one plan: four tiles, where the time goes, what they lean on, what else is known of it.

The one rule: all of it is of one row; nothing here is computed.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.planning.row import PlanRow
from ui.launch.plan import words
from ui.launch.plan.leans_on import LeansOnStrip
from ui.launch.plan.parts_bar import PartsPane
from ui.launch.plan.tiles import TileRow
from ui.widgets.card import Separator
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import Label

_COLUMNS = 2


class FactGrid(QWidget):
    """What, how much; two pairs a line."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(10)
        self._grid.setVerticalSpacing(2)
        for column in range(_COLUMNS):
            self._grid.setColumnStretch(2 * column + 1, 1)
        self.facts: tuple[tuple[str, str], ...] = ()
        self._labels: list[tuple[Label, Label]] = []

    def show_facts(self, facts: tuple[tuple[str, str], ...]) -> None:
        """Show these."""
        self.facts = facts
        while len(self._labels) < len(facts):
            line, column = divmod(len(self._labels), _COLUMNS)
            pair = (Label("", "label", "text3"), Label("", "label", "text", is_wrapped=True, is_selectable=True))
            for i, label in enumerate(pair):
                self._grid.addWidget(
                    label, line, 2 * column + i, Qt.AlignmentFlag.AlignTop if not i else Qt.AlignmentFlag(0)
                )
            self._labels.append(pair)
        for i, (name, value) in enumerate(self._labels):
            for label in (name, value):
                label.setVisible(i < len(facts))
            if i < len(facts):
                name.setText(facts[i][0])
                value.setText(facts[i][1])
                value.setAccessibleName(f"{facts[i][0]}: {facts[i][1]}")


class TollLines(QWidget):
    """What the launch costs those who run there now, a line each."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(2)
        self._rows: list[tuple[QWidget, IconLabel, Label]] = []

    def show_row(self, row: PlanRow) -> None:
        """Show the tolls of a row."""
        while len(self._rows) < len(row.tolls):
            holder, sign, said = QWidget(), IconLabel("", size=14), Label("", "dense", "text", is_wrapped=True)
            line = QHBoxLayout(holder)
            line.setContentsMargins(0, 0, 0, 0)
            line.setSpacing(8)
            line.addWidget(sign, 0, Qt.AlignmentFlag.AlignTop)
            line.addWidget(said, 1)
            self._column.addWidget(holder)
            self._rows.append((holder, sign, said))
        for i, (holder, sign, said) in enumerate(self._rows):
            holder.setVisible(i < len(row.tolls))
            if i < len(row.tolls):
                is_free = row.tolls[i].slowdown >= 0.995
                sign.set_icon("circle-check" if is_free else "triangle-alert", "ok" if is_free else "warn")
                said.setText(words.toll_sentence(row.tolls[i]))
        self.setVisible(bool(row.tolls))


class FigurePane(QWidget):
    """The middle of the column."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.neighbours = Label("", "label", "text2", is_wrapped=True)
        self.tiles = TileRow()
        self.tolls = TollLines()
        self.parts_title = Label("", "dense_strong", "text")
        self.parts = PartsPane()
        self.leans = LeansOnStrip()
        self.facts = FactGrid()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(Separator())
        column.addWidget(self.tiles)
        column.addWidget(_padded(self.neighbours, self.tolls, margins=(16, 0, 16, 8)))
        column.addWidget(self.leans)
        column.addWidget(_padded(self.parts_title, self.parts, self.facts, margins=(16, 10, 16, 10)))

    def show_row(self, row: PlanRow) -> None:
        """Show the figures of a row."""
        self.tiles.show_tiles(words.tiles_of(row))
        said = words.neighbour_sentence(row)
        self.neighbours.setText(said)
        self.neighbours.setVisible(bool(said))
        self.tolls.show_row(row)
        self.leans.show_prediction(row.shown)
        self.parts_title.setText(words.parts_title(row.workload))
        self.parts.show_parts(row.shown.ttft_parts, row.shown.tpot_parts)
        self.parts_title.setVisible(bool(row.shown.ttft_parts or row.shown.tpot_parts))
        self.facts.show_facts(words.facts_of(row))

    def set_stale(self, is_stale: bool) -> None:
        """Pale all figures because the form has moved on."""
        for part in self.findChildren(QWidget):
            pale = getattr(part, "set_stale", None)
            if callable(pale):
                pale(is_stale)


def _padded(*parts: QWidget, margins: tuple[int, int, int, int]) -> QWidget:
    holder = QWidget()
    column = QVBoxLayout(holder)
    column.setContentsMargins(*margins)
    column.setSpacing(6)
    for part in parts:
        column.addWidget(part)
    return holder
