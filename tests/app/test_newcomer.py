"""Where the Spark behind a cage cannot be added from the bring-up, the press says why, and leads nowhere."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtWidgets import QApplication

from sparkdesk.app.desktop import Desktop
from sparkdesk.app.window import WindowOptions
from sparkdesk.core.cluster.enrolment import Enrolment, EnrolStage
from sparkdesk.core.cluster.node import ClusterRecord, JumpHost, NodeRecord, NodeState, NodeStatus
from sparkdesk.core.cluster.topology import Cable, LookState, Topology
from tests.app.desk import play, until

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
NODE = NodeRecord("n1", "spark-5c2d", "127.77.0.1", 22, "nvidia", host_key="ssh-ed25519 AAAA")
FAR = replace(NODE, jump=JumpHost("127.77.0.9", 22, "nvidia", "ssh-ed25519 BBBB"))


def test_why_it_cannot_be_added_from_here_is_said_with_what_to_do(app: QApplication) -> None:
    async def story(desktop: Desktop) -> None:
        await until(lambda: desktop.is_filled.value, "the window")
        desktop.pages.add_all()
        window, stack = desktop.window, desktop.stack
        window.show_page("launch")

        def press(record: NodeRecord, state: NodeState, *, is_simulated: bool = False) -> str:
            stack.inventory.cluster.set(ClusterRecord("c", "c", (record,), is_simulated=is_simulated))
            stack.inventory.nodes.set((NodeStatus(record, state, 0),))
            window.banner().clear()
            desktop.pages.bringup_pane.newcomer.add("n1", "P1")
            return window.banner().title() if window.banner().isVisible() else ""

        assert "simulated cluster takes no further node" in press(NODE, NodeState.LIVE, is_simulated=True)
        assert "spark-5c2d is not connected now" in press(NODE, NodeState.CONNECTING)
        assert "itself reached through another node" in press(FAR, NodeState.LIVE)
        known = Cable("k", ("n0", "P0"), ("n1", "P1"))
        stack.fleet.topology.topology.set(Topology(cables=(known,), state=LookState.DONE))
        assert "It is in this cluster by now" in press(NODE, NodeState.LIVE)
        assert window.page_key() == "launch", "nobody was led away"
        stack.fleet.topology.topology.set(Topology())
        stack.fleet.enroller.enrolment.set(Enrolment(stage=EnrolStage.TRUST))
        assert "Another node is being added here" in press(NODE, NodeState.LIVE)
        assert window.page_key() == "add_node"
        assert stack.fleet.enroller.enrolment.value.stage is EnrolStage.TRUST, "it goes on"
        stack.fleet.enroller.enrolment.set(Enrolment())
        stack.inventory.nodes.set(())
        stack.inventory.cluster.set(None)

    assert play(app, story, WindowOptions(is_forgetful=True)) == 0
