"""What a deployment takes of its machines: memory bandwidth and energy, in one row of figures.

The one rule: a figure that is computed or estimated says so in its title or words, and one that is not known says why.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from ui.effort import EffortCell
from ui.widgets.card import Card
from ui.widgets.label import ElidedLabel, plain_tooltip

MOST_CELLS = 6


class _CellView(QWidget):
    """One figure below its title."""

    def __init__(self) -> None:
        super().__init__()
        self.title = ElidedLabel("", "label", "text3")
        self.value = ElidedLabel("", "dense_strong", "text")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.title)
        column.addWidget(self.value)

    def show_cell(self, cell: EffortCell) -> None:
        """Show a figure."""
        self.title.setText(cell.title)
        self.value.setText(cell.value)
        self.setToolTip(plain_tooltip(f"{cell.value}\n{cell.hint}"))
        self.setAccessibleName(f"{cell.title}: {cell.value}")


class EffortCard(Card):
    """A row of figures; hidden while there is none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: tuple[EffortCell, ...] = ()
        self._cells = [_CellView() for _ in range(MOST_CELLS)]
        row = QHBoxLayout()
        row.setSpacing(14)
        for at, cell in enumerate(self._cells):
            row.addWidget(cell, 5 if at == 0 else 4)
        self.column(spacing=0, margins=(14, 7, 14, 7)).addLayout(row)
        self.show_cells(())

    def show_cells(self, cells: Sequence[EffortCell]) -> None:
        """Show these figures, at most `MOST_CELLS`; equal ones change nothing."""
        self.setVisible(bool(cells))
        if tuple(cells) == self._shown and cells:
            return
        self._shown = tuple(cells)
        for view, cell in zip(self._cells, cells, strict=False):
            view.show_cell(cell)
        for at, view in enumerate(self._cells):
            view.setVisible(at < len(cells))

    def said(self) -> dict[str, str]:
        """What is shown, by title."""
        return {cell.title: cell.value for cell in self._shown}
