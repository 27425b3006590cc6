"""What a node or a server may send: the window says what is wrong, keeps what it showed, and never stands still."""

from __future__ import annotations

import asyncio
import json

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from sparkdesk.app.desktop import Desktop
from sparkdesk.app.window import WindowOptions
from sparkdesk.core.chat.session import TurnState
from sparkdesk.core.cluster.node import ClusterRecord, NodeRecord, NodeState
from sparkdesk.services.wait import wait_for_value
from tests.app.desk import Beat, all_live, play, until
from tests.app.hostile import HostileNode, hostile_node
from tests.servers.raw_http import RawServer, raw_server
from ui.cluster.view import ClusterPage

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
WORK_LIMIT_S = 0.5
"""CPU time of one turn of the loop, on a slow computer; what these inputs cost without a bound is tens of seconds."""
FORGETFUL = WindowOptions(is_forgetful=True)


def record(node: HostileNode, name: str) -> NodeRecord:
    """The node, trusted."""
    return NodeRecord(id=name, name=name, address="127.0.0.1", port=node.port, user="nvidia", host_key=node.host_key)


@pytest.mark.parametrize(
    ("mood", "reason"),
    [("huge", "a line of 10000017 bytes"), ("garbage", "not UTF-8 at byte 0"), ("flood", "No telemetry from bad")],
)
def test_a_probe_that_sends_rubbish_is_stale_with_the_reason_and_comes_back(
    app: QApplication, mood: str, reason: str
) -> None:
    async def story(desktop: Desktop) -> None:
        await until(lambda: desktop.is_filled.value, "the window")
        desktop.pages.add_all()
        async with hostile_node() as bad, hostile_node() as good:
            cluster = ClusterRecord(id="c", name="Test", nodes=(record(bad, "bad"), record(good, "good")))
            await desktop.stack.inventory.open(cluster)
            await all_live(desktop, 2)
            desktop.window.show_page("cluster")
            page = desktop.window.page("cluster")
            assert isinstance(page, ClusterPage)
            latest = desktop.stack.telemetry.latest("bad")
            await wait_for_value(latest, lambda sample: sample is not None, timeout_s=20)
            page.model.select("node", "bad")
            shown = desktop.stack.inventory.nodes
            beat = Beat()
            bad.mood = mood
            nodes = await wait_for_value(shown, lambda nodes: nodes[0].state is NodeState.STALE, timeout_s=30)
            assert reason in nodes[0].message
            assert "bad" in nodes[0].message
            assert nodes[0].remedy
            assert nodes[1].is_live
            assert latest.value is not None
            assert latest.value.value("mem_total_bytes") > 100e9
            card = page.model.scene.card("bad")
            assert card is not None
            assert card.memory.total > 100e9
            await until(lambda: "bad has gone quiet" in page.model.scene.sentence.words, "the sentence on top")
            assert bad.sent[mood] > 0
            bad.mood = "good"
            await wait_for_value(shown, lambda nodes: all(node.is_live for node in nodes), timeout_s=40)
            assert beat.longest_s < WORK_LIMIT_S

    assert play(app, story, FORGETFUL) == 0


HELLO = b'data: {"choices":[{"index":0,"delta":{"content":"Hello \xf0\x9f\x91\x8b"}}]}\n\n'
CUT = 'data: {"choices":[{"index":0,"delta":{"content":"caf\u00e9'.encode()[:-1]


def test_an_answer_cut_inside_a_character_stays_with_the_reason(app: QApplication) -> None:
    servers: list[RawServer] = []

    async def answer(writer: asyncio.StreamWriter) -> None:
        if servers[0].requests[-1].startswith(b"GET"):
            body = json.dumps({"data": [{"id": "tiny"}]}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
            writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        else:
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + HELLO + CUT
            )
        await writer.drain()

    async def story(desktop: Desktop) -> None:
        await until(lambda: desktop.is_filled.value, "the window")
        desktop.pages.add_all()
        desktop.window.show_page("chat")
        page = desktop.pages.chat_page
        assert page is not None
        async with raw_server(answer) as server:
            servers.append(server)
            page.server_asked.emit(f"http://127.0.0.1:{server.port}/v1", "")
            await until(lambda: page.model.target is not None, "the server in the list")
            QTest.keyClicks(page.composer.editor, "Hello?")
            QTest.keyClick(page.composer.editor, Qt.Key.Key_Return)
            await until(lambda: len(page.model.turns) == 2 and not page.model.is_answering, "the end of the answer")
        turn = page.model.turns[-1]
        assert turn.state is TurnState.CUT_OFF
        assert turn.text == "Hello \U0001f44b"
        assert "cut off" in turn.error
        assert turn.remedy
        assert desktop.window.shell.notices == ()

    assert play(app, story, FORGETFUL) == 0
