"""The chat page as a person uses it, against a real llama.cpp server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from sparkdesk.core.chat.message import Message, ReasoningPart, Role, TextPart
from sparkdesk.core.chat.session import ChatSettings, Turn, TurnState
from sparkdesk.core.chat.store.session_json import MAX_QUEUED, settings_to_json, turn_to_json
from sparkdesk.core.chat.stream.timing import AnswerTiming
from sparkdesk.core.errors import EndpointError
from tests.servers.llamacpp import LlamaServer, llama_server
from tests.servers.raw_http import answer, raw_server
from tests.ui.chat_desk import ChatDesk, endpoint_at, play
from tests.ui.picture import take_pictures
from tests.ui.walk import guessing_labels
from ui.chat.turn.figure_row import StatsLine
from ui.chat.turn.problem_row import Problem
from ui.chat.turn.thought_row import Thought
from ui.chat.words.code_row import CodeBlock
from ui.chat.words.text_row import OpenText
from ui.widgets.label import Label

SAMPLE = Path(__file__).resolve().parents[1] / "data" / "chat" / "sample.md"


@pytest.fixture(scope="module")
def llama() -> Iterator[LlamaServer]:
    with llama_server() as server:
        yield server


@pytest.fixture(scope="module")
def endless() -> Iterator[LlamaServer]:
    with llama_server(context_tokens=32_768, is_endless=True) as server:
        yield server


async def store_chat(desk: ChatDesk, *turns: Turn, label: str = "tiny on spark-a", title: str = "Old chat") -> None:
    """A conversation from an earlier day, opened."""
    settings = ChatSettings(label=label, updated_ms=1)
    await desk.store.save_session("old", title, settings_to_json(settings))
    for position, turn in enumerate(turns):
        await desk.store.save_message("old", position, turn_to_json(turn))
    await desk.chats.load()
    desk.model.open_session("old")
    await desk.until(lambda: desk.conversation.id == "old", "the old chat")


def user(text: str) -> Turn:
    return Turn(Message(Role.USER, (TextPart(text),)))


def model(text: str, state: TurnState = TurnState.DONE) -> Turn:
    return Turn(Message(Role.ASSISTANT, (TextPart(text),)), state=state)


def test_a_typed_question_is_answered_on_the_page(dressed: QApplication, llama: LlamaServer) -> None:
    async def story(desk: ChatDesk) -> None:
        desk.type("What is SparkDesk?")
        assert desk.page.composer.text() == ""
        await desk.answered()
        said = desk.said()
        assert "What is SparkDesk?" in said
        assert "SparkDesk is a control center for DGX Spark clusters." in said
        assert "54 tokens" in said
        assert "prompt 37" in said
        assert desk.page.head.title.label.text() == "What is SparkDesk?"
        assert desk.page.sessions.ids() == [desk.conversation.id]
        assert desk.page.settings.context.used.text() == "91 / 4,096 tokens"
        assert not desk.page.composer.stop.isVisible()
        assert guessing_labels(desk.page) == []

    play(dressed, story, endpoint_at(llama.port, note="real llama.cpp"))


def test_shift_enter_begins_a_line_and_enter_on_nothing_sends_nothing(
    dressed: QApplication, llama: LlamaServer
) -> None:
    async def story(desk: ChatDesk) -> None:
        editor = desk.page.composer.editor
        desk.type("   ")
        QTest.keyClick(editor, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
        assert desk.page.composer.text() == "   \n"
        assert desk.model.turns == ()

    play(dressed, story, endpoint_at(llama.port))


@pytest.mark.parametrize("way", ["button", "escape"])
def test_stop_ends_the_answer_at_the_server_and_keeps_the_text(
    dressed: QApplication, endless: LlamaServer, way: str
) -> None:
    async def story(desk: ChatDesk) -> None:
        desk.type("Go on.")
        await desk.until(lambda: len(desk.model.tail) > 20, "some of the answer")
        (shown,) = [row for row in desk.page.transcript.column.widgets() if isinstance(row, OpenText)]
        assert shown.text().replace("\n", "") == desk.model.tail.replace("\n", "")
        assert desk.page.composer.stop.isVisible()
        if way == "button":
            QTest.mouseClick(desk.page.composer.stop, Qt.MouseButton.LeftButton)
        else:
            QTest.keyClick(desk.page.composer.editor, Qt.Key.Key_Escape)
        await desk.answered()
        assert await asyncio.to_thread(endless.wait_idle, 2.0)
        assert "Stopped. What was said is kept." in desk.said()
        assert desk.model.turns[-1].text

    play(dressed, story, endpoint_at(endless.port))


def test_a_server_killed_while_it_writes_leaves_the_text_and_a_retry(dressed: QApplication, llama: LlamaServer) -> None:
    with llama_server(context_tokens=32_768, is_endless=True) as doomed:

        async def story(desk: ChatDesk) -> None:
            desk.type("What is SparkDesk?")
            await desk.until(lambda: len(desk.model.tail) > 20, "some of the answer")
            await asyncio.to_thread(doomed.kill)
            await desk.answered()
            assert "cut off" in desk.said()
            kept = desk.model.turns[-1].text
            assert kept[:20] in desk.said()
            desk.endpoints.set((endpoint_at(llama.port, id="job2"),))
            problems = [row for row in desk.page.transcript.column.widgets() if isinstance(row, Problem)]
            QTest.mouseClick(problems[0].buttons["retry"], Qt.MouseButton.LeftButton)
            await desk.until(lambda: "control center for DGX Spark clusters." in desk.said(), "the second answer")
            await desk.answered()
            await desk.until(lambda: "cut off" not in desk.said(), "the end of the complaint")

        play(dressed, story, endpoint_at(doomed.port))


def figure_lines(desk: ChatDesk) -> list[StatsLine]:
    lines = [row for row in desk.page.transcript.column.widgets() if isinstance(row, StatsLine)]
    assert lines
    return lines


def test_an_answer_that_is_asked_for_twice_at_once_is_given_once_without_a_complaint(
    dressed: QApplication, endless: LlamaServer
) -> None:
    async def story(desk: ChatDesk) -> None:
        await store_chat(desk, user("q"), replace(model("a"), timing=AnswerTiming()))
        desk.type("What is SparkDesk?")
        await desk.until(lambda: bool(desk.model.tail), "some of the answer")
        desk.model.stop()
        await desk.answered()
        number = desk.model.turns[-1].number
        for _ in range(2):
            desk.model.act("regenerate", number)
        await desk.until(lambda: bool(desk.model.tail), "some of the other answer")
        assert not any(line.buttons["regenerate"].isEnabled() for line in figure_lines(desk))
        desk.model.act("regenerate", number)
        desk.model.act("continue", number)
        desk.model.stop()
        await desk.answered()
        assert all(line.buttons["regenerate"].isEnabled() for line in figure_lines(desk))
        assert len(desk.conversation.all_turns) == 5
        assert not desk.page.banner.isVisible()

    play(dressed, story, endpoint_at(endless.port))


def test_a_failure_stands_in_the_transcript_with_what_to_do(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        async with raw_server(answer("503 Busy", "application/json", b"{}", "Retry-After: 9")) as server:
            desk.endpoints.set((endpoint_at(server.port),))
            desk.type("hello")
            await desk.answered()
        assert "overloaded (503)" in desk.said()
        assert "Retry in 9 s." in desk.said()

    play(dressed, story)


def test_without_a_model_the_page_leads_to_the_launch_and_nothing_is_sent(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        asked: list[bool] = []
        desk.page.launch_asked.connect(lambda: asked.append(True))
        assert desk.page.middle.currentWidget() is desk.page.no_model
        desk.page.no_model.action_clicked.emit()
        assert asked == [True]
        desk.type("hello")
        assert desk.model.turns == ()
        assert desk.page.composer.text() == "hello"
        desk.model.set_waiting("tiny is loading on spark-a")
        await asyncio.sleep(0)
        assert desk.page.settings.model.note.text() == "tiny is loading on spark-a"

    play(dressed, story)


def test_the_words_without_a_model_say_where_the_panel_is_in_this_window(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        def words() -> str:
            return " ".join(label.text() for label in desk.page.no_model.findChildren(Label))

        assert "at the right" in words()
        desk.page.resize(1044, 652)
        assert desk.page.head.panel_button.isVisible()
        assert "in “Model and settings” at the top" in words()
        assert "at the right" not in words()

    play(dressed, story)


def test_questions_typed_while_it_writes_wait_in_line(dressed: QApplication, endless: LlamaServer) -> None:
    async def story(desk: ChatDesk) -> None:
        desk.type("one")
        await desk.until(lambda: bool(desk.model.tail), "some of the answer")
        desk.type("two")
        await desk.until(lambda: "two" in desk.page.queue.text(), "the queue")
        desk.model.stop()
        await desk.answered()
        assert desk.model.queued[0].is_held
        desk.page.queue.edit_asked.emit(0)
        assert desk.page.composer.text() == "two"
        assert not desk.page.queue.isVisible()

    play(dressed, story, endpoint_at(endless.port))


def test_a_chat_whose_server_is_gone_stays_readable_and_goes_on_only_with_one_that_is_chosen(
    dressed: QApplication, llama: LlamaServer
) -> None:
    async def story(desk: ChatDesk) -> None:
        old = replace(model("Old answer."), label="gone on spark-x")
        await store_chat(desk, user("Old question"), old, label="gone on spark-x")
        await desk.until(lambda: "Old answer." in desk.said(), "the old answer")
        assert not desk.page.composer.send.isEnabled()
        assert "gone on spark-x is not ready" in desk.page.composer.editor.placeholderText()
        desk.endpoints.set((endpoint_at(llama.port),))
        desk.type("ping")
        desk.model.retry()
        await asyncio.sleep(0.1)
        assert len(desk.model.turns) == 2
        assert desk.page.composer.text() == "ping"
        words = "gone on spark-x is not ready. Choose a model at the right to go on."
        assert words in desk.page.composer.editor.placeholderText()
        desk.model.choose_endpoint("job1")
        QTest.keyClick(desk.page.composer.editor, Qt.Key.Key_Return)
        await desk.until(lambda: "pong" in desk.said(), "the answer")
        await desk.answered()
        assert "Now answered by tiny on spark-a." in desk.said()

    play(dressed, story)


def test_a_chat_that_lost_its_server_while_another_was_shown_talks_to_no_other(
    dressed: QApplication, llama: LlamaServer
) -> None:
    async def story(desk: ChatDesk) -> None:
        desk.type("ping")
        await desk.answered()
        first = desk.conversation
        desk.page.start_new()
        desk.endpoints.set((endpoint_at(llama.port, id="job2", model="stranger"),))
        assert desk.model.target is not None
        assert desk.model.target.name == "stranger"
        desk.model.open_session(first.id)
        await desk.until(lambda: desk.conversation is first, "the first chat")
        assert desk.model.target is None
        desk.endpoints.set((endpoint_at(llama.port, id="job2", model="stranger"), endpoint_at(llama.port, id="job3")))
        assert desk.model.target is not None
        assert desk.model.target.id == "job3"

    play(dressed, story, endpoint_at(llama.port))


def test_a_question_that_was_taken_comes_back_into_no_chat_when_something_else_fails(
    dressed: QApplication, endless: LlamaServer
) -> None:
    async def story(desk: ChatDesk) -> None:
        desk.type("one")
        await desk.until(lambda: bool(desk.model.tail), "some of the answer")
        desk.type("two")
        await desk.until(lambda: bool(desk.model.queued), "the queue")
        failure = EndpointError("No way to that server", remedy="Check the address.")
        desk.model.failed.emit(failure)
        assert desk.page.composer.text() == ""
        desk.model.stop()
        await desk.answered()
        desk.page.start_new()
        desk.model.failed.emit(failure)
        assert "No way to that server" in desk.page.banner.accessibleName()
        assert desk.page.composer.text() == ""

    play(dressed, story, endpoint_at(endless.port))


def test_a_question_that_is_not_taken_comes_back_into_its_own_chat(dressed: QApplication, endless: LlamaServer) -> None:
    async def story(desk: ChatDesk) -> None:
        desk.model.ask("one")
        await desk.until(lambda: bool(desk.model.tail), "some of the answer")
        for at in range(MAX_QUEUED):
            desk.model.ask(f"more {at}")
        await desk.until(lambda: len(desk.model.queued) == MAX_QUEUED, "a full line")
        desk.type("too many")
        await desk.until(lambda: desk.page.composer.text() == "too many", "the question")
        desk.model.stop()
        await desk.answered()

    play(dressed, story, endpoint_at(endless.port))


def test_only_rows_near_the_window_exist_and_reading_is_not_disturbed(
    dressed: QApplication, endless: LlamaServer
) -> None:
    async def story(desk: ChatDesk) -> None:
        turns = [turn for i in range(150) for turn in (user(f"Q{i}"), model(f"Answer **{i}**\n\nmore"))]
        await store_chat(desk, *turns)
        column = desk.page.transcript.column
        await desk.until(lambda: "Answer 149" in desk.said(), "the newest")
        assert len(column.widgets()) < 120
        desk.type("Go on.")
        await desk.until(lambda: bool(desk.model.tail), "some of the answer")
        bar = column.verticalScrollBar()
        assert bar.value() == bar.maximum()
        bar.setValue(bar.maximum() // 2)
        await asyncio.sleep(0.1)
        top = next(row for row in column.widgets() if row.y() >= bar.value())
        place, before = top.y() - bar.value(), len(desk.model.tail)
        assert desk.page.transcript.newest.isVisible()
        await desk.until(lambda: len(desk.model.tail) > before + 100 or not desk.model.is_answering, "more text")
        assert top.y() - bar.value() == place
        QTest.mouseClick(desk.page.transcript.newest, Qt.MouseButton.LeftButton)
        assert bar.value() == bar.maximum()
        desk.model.stop()
        await desk.answered()

    play(dressed, story, endpoint_at(endless.port))


def test_earlier_turns_of_a_long_chat_are_shown_on_demand(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        await store_chat(desk, *(turn for i in range(300) for turn in (user(f"q{i}"), model(f"a{i}"))))
        assert len(desk.model.rows()) < 100
        for _ in range(3):
            desk.model.show_earlier()
        assert len(desk.model.rows()) == 600
        desk.page.transcript.column.jump_to_top()
        await desk.until(lambda: "q0" in desk.said(), "the first question")

    play(dressed, story)


def test_reasoning_is_folded_and_opens(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        parts = (ReasoningPart("First I think."), TextPart("Then I speak."))
        await store_chat(desk, user("q"), Turn(Message(Role.ASSISTANT, parts)))
        await desk.until(lambda: "Then I speak." in desk.said(), "the answer")
        (thought,) = [row for row in desk.page.transcript.column.widgets() if isinstance(row, Thought)]
        folded = thought.height()
        thought.unfold()
        await desk.until(lambda: thought.height() > folded, "the reasoning")

    play(dressed, story)


def test_code_is_copied_as_it_was_sent_and_so_is_the_answer(dressed: QApplication) -> None:
    code = "x = 1\n" + "y = '" + "z" * 5000 + "'"

    async def story(desk: ChatDesk) -> None:
        timing_less = model(f"Here:\n\n```py\n{code}\n```\n")
        await store_chat(desk, user("q"), timing_less)
        await desk.until(lambda: "x = 1" in desk.said(), "the code")
        (block,) = [row for row in desk.page.transcript.column.widgets() if isinstance(row, CodeBlock)]
        block.copy_code()
        assert QGuiApplication.clipboard().text() == code

    play(dressed, story)


def test_sampling_and_system_prompt_hold_for_the_next_question(dressed: QApplication, llama: LlamaServer) -> None:
    async def story(desk: ChatDesk) -> None:
        desk.page.settings.sampling.head.setChecked(True)
        desk.page.settings.sampling.knobs["max_tokens"].slider.setValue(1)
        await desk.until(lambda: desk.conversation.settings.value.sampling.max_tokens == 64, "the new limit")
        assert desk.conversation.settings.value.sampling.temperature == 0.0
        desk.page.settings.prompt.prompt.setPlainText("Be brief.")
        desk.page.settings.prompt.prompt.kept.emit()
        await desk.until(lambda: desk.conversation.settings.value.system_prompt == "Be brief.", "the new prompt")
        assert desk.conversation.settings.value.sampling.max_tokens == 64

    play(dressed, story, endpoint_at(llama.port))


def test_search_finds_chats_by_their_words(dressed: QApplication, llama: LlamaServer) -> None:
    async def story(desk: ChatDesk) -> None:
        for text in ("ping", "hello"):
            desk.page.start_new()
            desk.type(text)
            await desk.answered()
        assert len(desk.page.sessions.ids()) == 2
        desk.page.sessions.search.setText("hell")
        assert len(desk.page.sessions.ids()) == 1
        desk.page.sessions.search.setText("")
        desk.page.sessions.move_on(1)
        await desk.until(lambda: "pong" in desk.said(), "the other chat")

    play(dressed, story, endpoint_at(llama.port))


def test_in_a_narrow_window_the_settings_are_a_drawer(dressed: QApplication, llama: LlamaServer) -> None:
    async def story(desk: ChatDesk) -> None:
        assert desk.page.settings.isVisible()
        assert desk.page.head.model.text() == ""
        desk.host.resize(1044, 652)
        desk.page.resize(1044, 652)
        assert not desk.page.settings.isVisible()
        assert desk.page.head.model.text() == "tiny on spark-a"
        desk.page.head.panel_button.click()
        assert desk.page.settings.isVisible()
        desk.host.resize(1232, 852)
        desk.page.resize(1232, 852)
        assert desk.page.settings.isVisible()
        assert not desk.page.head.panel_button.isVisible()

    play(dressed, story, endpoint_at(llama.port))


def test_the_page_looks_as_drawn(dressed: QApplication, endless: LlamaServer) -> None:
    async def story(desk: ChatDesk) -> None:
        parts = (ReasoningPart("Look-ahead is not there in Rust."), TextPart(SAMPLE.read_text("utf-8")))
        await store_chat(desk, user("Keep the pre-tokenizer identical."), Turn(Message(Role.ASSISTANT, parts)))
        desk.type("Go on.")
        await desk.until(lambda: len(desk.model.tail) > 400, "some of the answer")
        desk.model.stop()
        await desk.answered()
        take_pictures(desk.page, "chat")
        desk.page.transcript.column.jump_to_top()
        take_pictures(desk.page, "chat-top")
        assert [row for row in desk.page.transcript.column.widgets() if isinstance(row, StatsLine | CodeBlock)]

    play(dressed, story, endpoint_at(endless.port, note="simulated vLLM, real llama.cpp"))
