"""The machines found: a tick, name and address, why each is there, and what is known of it.

Rule: a row is a hint and says so: nothing in it is proven before its host key was compared.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from sparkdesk.core.cluster.candidate import Candidate
from ui.add_node.search_model import SearchModel
from ui.add_node.words import LONGEST_NAME, name_of, other_ways, place, way_to, why_found
from ui.icon import draw_icon
from ui.jobs.mark import Mark
from ui.text import one_line
from ui.theme import Token, color
from ui.widgets.chip import draw_chip
from ui.widgets.label import plain_tooltip
from ui.widgets.paint import box, elided, pen, text_width, write

Index = QModelIndex | QPersistentModelIndex
ROW_HEIGHT: Final = 60
_PAD, _TICK = 14.0, 16.0


def mark_of(candidate: Candidate) -> Mark | None:
    """What is known of a machine, as a chip."""
    if candidate.known_as:
        return Mark(f"already added as {one_line(candidate.known_as, 40)}", "neutral", "check")
    return Mark(one_line(candidate.likeness, 48), "accent", "spark") if candidate.likeness else None


def sentence_of(candidate: Candidate) -> str:
    """The whole row in words."""
    mark = mark_of(candidate)
    parts = (
        name_of(candidate),
        place(candidate.address, candidate.port),
        mark.text if mark is not None else "",
        why_found(candidate),
        way_to(candidate),
        other_ways(candidate),
    )
    return ", ".join(part for part in parts if part)


class CandidateRows(QAbstractListModel):
    """The candidates of the search as rows with a tick."""

    def __init__(self, search: SearchModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._search = search
        self.rows: tuple[Candidate, ...] = ()
        search.found_changed.connect(self.refresh)
        search.chosen_changed.connect(self._show_ticks)
        self.refresh()

    def refresh(self) -> None:
        """Take the rows of now; the view keeps its place where they only changed."""
        rows = self._search.candidates
        if [row.id for row in rows] == [row.id for row in self.rows]:
            before, self.rows = self.rows, rows
            for i, (old, new) in enumerate(zip(before, rows, strict=True)):
                if old != new:
                    self.dataChanged.emit(self.index(i), self.index(i))
            return
        self.layoutAboutToBeChanged.emit()
        held = {row.id: i for i, row in enumerate(rows)}
        old_indexes = self.persistentIndexList()
        fresh = [held.get(self.rows[each.row()].id, -1) if each.row() < len(self.rows) else -1 for each in old_indexes]
        self.rows = rows
        self.changePersistentIndexList(old_indexes, [self.index(i) if i >= 0 else QModelIndex() for i in fresh])
        self.layoutChanged.emit()

    def _show_ticks(self) -> None:
        if self.rows:
            self.dataChanged.emit(self.index(0), self.index(len(self.rows) - 1))

    def candidate(self, index: Index) -> Candidate | None:
        """The candidate of a row."""
        return self.rows[index.row()] if index.isValid() and index.row() < len(self.rows) else None

    def is_chosen(self, candidate: Candidate) -> bool:
        """Whether its tick is set."""
        return self._search.is_chosen(candidate)

    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def flags(self, index: Index) -> Qt.ItemFlag:
        if not index.isValid():
            return Qt.ItemFlag.NoItemFlags
        return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsUserCheckable

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        candidate = self.candidate(index)
        if candidate is None:
            return None
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return sentence_of(candidate)
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tooltip(sentence_of(candidate))
        if role == Qt.ItemDataRole.CheckStateRole:
            return Qt.CheckState.Checked if self.is_chosen(candidate) else Qt.CheckState.Unchecked
        return None


class _Delegate(QStyledItemDelegate):
    """Paints a row; ticking is the list's own business."""

    def __init__(self, rows: CandidateRows, view: QListView) -> None:
        super().__init__(view)
        self._rows = rows
        self._view = view

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(240, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        candidate = self._rows.candidate(index)
        if candidate is None:
            return
        state: QStyle.StateFlag = option.state
        rect = QRectF(option.rect)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        is_chosen = self._rows.is_chosen(candidate)
        if is_chosen:
            painter.fillRect(rect, color("accentsoft"))
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, color("raised"))
        if self._view.hasFocus() and self._view.currentIndex() == index:
            box(painter, rect.adjusted(1, 1, -1, -2), 4, None, pen(color("accent"), 2))
        _paint_tick(painter, QRectF(rect.left() + _PAD, rect.top() + 12, _TICK, _TICK), is_chosen=is_chosen)
        _paint_words(painter, rect, candidate, is_chosen=is_chosen)
        painter.fillRect(QRectF(rect.left(), rect.bottom() - 1, rect.width(), 1), color("border"))
        painter.restore()


