"""Models held against each other in the whole window: from the switch to the file, and every command on the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from sparkdesk.app.desktop import Desktop
from tests.app.adding import click
from tests.app.chat_window import (
    answered,
    ask,
    choose_file,
    choose_in_menu,
    compare,
    connected,
    open_chat,
)
from tests.app.desk import play, until
from tests.app.picture import take_pictures
from tests.app.program import require_engine
from tests.servers.llamacpp import LlamaServer, llama_server
from tests.servers.second_quantization import make_q8_0
from ui.chat.compare.page import ComparePage
from ui.chat.sessions.line import ChatLine
from ui.chat.view import ChatPage

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support")
WEATHER = "What is the weather in Paris?"
SIZES = ((1100, 700), (1440, 900))


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LlamaServer, LlamaServer]]:
    require_engine()
    second = make_q8_0(tmp_path_factory.mktemp("q8") / "tinytool-q8_0.gguf")
    with llama_server(context_tokens=2048) as ours, llama_server(model=second, context_tokens=2048) as theirs:
        yield ours, theirs


def lines(page: ChatPage) -> list[ChatLine]:
    """What the list at the left shows."""
    return [line for line in page.sessions.rows.lines if isinstance(line, ChatLine)]


def columns_inside(comparison: ComparePage) -> list[bool]:
    """Of each column whether all of it is in sight, none over another."""
    room = comparison.area.viewport().width()
    lefts = [column.mapTo(comparison.area.viewport(), QPoint(0, 0)).x() for column in comparison.columns]
    return [left >= 0 and left + column.width() <= room for left, column in zip(lefts, comparison.columns, strict=True)]


async def ask_all(comparison: ComparePage) -> None:
    QTest.keyClicks(comparison.composer.editor, WEATHER)
    QTest.keyClick(comparison.composer.editor, Qt.Key.Key_Return)
    await answered(comparison)


async def see_differences(comparison: ComparePage) -> None:
    for column in comparison.columns:
        assert column.figures["Speed"].text().endswith("tok/s")
        assert column.figures["Tokens"].text().isdigit(), "the server's own count"
    click(comparison.differences)
    second = comparison.columns[1]
    assert "of the characters are the same" in second.diff.words.text()
    click(comparison.differences)


async def use_its_commands(desktop: Desktop, page: ChatPage, comparison: ComparePage) -> None:
    """What the keys and the head do goes to the comparison, or says why it does not."""
    shown = comparison.model.session_id()
    hidden = page.model.conversation
    assert hidden is not None
    QTest.keyClick(comparison.composer.editor, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert "in one chat" in comparison.composer.notice.text()
    assert not page.search.isVisible()
    before = hidden.title.value
    QTest.keyClick(comparison.composer.editor, Qt.Key.Key_F2)
    assert page.head.title.field.text() == WEATHER, "its own title, with nothing before it"
    page.head.title.field.selectAll()
    QTest.keyClicks(page.head.title.field, "Two quantizations")
    QTest.keyClick(page.head.title.field, Qt.Key.Key_Return)
    await until(lambda: lines(page)[0].summary.title == "Two quantizations", "the other title in the list")
    await until(lambda: page.head.title.label.text() == "Two quantizations", "the other title in the head")
    assert hidden.title.value == before, "the chat behind it is not the one that was renamed"
    assert lines(page)[0].summary.id == shown
    assert not page.head.panel_button.isVisible(), "each column has its own model"
    desktop.window.actions_registry.run("chat.continue")
    assert "own column" in comparison.composer.notice.text()


async def export(desktop: Desktop, page: ChatPage, path: Path) -> None:
    click(page.head.export)
    await choose_in_menu("JSON")
    await choose_file(desktop, path)
    await until(lambda: path.exists() and path.stat().st_size > 0, "the file")


async def leave_and_come_back(page: ChatPage, comparison: ComparePage, other: str) -> None:
    said = [comparison.model.last_answer(at) for at in range(2)]
    shown = comparison.model.session_id()
    page.sessions.chosen.emit(other)
    await until(lambda: not comparison.isVisible(), "the chat")
    assert not page.head.compare.isChecked()
    assert page.model.conversation is not None
    assert page.model.conversation.id == other
    click(page.sessions.new)
    assert not page.model.turns
    page.sessions.chosen.emit(shown)
    await until(lambda: comparison.isVisible() and comparison.model.has_turns, "the comparison again")
    assert [comparison.model.last_answer(at) for at in range(2)] == said
    assert page.head.compare.isChecked()


async def see_four_columns(desktop: Desktop, page: ChatPage, comparison: ComparePage) -> None:
    """In the usual window all four stand side by side; in the smallest three do, and the fourth is a scroll away."""
    await compare(page)
    click(comparison.add)
    click(comparison.add)
    assert len(comparison.columns) == 4
    await take_pictures(desktop, "chat-compare-new")
    await ask_all(comparison)
    inside = {}
    for width, height in SIZES:
        desktop.window.resize(width, height)
        await until(lambda width=width: desktop.window.width() == width, "the size")
        await asyncio.sleep(0.1)
        inside[width] = columns_inside(comparison)
        for column in comparison.columns:
            rows = column.transcript.column
            assert rows.place_of(0, 0).right() <= rows.viewport().width(), "a row is wider than its column"
    assert inside == {1100: [True, True, True, False], 1440: [True] * 4}
    await take_pictures(desktop, "chat-compare-four")


def test_two_models_are_compared_renamed_exported_left_opened_again_and_deleted(
    app: QApplication, servers: tuple[LlamaServer, LlamaServer], tmp_path: Path
) -> None:
    async def story(desktop: Desktop) -> None:
        page = await open_chat(desktop)
        for server in servers:
            await connected(page, server)
        await ask(page, "Hello")
        other = page.model.session_ids()[0]
        comparison = await compare(page)
        assert {column.endpoint.currentText().split()[0] for column in comparison.columns} == {
            "tinytool.gguf",
            "tinytool-q8_0.gguf",
        }
        assert not page.head.export.isEnabled()
        await ask_all(comparison)
        assert (lines(page)[0].summary.label, len(lines(page))) == ("2 models", 2)
        await see_differences(comparison)
        await take_pictures(desktop, "chat-compare")
        await use_its_commands(desktop, page, comparison)
        await export(desktop, page, tmp_path / "both.json")
        assert json.dumps(json.loads((tmp_path / "both.json").read_text())).count(WEATHER) >= 2, "both columns"
        await leave_and_come_back(page, comparison, other)
        page.sessions.remove_asked.emit(comparison.model.session_id())
        await until(lambda: not comparison.isVisible() and len(lines(page)) == 1, "the end of the comparison")
        assert not comparison.columns
        await see_four_columns(desktop, page, comparison)

    assert play(app, story) == 0
