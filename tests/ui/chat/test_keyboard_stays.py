"""The keyboard stays where the person is: when what was pressed goes away, when the window is made narrow, in line."""

from __future__ import annotations

import json

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication

from sparkdesk.core.chat.session import TurnFailure, TurnState
from sparkdesk.services.chat.conversation import QueuedQuestion
from tests.servers.raw_http import raw_server, stream
from tests.ui.chat_desk import ChatDesk, endpoint_at, play
from tests.ui.chat_story import asked, press, row, said, show
from ui.action import ActionRegistry
from ui.chat.page.cursor import LETTERS
from ui.chat.turn.problem_row import Note, Problem
from ui.chat.turn.question_row import QuestionEditor

pytestmark = pytest.mark.qt_log_ignore("does not support raise", "does not support grabbing")
CHOICE = {"index": 0, "delta": {"content": "An answer."}, "finish_reason": None}
ANSWER = (
    f"data: {json.dumps({'choices': [CHOICE]})}\n\n".encode(),
    b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n',
)
SHIFT, CONTROL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
FAILED = {
    "state": TurnState.FAILED,
    "timing": None,
    "error": "Too long",
    "failure": TurnFailure("context_overflow", 9210, 4096),
}


def is_at(desk: ChatDesk, place: int) -> bool:
    transcript = desk.page.transcript
    return desk.host.focusWidget() is transcript.column and transcript.keyboard.at == place


def test_after_a_question_was_changed_the_keyboard_is_at_it(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        async with raw_server(stream(*ANSWER)) as server:
            desk.endpoints.set((endpoint_at(server.port),))
            await show(desk, asked(0, "one"), said(1, "first", 0), asked(2, "two", 1), said(3, "second", 2))
            transcript = desk.page.transcript
            transcript.column.setFocus(Qt.FocusReason.TabFocusReason)
            press(desk, Qt.Key.Key_Up, Qt.Key.Key_E)
            await desk.until(lambda: isinstance(desk.host.focusWidget().parentWidget(), QuestionEditor), "the editor")
            QTest.keyClicks(desk.host.focusWidget(), " more")
            press(desk, Qt.Key.Key_Return)
            await desk.until(lambda: len(desk.model.turns) == 4 and desk.model.turns[2].text == "two more", "it")
            await desk.answered()
            assert is_at(desk, 2)

    play(dressed, story)


@pytest.mark.parametrize("key", ["retry", "drop", "continue"])
def test_after_a_button_of_an_answer_was_pressed_the_keyboard_is_at_the_answer(dressed: QApplication, key: str) -> None:
    async def story(desk: ChatDesk) -> None:
        async with raw_server(stream(*ANSWER)) as server:
            desk.endpoints.set((endpoint_at(server.port),))
            last = said(3, "Half", 2, state=TurnState.STOPPED) if key == "continue" else said(3, "", 2, **FAILED)
            await show(desk, asked(0, "one"), said(1, "first", 0), asked(2, "two", 1), last)
            shown = row(desk, Note if key == "continue" else Problem)
            assert isinstance(shown, Note | Problem)
            button = shown.resume if isinstance(shown, Note) else shown.buttons[key]
            assert isinstance(button, QAbstractButton)
            button.setFocus(Qt.FocusReason.TabFocusReason)
            press(desk, Qt.Key.Key_Space)
            await desk.until(lambda: "An answer." in desk.said(), "the answer")
            await desk.answered()
            await desk.until(lambda: is_at(desk, 3), "the keyboard at the answer")

    play(dressed, story)


def test_when_the_panel_becomes_a_drawer_the_keyboard_goes_to_the_composer(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        await show(desk, asked(0, "one"), said(1, "first", 0))
        field = next(each for each in desk.page.settings.findChildren(QAbstractButton) if each.isVisible())
        for width in (900, 1232):
            if width == 1232:
                desk.page.head.panel_button.click()
            field.setFocus(Qt.FocusReason.TabFocusReason)
            assert desk.host.focusWidget() is field
            desk.page.resize(width, 852)
            await desk.until(lambda: desk.page.composer.isAncestorOf(desk.host.focusWidget()), "the composer")

    play(dressed, story)


def test_questions_in_line_are_reached_by_tab_and_f6_and_named(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        await show(desk, asked(0, "one"), said(1, "first", 0))
        page = desk.page
        page.composer.setFocus()
        held = QueuedQuestion("Where from?", is_held=True)
        page.queue.show_queue((held, QueuedQuestion("Where to?")))
        first, second = page.queue.chips[:2]
        assert page.regions()[3:5] == [page.queue, page.composer]
        press(desk, Qt.Key.Key_Backtab, modifier=SHIFT)
        assert desk.host.focusWidget() is second.drop
        press(desk, *[Qt.Key.Key_Backtab] * 3, modifier=SHIFT)
        assert desk.host.focusWidget() is first.edit
        press(desk, Qt.Key.Key_Backtab, modifier=SHIFT)
        assert desk.host.focusWidget() is first.send
        names = [button.accessibleName() for button in (first.send, first.edit, first.drop, second.drop)]
        assert names == [
            "Send now: Where from?",
            "Change: Where from?",
            "Drop from the line: Where from?",
            "Drop from the line: Where to?",
        ]
        assert not second.send.isVisible()
        page.queue.show_queue((QueuedQuestion("Where to?"),))
        assert desk.host.focusWidget() is first.drop, "its question stands first now"
        page.queue.show_queue(())
        assert page.composer.isAncestorOf(desk.host.focusWidget())

    play(dressed, story)


def test_the_list_of_keys_covers_nothing_and_leaves_no_letter_out(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        transcript = desk.page.transcript
        await show(desk, asked(0, "one"), said(1, "first", 0))
        before = transcript.column.geometry()
        transcript.column.setFocus(Qt.FocusReason.TabFocusReason)
        await desk.until(transcript.hint.isVisible, "the keys")
        assert transcript.column.geometry() == before, "nothing moves"
        assert not transcript.hint.geometry().intersects(before)
        shown = transcript.hint.text().split("   ")
        letters = {QKeySequence(key).toString() for key, does in LETTERS.items() if does not in ("older", "newer")}
        assert {words[0] for words in shown} >= letters

    play(dressed, story)


def test_ctrl_up_goes_to_the_newest_message_unless_the_keyboard_is_at_one(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        desk.page.add_commands(ActionRegistry(desk.host))
        async with raw_server(stream(*ANSWER)) as server:
            desk.endpoints.set((endpoint_at(server.port),))
            await show(desk, asked(0, "one"), said(1, "first", 0))
            press(desk, Qt.Key.Key_Up, modifier=CONTROL)
            assert is_at(desk, 1)
            press(desk, Qt.Key.Key_Home)
            assert is_at(desk, 0)
            desk.page.transcript.focus_messages()
            assert is_at(desk, 0), "it is at a message already"
            desk.page.composer.setFocus()
            desk.type("two")
            await desk.until(lambda: "An answer." in desk.said(), "the answer")
            await desk.answered()
            press(desk, Qt.Key.Key_Up, modifier=CONTROL)
            assert is_at(desk, 3)

    play(dressed, story)
