"""What can be done with a message: changed, answered again, branched from, continued, opened; by mouse and by keys."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from sparkdesk.core.chat.context import Excerpt, SentContext, WindowPolicy
from sparkdesk.core.chat.event import TokenChoice
from sparkdesk.core.chat.message import FilePart, Message, Role, TextPart
from sparkdesk.core.chat.session import TurnFailure, TurnState
from sparkdesk.core.chat.window.overflow import Server
from sparkdesk.core.chat.window.sent_memory import record_memory
from tests.servers.llamacpp import LlamaServer, llama_server
from tests.servers.raw_http import raw_server, stream
from tests.ui.chat_desk import ChatDesk, endpoint_at, play
from tests.ui.chat_story import asked, press, row, said, show
from ui.chat.state.offer import RETRY, Offer
from ui.chat.turn.choice_row import ChoiceText, probability_text, shown_token
from ui.chat.turn.figure_row import StatsLine
from ui.chat.turn.problem_row import Note, Problem
from ui.chat.turn.question_row import Question, QuestionEditor
from ui.chat.turn.sent_row import Sent
from ui.chat.turn.status_row import StatusLine

pytestmark = pytest.mark.qt_log_ignore("does not support raise", "does not support grabbing")


@pytest.fixture(scope="module")
def llama() -> Iterator[LlamaServer]:
    with llama_server() as server:
        yield server


async def edited(desk: ChatDesk) -> QuestionEditor:
    """The editor of a question, once the keyboard is in it."""
    await desk.until(lambda: any(isinstance(w, QuestionEditor) for w in desk.page.transcript.column.widgets()), "it")
    editor = row(desk, QuestionEditor)
    assert isinstance(editor, QuestionEditor)
    await desk.until(lambda: desk.host.focusWidget() is editor.field, "the keyboard in it")
    return editor


def test_a_changed_question_is_asked_beside_the_old_one_and_the_arrows_lead_back(
    dressed: QApplication, llama: LlamaServer
) -> None:
    async def story(desk: ChatDesk) -> None:
        desk.type("ping")
        await desk.answered()
        transcript = desk.page.transcript
        transcript.column.setFocus()
        transcript.keyboard.move_to(0)
        press(desk, Qt.Key.Key_E)
        editor = await edited(desk)
        editor.field.selectAll()
        QTest.keyClicks(editor.field, "hello")
        press(desk, Qt.Key.Key_Return)
        await desk.until(lambda: desk.model.turns[0].text == "hello", "the other branch")
        await desk.answered()
        await desk.until(lambda: "hello" in desk.said() and "ping" not in desk.said(), "its rows")
        transcript.column.setFocus()
        transcript.keyboard.move_to(0)
        press(desk, Qt.Key.Key_Left)
        await desk.until(lambda: "ping" in desk.said() and "pong" in desk.said(), "the first branch")
        press(desk, Qt.Key.Key_Right)
        await desk.until(lambda: "hello" in desk.said(), "the second branch")

    play(dressed, story, endpoint_at(llama.port))


def test_esc_leaves_a_question_as_it_was(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        await show(desk, asked(0, "as it was"), said(1, "yes", 0))
        desk.page.transcript.act("edit", 0)
        editor = await edited(desk)
        QTest.keyClicks(editor.field, " no more")
        press(desk, Qt.Key.Key_Escape)
        await desk.until(lambda: "as it was" in desk.said(), "the bubble")
        assert "no more" not in desk.said()
        assert desk.page.transcript.column.hasFocus()

    play(dressed, story)


def test_another_answer_stands_beside_and_both_are_counted(dressed: QApplication, llama: LlamaServer) -> None:
    async def story(desk: ChatDesk) -> None:
        desk.type("ping")
        await desk.answered()
        stats = row(desk, StatsLine)
        assert isinstance(stats, StatsLine)
        stats.buttons["regenerate"].click()
        await desk.until(lambda: desk.model.turns[-1].number == 2, "another answer")
        await desk.answered()
        stats = row(desk, StatsLine)
        names = {part.accessibleName() for part in stats.findChildren(QWidget)}
        assert "answer 2 of 2" in names
        assert "Answer before this one" in names

    play(dressed, story, endpoint_at(llama.port))


def test_a_branch_ends_the_transcript_at_its_message(dressed: QApplication, llama: LlamaServer) -> None:
    async def story(desk: ChatDesk) -> None:
        await show(desk, asked(0, "one"), said(1, "first", 0), asked(2, "two", 1), said(3, "second", 2))
        desk.page.transcript.act("branch", 1)
        await desk.until(lambda: len(desk.model.turns) == 2, "the branch")
        desk.type("ping")
        await desk.until(lambda: len(desk.model.turns) == 4, "the new question")
        await desk.answered()
        assert desk.conversation.siblings(desk.model.turns[2].number) == (2, 4)
        await desk.until(lambda: "1" in desk.said(), "rows")

    play(dressed, story, endpoint_at(llama.port))


def test_a_stopped_answer_goes_on_where_it_ends(dressed: QApplication, llama: LlamaServer) -> None:
    async def story(desk: ChatDesk) -> None:
        half = said(1, "SparkDesk is a control", 0, state=TurnState.STOPPED)
        await show(desk, asked(0, "What is SparkDesk?"), half)
        note = row(desk, Note)
        assert isinstance(note, Note)
        assert note.resume is not None
        note.resume.click()
        await desk.until(lambda: len(desk.model.turns[-1].text) > len(half.text), "more of it")
        await desk.answered()
        assert desk.model.turns[-1].text.startswith(half.text)
        assert len(desk.model.turns) == 2

    play(dressed, story, endpoint_at(llama.port))


def test_an_answer_that_is_whole_offers_no_way_on(dressed: QApplication, llama: LlamaServer) -> None:
    async def story(desk: ChatDesk) -> None:
        await show(desk, asked(0, "one"), said(1, "whole", 0, finish_reason="stop"))
        rows = desk.page.transcript.column.widgets()
        assert not [widget for widget in rows if isinstance(widget, Note | Problem)]

    play(dressed, story, endpoint_at(llama.port))


def test_what_was_left_out_of_a_prompt_opens_with_all_of_it(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        sent = SentContext(
            WindowPolicy.SUMMARISE,
            (0, 1),
            "They said hello.",
            summed_up=(0, 1),
            excerpts=(Excerpt(1, "notes.txt", "found here", 0.83),),
        )
        first, second = asked(0, "hello there"), said(1, "hi", 0, sent=record_memory(SentContext(), "An oak.", ()))
        named = record_memory(sent, "An oak.", (first, second))
        assert named.memory == "", "it is kept with the first answer alone"
        await show(desk, first, second, asked(2, "and now?", 1), said(3, "well", 2, sent=named))
        shown = row(desk, Sent)
        assert isinstance(shown, Sent)
        assert shown.text() == "2 older messages were summed up, 1 excerpt went along"
        shown.toggle()
        for words in (
            "They said hello.",
            "You: hello there",
            "The model: hi",
            "notes.txt, nearness 0.83: found here",
            "An oak.",
        ):
            assert words in shown.text()

    play(dressed, story)


def test_tokens_tell_their_probability_and_what_else_might_have_stood_there(dressed: QApplication) -> None:
    choices = (
        TokenChoice("Yes", math.log(0.6), (("Yes", math.log(0.6)), ("No", math.log(0.3)))),
        TokenChoice(" \U0001f600\n", math.log(0.999)),
        TokenChoice("!", math.log(0.00001)),
    )

    async def story(desk: ChatDesk) -> None:
        text = "".join(choice.token for choice in choices)
        await show(desk, asked(0, "one"), said(1, text, 0, choices=choices))
        transcript = desk.page.transcript
        transcript.column.setFocus()
        transcript.keyboard.move_to(1)
        press(desk, Qt.Key.Key_P)
        await desk.until(lambda: any(isinstance(w, ChoiceText) for w in transcript.column.widgets()), "the tokens")
        tokens = row(desk, ChoiceText)
        assert isinstance(tokens, ChoiceText)
        assert tokens.told.text().startswith("Token 1 of 3: Yes 60")
        assert "instead: No 30" in tokens.told.text()
        QTest.keyClick(tokens, Qt.Key.Key_Right)
        assert shown_token(" \U0001f600\n") in tokens.told.text()
        QTest.keyClick(tokens, Qt.Key.Key_End)
        assert tokens.told.text().startswith("Token 3 of 3: ! < 0.01")
        assert tokens.marked() == "!"
        QTest.keyClick(tokens, Qt.Key.Key_Escape)
        await desk.until(lambda: not any(isinstance(w, ChoiceText) for w in transcript.column.widgets()), "the text")

    play(dressed, story)


def test_a_probability_has_digits_where_they_matter() -> None:
    assert probability_text(0.0).startswith("100.00")
    assert probability_text(math.log(0.9997)).startswith("99.97")
    assert probability_text(math.log(0.63)).startswith("63")
    assert probability_text(math.log(0.002)).startswith("0.20")
    assert probability_text(math.nan) == "n/a"


def test_a_full_window_offers_ways_on_with_their_price_and_takes_the_chosen_one(
    dressed: QApplication, llama: LlamaServer
) -> None:
    async def story(desk: ChatDesk) -> None:
        wanted: list[tuple[str, int]] = []
        desk.page.raise_asked.connect(lambda server, tokens: wanted.append((server, tokens)))
        desk.model.server_of = lambda _target: Server(can_relaunch=True)
        failed = said(
            3,
            "",
            2,
            state=TurnState.FAILED,
            timing=None,
            error="9,210 tokens are more than the model's context of 4,096",
            remedy="Shorten it.",
            failure=TurnFailure("context_overflow", 9210, 4096),
        )
        await show(desk, asked(0, "one"), said(1, "first", 0), asked(2, "ping", 1), failed)
        problem = row(desk, Problem)
        assert isinstance(problem, Problem)
        assert list(problem.buttons) == ["raise", "summarise", "drop", "retry"]
        problem.buttons["raise"].click()
        assert wanted == [("job1", 12288)]
        problem.buttons["drop"].click()
        await desk.until(lambda: "pong" in desk.said(), "the answer")
        await desk.answered()
        assert desk.conversation.settings.value.window is WindowPolicy.SLIDING

    play(dressed, story, endpoint_at(llama.port))


def test_a_first_question_that_is_too_long_leads_to_its_editor_and_says_why_no_more_is_offered(
    dressed: QApplication, llama: LlamaServer
) -> None:
    async def story(desk: ChatDesk) -> None:
        failure = TurnFailure("context_overflow", 9210, 4096)
        failed = said(1, "", 0, state=TurnState.FAILED, timing=None, error="Too long", failure=failure)
        await show(desk, asked(0, "very long"), failed)
        problem = row(desk, Problem)
        assert isinstance(problem, Problem)
        assert list(problem.buttons) == ["raise", "edit", "retry"]
        assert not problem.buttons["raise"].isEnabled()
        assert "Longer context …: SparkDesk did not launch this server" in problem.words()
        problem.buttons["edit"].click()
        editor = await edited(desk)
        assert editor.field.toPlainText() == "very long"

    play(dressed, story, endpoint_at(llama.port))


def test_a_server_that_wants_to_be_left_alone_is_counted_down(dressed: QApplication) -> None:
    end_s = time.monotonic() + 1.2
    problem = Problem(
        "Overloaded", "Retry in 2 s.", is_error=True, offers=(RETRY,), wait_s=lambda: end_s - time.monotonic()
    )
    assert "left alone for 1 s more" in problem.words()
    assert problem.buttons["retry"].text() == "Retry now"
    while problem.buttons["retry"].text() != "Retry" and time.monotonic() < end_s + 20:
        QTest.qWait(20)
    assert "is over" in problem.words()


def test_a_chat_that_is_deleted_is_no_longer_shown(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        await show(desk, asked(0, "one"), said(1, "two", 0))
        desk.page.sessions.remove_asked.emit("old")
        await desk.until(lambda: desk.model.turns == (), "another chat")
        assert desk.page.sessions.ids() == []

    play(dressed, story)


def test_what_went_along_with_a_question_is_shown_in_its_bubble(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        file = FilePart("notes.txt", "x" * 100, size_bytes=4800)
        question = replace(asked(0, "read it"), message=Message(Role.USER, (file, TextPart("read it"))))
        await show(desk, question, said(1, "done", 0))
        bubble = row(desk, Question)
        names = " ".join(part.accessibleName() for part in bubble.findChildren(QWidget))
        assert "notes.txt" in names
        assert "4.8 kB" in names

    play(dressed, story)


def delta(**words: str) -> bytes:
    data = json.dumps({"choices": [{"index": 0, "delta": words, "finish_reason": None}]})
    return f"data: {data}\n\n".encode()


END = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'


def test_when_an_answer_closes_nothing_is_doubled_and_nothing_moves(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        column = desk.page.transcript.column
        frames: list[dict[str, tuple[int, int]]] = []

        def look() -> None:
            kinds = [type(widget).__name__ for widget, _ in column.made()]
            assert kinds.count("StatusLine") + kinds.count("StatsLine") <= 1, kinds
            assert kinds.count("OpenText") <= 1, kinds
            assert desk.said().count("in the middle") <= 1, desk.said()
            bar = column.verticalScrollBar().value()
            frames.append({name: (w.y() - bar, w.height()) for name, (w, _) in zip(kinds, column.made(), strict=True)})

        desk.model.rows_changed.connect(look)
        desk.model.tail_changed.connect(look)
        pieces = (delta(reasoning_content="Hm."), 0.1, delta(content="Stands in the middle"), 0.1, delta(content="."))
        async with raw_server(stream(*pieces, 0.2, END)) as server:
            desk.endpoints.set((endpoint_at(server.port),))
            desk.type("Where?")
            await desk.answered()
        await desk.until(lambda: column.is_complete, "the rows")
        look()
        live = [frame for frame in frames if "OpenText" in frame][-1]
        assert live["Question"] == frames[-1]["Question"]
        assert live["Thought"] == frames[-1]["Thought"]
        assert live["OpenText"] == frames[-1]["AnswerText"]
        assert live["StatusLine"] == frames[-1]["StatsLine"]

    play(dressed, story)


def progress(processed: int) -> bytes:
    told = {"total": 98_000, "cache": 0, "processed": processed, "time_ms": 300}
    choice = {"index": 0, "delta": {"role": "assistant", "content": None}, "finish_reason": None}
    return f"data: {json.dumps({'choices': [choice], 'prompt_progress': told})}\n\n".encode()


def test_while_a_long_prompt_is_read_a_bar_says_how_far_and_from_what_that_is_known(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        pieces = (progress(2048), 0.3, progress(12_288), 0.6, delta(content="Read."), END)
        async with raw_server(stream(*pieces)) as server:
            desk.endpoints.set((endpoint_at(server.port),))
            desk.type("Read all of it.")

            def line() -> str:
                lines = [w for w in desk.page.transcript.column.widgets() if isinstance(w, StatusLine)]
                return f"{lines[0].chip.text()}: {lines[0].figures.text()}" if lines else ""

            await desk.until(lambda: "12.3 K of 98 K" in line(), "how far it is")
            assert line().startswith("Reading prompt: 12.3 K of 98 K, about ")
            assert line().endswith("s left, told by the server")
            await desk.answered()

    play(dressed, story)


def test_a_problem_has_no_words_over_one_another_at_any_width(dressed: QApplication) -> None:
    offers = (Offer("a", "Do this", "", "It costs the time of reading all of it once more, and some memory."), RETRY)
    problem = Problem("Something long went wrong with the server " * 3, "Do " * 40, is_error=True, offers=offers)
    problem.show()
    for width in (300, 760, 420, 760):
        problem.resize(width, problem.height_at(width))
        parts = [part for part in problem.findChildren(QWidget) if part.isVisible()]
        assert len(parts) == 5
        for part in parts:
            assert problem.rect().contains(part.geometry()), part
            assert not [other for other in parts if other is not part and other.geometry().intersects(part.geometry())]
