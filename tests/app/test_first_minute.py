"""The first minute with a Spark that serves a model already: added by name and password, seen, and talked to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from sparkdesk import paths
from sparkdesk.app.desktop import Desktop
from sparkdesk.core.chat.session import Turn, TurnState
from sparkdesk.core.cluster.node import NodeState, SignIn
from sparkdesk.services.fleet.credentials import Given
from tests.app.adding import add_spark, click, cluster_page, first_adding, password_of, words_on
from tests.app.desk import node_in, play, until
from tests.app.node import choose_on_map, node_page, open_node
from tests.app.picture import take_pictures
from tests.app.sparks import running_sparks
from tests.simulator.conftest import Simulator, until_ready
from ui.chat.view import ChatPage
from ui.cluster.card import FOUND_MARK, NOT_OURS, NOT_OURS_SHORT, NodeCard
from ui.cluster.view import ClusterPage
from ui.node.running import ServerCard

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
FACTS = ("NVIDIA DGX Spark", "7.5.0", "580.", "GiB", "CUDA", "Docker")
MINUTE_S = 60.0
"""From the added node to an answer; the promise itself."""


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """A Spark on which somebody runs vLLM; it lets in by password."""
    home = tmp_path_factory.mktemp("serving")
    with running_sparks(home, 1, "--sign-in", "both", "--running", "vllm") as simulator:
        asyncio.run(wait_for_server(simulator))
        yield simulator


async def wait_for_server(simulator: Simulator) -> None:
    """Until the server of the other person is up."""
    async with simulator.connect() as connection:
        await until_ready(connection, 8000)


async def servers_of(simulator: Simulator) -> str:
    """The containers and processes of the other person, as the node itself tells."""
    async with simulator.connect() as connection:
        shown = await connection.run("docker ps --format '{{.ID}} {{.Names}}'; pgrep -f qwen3-8b", check=True)
        return str(shown.stdout)


def card_of(page: ClusterPage, node_id: str) -> NodeCard:
    """The node's card."""
    card = page.model.scene.card(node_id)
    assert card is not None
    return card


def found_on(page: ClusterPage, node_id: str) -> tuple[str, ...]:
    """What the node's card tells of servers that others started."""
    card = page.model.scene.card(node_id)
    return card.found if card is not None else ()


async def ask(desktop: Desktop, question: str) -> Turn:
    """Type a question into the chat, press Enter, and wait for the whole answer."""
    page = desktop.window.page("chat")
    assert isinstance(page, ChatPage)
    await until(lambda: page.model.target is not None, "a model to talk to")
    QTest.keyClicks(page.composer.editor, question)
    QTest.keyClick(page.composer.editor, Qt.Key.Key_Return)
    await until(lambda: len(page.model.turns) == 2 and not page.model.is_answering, "the answer", timeout_s=MINUTE_S)
    return page.model.turns[-1]


async def talk(desktop: Desktop, node_id: str) -> None:
    """Find the server on the map, look at it on the node's page, and talk to it."""
    await choose_on_map(desktop, node_id)
    map_page = await cluster_page(desktop)
    await until(lambda: found_on(map_page, node_id) == ("qwen3-8b · vLLM",), "the server on the card")
    await take_pictures(desktop, "found-on-the-map")
    await until(lambda: " running" in card_of(map_page, node_id).detail, "what it tells of its work")
    card = card_of(map_page, node_id)
    assert card.serving == FOUND_MARK
    assert NOT_OURS in card.sentence
    assert card.detail.endswith(NOT_OURS_SHORT)
    click(map_page.inspector.found)
    page = await node_page(desktop)
    (server,) = [each for each in page.running.findChildren(ServerCard) if each.isVisible()]
    assert "not started by SparkDesk" in words_on(page.running)
    await take_pictures(desktop, "found-on-the-node")
    click(server.chat)
    await until(lambda: desktop.window.page_key() == "chat", "the chat")
    answer = await ask(desktop, "Say hello.")
    assert answer.state is TurnState.DONE
    assert answer.text.strip()
    await take_pictures(desktop, "found-in-the-chat")


def test_a_spark_that_serves_a_model_is_talked_to_a_minute_after_it_was_added(
    app: QApplication, serving: Simulator
) -> None:
    async def story(desktop: Desktop) -> None:
        desktop.window.resize(1440, 900)
        before = await servers_of(serving)
        node = await add_spark(await first_adding(desktop), serving)
        async with asyncio.timeout(MINUTE_S):
            await talk(desktop, node.record.id)
        # It was looked at and talked to; it is as it was.
        assert desktop.stack.launcher.jobs.value == ()
        assert await servers_of(serving) == before

    assert play(app, story) == 0


def test_an_added_spark_shows_its_facts_and_after_a_restart_is_signed_in_to_by_key(
    app: QApplication, serving: Simulator
) -> None:
    async def first(desktop: Desktop) -> None:
        desktop.window.resize(1440, 900)
        adding = await first_adding(desktop)
        assert adding.page.cards.form.sign_in.key() == SignIn.AUTOMATIC
        node = await add_spark(adding, serving)
        assert node.record.name == serving.node(0)["name"]
        page = await open_node(desktop, node.record.id)
        await until(lambda: "NVIDIA" in words_on(page.overview), "the facts")
        words = words_on(page.overview)
        for fact in FACTS:
            assert fact in words, f"{fact} is not shown:\n{words}"
        await take_pictures(desktop, "facts")

    async def second(desktop: Desktop) -> None:
        node = await node_in(desktop, 0, NodeState.LIVE)
        assert Path(node.record.key_path).stat().st_mode & 0o077 == 0
        assert await desktop.stack.fleet.credentials.get(node.record) == Given()
        page = await cluster_page(desktop)
        assert not page.inspector.trouble.isVisible()
        assert desktop.window.shell.notices == ()

    assert play(app, first) == 0
    assert play(app, second) == 0
    assert password_of(serving) not in (paths.data_dir() / "app.db").read_bytes().decode("latin-1")
