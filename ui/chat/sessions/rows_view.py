"""The view of the list's lines, with its keys.

Rule: keys ask by signals; the line under the keyboard and the scrolled place survive when lines come and go.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPersistentModelIndex, QPoint, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QFocusEvent, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractItemDelegate, QAbstractItemView, QApplication, QLineEdit, QListView, QWidget

from ui.chat.sessions.delegate import SessionDelegate
from ui.chat.sessions.line import ChatLine, Head, Line, key_of
from ui.chat.sessions.rows import SessionRows
from ui.font import font
from ui.theme import color

_Index = QModelIndex | QPersistentModelIndex
_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class RowsView(QListView):
    """Signals carry the line, or the id of its conversation."""

    picked = Signal(object)
    fold_asked = Signal(object)
    rename_asked = Signal(str)
    remove_asked = Signal(str)
    menu_asked = Signal(QModelIndex, QPoint)
    left_above = Signal()
    """The arrow went up from the first line."""
    edit_ended = Signal()

    def __init__(self, rows: SessionRows, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows = rows
        self._delegate = SessionDelegate(self)
        self.setModel(rows)
        self.setItemDelegate(self._delegate)
        self.setMouseTracking(True)
        self.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName("Chats")
        self.clicked.connect(self._on_clicked)
        self._empty_words = ""

    def set_empty_words(self, words: str) -> None:
        """What stands in place of lines when there are none."""
        if words != self._empty_words:
            self._empty_words = words
            self.setAccessibleDescription(words)
            self.viewport().update()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self._empty_words:
            painter = QPainter(self.viewport())
            painter.setFont(font("dense"))
            painter.setPen(color("text3"))
            flags = int(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignHCenter | Qt.TextFlag.TextWordWrap)
            painter.drawText(self.viewport().rect().adjusted(12, 40, -12, -12), flags, self._empty_words)

    def show_open(self, session_id: str) -> None:
        """Mark the conversation that is open, and let the keyboard begin there."""
        if session_id != self._delegate.shown_id:
            self._delegate.shown_id = session_id
            if not self.hasFocus():
                self.setCurrentIndex(self._rows.find(session_id))
            self.viewport().update()

    def show_lines(self, lines: list[Line]) -> None:
        """Show these lines; what the keyboard is on and what is scrolled to stays."""
        current = self._rows.line(self.currentIndex())
        place = self.verticalScrollBar().value()
        if self._rows.show(lines):
            at = self._rows.find(key_of(current)) if current is not None else QModelIndex()
            self.setCurrentIndex(at if at.isValid() else self._rows.find(self._delegate.shown_id))
            self.executeDelayedItemsLayout()
            self.verticalScrollBar().setValue(place)

    def dataChanged(  # noqa: N802
        self, top_left: _Index, bottom_right: _Index, roles: Sequence[int] = ()
    ) -> None:
        # Not the list's own, which measures every line anew: where only looks change, no line has another height.
        QAbstractItemView.dataChanged(self, top_left, bottom_right, roles)

    def is_editing(self) -> bool:
        """Whether a title is being edited."""
        return self.state() == QAbstractItemView.State.EditingState

    def closeEditor(self, editor: QWidget, hint: QAbstractItemDelegate.EndEditHint) -> None:  # noqa: N802
        super().closeEditor(editor, hint)
        self.edit_ended.emit()

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        if not self.currentIndex().isValid():
            self._step_to_first()

    def _step_to_first(self) -> None:
        for row in range(self._rows.rowCount()):
            if self._rows.flags(self._rows.index(row)) != Qt.ItemFlag.NoItemFlags:
                self.setCurrentIndex(self._rows.index(row))
                return

    def _on_clicked(self, index: QModelIndex) -> None:
        line = self._rows.line(index)
        if line is not None:
            self.picked.emit(line)

    # Keys -----------------------------------------------------------------------------------------------------

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Of the search field: the arrow down goes into the list, Esc leaves the search."""
        if not isinstance(event, QKeyEvent) or event.type() != QEvent.Type.KeyPress:
            return super().eventFilter(watched, event)
        if event.key() == Qt.Key.Key_Down:
            self._step_to_first()
            self.setFocus(Qt.FocusReason.TabFocusReason)
            return True
        if event.key() == Qt.Key.Key_Escape and isinstance(watched, QLineEdit) and watched.text():
            watched.clear()
            return True
        return super().eventFilter(watched, event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        line = self._rows.line(self.currentIndex())
        # A key that ends the editing of a title comes here too.
        if line is not None and not self.is_editing() and self._is_handled(event, line):
            event.accept()
            return
        super().keyPressEvent(event)

    def _is_handled(self, event: QKeyEvent, line: Line) -> bool:
        key = event.key()
        is_shifted = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if key in _ENTER:
            self.picked.emit(line)
        elif key == Qt.Key.Key_Menu or (key == Qt.Key.Key_F10 and is_shifted):
            self._ask_menu(self.currentIndex(), self.visualRect(self.currentIndex()).bottomLeft() + QPoint(16, -8))
        elif isinstance(line, ChatLine):
            return self._is_handled_for_chat(key, line)
        elif key == Qt.Key.Key_Space or key == (Qt.Key.Key_Left if line.is_open else Qt.Key.Key_Right):
            self.fold_asked.emit(line)
        else:
            return self._is_left_above(key)
        return True

    def _is_handled_for_chat(self, key: int, line: ChatLine) -> bool:
        if key == Qt.Key.Key_F2:
            self.rename_asked.emit(line.summary.id)
        elif key == Qt.Key.Key_Delete:
            self.remove_asked.emit(line.summary.id)
        elif key == Qt.Key.Key_Left and line.summary.folder and not line.summary.is_pinned:
            self._step_to(Head(f"folder:{line.summary.folder}", ""))
        else:
            return self._is_left_above(key)
        return True

    def _step_to(self, line: Line) -> None:
        index = self._rows.find(key_of(line))
        if index.isValid():
            self.setCurrentIndex(index)

    def _is_left_above(self, key: int) -> bool:
        above = range(self.currentIndex().row())
        is_first = all(self._rows.flags(self._rows.index(row)) == Qt.ItemFlag.NoItemFlags for row in above)
        if key == Qt.Key.Key_Up and is_first:
            self.left_above.emit()
            return True
        return False

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if event.reason() == QContextMenuEvent.Reason.Keyboard and QApplication.activePopupWidget() is not None:
            return  # the key press has opened it
        index = self.currentIndex()
        place = self.visualRect(index).bottomLeft()
        if event.reason() == QContextMenuEvent.Reason.Mouse:
            index, place = self.indexAt(event.pos()), event.pos()
            if index.isValid():
                self.setCurrentIndex(index)
        self._ask_menu(index, place)
        event.accept()

    def _ask_menu(self, index: QModelIndex, place: QPoint) -> None:
        if index.isValid():
            self.menu_asked.emit(index, self.viewport().mapToGlobal(place))
