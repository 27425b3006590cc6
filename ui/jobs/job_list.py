"""The list of deployments: sections, a row each, and for a failed one its last line.

The one rule: a row that did not change is not touched, so that the list stays where it was scrolled to.
"""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QTextLayout
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from ui.font import font
from ui.jobs.model import Entry
from ui.theme import color
from ui.widgets.chip import chip_width, draw_chip
from ui.widgets.paint import elided, text_width, write

Index = QModelIndex | QPersistentModelIndex
EntryRole = Qt.ItemDataRole.UserRole + 1
_PAD = 12.0
_SECTION_HEIGHT, _ROW_HEIGHT = 32, 74
_FAULT_LINES, _FAULT_LINE_HEIGHT = 4, 15


class EntryModel(QAbstractListModel):
    """Rows of the list."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: list[Entry] = []

    def set_entries(self, rows: list[Entry]) -> None:
        """Show these rows."""
        if [row.job_id or row.title for row in rows] != [row.job_id or row.title for row in self.rows]:
            self.beginResetModel()
            self.rows = rows
            self.endResetModel()
            return
        before, self.rows = self.rows, rows
        for i, (old, new) in enumerate(zip(before, rows, strict=True)):
            if old != new:
                self.dataChanged.emit(self.index(i), self.index(i))

    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def flags(self, index: Index) -> Qt.ItemFlag:
        if not index.isValid() or not self.rows[index.row()].job_id:
            return Qt.ItemFlag.NoItemFlags
        return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid() or index.row() >= len(self.rows):
            return None
        row = self.rows[index.row()]
        if role == EntryRole:
            return index.row()
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            parts = (row.title, row.mark.text, row.line, row.figures, row.fault)
            return ", ".join(part for part in parts if part)
        return None


class _Delegate(QStyledItemDelegate):
    def __init__(self, rows: EntryModel, view: QListView) -> None:
        super().__init__(view)
        self._rows = rows
        self._view = view

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        entry = self._rows.rows[index.row()]
        if not entry.job_id:
            return QSize(120, _SECTION_HEIGHT)
        width = self._view.viewport().width() - 2 * _PAD
        lines = len(fault_lines(entry.fault, width)) if entry.fault else 0
        return QSize(120, _ROW_HEIGHT + (lines * _FAULT_LINE_HEIGHT + 6 if lines else 0))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        rect = QRectF(option.rect)
        state: QStyle.StateFlag = option.state
        entry = self._rows.rows[index.row()]
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not entry.job_id:
            write(painter, rect.adjusted(_PAD, 6, 0, 0), entry.title, role="label", tint="text3")
        else:
            self._paint_job(painter, rect, entry, state)
        painter.restore()

    def _paint_job(self, painter: QPainter, rect: QRectF, entry: Entry, state: QStyle.StateFlag) -> None:
        if state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, color("accentsoft"))
            painter.fillRect(QRectF(rect.left(), rect.top(), 2, rect.height()), color("accent"))
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, color("raised"))
        left, right = rect.left() + _PAD, rect.right() - _PAD
        chip = chip_width(entry.mark)
        draw_chip(painter, right, rect.top() + 9, entry.mark)
        title = elided(entry.title, "dense_strong", right - chip - 8 - left, Qt.TextElideMode.ElideMiddle)
        write(painter, QRectF(left, rect.top() + 9, right - left, 20), title, role="dense_strong", tint="text")
        line = elided(entry.line, "label", right - left)
        write(painter, QRectF(left, rect.top() + 30, right - left, 16), line, role="label", tint="text3")
        is_wide = text_width(entry.figures, "dense") > right - left
        figures = elided(entry.figures_short if is_wide else entry.figures, "dense", right - left)
        write(painter, QRectF(left, rect.top() + 48, right - left, 18), figures, role="dense", tint="text2")
        for at, words in enumerate(fault_lines(entry.fault, right - left) if entry.fault else ()):
            top = rect.top() + 68 + at * _FAULT_LINE_HEIGHT
            write(painter, QRectF(left, top, right - left, _FAULT_LINE_HEIGHT), words, role="label", tint="crit")
        painter.fillRect(QRectF(rect.left(), rect.bottom() - 1, rect.width(), 1), color("border"))


@lru_cache(maxsize=256)
def fault_lines(words: str, width: float) -> tuple[str, ...]:
    """The words as they stand below each other, a few lines at most: what does not fit is cut with an ellipsis."""
    layout = QTextLayout(words, font("label"))
    found: list[str] = []
    layout.beginLayout()
    while (line := layout.createLine()).isValid():
        line.setLineWidth(max(80.0, width))
        start = line.textStart()
        if len(found) == _FAULT_LINES - 1:
            found.append(elided(words[start:], "label", max(80.0, width)))
            break
        found.append(words[start : start + line.textLength()].strip())
    layout.endLayout()
    return tuple(found)


class JobList(QListView):
    """The list. `chosen` carries a job's id."""

    chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.entries = EntryModel(self)
        self.setModel(self.entries)
        self.setItemDelegate(_Delegate(self.entries, self))
        self.setMouseTracking(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setAccessibleName("Deployments")
        self.selectionModel().currentChanged.connect(self._tell)

    def show_entries(self, rows: list[Entry], selected: str) -> None:
        """Show these rows with this job selected."""
        self.selectionModel().blockSignals(True)
        self.entries.set_entries(rows)
        at = next((i for i, row in enumerate(rows) if row.job_id and row.job_id == selected), -1)
        if at >= 0 and self.currentIndex().row() != at:
            self.setCurrentIndex(self.entries.index(at))
        elif at < 0:
            self.clearSelection()
        self.selectionModel().blockSignals(False)
        self.viewport().update()

    def _tell(self, current: QModelIndex, _before: QModelIndex) -> None:
        if current.isValid() and self.entries.rows[current.row()].job_id:
            self.chosen.emit(self.entries.rows[current.row()].job_id)
