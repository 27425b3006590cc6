"""What the plan said and what the engine then told of itself, row by row, and whether the next plans learn from it.

The one rule: the correction can be taken back here, and nothing is hidden by taking it back.
"""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from sparkdesk.core.jobs.truth import Correction, TruthRow
from ui import text
from ui.jobs.words.change import truth_texts
from ui.widgets.card import Card, card_header
from ui.widgets.cell_table import Cell, CellTable, Table
from ui.widgets.label import Label
from ui.widgets.toggle import Switch

STOCK = "stock"
"""The build that is the engine's own: not worth a word."""
HEADERS = ("", "Planned", "Engine says", "Difference")


class TruthCard(Card):
    """The table; hidden while the engine told nothing. `correction_set` carries what the switch says."""

    correction_set = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.table = CellTable("Plan and truth")
        self.words = Label("", "label", "text3", is_wrapped=True)
        self.switch = Switch("Correct the next plans by this", text="Correct the next plans")
        column = self.column(spacing=6, margins=(14, 9, 14, 9))
        head = QHBoxLayout()
        head.addLayout(card_header("Plan and truth", "what the engine told of itself in its log"), 1)
        head.addWidget(self.switch)
        column.addLayout(head)
        column.addWidget(self.table)
        column.addWidget(self.words)
        self.switch.clicked.connect(lambda is_on: self.correction_set.emit(is_on))
        self.setVisible(False)

    def show_truth(
        self, rows: tuple[TruthRow, ...], correction: Correction | None, *, engine: str = "", can_set: bool
    ) -> None:
        """Show the rows, and what was learned. `engine`: what the engine is called."""
        self.setVisible(bool(rows))
        if not rows:
            return
        cells = []
        for row in truth_texts(rows):
            difference = Cell(row.difference, "marked" if row.is_off else "plain")
            cells.append((Cell(row.title, "strong"), Cell(row.planned), Cell(row.told), difference))
        self.table.set_table(Table(HEADERS, tuple(cells)))
        self.table.setFixedHeight(self.table.needed_height())
        self.switch.setVisible(correction is not None and can_set)
        if correction is None:
            self.words.setText("Nothing is corrected by it yet.")
            return
        self.switch.setChecked(correction.is_applied)
        build = "" if correction.build == STOCK else f", build {correction.build}"
        what = text.one_line(f"{correction.model} with {engine or correction.engine}{build}", 120)
        starts = f"{correction.starts} {'start' if correction.starts == 1 else 'starts'}"
        does = "are corrected" if correction.is_applied else "are not corrected"
        self.words.setText(f"Plans of {what} {does} by what {starts} told.")
