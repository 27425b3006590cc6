"""Looks at the cables of some of the lab's nodes at a time, over real SSH, as a desk does that has only these."""

from __future__ import annotations

import asyncio

from sparkdesk.core.cluster.node import NodeState, NodeStatus
from sparkdesk.core.cluster.topology import Topology
from sparkdesk.core.feed import Latest
from sparkdesk.core.ports import Connection
from sparkdesk.infra.ssh import SshConnector
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.fleet.topology import TopologyWatch
from sparkdesk.services.tasks import Tasks
from tests.lab.desk import REMOTE
from tests.lab.lab import Lab


class Looker:
    """One connection to every node."""

    def __init__(self, lab: Lab) -> None:
        self._records = lab.cluster().nodes
        self._connector = SshConnector()
        self._store = SqliteStore(None)
        self._tasks = Tasks()
        self._shells: dict[str, Connection] = {}

    async def open(self) -> None:
        """Sign in at all nodes."""
        await self._store.open()
        opened = await asyncio.gather(*(self._connector.connect(record) for record in self._records))
        self._shells = {record.id: session for record, session in zip(self._records, opened, strict=True)}

    def statuses(self, node_ids: list[str]) -> tuple[NodeStatus, ...]:
        """These nodes, live."""
        return tuple(NodeStatus(one, NodeState.LIVE, 0) for one in self._records if one.id in node_ids)

    def watch(self, node_ids: list[str]) -> TopologyWatch:
        """A watch over these nodes as if they were a cluster. Close it."""
        return TopologyWatch(
            tasks=self._tasks,
            nodes=Latest(self.statuses(node_ids)),
            shells=self._shells.__getitem__,
            samples=lambda _node_id: Latest(None),
            store=self._store,
            program=(REMOTE / "beacon.py").read_bytes(),
            frames_program=(REMOTE / "frames.py").read_bytes(),
            clock=SystemClock(),
        )

    async def look(self, node_ids: list[str]) -> Topology:
        """One look at the cables of these nodes."""
        watch = self.watch(node_ids)
        try:
            return await watch.look()
        finally:
            watch.close()

    async def close(self) -> None:
        """Sign out."""
        await asyncio.gather(*(shell.close() for shell in self._shells.values()))
        await self._tasks.close()
        await self._store.close()
