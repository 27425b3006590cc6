"""The conversations at the left: search, a button for a new one, and the list by day.

Rule: titles are what people and models wrote; they are painted as plain text on one line.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import (
    QHBoxLayout,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from sparkdesk.services.chat.conversations import ChatSummary
from ui import theme
from ui.text import one_line
from ui.theme import color
from ui.widgets.button import IconButton
from ui.widgets.field import TextInput
from ui.widgets.label import Label
from ui.widgets.paint import box, elided, text_width, write

WIDTH_PX: Final = 240
_ROW_PX: Final = 47
_HEAD_PX: Final = 30
_SUMMARY: Final = Qt.ItemDataRole.UserRole + 1


def time_words(t_ms: int, now: datetime) -> str:
    """12:02 today, Thu within a week, 3 Mar before."""
    then = datetime.fromtimestamp(t_ms / 1000, tz=now.tzinfo)
    if then.date() == now.date():
        return f"{then:%H:%M}"
    return f"{then:%a}" if now - then < timedelta(days=7) else f"{then.day} {then:%b}"


def group_words(t_ms: int, now: datetime) -> str:
    """The heading a conversation stands under."""
    then = datetime.fromtimestamp(t_ms / 1000, tz=now.tzinfo)
    if then.date() == now.date():
        return "Today"
    return "This week" if now - then < timedelta(days=7) else "Earlier"


class _Delegate(QStyledItemDelegate):
    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        is_row = isinstance(index.data(_SUMMARY), ChatSummary)
        return QSize(100, _ROW_PX if is_row else _HEAD_PX)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        rect = QRectF(option.rect)
        state = option.state
        summary = index.data(_SUMMARY)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if isinstance(summary, ChatSummary):
            self._paint_row(painter, rect, summary, state)
        else:
            words = str(index.data(Qt.ItemDataRole.DisplayRole))
            write(painter, rect.adjusted(10, 8, -10, 0), words, role="label", tint="text3")
        painter.restore()

    def _paint_row(self, painter: QPainter, rect: QRectF, summary: ChatSummary, state: QStyle.StateFlag) -> None:
        if state & QStyle.StateFlag.State_Selected:
            box(painter, rect.adjusted(0, 1, 0, -1), theme.RADIUS_CONTROL, color("raised"))
        elif state & QStyle.StateFlag.State_MouseOver:
            box(painter, rect.adjusted(0, 1, 0, -1), theme.RADIUS_CONTROL, color("surface"))
        room = rect.width() - 20 - (14 if summary.is_answering else 0)
        title = elided(one_line(summary.title, 200) or "New chat", "dense_medium", room)
        write(painter, QRectF(rect.left() + 10, rect.top() + 6, room, 18), title, role="dense_medium", tint="text")
        now = datetime.now().astimezone()
        below = _words_below(summary, time_words(summary.updated_ms, now), rect.width() - 20)
        write(painter, QRectF(rect.left() + 10, rect.top() + 24, room, 16), below, role="label", tint="text3")
        if summary.is_answering:
            dot = QRectF(rect.right() - 16, rect.top() + 12, 6, 6)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(color("accent"))
            painter.drawEllipse(dot)


def _words_below(summary: ChatSummary, moment: str, room: float) -> str:
    """Model and time; the model is cut in the middle, the time never."""
    if summary.is_answering:
        return "writing"
    after = f" · {moment}"
    model = one_line(summary.label.partition(" on ")[0], 100)
    return elided(model, "label", room - text_width(after, "label"), Qt.TextElideMode.ElideMiddle) + after


class SessionList(QWidget):
    """`chosen` carries a conversation's id."""

    chosen = Signal(str)
    new_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.search = TextInput(placeholder="Search chats", icon_name="search")
        self.search.setAccessibleName("Search chats")
        self.new = IconButton("plus", "New chat", size=32)
        self.items = QListView()
        self.empty = Label("Chats are kept on this computer.", "label", "text3", is_wrapped=True)
        self._model = QStandardItemModel(self)
        self._sessions: tuple[ChatSummary, ...] = ()
        self._shown_id = ""
        self._build()

    def _build(self) -> None:
        self.items.setModel(self._model)
        self.items.setItemDelegate(_Delegate(self.items))
        self.items.setMouseTracking(True)
        self.items.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.items.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.items.setAccessibleName("Chats")
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self.search, 1)
        head.addWidget(self.new)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, theme.GAP, 6, theme.GAP)
        column.setSpacing(6)
        column.addLayout(head)
        column.addWidget(self.items, 1)
        column.addWidget(self.empty)
        self.search.textChanged.connect(lambda _: self._fill())
        self.new.clicked.connect(self.new_asked)
        self.items.clicked.connect(self._on_picked)
        self.items.activated.connect(self._on_picked)

    def set_sessions(self, sessions: tuple[ChatSummary, ...], shown_id: str) -> None:
        """Show these, newest first, and mark the one that is open."""
        if (sessions, shown_id) != (self._sessions, self._shown_id):
            self._sessions, self._shown_id = sessions, shown_id
            self._fill()

    def ids(self) -> list[str]:
        """The conversations listed now, from the top."""
        found = (self._model.item(i).data(_SUMMARY) for i in range(self._model.rowCount()))
        return [summary.id for summary in found if isinstance(summary, ChatSummary)]

    def move_on(self, step: int) -> None:
        """Choose the next or the one before."""
        ids = self.ids()
        if ids:
            at = ids.index(self._shown_id) + step if self._shown_id in ids else 0
            self.chosen.emit(ids[max(0, min(at, len(ids) - 1))])

    def _fill(self) -> None:
        words = self.search.text().lower().split()
        now = datetime.now().astimezone()
        self._model.clear()
        heading = ""
        for summary in self._sessions:
            if not all(word in f"{summary.title} {summary.label}".lower() for word in words):
                continue
            group = group_words(summary.updated_ms, now)
            if group != heading:
                heading = group
                head = QStandardItem(group)
                head.setFlags(Qt.ItemFlag.NoItemFlags)
                self._model.appendRow(head)
            self._model.appendRow(self._item(summary))
            if summary.id == self._shown_id:
                self.items.setCurrentIndex(self._model.index(self._model.rowCount() - 1, 0))
        none = "No chat has these words." if words else "Chats are kept on this computer."
        self.empty.setText(none if not heading or not words else "")

    @staticmethod
    def _item(summary: ChatSummary) -> QStandardItem:
        item = QStandardItem()
        item.setData(summary, _SUMMARY)
        item.setData(
            f"{one_line(summary.title, 200)}, {one_line(summary.label, 100)}", Qt.ItemDataRole.AccessibleTextRole
        )
        return item

    def _on_picked(self, index: QModelIndex) -> None:
        summary = index.data(_SUMMARY)
        if isinstance(summary, ChatSummary):
            self.chosen.emit(summary.id)
