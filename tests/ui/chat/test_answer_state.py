"""What is said of an answer while it is awaited and once it is there: nothing is passed over, nothing is made up."""

from __future__ import annotations

import json

import pytest
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication

from sparkdesk.core.chat.session import TurnState
from sparkdesk.core.jobs.evidence import CAUTION
from tests.servers.raw_http import raw_server, stream
from tests.ui.chat_desk import ChatDesk, endpoint_at, play
from tests.ui.chat_story import asked, row, said, show
from ui.chat.state.status import Reading
from ui.chat.turn.problem_row import Caution, Note
from ui.chat.turn.status_row import StatusLine, reading_parts
from ui.chat.turn.thought_row import Thought
from ui.chat.words.text_row import AnswerText
from ui.widgets.paint import elided, text_width

pytestmark = pytest.mark.qt_log_ignore("does not support raise", "does not support grabbing")
END = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'


def progress(processed: int, total: int) -> bytes:
    told = {"total": total, "cache": 0, "processed": processed, "time_ms": 0}
    choice = {"index": 0, "delta": {"role": "assistant", "content": None}, "finish_reason": None}
    return f"data: {json.dumps({'choices': [choice], 'prompt_progress': told})}\n\n".encode()


def delta(text: str) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return f"data: {json.dumps({'choices': [choice]})}\n\n".encode()


def test_a_time_left_that_is_not_known_yet_is_said_to_be_so() -> None:
    nan = float("nan")
    assert ("time left not known yet", "", "") in reading_parts(Reading(14, 3000, nan, "told by the server"))
    assert all("not known" not in part[0] for part in reading_parts(Reading(14, 3000, 4.0, "told by the server")))
    assert reading_parts(Reading()) == []


def test_an_answer_that_is_gone_on_with_is_awaited_until_a_new_word_comes(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        seen: list[str] = []

        def look() -> None:
            lines = [w for w in desk.page.transcript.column.widgets() if isinstance(w, StatusLine)]
            if lines and (not seen or seen[-1] != lines[0].chip.text()):
                seen.append(lines[0].chip.text())

        async with raw_server(stream(progress(14, 3000), 0.4, delta(" on it goes"), 0.3, END)) as server:
            desk.endpoints.set((endpoint_at(server.port),))
            await show(desk, asked(0, "Why?"), said(1, "So far", 0, state=TurnState.STOPPED))
            desk.model.status_changed.connect(look)
            note = row(desk, Note)
            assert isinstance(note, Note)
            assert note.resume is not None
            note.resume.click()
            await desk.until(lambda: "Generating" in seen, "the answer going on")
            await desk.answered()
        assert seen[-1] == "Generating"
        assert "Reading prompt" in seen
        assert seen.index("Generating") == len(seen) - 1, "not before a word came"

    play(dressed, story)


def test_an_opinion_is_called_one_from_its_first_word_on_with_our_own_cause_beside(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        def caution() -> str:
            shown = [w for w in desk.page.transcript.column.widgets() if isinstance(w, Caution) and w.isVisible()]
            return shown[0].words() if len(shown) == 1 else ""

        words = "A model's opinion, not checked by SparkDesk SparkDesk's own reading: no room"
        async with raw_server(stream(delta("It is"), 0.4, delta(" the disk."), END)) as server:
            desk.endpoints.set((endpoint_at(server.port, note="real llama.cpp"),))
            desk.type("Why?")
            await desk.answered()
            assert caution() == "", "an ordinary answer"
            caution_text = f"{CAUTION}. SparkDesk's own reading: no room"
            desk.model.show_conversation(desk.chats.new(desk.endpoints.value[0], caution=caution_text))
            desk.type("Why?")
            await desk.until(lambda: "It is" in desk.model.tail, "its first words")
            assert caution() == words
            await desk.answered()
            await desk.until(lambda: desk.page.transcript.column.is_complete, "the rows")
        assert caution() == words
        kinds = [type(widget) for widget in desk.page.transcript.column.widgets()]
        assert kinds.index(Caution) < kinds.index(AnswerText), "above what is said"

    play(dressed, story)


@pytest.mark.parametrize(
    ("tokens", "words"), [(7, "7 tokens"), (1, "1 token"), (None, "about 30 tokens by its length")]
)
def test_a_thought_says_how_long_it_is_and_who_counted(dressed: QApplication, tokens: int | None, words: str) -> None:
    thought = Thought("words " * 17, 1.5, tokens, is_open=False, is_live=False)
    assert thought.head.words() == words
    live = Thought("words " * 17, 1.5, None, is_open=False, is_live=True)
    assert live.head.words() == "", "it still grows"


def test_a_head_that_is_too_long_ends_with_an_ellipsis(dressed: QApplication) -> None:
    def drawn(title: str) -> QImage:
        thought = Thought("", 0.0, is_open=False, is_live=False)
        thought.resize(200, thought.height_at(200))
        thought.head.say(title, "Show")
        return thought.head.grab().toImage()

    room = 200 - 52 - (text_width("Show", "label") + 24)
    shown = elided("A" * 90, "dense", room)
    assert shown.endswith("…")
    assert drawn("A" * 90) == drawn(shown)
    assert drawn("A" * 90) != drawn(shown[:-1])
