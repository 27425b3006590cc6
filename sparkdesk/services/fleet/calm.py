"""When lines come before everything else: many nodes are opened at once, and each is to be live soon.

The one rule: what is read of a node besides its telemetry begins when no first attempt is under way any more and every
live node has said who it is, and never much later than that: a node that does not answer holds nobody up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A hook that waits, and when it waits for nobody any more."""

    turn: asyncio.Future[None]
    until_s: float


class Calm:
    """Makes hooks of `Inventory.on_live` wait for their turn."""

    def __init__(self, nodes: Latest[tuple[NodeStatus, ...]]) -> None:
        self._count = 0
        self._next_s = 0.0
        self._is_calm = True
        self._queue: deque[_Waiting] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._subscription = nodes.subscribe(self._look)

    def _look(self, nodes: tuple[NodeStatus, ...]) -> None:
        self._count = len(nodes)
        is_calm = not any(_is_coming(status) for status in nodes)
        if is_calm != self._is_calm:
            self._is_calm = is_calm
            self._plan()

    def after_lines(self, hook: LiveHook) -> LiveHook:
        """The hook, begun when the lines are settled."""

        async def wait_and_go(node_id: str, connection: Connection) -> None:
            loop = asyncio.get_running_loop()
            wait_s = max(LEAST_WAIT_S, WAIT_PER_NODE_S * self._count)
            waiting = _Waiting(loop.create_future(), loop.time() + wait_s)
            self._queue.append(waiting)
            if self._timer is None:
                self._plan()
            await waiting.turn
            await hook(node_id, connection)

        return wait_and_go

    def _plan(self) -> None:
        """Look again when the first in the queue may begin: hundreds that wake at once make the window stutter."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._queue:
            loop = asyncio.get_running_loop()
            now_s = loop.time()
            turn_s = self._next_s - AT_ONCE * GAP_S
            begin_s = turn_s if self._is_calm else max(turn_s, self._queue[0].until_s)
            self._timer = loop.call_later(max(0.0, begin_s - now_s), self._begin)

    def _begin(self) -> None:
        """Let those begin whose turn it is."""
        self._timer = None
        now_s = asyncio.get_running_loop().time()
        self._next_s = max(self._next_s, now_s)
        while self._queue and self._next_s < now_s + AT_ONCE * GAP_S:
            if not self._is_calm and self._queue[0].until_s > now_s:
                break
            turn = self._queue.popleft().turn
            if not turn.done():  # else its line was lost meanwhile
                turn.set_result(None)
                self._next_s += GAP_S
        self._plan()

    def close(self) -> None:
        """Stop listening; who waits is ended by its line."""
        self._subscription.close()
        self._queue.clear()
        self._plan()


def _is_coming(status: NodeStatus) -> bool:
    """Whether its line or the first words of its probe are still awaited."""
    is_silent = status.is_live and status.facts == _NOT_HEARD
    return is_silent or status.state is NodeState.CONNECTING
