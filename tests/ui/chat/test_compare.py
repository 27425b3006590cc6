"""A comparison as a person uses it, against two real llama.cpp servers with two quantizations of one model."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QTextCursor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from sparkdesk.core.chat.text_diff import Piece, Side
from tests.servers.llamacpp import LlamaServer, llama_server
from tests.servers.second_quantization import make_q8_0
from tests.ui.chat_desk import ChatDesk, endpoint_at, play
from tests.ui.picture import host_page
from tests.ui.walk import guessing_labels
from ui.bridge import Bridge
from ui.chat.compare.diff_view import DiffView
from ui.chat.compare.model import CompareModel, Difference
from ui.chat.compare.page import ComparePage

WEATHER = "What is the weather in Paris?"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LlamaServer, LlamaServer]]:
    second = make_q8_0(tmp_path_factory.mktemp("q8") / "tinytool-q8_0.gguf")
    with llama_server(context_tokens=512) as ours, llama_server(model=second, context_tokens=512) as theirs:
        yield ours, theirs


def page_of(desk: ChatDesk) -> ComparePage:
    """The page beside the desk's own."""
    page = ComparePage(CompareModel(desk.chats, desk.endpoints, Bridge(desk.tasks)))
    desk.host.close()
    desk.host = host_page(page, 1232, 852)
    return page


def type_into(page: ComparePage, text: str) -> None:
    QTest.keyClicks(page.composer.editor, text)
    QTest.keyClick(page.composer.editor, Qt.Key.Key_Return)


async def answered(desk: ChatDesk, page: ComparePage) -> None:
    def is_over() -> bool:
        places = range(len(page.columns))
        return bool(places) and all(page.model.last_answer(place) is not None for place in places)

    await desk.until(lambda: is_over() and not page.model.is_answering, "every column's answer")
    await asyncio.sleep(0.05)


def test_two_quantizations_answer_side_by_side_with_their_times_and_differences(
    qapp: QApplication, servers: tuple[LlamaServer, LlamaServer]
) -> None:
    async def story(desk: ChatDesk) -> None:
        page = page_of(desk)
        page.model.start(desk.endpoints.value[1])
        assert [column.endpoint.key() for column in page.columns] == ["q8", "f16"], "the model talked to comes first"
        type_into(page, WEATHER)
        await answered(desk, page)
        for column in page.columns:
            assert column.figures["TTFT"].text().endswith(("ms", "s"))
            assert column.figures["Speed"].text().endswith("tok/s")
            assert column.figures["Tokens"].text().isdigit()
            assert guessing_labels(column) == []
        assert page.composer.editor.toPlainText() == ""
        QTest.mouseClick(page.differences, Qt.MouseButton.LeftButton)
        second = page.columns[1]
        assert second.body.currentWidget() is second.diff
        assert page.columns[0].body.currentWidget() is page.columns[0].transcript
        answer = page.model.last_answer(1)
        assert answer is not None
        assert "of the characters are the same" in second.diff.words.text()
        (line,) = desk.chats.sessions.value
        assert line.label == "2 models"

    play(qapp, story, endpoint_at(servers[0].port, id="f16", model="f16"), endpoint_at(servers[1].port, id="q8"))


def test_columns_are_added_and_taken_away_until_something_was_asked(
    qapp: QApplication, servers: tuple[LlamaServer, LlamaServer]
) -> None:
    async def story(desk: ChatDesk) -> None:
        page = page_of(desk)
        page.model.start()
        assert [column.endpoint.key() for column in page.columns] == ["a", "a"]
        assert "same server" in page.words.text()
        for _ in range(2):
            QTest.mouseClick(page.add, Qt.MouseButton.LeftButton)
        assert len(page.columns) == 4
        assert not page.add.isEnabled()
        QTest.mouseClick(page.columns[3].remove, Qt.MouseButton.LeftButton)
        await desk.until(lambda: len(page.columns) == 3, "three columns")
        page.model.remove_column(2)
        assert [column.remove.isVisible() for column in page.columns] == [False, False], "two stay"
        type_into(page, WEATHER)
        await answered(desk, page)
        assert not page.add.isEnabled()

    play(qapp, story, endpoint_at(servers[0].port, id="a"))


def test_a_column_whose_server_went_away_never_gets_another_model(
    qapp: QApplication, servers: tuple[LlamaServer, LlamaServer]
) -> None:
    async def story(desk: ChatDesk) -> None:
        page = page_of(desk)
        page.model.start()
        desk.endpoints.set(desk.endpoints.value[:1])
        assert page.model.columns[1].target is None
        assert "not ready" in page.columns[1].endpoint.currentText()
        type_into(page, WEATHER)
        await desk.until(lambda: page.model.last_answer(0) is not None, "the answer of the one that is there")
        assert page.model.columns[1].turns == ()
        assert page.banner.isVisible()

    first, second = endpoint_at(servers[0].port, id="a"), endpoint_at(servers[1].port, id="b", model="other")
    play(qapp, story, first, second)


def test_a_stored_comparison_opens_again(qapp: QApplication, servers: tuple[LlamaServer, LlamaServer]) -> None:
    async def story(desk: ChatDesk) -> None:
        page = page_of(desk)
        page.model.start()
        type_into(page, WEATHER)
        await answered(desk, page)
        said = [page.model.last_answer(place) for place in (0, 1)]
        (line,) = desk.chats.sessions.value
        page.model.start()
        assert not page.model.has_turns
        page.model.open(line.comparison)
        await desk.until(lambda: page.model.has_turns, "the stored comparison")
        assert [page.model.last_answer(place) for place in (0, 1)] == said
        assert page.model.shows(line.id)

    play(qapp, story, endpoint_at(servers[0].port, id="a"))


def test_what_differs_is_seen_without_colours(qtbot: object, qapp: QApplication) -> None:
    view = DiffView()
    view.show_difference(
        Difference((Piece(Side.BOTH, "The sky is "), Piece(Side.LEFT, "blue"), Piece(Side.RIGHT, "<b>grey")), 0.5)
    )
    assert view.text.toPlainText() == "The sky is blue<b>grey"
    cursor = QTextCursor(view.text.document())
    looks = {}
    for at in (3, 13, 18):
        cursor.setPosition(at)
        looks[at] = (cursor.charFormat().fontUnderline(), cursor.charFormat().fontStrikeOut())
    assert looks == {3: (False, False), 13: (False, True), 18: (True, False)}


def test_without_a_model_the_page_leads_to_launch(qapp: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        page = page_of(desk)
        page.model.start()
        assert page.none.isVisible()
        asked: list[bool] = []
        page.launch_asked.connect(lambda: asked.append(True))
        page.none.action_clicked.emit()
        assert asked == [True]

    play(qapp, story)
