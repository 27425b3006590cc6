"""The list of chapters: a mark in a circle, its title, and a few words; arrow keys walk over it.

The one rule: a mark is a shape and a word; the list can always be walked, whatever runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPointF,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from ui import theme
from ui.bringup.outline import ChapterMark, ChapterRow
from ui.icon import draw_icon
from ui.theme import Token, color
from ui.widgets.label import plain_tooltip
from ui.widgets.paint import box, elided, pen, write

Index = QModelIndex | QPersistentModelIndex
ROW_HEIGHT, LEAST_HEIGHT = 46, 36
_CIRCLE: Final = 22.0
_LEFT: Final = 12.0
_GAP: Final = 8.0
# mark: (fill, icon or "" for the number, ink)
_LOOKS: Final[dict[ChapterMark, tuple[Token, str, Token]]] = {
    "todo": ("raised", "", "text3"),
    "running": ("accent", "", "accentfg"),
    "done": ("oksoft", "check", "ok"),
    "warn": ("warnsoft", "triangle-alert", "warn"),
    "failed": ("critsoft", "octagon-alert", "crit"),
    "skipped": ("raised", "minus", "text3"),
}


class ChapterModel(QAbstractListModel):
    """Rows of the list."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: tuple[ChapterRow, ...] = ()

    def set_rows(self, rows: Sequence[ChapterRow]) -> None:
        """Show these; they are the same chapters every time."""
        before, self.rows = self.rows, tuple(rows)
        if len(before) != len(self.rows):
            self.beginResetModel()
            self.endResetModel()
        elif before != self.rows:
            self.dataChanged.emit(self.index(0), self.index(len(self.rows) - 1))

    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid() or index.row() >= len(self.rows):
            return None
        row = self.rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return row.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tooltip(f"{row.title}\n{row.line}")
        return row.spoken if role == Qt.ItemDataRole.AccessibleTextRole else None


class _Delegate(QStyledItemDelegate):
    def __init__(self, rows: ChapterModel, parent: QObject) -> None:
        super().__init__(parent)
        self._rows = rows

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        parent = self.parent()
        room = parent.viewport().height() if isinstance(parent, QListView) else 0
        count = max(1, len(self._rows.rows))
        return QSize(120, max(LEAST_HEIGHT, min(ROW_HEIGHT, room // count)))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        rect = QRectF(option.rect)
        state: QStyle.StateFlag = option.state
        row = self._rows.rows[index.row()]
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, color("accentsoft"))
            painter.fillRect(QRectF(rect.left(), rect.top(), 2, rect.height()), color("accent"))
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, color("raised"))
        middle = rect.left() + _LEFT + _CIRCLE / 2
        painter.setPen(pen(color("control"), 1))
        inset = _CIRCLE / 2 + 3
        if index.row():
            painter.drawLine(QPointF(middle, rect.top()), QPointF(middle, rect.center().y() - inset))
        if index.row() < len(self._rows.rows) - 1:
            painter.drawLine(QPointF(middle, rect.center().y() + inset), QPointF(middle, rect.bottom() + 1))
        self._paint_mark(painter, QPointF(middle, rect.center().y()), row)
        left = rect.left() + _LEFT + _CIRCLE + _GAP
        room = rect.right() - left - 4
        is_quiet = row.mark in ("todo", "skipped")
        title = elided(row.title, "dense_medium", room)
        ink: Token = "text2" if is_quiet else "text"
        top = rect.center().y() - 17
        write(painter, QRectF(left, top, room, 18), title, role="dense_medium", tint=ink)
        line = elided(row.line, "label", room)
        write(painter, QRectF(left, top + 18, room, 16), line, role="label", tint="text3")
        if state & QStyle.StateFlag.State_HasFocus:
            box(painter, rect.adjusted(2, 1, -1, -1), theme.RADIUS_CHIP, None, pen(color("accent"), 2))
        painter.restore()

    def _paint_mark(self, painter: QPainter, middle: QPointF, row: ChapterRow) -> None:
        fill, icon, ink = _LOOKS[row.mark]
        place = QRectF(middle.x() - _CIRCLE / 2, middle.y() - _CIRCLE / 2, _CIRCLE, _CIRCLE)
        edge = pen(color("border")) if fill == "raised" else None
        box(painter, place, _CIRCLE / 2, color(fill), edge)
        if icon:
            draw_icon(painter, QPointF(middle.x() - 6, middle.y() - 6), icon, ink, theme.ICON_SIZE_CHIP)
        else:
            centre = Qt.AlignmentFlag.AlignHCenter
            write(painter, place, str(row.number), role="label_medium", tint=ink, align=centre)


class ChapterList(QListView):
    """The list. `chosen` carries a chapter's value, when a person chose it."""

    chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.chapters = ChapterModel(self)
        self._is_filling = False
        self.setModel(self.chapters)
        self.setItemDelegate(_Delegate(self.chapters, self))
        self.setMouseTracking(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setUniformItemSizes(True)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setAccessibleName("Chapters")
        self.selectionModel().currentChanged.connect(self._tell)
        theme.notifier.changed.connect(self.viewport().update)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.scheduleDelayedItemsLayout()

    def show_rows(self, rows: Sequence[ChapterRow], current: str) -> None:
        """Show the chapters, with this one selected."""
        self._is_filling = True
        self.chapters.set_rows(rows)
        at = next((number for number, row in enumerate(rows) if row.key == current), -1)
        if at >= 0 and self.currentIndex().row() != at:
            self.setCurrentIndex(self.chapters.index(at))
        self._is_filling = False

    def _tell(self, current: QModelIndex, _before: QModelIndex) -> None:
        if not self._is_filling and current.isValid() and current.row() < len(self.chapters.rows):
            self.chosen.emit(self.chapters.rows[current.row()].key)
