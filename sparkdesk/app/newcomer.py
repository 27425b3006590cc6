"""Leads from the bring-up to the Spark behind a cage, which is added there, and back with it.

The one rule: a person confirms the newcomer's host key and signs in as with any node; here nothing is decided for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparkdesk.core.bringup.state import Phase
from sparkdesk.core.cluster.enrolment import EnrolStage
from sparkdesk.core.cluster.node import NodeStatus
from sparkdesk.services.wait import wait_for_value
from ui.add_node.behind import Behind
from ui.add_node.page import AddNodePage

if TYPE_CHECKING:
    from sparkdesk.app.bringup_pane import BringUpPane
    from sparkdesk.app.desktop import Desktop

WAY_BACK = "Back to the bring-up"
LIVE_TIMEOUT_S = 90.0
"""So long a node that was just added may take until it is live; after that, its row on the page says what it lacks."""
TASK = "bring-up newcomer"
_LOOKING_AGAIN = (Phase.IDLE, Phase.PLANNED, Phase.UNDONE, Phase.DONE)
"""Where something is half done, what is in sight is not replaced by a look that nobody asked for."""
_NONE_UNDER_WAY = (EnrolStage.IDLE, EnrolStage.DONE, EnrolStage.FAILED)


class Newcomer:
    """`add` is asked for by the bring-up's page, `come_back` by the page that adds nodes."""

    def __init__(self, desktop: Desktop, pane: BringUpPane) -> None:
        self._desktop = desktop
        self._pane = pane

    def add(self, node_id: str, cage: str) -> None:
        """Show how the machine behind this cage is added; where that cannot be, say why."""
        window = self._desktop.window
        told = self._obstacle(node_id, cage)
        if told is not None:
            window.banner().show_notice("warn", *told)
            return
        is_busy = self._desktop.adding.stage not in _NONE_UNDER_WAY
        window.show_page("add_node")
        page = window.page("add_node")
        if not isinstance(page, AddNodePage):
            return
        if not is_busy:
            page.open_behind(Behind(self._desktop.stack.inventory.status(node_id).record, cage), WAY_BACK)
        elif not page.is_visit:
            words = "Finish it or press Back, then choose “Add it…” in the bring-up again."
            window.banner().show_notice("info", "Another node is being added here", words)

    def _obstacle(self, node_id: str, cage: str) -> tuple[str, str] | None:
        """Why it cannot be added from here: a title, and what to do."""
        stack = self._desktop.stack
        status = next((each for each in stack.inventory.nodes.value if each.record.id == node_id), None)
        cluster = stack.inventory.cluster.value
        if cluster is not None and cluster.is_simulated:
            return (
                "A simulated cluster takes no further node",
                "Start the simulation again with as many Sparks as you want: Add a node, then Start the simulation.",
            )
        if status is None or not status.is_live:
            name = status.record.name if status is not None else "The node that saw it"
            return f"{name} is not connected now", "The other Spark is reached through it. Wait until it is back."
        if status.record.jump is not None:
            return (
                f"{status.record.name} is itself reached through another node, and SparkDesk goes no further than that",
                "Connect the other Spark to your network, then add it by its address; or move its cable.",
            )
        cable = stack.fleet.topology.topology.value.cable_at((node_id, cage))
        if cable is not None and cable.b is not None:
            other = cable.b[0] if cable.a[0] == node_id else cable.a[0]
            names = {each.record.id: each.record.name for each in stack.inventory.nodes.value}
            return f"It is in this cluster by now: {names.get(other, 'another node')}", "Check the nodes again."
        return None

    def come_back(self, added: tuple[str, ...]) -> None:
        """Show the bring-up again; what was added takes part as soon as it is live."""
        self._pane.show()
        if added:
            self._desktop.bridge.start_exclusive(TASK, self._take_in, frozenset(added))

    async def _take_in(self, added: frozenset[str]) -> None:
        """Wait for it, then let the page read all nodes anew."""

        def are_live(nodes: tuple[NodeStatus, ...]) -> bool:
            return added <= {node.record.id for node in nodes if node.is_live}

        stack = self._desktop.stack
        try:
            await wait_for_value(stack.inventory.nodes, are_live, timeout_s=LIVE_TIMEOUT_S)
            # A look that is under way is one without it.
            reading = Phase.READING
            await wait_for_value(stack.bring_up.state, lambda now: now.phase is not reading, timeout_s=LIVE_TIMEOUT_S)
        except TimeoutError:
            return
        page = self._pane.page
        if page is not None and page.model.state.phase in _LOOKING_AGAIN:
            for node_id in added:
                page.model.choose_node(node_id, is_in=True)
            page.look()