def _paint_tick(painter: QPainter, rect: QRectF, *, is_chosen: bool) -> None:
    if is_chosen:
        box(painter, rect, 3, color("accent"))
        draw_icon(painter, QPointF(rect.left() + 2, rect.top() + 2), "check", "accentfg", 12)
    else:
        box(painter, rect, 3, color("sunken"), pen(color("control")))


def _paint_words(painter: QPainter, rect: QRectF, candidate: Candidate, *, is_chosen: bool) -> None:
    left, right = rect.left() + _PAD + _TICK + 12, rect.right() - _PAD
    mark = mark_of(candidate)
    edge = right
    if mark is not None:
        # On a chosen row, whose ground has the chip's own colour, the chip keeps its edge.
        worn = mark._replace(kind="neutral") if is_chosen else mark
        edge = draw_chip(painter, right, rect.top() + 10, _fitting(worn, (right - left) * 0.5)) - 10
    name = elided(name_of(candidate), "dense_strong", edge - left, Qt.TextElideMode.ElideMiddle)
    tint: Token = "text3" if candidate.known_as and not is_chosen else "text"
    write(painter, QRectF(left, rect.top() + 10, edge - left, 20), name, role="dense_strong", tint=tint)
    at = left + text_width(name, "dense_strong") + 10
    address = place(candidate.address, candidate.port) if candidate.name and candidate.name != candidate.address else ""
    if address and edge - at > 40:
        shown = elided(address, "mono", edge - at, Qt.TextElideMode.ElideMiddle)
        write(painter, QRectF(at, rect.top() + 10, edge - at, 20), shown, role="mono", tint="text2")
    words = " · ".join(part for part in (why_found(candidate), way_to(candidate), other_ways(candidate)) if part)
    line = elided(words, "label", right - left)
    write(painter, QRectF(left, rect.top() + 32, right - left, 18), line, role="label", tint="text3")


def _fitting(mark: Mark, room: float) -> Mark:
    return mark._replace(text=elided(mark.text, "label_medium", room - 34))


class CandidateList(QListView):
    """The list. Space or a click ticks a row; Enter is left to the page."""

    def __init__(self, search: SearchModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._search = search
        self.candidates = CandidateRows(search, self)
        self.setModel(self.candidates)
        self.setItemDelegate(_Delegate(self.candidates, self))
        self.setMouseTracking(True)
        self.setUniformItemSizes(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setAccessibleName(f"Machines found, Space chooses, names up to {LONGEST_NAME} characters")

    def keyPressEvent(self, event: QKeyEvent) -> None:
        candidate = self.candidates.candidate(self.currentIndex())
        if event.key() == Qt.Key.Key_Space and candidate is not None:
            self._search.toggle(candidate)
            return
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            event.ignore()
            return
        if event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Up) and candidate is None and self.candidates.rowCount():
            self.setCurrentIndex(self.candidates.index(0))
            return
        super().keyPressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        candidate = self.candidates.candidate(self.indexAt(event.position().toPoint()))
        if event.button() == Qt.MouseButton.LeftButton and candidate is not None:
            self._search.toggle(candidate)
