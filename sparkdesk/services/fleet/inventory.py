"""The cluster's nodes and the lines to them: what is there, how it stands, and a shell for each that is live.

The one rule: nothing that is known is lost when a node goes. Its record, facts and history stay; only its state says
that it is away, why, and what to do.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from sparkdesk.core.cluster.node import ClusterRecord, NodeFacts, NodeRecord, NodeStatus
from sparkdesk.core.errors import NodeError, Unreachable
from sparkdesk.core.feed import Latest
from sparkdesk.core.ports import Connection, Connector, Offer, Shell, Store
from sparkdesk.services.clock import Clock
from sparkdesk.services.fleet.line import Line, LiveHook
from sparkdesk.services.ident import new_id
from sparkdesk.services.tasks import Tasks

log = logging.getLogger(__name__)

DEFAULT_NAME = "My Sparks"
MAX_CONNECTS = 4
TICK_S = 2.0
AWAY_S = 10.0
"""When so much wall time passes between two ticks, this computer has slept."""


class Inventory:
    """One cluster at a time, with the line to each of its nodes."""

    def __init__(self, *, tasks: Tasks, connector: Connector, store: Store, clock: Clock) -> None:
        self._tasks = tasks
        self._connector = connector
        self._store = store
        self._clock = clock
        self._gate = asyncio.Semaphore(MAX_CONNECTS)
        self._lines: dict[str, Line] = {}
        self._passwords: dict[str, str] = {}
        """In memory only, for as long as the program runs."""
        self._is_watching = False
        self.cluster: Latest[ClusterRecord | None] = Latest(None)
        self.nodes: Latest[tuple[NodeStatus, ...]] = Latest(())
        self.on_live: list[LiveHook] = []
        """Called as tasks, with node id and connection, when a node becomes live; cancelled when it goes."""

    async def open(self, cluster: ClusterRecord) -> None:
        """Keep the cluster and begin to connect all of its nodes; returns at once. Raises StoreError (yet connects)."""
        await self._close_lines()
        self.cluster.set(cluster)
        for record in cluster.nodes:
            self._lines[record.id] = self._make_line(record)
        for line in self._lines.values():
            line.start()
        if not self._is_watching:
            self._is_watching = self._tasks.start(self._watch_clock) is not None
        self._publish()
        await self._store.save_cluster(cluster)

    async def look(self, address: str, port: int) -> Offer:
        """The host key offered there, for a person to compare. Raises Unreachable, NodeBusy."""
        return await self._connector.look(address, port)

    async def add_node(self, record: NodeRecord, *, password: str = "") -> None:
        """Add or replace a node whose host key a person has trusted, and connect to it, with the password if any.

        Raises NodeError when another node has the same host key, StoreError.
        """
        cluster = self.cluster.value or ClusterRecord(id=new_id(), name=DEFAULT_NAME, nodes=())
        others = [node for node in cluster.nodes if node.id != record.id]
        for other in others:
            if record.host_key and other.host_key == record.host_key:
                raise NodeError(
                    f"{record.name} has the same host key as {other.name}",
                    remedy="It is the same machine, or one was copied from the other. Remove the old entry, or make "
                    "new keys on the copy: sudo rm /etc/ssh/ssh_host_* && sudo dpkg-reconfigure openssh-server",
                    node=record.name,
                )
        if password:
            self._passwords[record.id] = password
        is_known = any(node.id == record.id for node in cluster.nodes)
        if is_known:
            nodes = tuple(record if node.id == record.id else node for node in cluster.nodes)
            await self._lines.pop(record.id).stop()
        else:
            nodes = (*cluster.nodes, record)
        cluster = replace(cluster, nodes=nodes)
        if self.cluster.value is None:
            await self.open(cluster)
            return
        self.cluster.set(cluster)
        self._lines[record.id] = self._make_line(record)
        self._lines[record.id].start()
        self._publish()
        await self._store.save_cluster(cluster)

    async def remove_node(self, node_id: str) -> None:
        """Disconnect a node and forget it; on the node nothing changes. KeyError when there is none; StoreError."""
        line = self._lines.pop(node_id)
        self._passwords.pop(node_id, None)
        cluster = self.cluster.value
        if cluster is not None:
            cluster = replace(cluster, nodes=tuple(node for node in cluster.nodes if node.id != node_id))
            self.cluster.set(cluster)
        self._publish()
        await line.stop()
        if cluster is not None:
            await self._store.save_cluster(cluster)

    def status(self, node_id: str) -> NodeStatus:
        """How the node is now. KeyError when there is none."""
        return self._lines[node_id].status

    def shell(self, node_id: str) -> Shell:
        """The live connection to a node. Raises Unreachable, with the reason, when it is not live."""
        line = self._lines.get(node_id)
        if line is not None and line.connection is not None:
            return line.connection
        if line is None:
            raise Unreachable("This node is no longer in the cluster", remedy="Add it again.", node=node_id)
        status = line.status
        raise Unreachable(
            status.message or f"{status.record.name} is not connected yet",
            remedy=status.remedy or "Wait until it is live.",
            detail=status.detail,
            node=status.record.name,
        )

    def reconnect(self, node_id: str) -> None:
        """Try now: a person asked. KeyError when there is no such node."""
        self._lines[node_id].retry_now()

    async def provide_password(self, node_id: str, password: str) -> None:
        """Sign in with this password, kept in memory only. KeyError when there is no such node."""
        self._lines[node_id].use_password(password)
        self._passwords[node_id] = password

    def set_facts(self, node_id: str, facts: NodeFacts) -> None:
        """What the node says about itself; another machine id than before closes the line."""
        line = self._lines.get(node_id)
        if line is None:
            return
        record = line.learn(facts)
        cluster = self.cluster.value
        if record is not None and cluster is not None:
            nodes = tuple(record if node.id == node_id else node for node in cluster.nodes)
            cluster = replace(cluster, nodes=nodes)
            self.cluster.set(cluster)
            self._tasks.start(self._store.save_cluster, cluster)

    async def close(self) -> None:
        """Close every connection, bounded."""
        await self._close_lines()
        self._publish()

    async def _close_lines(self) -> None:
        lines, self._lines = list(self._lines.values()), {}
        await asyncio.gather(*(line.stop() for line in lines))

    async def _connect(self, record: NodeRecord, password: str | None) -> Connection:
        async with self._gate:
            return await self._connector.connect(record, password=password)

    def _make_line(self, record: NodeRecord) -> Line:
        line = Line(
            record,
            tasks=self._tasks,
            clock=self._clock,
            connect=self._connect,
            hooks=self.on_live,
            on_change=self._publish,
        )
        if record.id in self._passwords:
            line.use_password(self._passwords[record.id])
        return line

    def _publish(self) -> None:
        cluster = self.cluster.value
        order = [node.id for node in cluster.nodes] if cluster is not None else []
        statuses = tuple(self._lines[node_id].status for node_id in order if node_id in self._lines)
        if statuses != self.nodes.value:
            self.nodes.set(statuses)

    async def _watch_clock(self) -> None:
        """After this computer slept, every line is tried at once instead of when its time-out says so."""
        before_ms = self._clock.now_ms()
        while True:
            await asyncio.sleep(TICK_S)
            now_ms = self._clock.now_ms()
            if now_ms - before_ms > AWAY_S * 1000:
                log.info("this computer was away for %s s", (now_ms - before_ms) // 1000)
                for line in self._lines.values():
                    line.verify()
            before_ms = now_ms
