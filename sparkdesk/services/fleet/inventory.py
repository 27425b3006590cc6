"""The clusters of nodes and the lines to them: what is there, how it stands, and a shell for each that is connected.

One cluster is open at a time. The one rule: nothing that is known is lost when a node goes. Its record, facts and
history stay; only its state says that it is away, why, and what to do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from sparkdesk.core.cluster.identity import check_new
from sparkdesk.core.cluster.node import ClusterRecord, NodeFacts, NodeRecord, NodeState, NodeStatus
from sparkdesk.core.errors import NodeError, SettingsError, Unreachable
from sparkdesk.core.feed import Latest, Subscription
from sparkdesk.core.ports import Connection, Connector, NetworkWatch, Offer, Shell, Store
from sparkdesk.services.clock import Clock
from sparkdesk.services.fleet.cluster_shelf import DEFAULT_NAME, ClusterShelf, with_node, without_node
from sparkdesk.services.fleet.credentials import Credentials
from sparkdesk.services.fleet.line import Line, LiveHook
from sparkdesk.services.tasks import Tasks
from sparkdesk.services.telemetry import Pulse
from sparkdesk.services.wait import wait_for_value

__all__ = ["DEFAULT_NAME", "Inventory"]

log = logging.getLogger(__name__)

TICK_S = 2.0
SIGN_IN_TIMEOUT_S = 60.0
_FOR_A_PERSON = (NodeState.REFUSED, NodeState.IDENTITY_CHANGED)
AWAY_S = 10.0
"""When so much wall time passes between two ticks, this computer has slept."""

Pulses = Callable[[str], Latest[Pulse]]


class Inventory:
    """The open cluster, with the line to each of its nodes, and the other clusters of this computer.

    How many sign-ins go on at once is the connector's business: each line has one attempt at a time.
    """

    def __init__(
        self,
        *,
        tasks: Tasks,
        connector: Connector,
        store: Store,
        clock: Clock,
        network: NetworkWatch | None = None,
    ) -> None:
        self._tasks = tasks
        self._connector = connector
        self._clock = clock
        self._network = network
        self._shelf = ClusterShelf(store)
        self._lines: dict[str, Line] = {}
        self._heard: dict[str, Subscription] = {}
        self._pulses: Pulses | None = None
        self._is_watching = False
        self._is_telling = self._has_news = False
        self.credentials = Credentials()
        """Where passwords are held, each for one user of one host key; replaced by one with a keyring."""
        self.clusters = self._shelf.clusters
        """Every saved cluster of real nodes, and the open one."""
        self.cluster: Latest[ClusterRecord | None] = Latest(None)
        self.nodes: Latest[tuple[NodeStatus, ...]] = Latest(())
        self.on_live: list[LiveHook] = []
        """Called as tasks, with node id and connection, when a node becomes live; cancelled when it goes."""

    # Clusters --------------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Read the saved clusters; nothing is connected. Raises StoreError."""
        await self._shelf.load()

    async def open(self, cluster: ClusterRecord) -> None:
        """Keep the cluster and begin to connect all of its nodes; returns at once. Raises StoreError (yet connects)."""
        await self._close_lines()
        self._shelf.hide_simulated(but=cluster.id)
        self._shelf.show(cluster)
        self.cluster.set(cluster)
        for record in cluster.nodes:
            self._make_line(record)
        for line in tuple(self._lines.values()):
            line.start()
        if not self._is_watching:
            self._is_watching = self._tasks.start(self._watch_clock) is not None
            if self._network is not None:
                self._tasks.start(self._watch_network, self._network)
        self._publish()
        await self._shelf.load()
        await self._shelf.save(cluster.id)
        await self._shelf.note_opened(cluster)

    def last_opened(self) -> ClusterRecord | None:
        """The cluster of real nodes that was open last, else the oldest; None when there is none. After `load`."""
        return self._shelf.last_opened()

    async def open_known(self, cluster_id: str) -> None:
        """Open a saved cluster instead of the one that is open. Raises KeyError, StoreError."""
        await self._shelf.load()
        await self.open(self._shelf.get(cluster_id))

    async def create_cluster(self, name: str) -> ClusterRecord:
        """A new cluster without nodes; it is not opened. Raises SettingsError, StoreError."""
        return await self._shelf.create(name)

    async def rename_cluster(self, cluster_id: str, name: str) -> None:
        """Give a cluster of real nodes another name. Raises KeyError, SettingsError, StoreError."""
        cluster = await self._shelf.rename(cluster_id, name)
        if self._is_open(cluster_id):
            self.cluster.set(cluster)

    async def remove_cluster(self, cluster_id: str) -> None:
        """Forget a cluster without nodes, or a simulated one; another one is opened instead of it.

        Raises KeyError, SettingsError (it has nodes), StoreError.
        """
        await self._shelf.remove(cluster_id)
        if not self._is_open(cluster_id):
            return
        left = self._shelf.real()
        if left:
            await self.open(left[0])
        else:
            await self._close_lines()
            self.cluster.set(None)
            self._publish()

    # Nodes -----------------------------------------------------------------------------------------------------

    async def look(self, address: str, port: int) -> Offer:
        """The host key offered there, for a person to compare. Raises Unreachable, NodeBusy."""
        return await self._connector.look(address, port)

    async def add_node(self, record: NodeRecord, *, password: str = "") -> None:
        """Add or replace a node whose host key a person has trusted, and connect to it, with the password if any.

        It goes into the open cluster; instead of a simulated one the first cluster of real nodes is opened. Raises
        NodeError when another node is the same machine or a copy of it, StoreError.
        """
        await self._shelf.load()
        cluster = self._find_holder(record.id)
        if cluster is None or not cluster.is_simulated:
            check_new(record, self._shelf.real_nodes(but=record.id))
            record = replace(record, name=self._shelf.make_node_name(record.name, record.id))
        if password:
            self.credentials.hold_password(record, password)
        if cluster is None:
            cluster = await self._cluster_for_new()
        cluster = with_node(self._shelf.get(cluster.id), record)
        if not self._is_open(cluster.id):
            await self.open(cluster)
            return
        self._show(cluster)
        await self._drop_line(record.id)
        self._make_line(record).start()
        self._publish()
        await self._shelf.save(cluster.id)

    async def update_node(self, record: NodeRecord) -> None:
        """Keep a node's record. It is connected anew only where the way to it or the sign-in is another one.

        Raises KeyError, SettingsError (the name), NodeError (another node is the same machine), StoreError.
        """
        await self._shelf.load()
        cluster = self._shelf.holder(record.id)
        known = next(node for node in cluster.nodes if node.id == record.id)
        if record.name != known.name:
            record = replace(record, name=self._shelf.check_node_name(record.name, record.id))
        if not cluster.is_simulated:
            check_new(record, self._shelf.real_nodes(but=record.id))
        self._show(with_node(cluster, record))
        line = self._lines.get(record.id)
        if line is not None and _way_to(record) == _way_to(known):
            line.update(record)
        elif line is not None:
            await self._drop_line(record.id)
            self._make_line(record).start()
        self._publish()
        await self._shelf.save(cluster.id)

    async def rename_node(self, node_id: str, name: str) -> None:
        """Give a node another name. Raises KeyError, SettingsError, StoreError."""
        await self.update_node(replace(self._record(node_id), name=name))

    async def move_node(self, node_id: str, cluster_id: str) -> None:
        """Put a node into another cluster. Raises KeyError, SettingsError (one of them is simulated), StoreError."""
        await self._shelf.load()
        source, target = self._shelf.holder(node_id), self._shelf.get(cluster_id)
        if source.id == target.id:
            return
        if source.is_simulated or target.is_simulated:
            raise SettingsError(
                "Simulated nodes stay among themselves",
                remedy="Choose a cluster of your own nodes for a node of yours.",
            )
        record = self._record(node_id)
        source, target = without_node(source, node_id), with_node(target, record)
        self._show(source)
        self._show(target)
        await self._drop_line(node_id)
        if self._is_open(target.id):
            self._make_line(record).start()
        self._publish()
        await self._shelf.save(target.id)  # first: the node is never in none
        await self._shelf.save(source.id)

    def setup_runs_of(self, node_id: str) -> tuple[str, ...]:
        """Runs of playbooks that installed something on the node and can be undone, newest first. KeyError."""
        return tuple(reversed(self._record(node_id).setup_runs))

    async def remove_node(self, node_id: str) -> tuple[str, ...]:
        """Disconnect a node and forget it and its password; on the node nothing changes.

        Gives the runs that installed something there, newest first: to undo them, do so before. Raises KeyError,
        StoreError.
        """
        await self._shelf.load()
        cluster = self._shelf.holder(node_id)
        record = self._record(node_id)
        self._show(without_node(cluster, node_id))
        line = self._forget_line(node_id)
        self._publish()
        if line is not None:
            await line.stop(is_removed=True)
        await self._shelf.save(cluster.id)
        await self.credentials.forget_node(record, self._shelf.real_nodes())
        return tuple(reversed(record.setup_runs))

    # How they stand --------------------------------------------------------------------------------------------

    def status(self, node_id: str) -> NodeStatus:
        """How the node is now. KeyError when there is none."""
        return self._lines[node_id].status

    def names(self) -> dict[str, str]:
        """The nodes' names by their ids."""
        return {status.record.id: status.record.name for status in self.nodes.value}

    def name_of(self, node_id: str) -> str:
        """A node's name; its id where it is none of the open cluster."""
        return self.names().get(node_id, node_id)

    def shell(self, node_id: str) -> Shell:
        """The connection to a node, which may be slow or stale. Raises Unreachable, with the reason, without one."""
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

    async def sign_in_anew(self, node_id: str, timeout_s: float = SIGN_IN_TIMEOUT_S) -> None:
        """Close the connection to a node and sign in at once; ends when another connection stands.

        Raises Unreachable, with the line's own reason, when that cannot be in time, or not before a person acts.
        """
        line = self._lines.get(node_id)
        old = line.connection if line is not None else None
        if line is not None:
            line.retry_now()

        def is_decided(_: tuple[NodeStatus, ...]) -> bool:
            if line is None or self._lines.get(node_id) is not line or line.status.state in _FOR_A_PERSON:
                return True
            return line.connection is not None and line.connection is not old

        with suppress(TimeoutError):
            await wait_for_value(self.nodes, is_decided, timeout_s=timeout_s)
        if self.shell(node_id) is old:  # it raises where there is none
            raise Unreachable(
                "The connection could not be closed", remedy="Disconnect the node, then try again.", node=node_id
            )

    async def provide_password(self, node_id: str, password: str) -> None:
        """Sign in with this password, kept in memory only. KeyError when there is no such node.

        Raises NodeError when it may be another machine: no password goes there.
        """
        line = self._lines[node_id]
        if line.status.state is NodeState.IDENTITY_CHANGED:
            raise NodeError(
                line.status.message, remedy=line.status.remedy, detail=line.status.detail, node=line.record.name
            )
        self.credentials.hold_password(line.record, password)
        line.hear_password()

    def set_facts(self, node_id: str, facts: NodeFacts) -> None:
        """What the node says about itself; another machine id than before closes the line."""
        line = self._lines.get(node_id)
        record = line.learn(facts) if line is not None else None
        if record is not None:
            self._save_soon(record)

    def set_serial_hash(self, node_id: str, serial_hash: str) -> None:
        """What tells a node from its copies, SHA-256 of machine id and serial; another one closes the line."""
        line = self._lines.get(node_id)
        if line is None or not serial_hash or line.record.serial_hash == serial_hash:
            return
        if line.record.serial_hash:
            line.hold("its host key and machine id are the same, its product serial is another one")
        else:
            line.update(replace(line.record, serial_hash=serial_hash))
            self._save_soon(line.record)

    def follow(self, pulses: Pulses) -> None:
        """Hear from now on how each node's telemetry stands (`Telemetry.pulse`)."""
        self._pulses = pulses
        for node_id in self._lines:
            self._listen(node_id)

    def hear_pulse(self, node_id: str, pulse: Pulse) -> None:
        """A node's samples come, come late or have stopped: it is shown as live, slow or stale."""
        line = self._lines.get(node_id)
        if line is not None:
            line.hear_pulse(pulse)

    def expect_absence(self, node_id: str, words: str, asleep: bool) -> None:
        """A reboot or, `asleep`, a shut-down was ordered from here: that it goes is no error. KeyError."""
        self._lines[node_id].expect_absence(words, is_asleep=asleep)

    def expect_waking(self, node_id: str, words: str) -> None:
        """It was told to wake up: it is looked for often again. KeyError when there is no such node."""
        self._lines[node_id].expect_waking(words)

    async def close(self) -> None:
        """Close every connection, bounded."""
        await self._close_lines()
        self._publish()

    # Inside ----------------------------------------------------------------------------------------------------

    def _is_open(self, cluster_id: str) -> bool:
        return self.cluster.value is not None and self.cluster.value.id == cluster_id

    def _show(self, cluster: ClusterRecord) -> None:
        """Let everybody see the cluster as it is now."""
        self._shelf.show(cluster)
        if self._is_open(cluster.id):
            self.cluster.set(cluster)

    def _find_holder(self, node_id: str) -> ClusterRecord | None:
        try:
            return self._shelf.holder(node_id)
        except KeyError:
            return None

    def _record(self, node_id: str) -> NodeRecord:
        line = self._lines.get(node_id)
        if line is not None:
            return line.record
        return next(node for node in self._shelf.holder(node_id).nodes if node.id == node_id)

    async def _cluster_for_new(self) -> ClusterRecord:
        """Where a new node goes."""
        opened = self.cluster.value
        if opened is not None and not opened.is_simulated:
            return opened
        real = self._shelf.real()
        return real[0] if real else await self._shelf.create_first()

    def _save_soon(self, record: NodeRecord) -> None:
        """Keep what a node said about itself."""
        cluster = self._find_holder(record.id)
        if cluster is not None:
            self._show(with_node(cluster, record))
            self._tasks.start(self._shelf.save, cluster.id)

    async def _connect(self, record: NodeRecord, *, is_bare: bool) -> Connection:
        """For the lines. `is_bare`: no password may go there."""
        given = await self.credentials.get(record)
        password = None if is_bare else given.password
        if given.passphrase is None and given.jump_password is None:
            return await self._connector.connect(record, password=password)
        return await self._connector.connect(
            record, password=password, passphrase=given.passphrase, jump_password=given.jump_password
        )

    def _make_line(self, record: NodeRecord) -> Line:
        line = Line(
            record,
            tasks=self._tasks,
            clock=self._clock,
            connect=self._connect,
            hooks=self.on_live,
            on_change=self._publish_soon,
        )
        self._lines[record.id] = line
        self._listen(record.id)
        return line

    def _listen(self, node_id: str) -> None:
        if self._pulses is not None and node_id not in self._heard:
            feed = self._pulses(node_id)
            self._heard[node_id] = feed.subscribe(lambda pulse: self.hear_pulse(node_id, pulse))

    def _forget_line(self, node_id: str) -> Line | None:
        heard = self._heard.pop(node_id, None)
        if heard is not None:
            heard.close()
        return self._lines.pop(node_id, None)

    async def _drop_line(self, node_id: str) -> None:
        line = self._forget_line(node_id)
        if line is not None:
            await line.stop(is_removed=True)

    async def _close_lines(self) -> None:
        lines = [self._forget_line(node_id) for node_id in tuple(self._lines)]
        await asyncio.gather(*(line.stop(is_removed=True) for line in lines if line is not None))

    def _publish(self) -> None:
        cluster = self.cluster.value
        order = [node.id for node in cluster.nodes] if cluster is not None else []
        statuses = tuple(self._lines[node_id].status for node_id in order if node_id in self._lines)
        if statuses != self.nodes.value:
            self.nodes.set(statuses)

    def _publish_soon(self) -> None:
        """Lines change in flocks: the first change is told at once, what follows in the same moment as one."""
        self._has_news = self._is_telling
        if not self._is_telling:
            self._is_telling = True
            asyncio.get_running_loop().call_soon(self._publish_rest)
            self._publish()

    def _publish_rest(self) -> None:
        self._is_telling = False
        if self._has_news:
            self._has_news = False
            self._publish()

    async def _watch_clock(self) -> None:
        """After this computer slept, every line is tried at once instead of when its time-out says so."""
        before_s = self._clock.monotonic_s()
        while True:
            await asyncio.sleep(TICK_S)
            now_s = self._clock.monotonic_s()
            if now_s - before_s > AWAY_S:
                log.info("this computer was away for %.0f s", now_s - before_s)
                for line in tuple(self._lines.values()):
                    line.hear_resume()
            before_s = now_s

    async def _watch_network(self, network: NetworkWatch) -> None:
        async for _ in network.changes():
            log.info("this computer's network changed")
            for line in tuple(self._lines.values()):
                line.hear_network_change()


def _way_to(record: NodeRecord) -> tuple[object, ...]:
    """What a connection rests on."""
    return (
        record.address,
        record.port,
        record.user,
        record.host_key,
        record.key_path,
        record.sign_in,
        record.jump,
    )
