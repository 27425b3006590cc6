"""The chat by the keyboard alone: from message to message, into the search, to everything by name."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QMenu

from sparkdesk.core.chat.message import Message, ReasoningPart, Role, TextPart
from tests.ui.chat_desk import ChatDesk, play
from tests.ui.chat_story import asked, press, row, said, show
from ui.action import ActionRegistry
from ui.chat.page.cursor import turn_of
from ui.chat.turn.figure_row import StatsLine
from ui.chat.turn.thought_row import Thought

pytestmark = pytest.mark.qt_log_ignore("does not support raise", "does not support grabbing")


def test_the_arrows_go_from_message_to_message_and_letters_act_there(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        thought = Message(Role.ASSISTANT, (ReasoningPart("because"), TextPart("spoken")))
        turns = (asked(0, "one"), replace(said(1, "", 0), message=thought), asked(2, "two", 1), said(3, "end", 2))
        await show(desk, *turns)
        transcript = desk.page.transcript
        transcript.column.setFocus(Qt.FocusReason.TabFocusReason)
        assert transcript.keyboard.at == 3
        assert transcript.hint.isVisible()
        press(desk, Qt.Key.Key_Up, Qt.Key.Key_Up)
        assert transcript.keyboard.at == 1
        assert transcript.column.accessibleDescription() == "Message 2 of 4. tiny on spark-a: spoken"
        press(desk, Qt.Key.Key_C)
        assert QGuiApplication.clipboard().text() == "spoken"
        press(desk, Qt.Key.Key_O)
        opened = row(desk, Thought)
        assert isinstance(opened, Thought)
        assert opened.head.isChecked()
        press(desk, Qt.Key.Key_D)
        figures = row(desk, StatsLine, 0)
        assert isinstance(figures, StatsLine)
        assert figures.details is not None
        press(desk, Qt.Key.Key_Down, modifier=Qt.KeyboardModifier.ControlModifier)
        assert transcript.keyboard.at == 2
        press(desk, Qt.Key.Key_Home)
        assert transcript.keyboard.at == 0

    play(dressed, story)


def test_tab_goes_through_the_buttons_of_one_message_only(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        await show(desk, asked(0, "one"), said(1, "first", 0), asked(2, "two", 1), said(3, "second", 2))
        transcript = desk.page.transcript
        transcript.column.setFocus()
        transcript.keyboard.move_to(1)
        reached = {
            turn_of(shown)
            for widget, shown in transcript.column.made()
            for button in widget.findChildren(QAbstractButton)
            if button.focusPolicy() & Qt.FocusPolicy.TabFocus.value
        }
        assert reached == {1}

    play(dressed, story)


def test_the_search_goes_to_every_turn_and_says_where_it_is(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        turns = [asked(0, "the needle in front")]
        for number in range(1, 1200):
            last = turns[-1].number
            make = said(number, f"answer {number}", last) if number % 2 else asked(number, f"hay {number}", last)
            turns.append(make)
        turns.append(asked(1200, "another NEEDLE", 1199))
        await show(desk, *turns)
        desk.page.search.begin()
        QTest.keyClicks(desk.page.search.field, "needle")
        press(desk, Qt.Key.Key_Return)
        assert desk.page.search.said.text() == "Message 2 of 2"
        assert "another NEEDLE" in desk.said()
        press(desk, Qt.Key.Key_Return, modifier=Qt.KeyboardModifier.ShiftModifier)
        await desk.until(lambda: "the needle in front" in desk.said(), "the first turn")
        assert desk.page.search.said.text() == "Message 1 of 2"
        assert len(desk.page.transcript.column.rows()) < 400
        assert desk.page.transcript.newest.isVisible()
        press(desk, Qt.Key.Key_Escape)
        assert not desk.page.search.isVisible()
        desk.page.transcript.show_newest()
        await desk.until(lambda: "another NEEDLE" in desk.said(), "the newest turn")

    play(dressed, story)


def test_words_that_are_nowhere_are_said_to_be(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        await show(desk, asked(0, "one"), said(1, "first", 0))
        desk.page.search.begin()
        desk.page.search.field.setText("nowhere")
        desk.page.search.search()
        assert desk.page.search.said.text() == "Not in this chat"

    play(dressed, story)


def test_a_click_on_the_title_or_f2_renames_the_chat(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        registry = ActionRegistry(desk.host)
        desk.page.add_commands(registry)
        await show(desk, asked(0, "one"), said(1, "first", 0))
        title = desk.page.head.title
        QTest.mouseClick(title.label, Qt.MouseButton.LeftButton)
        QTest.keyClicks(title.field, "Better")
        press(desk, Qt.Key.Key_Return)
        await desk.until(lambda: title.label.text() == "Better", "the new title")
        registry.run("chat.rename")
        QTest.keyClicks(title.field, "Worse")
        QTest.keyClick(title.field, Qt.Key.Key_Escape)
        assert title.label.text() == "Better"
        assert (await desk.store.sessions())[0][1] == "Better"

    play(dressed, story)


def test_what_the_page_does_is_in_the_palette_and_its_keys_work_there_only(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        registry = ActionRegistry(desk.host)
        desk.page.add_commands(registry)
        desk.page.add_commands(registry)
        titles = [command.title for command in registry.commands()]
        assert len(titles) == len(set(titles))
        for words in ("find in this chat", "change the question", "answer again", "previous chat", "stop the answer"):
            assert registry.find(words), words
        exported: list[tuple[tuple[str, ...], str]] = []
        desk.page.export_asked.connect(lambda ids, form: exported.append((ids, form)))
        await show(desk, asked(0, "one"), said(1, "first", 0))
        press(desk, Qt.Key.Key_F, modifier=Qt.KeyboardModifier.ControlModifier)
        assert desk.page.search.isVisible()
        press(desk, Qt.Key.Key_E, modifier=Qt.KeyboardModifier.ControlModifier)
        menu = desk.page.findChild(QMenu)
        assert isinstance(menu, QMenu)
        menu.actions()[0].trigger()
        assert exported == [(("old",), "markdown")]
        assert not desk.host.actions()

    play(dressed, story)


def test_a_place_that_a_search_of_all_chats_found_is_shown_on_its_own_branch(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        turns = (asked(0, "one"), said(1, "the old answer", 0), said(2, "the new answer", 0))
        await show(desk, *turns)
        desk.page.start_new()
        await desk.until(lambda: desk.model.turns == (), "a new chat")
        desk.page.sessions.chosen.emit("old")
        desk.page.sessions.place_chosen.emit("old", 1)
        await desk.until(lambda: "the old answer" in desk.said(), "the branch with the place")
        await desk.until(lambda: desk.page.transcript.keyboard.at == 1, "the place")
        assert "the new answer" not in desk.said()

    play(dressed, story)


def test_f6_finds_the_parts_of_the_page(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        await show(desk, asked(0, "one"), said(1, "first", 0))
        page = desk.page
        assert page.regions() == [page.sessions, page.head, page.transcript.column, page.composer, page.settings]
        await asyncio.sleep(0)

    play(dressed, story)
