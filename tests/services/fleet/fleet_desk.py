"""An inventory with its parts over any connector and store, as the application joins them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sparkdesk.core.cluster.node import NodeState, NodeStatus
from sparkdesk.core.ports import Connector, NetworkWatch
from sparkdesk.infra.ssh import SshConnector
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.fleet.inventory import Inventory
from sparkdesk.services.tasks import Tasks
from sparkdesk.services.wait import wait_for_value


class MovedClock(SystemClock):
    """This computer's clock, which a test moves on as sleep does."""

    def __init__(self) -> None:
        super().__init__()
        self.moved_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.moved_ms

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.moved_ms / 1000.0


class FleetDesk:
    """One run of the program's fleet; several may follow each other on one store."""

    def __init__(
        self, store: SqliteStore, connector: Connector | None = None, network: NetworkWatch | None = None
    ) -> None:
        self.tasks = Tasks()
        self.store = store
        self.clock = MovedClock()
        self.inventory = Inventory(
            tasks=self.tasks,
            connector=connector or SshConnector(),
            store=store,
            clock=self.clock,
            network=network,
        )

    async def wait(self, is_right: Callable[[NodeStatus], bool], *, timeout_s: float = 60.0) -> NodeStatus:
        """Until the first node is as wanted."""
        nodes = await wait_for_value(
            self.inventory.nodes, lambda nodes: bool(nodes) and is_right(nodes[0]), timeout_s=timeout_s
        )
        return nodes[0]

    async def wait_for(self, state: NodeState, *, timeout_s: float = 60.0) -> NodeStatus:
        """Until the first node is in this state."""
        return await self.wait(lambda node: node.state is state, timeout_s=timeout_s)

    async def close(self) -> None:
        """Quit, as the application does; the store stays open."""
        await self.inventory.close()
        await self.tasks.close()


@asynccontextmanager
async def fleet_desk(
    connector: Connector | None = None, network: NetworkWatch | None = None
) -> AsyncIterator[FleetDesk]:
    """A desk with a store in memory."""
    store = SqliteStore(None)
    await store.open()
    desk = FleetDesk(store, connector, network)
    try:
        yield desk
    finally:
        await desk.close()
        await store.close()
