"""The lines as a model for the view.

Rule: lines that only changed their look are told as changed; the view is laid out anew only when lines come or go.
"""

from __future__ import annotations

from typing import Any, Final

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal

from ui.chat.sessions.line import ChatLine, Head, Line, key_of
from ui.text import one_line

LINE: Final = Qt.ItemDataRole.UserRole + 1
_Index = QModelIndex | QPersistentModelIndex


class SessionRows(QAbstractListModel):
    """The lines in order."""

    renamed = Signal(str, str)
    """Id and the title that was typed."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.lines: list[Line] = []

    def show(self, lines: list[Line]) -> bool:
        """Show these lines; says whether any came, went or moved."""
        if lines == self.lines:
            return False
        if [_shape(line) for line in lines] == [_shape(line) for line in self.lines]:
            self.lines = lines
            self.dataChanged.emit(self.index(0), self.index(len(lines) - 1))
            return False
        self.beginResetModel()
        self.lines = lines
        self.endResetModel()
        return True

    def line(self, index: _Index) -> Line | None:
        """The line at this index."""
        return self.lines[index.row()] if index.isValid() and 0 <= index.row() < len(self.lines) else None

    def find(self, key: str) -> QModelIndex:
        """Where the line with this key is; an index that is not valid when there is none."""
        row = next((at for at, line in enumerate(self.lines) if key_of(line) == key), -1)
        return self.index(row) if row >= 0 else QModelIndex()

    # What Qt asks ---------------------------------------------------------------------------------------------

    def rowCount(self, parent: _Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.lines)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        line = self.line(index)
        if line is None:
            return None
        if role == LINE:
            return line
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return _title(line)
        return _accessible(line) if role == Qt.ItemDataRole.AccessibleTextRole else None

    def setData(self, index: _Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:  # noqa: N802
        line = self.line(index)
        words = " ".join(str(value).split())
        if not isinstance(line, ChatLine) or not words or words == line.summary.title:
            return False
        self.renamed.emit(line.summary.id, words)
        return True

    def flags(self, index: _Index) -> Qt.ItemFlag:
        line = self.line(index)
        if isinstance(line, ChatLine):
            return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEditable
        if isinstance(line, Head) and line.folder:
            return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        return Qt.ItemFlag.NoItemFlags


def _shape(line: Line) -> tuple[str, bool, bool]:
    """What decides the place and the height of a line."""
    if isinstance(line, ChatLine):
        return key_of(line), bool(line.summary.tags), line.place is not None
    return key_of(line), False, False


def _title(line: Line) -> str:
    return one_line(line.summary.title, 200) if isinstance(line, ChatLine) else line.words


def _accessible(line: Line) -> str:
    if isinstance(line, Head):
        state = ("" if line.is_open else ", closed") if line.folder else ""
        return f"{line.words}, folder, {line.count} chats{state}" if line.folder else line.words
    summary = line.summary
    parts = [one_line(summary.title, 200), one_line(summary.label, 100)]
    parts += ["writing"] if summary.is_answering else ["new answer"] if line.is_unread else []
    parts += ["pinned"] if summary.is_pinned else []
    parts += [f"tags {', '.join(one_line(tag, 80) for tag in summary.tags)}"] if summary.tags else []
    parts += [f"has: {one_line(line.place.text, 200)}"] if line.place is not None else []
    return ", ".join(part for part in parts if part)
