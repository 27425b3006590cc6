"""Nodes that misbehave while a person looks: what the window says of them, and what it keeps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from sparkdesk.app.desktop import Desktop
from sparkdesk.core.chat.session import TurnState
from sparkdesk.core.cluster.node import NodeState
from sparkdesk.core.jobs.record import JobState
from tests.app.desk import Beat, all_live, node_in, play, until
from tests.app.program import require_demo
from tests.app.sparks import job_in, launch, record_of, running_sparks, switch_fault
from tests.simulator.conftest import Simulator
from ui.chat.view import ChatPage
from ui.cluster.view import ClusterPage

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
AWAY = (NodeState.STALE, NodeState.RECONNECTING, NodeState.UNREACHABLE)
WORK_LIMIT_S = 0.5
"""CPU time of one turn of the loop; beyond it a window stands still. The whole budget of a laggard machine."""


@pytest.fixture(scope="module")
def sparks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with running_sparks(tmp_path_factory.mktemp("sparks"), 3) as simulator:
        yield simulator


async def open_on(desktop: Desktop, simulator: Simulator) -> None:
    """Show this cluster."""
    await until(lambda: desktop.is_filled.value, "the window")
    desktop.pages.add_all()
    await desktop.stack.inventory.open(record_of(simulator))
    await all_live(desktop, len(simulator.line["nodes"]))
    desktop.window.show_page("cluster")


async def ask(desktop: Desktop, job_id: str, question: str) -> ChatPage:
    """Ask in the chat page."""
    desktop.pages.chat_with(job_id)
    page = desktop.pages.chat_page
    assert page is not None
    await until(lambda: page.model.target is not None, "the endpoint")
    QTest.keyClicks(page.composer.editor, question)
    QTest.keyClick(page.composer.editor, Qt.Key.Key_Return)
    return page


def shown_text(page: ChatPage) -> str:
    """What the answer says on screen, finished or not."""
    conversation = page.model.conversation
    assert conversation is not None
    live = conversation.live_turn()
    if live is not None:
        return live.text
    return conversation.turns.value[-1].text if conversation.turns.value else ""


def test_a_node_that_goes_while_it_answers_is_told_and_nothing_shown_is_lost(
    app: QApplication, sparks: Simulator
) -> None:
    require_demo()
    name = str(sparks.node(0)["name"])

    async def story(desktop: Desktop) -> None:
        await open_on(desktop, sparks)
        node = desktop.stack.inventory.nodes.value[0]
        job = await launch(desktop.stack, node.record.id, model="SmolLM2-135M-Instruct")
        page = await ask(desktop, job.job_id, "Write a very long story about a harbour, in one hundred chapters.")
        await until(lambda: len(shown_text(page)) > 40, "some of the answer")
        beat = Beat()
        await switch_fault(sparks, "on", "node-gone", name)
        before = shown_text(page)
        gone = await node_in(desktop, 0, *AWAY, timeout_s=40)
        assert name in gone.message
        assert gone.remedy
        others = desktop.stack.inventory.nodes.value[1:]
        assert all(other.is_live for other in others)
        lost = await job_in(desktop.stack, job.job_id, JobState.UNKNOWN)
        assert lost.message
        assert lost.remedy
        conversation = page.model.conversation
        assert conversation is not None
        await until(lambda: not conversation.is_answering.value, "the end of the answer", timeout_s=40)
        turn = conversation.turns.value[-1]
        assert turn.state is TurnState.CUT_OFF
        assert turn.text.startswith(before)
        assert turn.error
        assert turn.remedy
        desktop.window.show_page("cluster")
        cluster_page = desktop.window.page("cluster")
        assert isinstance(cluster_page, ClusterPage)
        await until(lambda: name in cluster_page.model.scene.sentence.words, "the sentence on top")
        assert desktop.window.shell.nodes_live == 2
        await switch_fault(sparks, "off", "node-gone", name)
        await all_live(desktop, 3)
        await job_in(desktop.stack, job.job_id, JobState.READY)
        assert beat.longest_s < WORK_LIMIT_S
        await desktop.stack.launcher.stop(job.job_id)

    assert play(app, story) == 0
