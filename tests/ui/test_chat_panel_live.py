"""What is set in the panel reaches a real llama.cpp server with the next question, and shows in its answer."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from tests.servers.llamacpp import LlamaServer, llama_server
from tests.ui.chat_desk import ChatDesk, endpoint_at, play

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support")

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture(scope="module")
def llama() -> Iterator[LlamaServer]:
    with llama_server() as server:
        yield server


def type_into(field: QWidget, text: str) -> None:
    """Write into a field and leave it with Enter."""
    field.setFocus()
    QTest.keyClicks(field, text)
    QTest.keyClick(field, Qt.Key.Key_Return)


def test_a_stop_word_ends_the_answer_before_it(dressed: QApplication, llama: LlamaServer) -> None:
    async def story(desk: ChatDesk) -> None:
        sampling = desk.page.settings.sampling
        sampling.head.setChecked(True)
        type_into(sampling.stops, "center")
        await desk.until(lambda: desk.conversation.settings.value.sampling.stop == ("center",), "the stop word")
        desk.type("What is SparkDesk?")
        await desk.answered()
        assert desk.model.turns[-1].text == "SparkDesk is a control "

    play(dressed, story, endpoint_at(llama.port))


def test_an_answer_follows_the_schema_and_tells_how_sure_it_was(dressed: QApplication, llama: LlamaServer) -> None:
    async def story(desk: ChatDesk) -> None:
        form = desk.page.settings.form
        form.head.setChecked(True)
        QTest.mouseClick(form.schema, LEFT)
        dialog = form.dialog()
        assert dialog is not None
        dialog.editor.setPlainText('{"type": "boolean"}')
        QTest.mouseClick(dialog.use, LEFT)
        QTest.mouseClick(form.logprobs, LEFT)
        await desk.until(lambda: desk.conversation.settings.value.form.top_logprobs == 5, "both settings")
        assert desk.conversation.settings.value.form.json_schema == '{"type": "boolean"}'
        desk.type("What is SparkDesk?")
        await desk.answered()
        answer = desk.model.turns[-1]
        assert json.loads(answer.text) in (True, False)
        assert len(answer.choices) > 0

    play(dressed, story, endpoint_at(llama.port))


def test_max_tokens_hold_for_one_chat_and_a_new_one_begins_with_the_defaults(
    dressed: QApplication, llama: LlamaServer
) -> None:
    async def story(desk: ChatDesk) -> None:
        sampling = desk.page.settings.sampling
        sampling.head.setChecked(True)
        type_into(sampling.knobs["max_tokens"].field, "5")
        await desk.until(lambda: desk.conversation.settings.value.sampling.max_tokens == 5, "the limit")
        desk.type("What is SparkDesk?")
        await desk.answered()
        usage = desk.model.turns[-1].usage
        assert usage is not None
        assert usage.completion_tokens == 5
        desk.page.start_new()
        await desk.until(lambda: desk.conversation.settings.value.sampling.max_tokens is None, "the new chat")
        assert sampling.knobs["max_tokens"].field.text() == ""

    play(dressed, story, endpoint_at(llama.port))
