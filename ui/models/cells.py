"""The table's cells for Qt: a model, its size, who holds its files, and one cell for each node count.

The one rule: QtCore only; a cell that cannot be seen is a sentence.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from sparkdesk.core.planning.search.table import Cell
from ui import text
from ui.models import words
from ui.models.model import Entry, ModelsModel

Index = QModelIndex | QPersistentModelIndex
MODEL, SIZE, FILES = 0, 1, 2
FIRST_COUNT: Final = 3
"""The column of the first node count."""
_RIGHT: Final = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
_LEFT: Final = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)


class CellsModel(QAbstractTableModel):
    """What the view-model shows, as a table."""

    def __init__(self, model: ModelsModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.entries: tuple[Entry, ...] = ()
        self.counts: tuple[int, ...] = ()

    def take(self) -> bool:
        """Take what the view-model has; tells whether rows or columns are others than before."""
        entries, counts = self._model.entries, self._model.counts
        before = [entry.spec.name for entry in self.entries], self.counts
        if before == ([entry.spec.name for entry in entries], counts):
            self.entries = entries
            if entries:
                self.dataChanged.emit(self.index(0, 0), self.index(len(entries) - 1, self.columnCount() - 1))
            return False
        self.beginResetModel()
        self.entries, self.counts = entries, counts
        self.endResetModel()
        return True

    def count_of(self, column: int) -> int:
        """The node count of a column; 0 of the first ones."""
        return self.counts[column - FIRST_COUNT] if FIRST_COUNT <= column < self.columnCount() else 0

    def cell(self, index: Index) -> Cell | None:
        """The cell under an index; None where there is none, or not yet."""
        count = self.count_of(index.column())
        return self.entries[index.row()].cell(count) if count else None

    def is_owned(self, column: int) -> bool:
        """Whether a person has so many nodes."""
        return self.count_of(column) <= self._model.owned

    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.entries)

    def columnCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else FIRST_COUNT + len(self.counts)

    def heading(self, column: int) -> tuple[str, str]:
        """A column's title and the line below it."""
        if column < FIRST_COUNT:
            return (("Model", "for"), ("Size", "active"), ("Files", ""))[column]
        owned = "tok/s, context" if self.is_owned(column) else words.NOT_OWNED
        return words.node_words(self.count_of(column)), owned

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation is not Qt.Orientation.Horizontal:
            return None
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return ", ".join(part for part in self.heading(section) if part)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _RIGHT if section == SIZE or section >= FIRST_COUNT else _LEFT
        if role == Qt.ItemDataRole.ToolTipRole and section >= FIRST_COUNT:
            return f"The best plan on up to {words.node_words(self.count_of(section))}, for {words.WORKLOAD}"
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid() or index.row() >= len(self.entries):
            return None
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return self._said(index)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _RIGHT if index.column() == SIZE or index.column() >= FIRST_COUNT else _LEFT
        return None

    def _said(self, index: Index) -> str:
        entry, column = self.entries[index.row()], index.column()
        title = text.one_line(entry.spec.title, 80)
        if column == MODEL:
            return f"{title}, for {', '.join(entry.spec.purposes) or 'nothing that is known'}"
        if column == SIZE:
            return ", ".join(part for part in (words.size_words(entry.spec), words.active_words(entry.spec)) if part)
        if column == FILES:
            return entry.holders or "no node holds its files"
        cell = entry.cell(self.count_of(column))
        if cell is None:
            return f"{title} on {words.node_words(self.count_of(column))}: being computed"
        return words.cell_sentence(title, cell, self._model.feeds.engine_titles)
