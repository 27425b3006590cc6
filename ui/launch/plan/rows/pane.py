"""The ranked table with what stands over it: how many ways there are, and why the first is the first.

Of ways that differ in engine, cache or build alone the best stands there, until all are asked for.
The one rule: "first" always comes with its criterion, and where nothing fits, with what would make it fit.
"""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.planning.row import PlanRow
from ui import text
from ui.launch.plan import words
from ui.launch.plan.rows.table import RowsTable
from ui.widgets.button import Button
from ui.widgets.label import Label


class RowsPane(QWidget):
    """Heading, sentence and table. `chosen` carries a PlanRow."""

    chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.count = Label("", "label", "text3")
        self.every = Button("All ways", kind="link", is_small=True)
        self.columns = Button("All columns", kind="link", is_small=True)
        self.why = Label("", "dense", "text2", is_wrapped=True, is_selectable=True)
        self.own = Label("", "dense", "text2", is_wrapped=True, is_selectable=True)
        self.table = RowsTable()
        self._has_all = False
        self._is_short = True
        self._currency = ""
        self._rows: tuple[PlanRow, ...] = ()
        self._own: PlanRow | None = None
        head = QHBoxLayout()
        head.setContentsMargins(16, 8, 12, 0)
        head.setSpacing(8)
        head.addWidget(Label("Ways to serve it", "dense_strong", "text"))
        head.addWidget(self.count)
        head.addStretch(1)
        head.addWidget(self.every)
        head.addWidget(self.columns)
        said = QVBoxLayout()
        said.setContentsMargins(16, 2, 16, 4)
        said.setSpacing(2)
        said.addWidget(self.why)
        said.addWidget(self.own)
        body = QHBoxLayout()
        body.setContentsMargins(8, 0, 8, 0)
        body.addWidget(self.table)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(head)
        column.addLayout(said)
        column.addLayout(body)
        self.columns.clicked.connect(self._turn_columns)
        self.every.clicked.connect(self._turn_every)
        self.table.chosen.connect(self.chosen)
        self.table.looked_at.connect(self._tell)

    def show_rows(self, rows: tuple[PlanRow, ...], own: PlanRow | None, currency: str = "") -> None:
        """Show these rows; without any the whole goes away."""
        self.setVisible(bool(rows))
        if not rows:
            return
        fitting = sum(words.has_room(row) for row in rows)
        self.count.setText(f"{len(rows)} compared, {fitting} fit" if fitting != 1 else f"{len(rows)} compared, 1 fits")
        self.why.setText(words.first_sentence(rows))
        self._rows, self._own, self._currency = rows, own, currency
        self._fill()
        self._tell(None)

    def _tell(self, looked_at: PlanRow | None) -> None:
        """The sentence of the row where the keyboard is, else of the form's own."""
        is_other = looked_at is not None and looked_at != self._own and looked_at != self._rows[0]
        said = words.row_sentence(looked_at) if is_other and looked_at else words.own_sentence(self._rows, self._own)
        self.own.setText(said)
        self.own.setVisible(bool(said))

    def _fill(self) -> None:
        best = words.best_of_each(self._rows, self._own)
        self.table.show_rows(best if self._is_short else self._rows, self._own, self._currency)
        self.every.setText(f"All {text.count(len(self._rows))} ways" if self._is_short else "Best of each split")
        self.every.setVisible(len(best) < len(self._rows))

    def _turn_every(self) -> None:
        self._is_short = not self._is_short
        self._fill()

    def _turn_columns(self) -> None:
        self._has_all = not self._has_all
        self.columns.setText("Fewer columns" if self._has_all else "All columns")
        self.table.set_all(self._has_all)
