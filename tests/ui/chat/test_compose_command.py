"""Commands that begin with "/": listed, chosen, and told apart from a question that merely begins so."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from sparkdesk.services.chat.attaching import Draft
from tests.ui.chat.compose_desk import ComposeDesk, play
from tests.ui.chat_desk import ChatDesk, endpoint_at
from tests.ui.chat_desk import play as play_page
from ui.chat.compose.command import KNOWN_COMMANDS, command_table, offers, split_command
from ui.chat.compose.page_command import FileCommands

COMMANDS = command_table(
    ("help", "new", "model", "system", "stop"), {"model": lambda: ("qwen3 on spark-a", "gpt-oss on spark-b")}
)


def listed(desk: ComposeDesk) -> list[str]:
    return desk.composer.list.titles() if desk.composer.list is not None else []


def test_only_what_is_connected_is_listed(dressed: QApplication) -> None:
    async def story(desk: ComposeDesk) -> None:
        desk.type("/")
        assert listed(desk) == ["/new", "/model NAME", "/system TEXT", "/stop", "/help"]
        desk.type("s")
        assert listed(desk) == ["/system TEXT", "/stop"]
        desk.press(Qt.Key.Key_Escape)
        assert listed(desk) == []
        assert desk.composer.text() == "/s"

    play(dressed, story, COMMANDS)


def test_a_command_is_chosen_with_arrow_and_enter_and_nothing_is_sent(dressed: QApplication) -> None:
    async def story(desk: ComposeDesk) -> None:
        desk.type("/s")
        desk.press(Qt.Key.Key_Down)
        desk.press(Qt.Key.Key_Return)
        assert desk.asked == [("stop", "")]
        assert desk.sent == []
        assert desk.composer.text() == ""
        assert listed(desk) == []

    play(dressed, story, COMMANDS)


def test_what_may_follow_a_command_is_offered_and_searched(dressed: QApplication) -> None:
    async def story(desk: ComposeDesk) -> None:
        desk.type("/mo")
        desk.press(Qt.Key.Key_Tab)
        assert desk.composer.text() == "/model "
        assert listed(desk) == ["qwen3 on spark-a", "gpt-oss on spark-b"]
        desk.type("OSS")
        assert listed(desk) == ["gpt-oss on spark-b"]
        desk.press(Qt.Key.Key_Return)
        assert desk.asked == [("model", "gpt-oss on spark-b")]

    play(dressed, story, COMMANDS)


def test_a_command_takes_the_words_after_it_and_says_when_they_are_missing(dressed: QApplication) -> None:
    async def story(desk: ComposeDesk) -> None:
        desk.type("/system  Be brief. ")
        desk.press(Qt.Key.Key_Return)
        assert desk.asked == [("system", "Be brief.")]
        desk.type("/system ")
        desk.press(Qt.Key.Key_Return)
        assert len(desk.asked) == 1
        assert desk.composer.notice.text() == "Write it as /system TEXT"
        assert desk.composer.text() == "/system "

    play(dressed, story, COMMANDS)


def test_a_command_works_while_no_model_is_ready(dressed: QApplication) -> None:
    async def story(desk: ComposeDesk) -> None:
        desk.composer.show_state(is_answering=False, reason="No model is ready.")
        assert desk.composer.editor.placeholderText() == "No model is ready."
        desk.type("hello")
        desk.press(Qt.Key.Key_Return)
        desk.composer.clear()
        desk.type("/new")
        desk.press(Qt.Key.Key_Return)
        assert (desk.sent, desk.asked) == ([], [("new", "")])

    play(dressed, story, COMMANDS)


def test_a_path_and_a_command_that_is_not_connected_are_questions(dressed: QApplication) -> None:
    async def story(desk: ComposeDesk) -> None:
        for words in ("/etc/hosts: what is it?", "/export", "/new\nline"):
            desk.composer.editor.setPlainText(words)
            desk.press(Qt.Key.Key_Return)
            desk.composer.clear()
        assert desk.sent == [Draft("/etc/hosts: what is it?"), Draft("/export"), Draft("/new\nline")]
        assert desk.asked == []

    play(dressed, story, COMMANDS)


def test_help_shows_all_and_a_click_chooses(dressed: QApplication) -> None:
    async def story(desk: ComposeDesk) -> None:
        desk.type("/help")
        desk.press(Qt.Key.Key_Return)
        assert len(listed(desk)) == len(COMMANDS)
        found = desk.composer.list
        assert found is not None
        assert found.geometry().bottom() < desk.composer.mapTo(desk.window, desk.composer.rect().topLeft()).y()
        QTest.mouseClick(found._list.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(30, 16))
        assert desk.asked == [("new", "")]

    play(dressed, story, COMMANDS)


@given(st.text(alphabet="/ abnewmodl\n", max_size=12))
def test_whatever_is_typed_the_list_holds_only_commands_of_the_table(text: str) -> None:
    assert all(command in COMMANDS for command, _ in offers(text, COMMANDS))
    name, argument = split_command(text)
    assert not argument or name or text.startswith("/ ")


def test_every_known_command_is_named_once_and_has_an_icon() -> None:
    assert len({command.name for command in KNOWN_COMMANDS}) == len(KNOWN_COMMANDS)
    assert command_table(["no such"]) == ()


def test_the_pages_commands_do_what_their_buttons_do(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        remembered: list[str] = []
        composer, model = desk.page.composer, desk.model
        desk.type("/remember nothing")  # not connected yet: it is a question
        await desk.answered()
        assert model.turns[0].text == "/remember nothing"
        desk.page.slash.connect_files(
            FileCommands(lambda: ("Rust reviewer",), lambda name: remembered.append(f"use {name}"), remembered.append)
        )
        for words in (
            "/system Be brief.",
            "/model beta",
            "/model no such",
            "/remember Tabs are wide",
            "/preset Rust r",
        ):
            desk.type(words)
        await desk.until(lambda: desk.conversation.settings.value.system_prompt == "Be brief.", "the system prompt")
        assert model.target is not None
        assert model.target.id == "b"
        assert remembered == ["Tabs are wide", "use Rust reviewer"]
        shown = desk.conversation
        desk.type("/new")
        assert desk.conversation is not shown
        assert composer.text() == ""

    play_page(dressed, story, endpoint_at(9, id="a", model="alpha"), endpoint_at(9, id="b", model="beta"))


def test_a_model_that_is_not_there_is_said_so(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        QTest.keyClicks(desk.page.composer.editor, "/model a")
        QTest.keyClick(desk.page.composer.editor, Qt.Key.Key_Escape)
        QTest.keyClick(desk.page.composer.editor, Qt.Key.Key_Return)
        assert desk.page.composer.notice.text() == "More than one model that is ready has “a” in its name"
        desk.type("/model gamma")
        assert desk.page.composer.notice.text() == "No model that is ready has “gamma” in its name"

    play_page(dressed, story, endpoint_at(9, id="a", model="alpha"), endpoint_at(9, id="b", model="beta"))
