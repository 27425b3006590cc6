"""The nodes as the window shows them: a node whose line stands but whose telemetry does not is not shown as live.

The one rule: "live" on screen means that its figures are of now. Services go on using such a node.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from sparkdesk.core.cluster.node import NodeState, NodeStatus
from sparkdesk.core.feed import Latest, Subscription
from sparkdesk.services.telemetry import Pulse, PulseState, Telemetry

_FRESH = (PulseState.LIVE, PulseState.SLOW, PulseState.PAUSED)


class ShownNodes:
    """`nodes` follows the inventory's; live nodes with a quiet probe are stale there, with why and what to do."""

    def __init__(self, inventory_nodes: Latest[tuple[NodeStatus, ...]], telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._statuses: tuple[NodeStatus, ...] = ()
        self._complaints: dict[str, Pulse] = {}
        self._pulses: dict[str, Subscription] = {}
        self.nodes: Latest[tuple[NodeStatus, ...]] = Latest(())
        self._subscription = inventory_nodes.subscribe(self._take)

    def close(self) -> None:
        """Stop listening."""
        for subscription in (self._subscription, *self._pulses.values()):
            subscription.close()

    def _take(self, statuses: tuple[NodeStatus, ...]) -> None:
        self._statuses = statuses
        known = {status.record.id for status in statuses}
        for node_id in [node_id for node_id in self._pulses if node_id not in known]:
            self._pulses.pop(node_id).close()
            self._complaints.pop(node_id, None)
        for node_id in known.difference(self._pulses):
            self._pulses[node_id] = self._telemetry.pulse(node_id).subscribe(partial(self._hear, node_id))
        self._publish()

    def _hear(self, node_id: str, pulse: Pulse) -> None:
        if pulse.state in _FRESH:
            self._complaints.pop(node_id, None)
        elif pulse.message:  # while a probe starts again, the reason why the last one ended still holds
            self._complaints[node_id] = pulse
        self._publish()

    def _publish(self) -> None:
        shown = tuple(self._shown(status) for status in self._statuses)
        if shown != self.nodes.value:
            self.nodes.set(shown)

    def _shown(self, status: NodeStatus) -> NodeStatus:
        complaint = self._complaints.get(status.record.id)
        if not status.is_live or complaint is None or complaint.since_ms < status.since_ms:
            return status
        return replace(
            status,
            state=NodeState.STALE,
            since_ms=complaint.since_ms,
            message=complaint.message,
            remedy=complaint.remedy,
        )
