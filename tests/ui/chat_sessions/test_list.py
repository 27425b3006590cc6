"""The list of chats by keyboard and mouse: everything is asked by a signal, nothing is lost while one types."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QSize, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QLineEdit, QMenu, QStyleOptionViewItem, QVBoxLayout, QWidget

from sparkdesk.core.chat.store.chat_store import FoundMessage
from sparkdesk.services.chat.conversations import ChatSummary, FoundChat
from ui import theme
from ui.chat.sessions.ask import AskRemove, AskWords
from ui.chat.sessions.delegate import SessionDelegate
from ui.chat.sessions.line import ChatLine, Head
from ui.chat.sessions.list import KEPT_WORDS, SessionList

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise", "grabbing the keyboard")
NOW_MS = int(datetime.now().timestamp() * 1000)
A = ChatSummary("a", "Port the tokenizer", "qwen on n", NOW_MS)
B = ChatSummary("b", "Why is NCCL on sockets?", "gpt on n", NOW_MS - 1, folder="Rust & C")
C = ChatSummary("c", "Release notes", "gpt on n", NOW_MS - 2, tags=("docs", "0.4"))


class Heard:
    """A list in a window, and what it asked for."""

    def __init__(self) -> None:
        self.window = QWidget()
        self.window.resize(240, 700)
        self.list = SessionList()
        QVBoxLayout(self.window).addWidget(self.list)
        self.said: list[tuple[Any, ...]] = []
        for name in (
            *("chosen", "place_chosen", "new_asked", "search_asked", "rename_asked", "pin_asked", "folder_asked"),
            *("tags_asked", "remove_asked", "export_asked", "import_asked"),
        ):
            getattr(self.list, name).connect(lambda *values, name=name: self.said.append((name, *values)))
        self.list.set_sessions((A, B, C), "a")
        self.window.show()

    def stand_on(self, key: str) -> None:
        """Put the keyboard on a chat, or on the heading with this key."""
        self.list.items.setFocus()
        self.list.items.setCurrentIndex(self.list.rows.find(key))

    def press(self, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        QTest.keyClick(self.list.items, key, modifier)

    def menu(self) -> QMenu:
        """The menu that is open."""
        menu = QApplication.activePopupWidget()
        assert isinstance(menu, QMenu)
        return menu


@pytest.fixture
def heard(dressed: QApplication) -> Iterator[Heard]:
    heard = Heard()
    yield heard
    if heard.list.dialog is not None:
        heard.list.dialog.reject()
    heard.window.hide()
    heard.window.deleteLater()


def pick(menu: QMenu, *path: str) -> None:
    """Choose an entry by its words, through submenus."""
    for words in path:
        action = next(action for action in menu.actions() if action.text().startswith(words))
        below = action.menu()
        if below is None:
            action.trigger()
        else:
            menu = below  # type: ignore[assignment]


def test_enter_opens_what_the_arrows_reached(heard: Heard) -> None:
    heard.stand_on("head:folder:Rust & C")
    heard.press(Qt.Key.Key_Down)
    heard.press(Qt.Key.Key_Down)
    heard.press(Qt.Key.Key_Return)
    assert heard.said == [("chosen", "a")]


def test_the_arrow_down_goes_from_the_search_into_the_list_and_up_goes_back(heard: Heard) -> None:
    heard.list.search.setFocus()
    QTest.keyClick(heard.list.search, Qt.Key.Key_Down)
    line = heard.list.rows.line(heard.list.items.currentIndex())
    assert isinstance(line, Head)
    heard.press(Qt.Key.Key_Up)
    assert heard.window.focusWidget() is heard.list.search


def test_a_title_is_renamed_in_its_place(heard: Heard) -> None:
    heard.stand_on("c")
    heard.press(Qt.Key.Key_F2)
    (editor,) = heard.list.items.findChildren(QLineEdit)
    assert (editor.text(), editor.selectedText()) == ("Release notes", "Release notes")
    QTest.keyClicks(editor, "  New   words ")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    QTest.qWait(1)
    assert heard.said == [("rename_asked", "c", "New words")]


def test_an_answer_that_ends_does_not_take_the_words_from_under_the_fingers(heard: Heard) -> None:
    heard.stand_on("c")
    heard.press(Qt.Key.Key_F2)
    (editor,) = heard.list.items.findChildren(QLineEdit)
    QTest.keyClicks(editor, "Half a ti")
    heard.list.set_sessions((C, A, B), "a")
    assert editor.text() == "Half a ti"
    assert editor.isVisible()
    QTest.keyClick(editor, Qt.Key.Key_Escape)
    QTest.qWait(1)
    assert heard.list.ids() == ["b", "c", "a"]


def test_delete_asks_first_and_names_the_loss(heard: Heard) -> None:
    heard.stand_on("c")
    heard.press(Qt.Key.Key_Delete)
    dialog = heard.list.dialog
    assert isinstance(dialog, AskRemove)
    assert "Everything said in it goes" in dialog.accessibleDescription()
    assert heard.said == []
    QTest.keyClick(dialog, Qt.Key.Key_Return)
    assert heard.said == []
    heard.press(Qt.Key.Key_Delete)
    assert isinstance(heard.list.dialog, AskRemove)
    heard.list.dialog.remove.click()
    assert heard.said == [("remove_asked", "c")]


@pytest.mark.parametrize(
    ("key", "modifier"),
    [(Qt.Key.Key_Menu, Qt.KeyboardModifier.NoModifier), (Qt.Key.Key_F10, Qt.KeyboardModifier.ShiftModifier)],
)
def test_the_menu_opens_by_key_and_does_everything(heard: Heard, key: Qt.Key, modifier: Qt.KeyboardModifier) -> None:
    for path, said in (
        (("Open",), ("chosen", "c")),
        (("Pin",), ("pin_asked", "c", True)),
        (("Move to folder", "Rust && C"), ("folder_asked", "c", "Rust & C")),
        (("Move to folder", "No folder"), ("folder_asked", "c", "")),
        (("Export as", "Markdown"), ("export_asked", ("c",), "markdown")),
        (("Export as", "Open WebUI"), ("export_asked", ("c",), "open_webui")),
        (("Import",), ("import_asked",)),
    ):
        heard.said.clear()
        heard.stand_on("c")
        heard.press(key, modifier)
        menu = heard.menu()
        pick(menu, *path)
        menu.close()
        assert heard.said == [said]


def test_a_folder_and_tags_are_asked_for_in_words(heard: Heard) -> None:
    heard.list.ask_folder("c")
    assert isinstance(heard.list.dialog, AskWords)
    QTest.keyClicks(heard.list.dialog.input, " My  project ")
    QTest.keyClick(heard.list.dialog.input, Qt.Key.Key_Return)
    heard.list.ask_tags("c")
    asked: QDialog | None = heard.list.dialog
    assert isinstance(asked, AskWords)
    assert asked.input.text() == "docs, 0.4"
    asked.input.setText("docs, , new one,docs")
    asked.give.click()
    assert heard.said == [("folder_asked", "c", "My project"), ("tags_asked", "c", ("docs", "new one"))]


def test_a_folder_is_closed_and_opened_by_keys_and_by_a_click(heard: Heard) -> None:
    heard.stand_on("b")
    heard.press(Qt.Key.Key_Left)
    heard.press(Qt.Key.Key_Left)
    assert heard.list.ids() == ["a", "c"]
    heard.press(Qt.Key.Key_Right)
    assert heard.list.ids() == ["b", "a", "c"]
    place = heard.list.items.visualRect(heard.list.rows.find("head:folder:Rust & C")).center()
    QTest.mouseClick(heard.list.items.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert heard.list.ids() == ["a", "c"]


def test_what_was_said_is_asked_for_once_after_the_last_key(heard: Heard, dressed: QApplication) -> None:
    heard.list.search.setFocus()
    QTest.keyClicks(heard.list.search, "sockets")
    assert heard.list.ids() == ["b"]
    assert heard.said == []
    QTest.qWait(250)
    assert heard.said == [("search_asked", "sockets")]


def test_found_places_are_shown_and_open_at_their_turn(heard: Heard) -> None:
    heard.list.search.setText("walrus")
    assert heard.list.ids() == []
    found = (FoundChat(C, (FoundMessage("id", 7, "…the walrus", ((5, 11),)),)), FoundChat(A))
    heard.list.set_found("walru", found)
    assert heard.list.ids() == []
    heard.list.set_found("walrus", found)
    assert heard.list.ids() == ["c", "a"]
    heard.stand_on("c")
    heard.press(Qt.Key.Key_Return)
    assert heard.said == [("chosen", "c"), ("place_chosen", "c", 7)]
    heard.list.set_sessions((A, B), "a")
    assert heard.list.ids() == ["a"]
    QTest.keyClick(heard.list.search, Qt.Key.Key_Escape)
    assert heard.list.search.text() == ""
    assert heard.list.ids() == ["b", "a"]


def test_an_answer_that_ended_unseen_is_marked_until_it_is_looked_at(heard: Heard) -> None:
    heard.list.set_sessions((A, replace(B, is_answering=True), C), "a")
    heard.list.set_sessions((A, B, C), "a")
    unread = [line.summary.id for line in heard.list.rows.lines if isinstance(line, ChatLine) and line.is_unread]
    assert unread == ["b"]
    heard.list.set_sessions((A, B, C), "b")
    assert not any(line.is_unread for line in heard.list.rows.lines if isinstance(line, ChatLine))


def test_an_empty_list_says_what_to_do(heard: Heard) -> None:
    heard.list.set_sessions((), "")
    assert "No chats yet" in heard.list.items.accessibleDescription()
    heard.list.search.setText("walrus")
    heard.list.set_found("walrus", ())
    assert "No chat has these words" in heard.list.items.accessibleDescription()


def test_the_line_under_the_keyboard_survives_new_lines(heard: Heard) -> None:
    heard.stand_on("c")
    heard.list.set_sessions((ChatSummary("new", "New one", "", NOW_MS), A, B, C), "a")
    line = heard.list.rows.line(heard.list.items.currentIndex())
    assert isinstance(line, ChatLine)
    assert line.summary.id == "c"


def test_a_reader_of_the_screen_hears_the_whole_line(heard: Heard) -> None:
    heard.list.set_sessions((replace(A, is_answering=True, is_pinned=True, tags=("x",)), B), "b")
    told = heard.list.rows.index(1).data(Qt.ItemDataRole.AccessibleTextRole)
    assert told == "Port the tokenizer, qwen on n, writing, pinned, tags x"
    head = heard.list.rows.find("head:folder:Rust & C").data(Qt.ItemDataRole.AccessibleTextRole)
    assert head == "Rust & C, folder, 1 chats"


@pytest.mark.parametrize("worn", ["dark", "light"])
def test_hostile_titles_tags_and_places_are_painted(heard: Heard, worn: theme.ThemeName) -> None:
    theme.set_theme(worn)
    evil = "\u202e<b>x</b>\n\t\0\U0001f680" * 40
    summary = replace(A, title=evil, label=evil, tags=(evil, "y" * 80), folder=evil)
    heard.list.set_sessions((summary, replace(summary, id="p", is_pinned=True, folder="")), "p")
    heard.list.search.setText("x")
    marks = tuple((at, at + 3) for at in range(0, 90, 9))
    heard.list.set_found("x", (FoundChat(summary, (FoundMessage("id", 0, evil, marks),), marks),))
    assert not heard.window.grab().isNull()


def test_waiting_for_keys_costs_no_timer_while_nothing_is_typed(heard: Heard) -> None:
    assert not any(timer.isActive() for timer in heard.list.findChildren(QTimer))


class Measuring(SessionDelegate):
    """Counts the lines that are measured."""

    measured = 0

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        self.measured += 1
        return super().sizeHint(option, index)


def test_a_new_look_of_a_line_measures_not_all_lines_anew(heard: Heard) -> None:
    many = tuple(replace(A, id=f"{at}") for at in range(500))
    rule = Measuring(heard.list)
    heard.list.items.setItemDelegate(rule)
    heard.list.set_sessions(many, "0")
    QApplication.processEvents()
    assert rule.measured > len(many)
    rule.measured, lines = 0, heard.list.rows.lines
    heard.list.set_sessions(many, "1")
    QApplication.processEvents()
    assert heard.list.rows.lines is lines
    heard.list.set_sessions((replace(many[0], is_answering=True), *many[1:]), "1")
    QApplication.processEvents()
    # Those in sight are measured whenever they are painted.
    assert 0 < rule.measured < 200
    first = heard.list.rows.line(heard.list.rows.find("0"))
    assert isinstance(first, ChatLine)
    assert first.summary.is_answering


def test_while_the_index_is_made_the_foot_says_what_cannot_be_found_yet(heard: Heard) -> None:
    asked: list[str] = []
    heard.list.search_asked.connect(asked.append)
    heard.list.set_unfindable(12_300)
    assert heard.list.foot.text() == KEPT_WORDS
    heard.list.search.setText("walrus")
    assert heard.list.foot.text() == "Indexing: 12,300 messages cannot be found yet."
    heard.list.set_found("walrus", ())
    heard.list.set_unfindable(1)
    assert heard.list.foot.text() == "Indexing: 1 message cannot be found yet."
    assert asked == []
    heard.list.set_unfindable(0)
    assert heard.list.foot.text() == KEPT_WORDS
    assert asked == ["walrus"]
