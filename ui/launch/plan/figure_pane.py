"""The figures of one plan: four tiles, what they are beside neighbours, where the time goes, what they lean on.

The one rule: all of it is of one row; nothing here is computed.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.planning.row import PlanRow
from ui.launch.plan import words
from ui.launch.plan.leans_on import LeansOnStrip
from ui.launch.plan.parts_bar import PartsPane
from ui.launch.plan.tiles import TileRow
from ui.widgets.card import Separator
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import Label


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
    """The figures over the table."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.neighbours = Label("", "label", "text2", is_wrapped=True)
        self.tiles = TileRow()
        self.tolls = TollLines()
        self.parts_title = Label("", "dense_strong", "text")
        self.parts = PartsPane()
        self.leans = LeansOnStrip()
        self._beside = _padded(self.neighbours, self.tolls, margins=(16, 2, 16, 8))
        self._where = _padded(self.parts_title, self.parts, margins=(16, 8, 16, 10))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        for part in (Separator(), self.tiles, self._beside, Separator(), self._where, self.leans):
            column.addWidget(part)

    def show_row(self, row: PlanRow) -> None:
        """Show the figures of a row."""
        self.tiles.show_tiles(words.tiles_of(row))
        self.neighbours.setText(words.neighbour_sentence(row))
        self.tolls.show_row(row)
        self._beside.setVisible(bool(self.neighbours.text() or row.tolls))
        self.neighbours.setVisible(bool(self.neighbours.text()))
        self.leans.show_prediction(row.shown)
        self.parts_title.setText(words.parts_title(row))
        self.parts.show_parts(row.shown.ttft_parts, row.shown.tpot_parts)
        self._where.setVisible(bool(row.shown.ttft_parts or row.shown.tpot_parts))

    def set_stale(self, is_stale: bool) -> None:
        """Pale all figures because the form has moved on."""
        pale(self, is_stale=is_stale)


def pale(widget: QWidget, *, is_stale: bool) -> None:
    """Pale every part inside that knows how."""
    for part in widget.findChildren(QWidget):
        set_stale = getattr(part, "set_stale", None)
        if callable(set_stale):
            set_stale(is_stale)


def _padded(*parts: QWidget, margins: tuple[int, int, int, int]) -> QWidget:
    holder = QWidget()
    column = QVBoxLayout(holder)
    column.setContentsMargins(*margins)
    column.setSpacing(6)
    for part in parts:
        column.addWidget(part)
    return holder
