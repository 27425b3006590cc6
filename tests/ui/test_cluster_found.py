"""What others started on a node, on its card and in the inspector; and nodes that sleep or are slow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QSignalSpy, QTest
from pytestqt.qtbot import QtBot

from sparkdesk.core.cluster.found_server import FoundServer
from sparkdesk.core.cluster.node import NodeState
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.rate import GENERATED_RATE
from sparkdesk.core.jobs.reading import KV_USED, REQUESTS_RUNNING, REQUESTS_WAITING
from tests.ui import rack
from tests.ui.picture import host_page, take_pictures
from tests.ui.stage import Stage
from ui.cluster.card import COUNTED
from ui.cluster.model import ClusterModel
from ui.cluster.table import build_extras, build_rows
from ui.cluster.view import ClusterPage

QWEN = FoundServer("node0:8000", "node0", "127.0.0.1", 8000, "openai", "vllm", "qwen3-8b · vLLM", ("qwen3-8b",))
OLLAMA = FoundServer("node1:11434", "node1", "0.0.0.0", 11434, "ollama", "ollama", "Ollama", ("a", "b"))


@pytest.fixture
def stage(dressed: object) -> Stage:
    found = Stage()
    found.serve(rack.job("j1", "gpt-oss-120b", 1))
    found.live(30)
    return found


VLLM = {GENERATED_RATE: 41.2, REQUESTS_RUNNING: 3.0, REQUESTS_WAITING: 1.0, KV_USED: 0.43}


def open_page(
    qtbot: QtBot,
    stage: Stage,
    servers: Latest[tuple[FoundServer, ...]],
    told: Mapping[str, Mapping[str, float]] | None = None,
) -> ClusterPage:
    """The page; `told` are the readings of found servers by their ids."""
    found = told if told is not None else {}
    feeds = replace(
        stage.cluster_feeds(),
        servers=servers,
        server_reading=lambda server_id, key: found.get(server_id, {}).get(key, math.nan),
    )
    page = ClusterPage(ClusterModel(feeds))
    host = host_page(page, 1232, 852)
    qtbot.addWidget(host)
    host.activateWindow()
    QTest.qWait(20)
    return page


def test_a_found_server_stands_on_its_card_as_not_ours(qtbot: QtBot, stage: Stage) -> None:
    servers: Latest[tuple[FoundServer, ...]] = Latest(())
    page = open_page(qtbot, stage, servers)
    servers.set((QWEN, OLLAMA))
    page.refresh()
    alone, beside = page.model.scene.card("node0"), page.model.scene.card("node1")
    assert alone is not None
    assert beside is not None
    assert (alone.headline, alone.detail) == ("qwen3-8b · vLLM", "not started by SparkDesk")
    assert alone.serving is not None
    assert alone.serving.text == "Found running"
    assert "no model served" not in alone.sentence
    assert page.model.scene.subtitle.endswith("2 found running")
    assert "found running: qwen3-8b · vLLM, not started by SparkDesk" in alone.sentence
    assert beside.headline == "gpt-oss-120b +1 found", "our own stays first"


def test_a_found_servers_figures_stand_on_its_card_and_say_that_it_is_not_ours(qtbot: QtBot, stage: Stage) -> None:
    page = open_page(qtbot, stage, Latest((QWEN,)), {QWEN.id: VLLM})
    card = page.model.scene.card("node0")
    assert card is not None
    assert (card.detail, card.detail_short) == ("41.2 tok/s · 3 running, 1 waiting · not ours", "41.2 tok/s · 3 / 1")
    assert "qwen3-8b · vLLM (41.2 tok/s, 3 running, 1 waiting, KV 43\u202f%), not started by SparkDesk" in card.sentence
    assert (card.figures[0].value, card.figures[0].unit, card.figures[0].fraction) == ("3", "req", None)
    assert card.figures[0].hint == COUNTED
    page.model.select("node", "node0")
    assert page.inspector.node.found_words.text() == "41.2 tok/s · 3 running, 1 waiting · KV 43\u202f%"


def test_a_found_server_that_falls_silent_shows_no_figures(qtbot: QtBot, stage: Stage) -> None:
    told = {QWEN.id: dict(VLLM)}
    page = open_page(qtbot, stage, Latest((QWEN,)), told)
    page.model.select("node", "node0")
    told.clear()
    page.refresh()
    card = page.model.scene.card("node0")
    assert card is not None
    assert (card.detail, card.figures[0].value) == ("not started by SparkDesk", "n/a")
    assert not page.inspector.node.found_words.isVisible()


@pytest.mark.parametrize(
    ("running", "shown"), [({QWEN.id: 0.0}, ("0", "%")), ({}, ("n/a", "")), ({QWEN.id: 2.0}, ("2", "req"))]
)
def test_a_node_is_busy_by_what_its_found_servers_tell(
    qtbot: QtBot, stage: Stage, running: dict[str, float], shown: tuple[str, str]
) -> None:
    told = {server_id: {REQUESTS_RUNNING: count} for server_id, count in running.items()}
    page = open_page(qtbot, stage, Latest((QWEN,)), told)
    card = page.model.scene.card("node0")
    assert card is not None
    assert (card.figures[0].value, card.figures[0].unit) == shown


def test_own_and_found_requests_are_counted_where_the_slots_of_one_are_not_known(qtbot: QtBot, stage: Stage) -> None:
    found = {**VLLM, REQUESTS_RUNNING: 2.0}
    page = open_page(qtbot, stage, Latest((OLLAMA,)), {OLLAMA.id: found})
    card = page.model.scene.card("node1")
    assert card is not None
    assert (card.headline, card.figures[0].value) == ("gpt-oss-120b +1 found", "10")
    assert "tok/s · 8 running" in card.detail, "our own keeps its words"
    (row,) = [row for row in build_rows(page.model.scene, build_extras(page.model)) if row.node_id == "node1"]
    assert row.extra.engine.endswith("found: 41.2 tok/s · 2 running, 1 waiting · KV 43\u202f%")


def test_the_sentence_names_the_rates_of_our_own_and_of_found_servers_apart(qtbot: QtBot, stage: Stage) -> None:
    told: dict[str, dict[str, float]] = {}
    page = open_page(qtbot, stage, Latest((QWEN, OLLAMA)), told)
    assert ", 2 found running, least free" in page.sentence.words()
    told[QWEN.id] = VLLM
    page.refresh()
    assert page.sentence.words().startswith("All well: 1 model, 248 tok/s, 2 found running (at least 41.2 tok/s)")


def test_a_server_without_a_name_is_named_by_its_port(qtbot: QtBot, stage: Stage) -> None:
    nameless = replace(QWEN, title="", models=())
    page = open_page(qtbot, stage, Latest((nameless,)))
    card = page.model.scene.card("node0")
    assert card is not None
    assert card.headline == "a server on port 8000"


def test_the_inspector_leads_to_the_nodes_page(qtbot: QtBot, stage: Stage) -> None:
    page = open_page(qtbot, stage, Latest((QWEN,)))
    page.model.select("node", "node0")
    node, terminal = QSignalSpy(page.node_asked), QSignalSpy(page.terminal_asked)
    assert page.inspector.found.text() == "Found running: qwen3-8b · vLLM"
    for button in (page.inspector.found, page.inspector.buttons.open, page.inspector.buttons.doctor):
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    QTest.mouseClick(page.inspector.buttons.terminal, Qt.MouseButton.LeftButton)
    assert [list(node.at(i)) for i in range(node.count())] == [
        ["node0", "running"],
        ["node0", "overview"],
        ["node0", "doctor"],
    ]
    assert list(terminal.at(0)) == ["node0"]
    page.model.select("cable", "node1:P1")
    assert not page.inspector.buttons.isVisible()


def test_a_changed_host_key_bars_the_terminal(qtbot: QtBot, stage: Stage) -> None:
    stage.nodes.set((rack.status(0, NodeState.IDENTITY_CHANGED, "Another key."), *stage.nodes.value[1:]))
    page = open_page(qtbot, stage, Latest(()))
    page.model.select("node", "node0")
    assert not page.inspector.buttons.terminal.isEnabled()
    assert page.inspector.buttons.open.isEnabled()


def test_a_node_that_sleeps_is_no_fault_and_can_be_woken(qtbot: QtBot, stage: Stage) -> None:
    stage.nodes.set(
        (*stage.nodes.value[:3], rack.status(3, NodeState.ASLEEP, "Shut down from here.", remedy="Wake it."))
    )
    page = open_page(qtbot, stage, Latest(()))
    assert page.sentence.words() == "3 of 4 nodes live; spark-3995 is asleep."
    card = page.model.scene.card("node3")
    assert card is not None
    assert (card.mark.text, card.action) == ("Asleep", "Wake")
    page.model.select("node", "node3")
    spy = QSignalSpy(page.wake_asked)
    QTest.mouseClick(page.inspector.trouble.wake, Qt.MouseButton.LeftButton)
    assert list(spy.at(0)) == ["node3"]


def test_a_slow_node_says_slow_and_its_values_are_not_old(qtbot: QtBot, stage: Stage) -> None:
    stage.nodes.set((rack.status(0, NodeState.SLOW, "Late."), *stage.nodes.value[1:]))
    page = open_page(qtbot, stage, Latest(()))
    card = page.model.scene.card("node0")
    assert card is not None
    assert (card.mark.text, card.look) == ("Slow", "live")
    page.model.select("node", "node0")
    assert not page.inspector.trouble.isVisible()


def test_pictures_of_found_servers(qtbot: QtBot, stage: Stage) -> None:
    slow = rack.status(2, NodeState.SLOW, "Late.")
    asleep = rack.status(3, NodeState.ASLEEP, "It was shut down from here at 12:40.", remedy="Wake it.")
    stage.nodes.set((*stage.nodes.value[:2], slow, asleep))
    page = open_page(qtbot, stage, Latest((QWEN, OLLAMA)), {QWEN.id: VLLM, OLLAMA.id: VLLM})
    page.model.select("node", "node0")
    take_pictures(page, "cluster-found")
    page.ways.set_key("table")
    page.ways.changed.emit("table")
    take_pictures(page, "cluster-found-table")
