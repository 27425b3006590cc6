"""When lines come before everything else: many nodes are opened at once, and each is to be live soon.

The one rule: what is read of a node besides its telemetry begins when no first attempt is under way any more and every
live node has said who it is, and never much later than that: a node that does not answer holds nobody up.
"""

from __future__ import annotations

import asyncio

from sparkdesk.core.cluster.node import NodeFacts, NodeState, NodeStatus
from sparkdesk.core.feed import Latest
from sparkdesk.core.ports import Connection
from sparkdesk.services.fleet.line import LiveHook

AT_ONCE = 16
GAP_S = 0.025
"""So many hooks may begin in one moment, four nodes' worth; what is more follows one by one."""
LEAST_WAIT_S = 1.0
WAIT_PER_NODE_S = 0.2
"""At most so long for each node that is opened; more than five are needed for it to matter."""
_NOT_HEARD = NodeFacts()


class Calm:
    """Makes hooks of `Inventory.on_live` wait for their turn."""

    def __init__(self, nodes: Latest[tuple[NodeStatus, ...]]) -> None:
        self._count = 0
        self._next_s = 0.0
        self._is_calm = asyncio.Event()
        self._subscription = nodes.subscribe(self._look)

    def _look(self, nodes: tuple[NodeStatus, ...]) -> None:
        self._count = len(nodes)
        if any(_is_coming(status) for status in nodes):
            self._is_calm.clear()
        else:
            self._is_calm.set()

    def after_lines(self, hook: LiveHook) -> LiveHook:
        """The hook, begun when the lines are settled."""

        async def wait_and_go(node_id: str, connection: Connection) -> None:
            try:
                async with asyncio.timeout(max(LEAST_WAIT_S, WAIT_PER_NODE_S * self._count)):
                    await self._is_calm.wait()
            except TimeoutError:
                pass
            await asyncio.sleep(self._take_turn())
            await hook(node_id, connection)

        return wait_and_go

    def _take_turn(self) -> float:
        """Seconds until one more may begin."""
        now_s = asyncio.get_running_loop().time()
        turn_s = max(self._next_s, now_s)
        self._next_s = turn_s + GAP_S
        return max(0.0, turn_s - now_s - AT_ONCE * GAP_S)

    def close(self) -> None:
        """Stop listening."""
        self._subscription.close()


def _is_coming(status: NodeStatus) -> bool:
    """Whether its line or the first words of its probe are still awaited."""
    is_silent = status.is_live and status.facts == _NOT_HEARD
    return is_silent or status.state is NodeState.CONNECTING
