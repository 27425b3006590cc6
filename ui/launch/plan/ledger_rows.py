"""Unified memory of each node with the launch on it: a bar, what is left, and the word for it.

The one rule: what is not known is not drawn, and then nothing is said to be left.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QWidget

from sparkdesk.core.jobs.plan import Fit, MemoryLedger
from ui import text
from ui.launch.preview import FIT_KINDS
from ui.widgets.chip import Chip
from ui.widgets.label import Label
from ui.widgets.ledger import LedgerBar, LedgerValues


def ledger_values(ledger: MemoryLedger) -> LedgerValues:
    """A plan's ledger as the bar takes it; what is not known is not drawn: of a share, not how a model fills it."""
    if ledger.total_bytes is None or ledger.undivided_bytes is not None:
        return LedgerValues()
    return LedgerValues(
        total_bytes=ledger.total_bytes,
        others_bytes=ledger.others_bytes or 0,
        weights_bytes=ledger.weights_bytes or 0,
        kv_reserved_bytes=max(0, ledger.kv_bytes or 0),
        runtime_bytes=ledger.runtime_bytes or 0,
        reserve_bytes=ledger.reserve_bytes,
    )


class LedgerRows(QWidget):
    """One row a node: name, bar, what is left, and the word for it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(10)
        self._grid.setVerticalSpacing(6)
        self._grid.setColumnStretch(1, 1)
        self.rows: list[tuple[Label, LedgerBar, Label, Chip]] = []

    def show_ledgers(self, ledgers: tuple[MemoryLedger, ...], names: list[str], *, is_old: bool = False) -> None:
        """Show these ledgers; old ones are pale and have no verdict."""
        while len(self.rows) < len(ledgers):
            row = (Label("", "dense_medium", "text"), LedgerBar(), Label("", "dense_strong", "text"), Chip())
            for column, part in enumerate(row):
                side = Qt.AlignmentFlag.AlignRight if column == 2 else Qt.AlignmentFlag.AlignLeft
                alignment = Qt.AlignmentFlag(0) if column == 1 else side | Qt.AlignmentFlag.AlignVCenter
                self._grid.addWidget(part, len(self.rows), column, alignment)
            self.rows.append(row)
        for i, row in enumerate(self.rows):
            for part in row:
                part.setVisible(i < len(ledgers))
        for (name, bar, left, chip), ledger, said in zip(self.rows, ledgers, names, strict=False):
            name.setText(said)
            bar.set_values(ledger_values(ledger))
            bar.setAccessibleName(f"{said}, {ledger.fit.value}: {bar.accessibleName()}")
            free = text.memory(ledger.free_bytes if ledger.fit is not Fit.UNKNOWN else None)
            # The bar itself writes how much is too much.
            is_over = (ledger.free_bytes or 0) < 0
            left.setText("" if is_over else f"{free} left" if free.unit else "left n/a")
            chip.set_state(ledger.fit.value, FIT_KINDS[ledger.fit])
            chip.setVisible(not is_old)
            for part in (name, bar, left):
                part.set_stale(is_old)
