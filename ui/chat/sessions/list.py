"""The conversations at the left: search, a button for a new one, and the list by folder and day.

Rule: the list asks by signals and never acts; everything in it can be done with the keyboard alone.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from PySide6.QtCore import QModelIndex, QPoint, QTimer, Signal
from PySide6.QtWidgets import QDialog, QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.services.chat.conversations import ChatSummary, FoundChat
from ui import theme
from ui.chat.sessions.ask import AskRemove, AskWords
from ui.chat.sessions.line import ChatLine, Head, Line, Look, arrange, arrange_found, key_of, named
from ui.chat.sessions.menu import ChatDeeds, chat_menu, folder_menu
from ui.chat.sessions.model import SessionsModel
from ui.chat.sessions.rows import SessionRows
from ui.chat.sessions.rows_view import RowsView
from ui.widgets.button import IconButton
from ui.widgets.field import TextInput
from ui.widgets.label import Label

WIDTH_PX: Final = 240
SEARCH_MS: Final = 150
"""After the last key, before what was said is searched."""
KEPT_WORDS: Final = "Chats are kept on this computer."
NO_CHATS: Final = "No chats yet. Ask something, or import chats from a file."
SEARCHING: Final = "Searching what was said…"
NONE_WORDS: Final = "No chat has these words. Try fewer, or a part of one."


class SessionList(QWidget):
    """`chosen` carries a conversation's id; the others carry what their names say."""

    chosen = Signal(str)
    place_chosen = Signal(str, int)
    """Id and number of the turn that a search found; follows `chosen`."""
    new_asked = Signal()
    search_asked = Signal(str)
    """Words to search what was said for; answered by `set_found`."""
    rename_asked = Signal(str, str)
    pin_asked = Signal(str, bool)
    folder_asked = Signal(str, str)
    tags_asked = Signal(str, tuple)
    remove_asked = Signal(str)
    export_asked = Signal(tuple, str)
    """Ids, and the value of a `TransferForm`."""
    import_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.search = TextInput(placeholder="Search chats", icon_name="search")
        self.search.setAccessibleName("Search chats")
        self.new = IconButton("plus", "New chat", size=32)
        self.load = IconButton("download", "Import chats", size=24)
        self.foot = Label(KEPT_WORDS, "label", "text3", is_wrapped=True)
        self.rows = SessionRows(self)
        self.items = RowsView(self.rows)
        self.dialog: QDialog | None = None
        self._sessions: tuple[ChatSummary, ...] = ()
        self._shown_id = ""
        self._look = Look()
        self._found: tuple[FoundChat, ...] | None = None
        self._unfindable = 0
        self._wait = QTimer(self)
        self._wait.setSingleShot(True)
        self._wait.setInterval(SEARCH_MS)
        self._build()
        self._wire()
        self._fill()

    def _build(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self.search, 1)
        head.addWidget(self.new)
        foot = QHBoxLayout()
        foot.setSpacing(4)
        foot.addWidget(self.foot, 1)
        foot.addWidget(self.load)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, theme.GAP, 6, theme.GAP)
        column.setSpacing(6)
        column.addLayout(head)
        column.addWidget(self.items, 1)
        column.addLayout(foot)

    def _wire(self) -> None:
        self.search.textChanged.connect(self._on_typed)
        self.search.returnPressed.connect(self._search_now)
        self.items.left_above.connect(lambda: self.search.setFocus())
        self.search.installEventFilter(self.items)
        self._wait.timeout.connect(self._search_now)
        self.new.clicked.connect(self.new_asked)
        self.load.clicked.connect(self.import_asked)
        self.items.picked.connect(self._on_picked)
        self.items.fold_asked.connect(self._fold)
        self.items.rename_asked.connect(self.rename)
        self.items.remove_asked.connect(self.ask_remove)
        self.items.menu_asked.connect(self._open_menu)
        self.items.edit_ended.connect(self._fill)
        self.rows.renamed.connect(self.rename_asked)

    def use(self, model: SessionsModel) -> None:
        """Have this do what the list asks for; exports and imports need files and are for others."""
        self.search_asked.connect(model.search)
        self.rename_asked.connect(model.rename)
        self.pin_asked.connect(model.pin)
        self.folder_asked.connect(model.move)
        self.tags_asked.connect(model.tag)
        self.remove_asked.connect(model.remove)
        model.found.connect(self.set_found)
        model.unfindable_changed.connect(self.set_unfindable)
        self.set_unfindable(model.unfindable)

    # What is shown --------------------------------------------------------------------------------------------

    def set_sessions(self, sessions: tuple[ChatSummary, ...], shown_id: str) -> None:
        """Show these, newest first, and mark the one that is open."""
        if (sessions, shown_id) == (self._sessions, self._shown_id):
            return
        wrote = {summary.id for summary in self._sessions if summary.is_answering}
        writes = {summary.id for summary in sessions if summary.is_answering}
        known = {summary.id for summary in sessions}
        unread = ((self._look.unread | (wrote - writes)) & known) - {shown_id}
        look = Look(self._look.closed, frozenset(unread))
        is_same = (sessions, look) == (self._sessions, self._look)
        self._sessions, self._shown_id, self._look = sessions, shown_id, look
        self.items.show_open(shown_id)
        if not is_same:
            self._fill()

    def set_found(self, words: str, found: tuple[FoundChat, ...]) -> None:
        """Show what a search for these words found; nothing happens when others were typed since."""
        if words == self.search.text():
            self._found = found
            self._fill()

    def set_unfindable(self, count: int) -> None:
        """Say under what a search found how many messages it cannot find yet; search again when it can find all."""
        was, self._unfindable = self._unfindable, count
        self._show_foot()
        if was and not count and self._found is not None:
            self._search_now()

    def _show_foot(self) -> None:
        is_partial = self._unfindable > 0 and bool(self.search.text().strip())
        messages = f"{self._unfindable:,} message{'s' if self._unfindable != 1 else ''}"
        self.foot.setText(f"Indexing: {messages} cannot be found yet." if is_partial else KEPT_WORDS)

    def ids(self) -> list[str]:
        """The conversations listed now, from the top."""
        return [line.summary.id for line in self.rows.lines if isinstance(line, ChatLine)]

    def move_on(self, step: int) -> None:
        """Choose the next or the one before."""
        ids = self.ids()
        if ids:
            at = ids.index(self._shown_id) + step if self._shown_id in ids else 0
            self.chosen.emit(ids[max(0, min(at, len(ids) - 1))])

    def _lines(self) -> list[Line]:
        words = self.search.text()
        if not words.strip():
            return arrange(self._sessions, self._look, datetime.now().astimezone())
        if self._found is None:
            return [*arrange(named(self._sessions, words), Look(unread=self._look.unread), datetime.now().astimezone())]
        now_known = {summary.id: summary for summary in self._sessions}
        fresh = (
            FoundChat(now_known[chat.summary.id], chat.excerpts, chat.title_marks)
            for chat in self._found
            if chat.summary.id in now_known
        )
        return arrange_found(tuple(fresh), self._look)

    def _fill(self) -> None:
        if self.items.is_editing():
            return
        lines = self._lines()
        self.items.show_lines(lines)
        self.items.set_empty_words("" if lines else self._empty_words())

    def _empty_words(self) -> str:
        if not self.search.text().strip():
            return NO_CHATS
        return SEARCHING if self._found is None else NONE_WORDS

    # What the person does -------------------------------------------------------------------------------------

    def _on_typed(self) -> None:
        self._found = None
        self._show_foot()
        self._fill()
        if self.search.text().strip():
            self._wait.start()
        else:
            self._wait.stop()

    def _search_now(self) -> None:
        self._wait.stop()
        if self.search.text().strip():
            self.search_asked.emit(self.search.text())

    def _on_picked(self, line: Line) -> None:
        if isinstance(line, Head):
            self._fold(line)
            return
        self.chosen.emit(line.summary.id)
        if line.place is not None:
            self.place_chosen.emit(line.summary.id, line.place.turn)

    def _fold(self, head: Head) -> None:
        if head.folder:
            self._look = Look(self._look.closed ^ {head.folder}, self._look.unread)
            self._fill()

    def rename(self, session_id: str) -> None:
        """Let the title be edited in its place."""
        index = self.rows.find(session_id)
        if index.isValid():
            self.items.setCurrentIndex(index)
            self.items.edit(index)

    def ask_folder(self, session_id: str) -> None:
        """Ask for the name of a new folder."""
        hint = "A folder is a project: its chats may share a memory that you can read and edit."
        asked = AskWords("New folder", label="Name", text="", hint=hint, action="Move here", parent=self.window())
        asked.accepted.connect(lambda: self.folder_asked.emit(session_id, asked.words()) if asked.words() else None)
        self._ask(asked)

    def ask_tags(self, session_id: str) -> None:
        """Ask for a conversation's tags."""
        summary = self._summary(session_id)
        if summary is None:
            return
        hint = "Separate them by commas. To see the chats with one, search for tag:name."
        text = ", ".join(summary.tags)
        asked = AskWords("Tags", label="Tags", text=text, hint=hint, action="Keep", parent=self.window())
        asked.accepted.connect(lambda: self.tags_asked.emit(session_id, _tags(asked.words())))
        self._ask(asked)

    def ask_remove(self, session_id: str) -> None:
        """Ask before a conversation is deleted."""
        summary = self._summary(session_id)
        if summary is not None:
            asked = AskRemove(summary.title or "New chat", parent=self.window())
            asked.accepted.connect(lambda: self.remove_asked.emit(session_id))
            self._ask(asked)

    def _ask(self, dialog: QDialog) -> None:
        if self.dialog is not None:
            self.dialog.reject()
        self.dialog = dialog
        dialog.finished.connect(self._forget_dialog)
        dialog.open()

    def _forget_dialog(self, _code: int) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
            self.dialog = None
        self.items.setFocus()

    def _open_menu(self, index: QModelIndex, place: QPoint) -> None:
        line = self.rows.line(index)
        if isinstance(line, ChatLine):
            folders = sorted({summary.folder for summary in self._sessions if summary.folder}, key=str.lower)
            chat_menu(self, line.summary, folders, self._deeds(line)).popup(place)
        elif isinstance(line, Head) and line.folder:
            ids = tuple(key for summary in self._sessions if summary.folder == line.folder for key in _ids(summary))
            menu = folder_menu(
                self,
                is_open=line.is_open,
                fold=lambda: self._fold(line),
                export=lambda form: self.export_asked.emit(ids, form),
            )
            menu.popup(place)

    def _deeds(self, line: ChatLine) -> ChatDeeds:
        key = key_of(line)
        return ChatDeeds(
            open=lambda: self._on_picked(line),
            rename=lambda: self.rename(key),
            pin=lambda is_pinned: self.pin_asked.emit(key, is_pinned),
            move=lambda folder: self.folder_asked.emit(key, folder),
            ask_folder=lambda: self.ask_folder(key),
            ask_tags=lambda: self.ask_tags(key),
            export=lambda form: self.export_asked.emit(_ids(line.summary), form),
            load=self.import_asked.emit,
            remove=lambda: self.ask_remove(key),
        )

    def _summary(self, session_id: str) -> ChatSummary | None:
        return next((summary for summary in self._sessions if summary.id == session_id), None)


def _ids(summary: ChatSummary) -> tuple[str, ...]:
    """Of a comparison each column is a chat of its own."""
    return summary.comparison or (summary.id,)


def _tags(words: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tag for part in words.split(",") if (tag := " ".join(part.split()))))
