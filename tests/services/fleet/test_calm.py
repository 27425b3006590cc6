"""What is read of nodes besides their telemetry waits for the lines, and for nobody for long."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from sparkdesk.core.cluster.node import NodeFacts, NodeRecord, NodeState, NodeStatus
from sparkdesk.core.feed import Latest
from sparkdesk.core.ports import Connection
from sparkdesk.services.fleet import calm as calm_module
from sparkdesk.services.fleet.calm import AT_ONCE, GAP_S, Calm

FACTS = NodeFacts(hostname="spark")


def statuses(*states: NodeState) -> tuple[NodeStatus, ...]:
    return tuple(
        NodeStatus(NodeRecord(str(i), f"spark-{i}", "10.0.0.1", 22, "nvidia"), state, 0, facts=FACTS)
        for i, state in enumerate(states)
    )


class Begun:
    """A hook that notes who began."""

    def __init__(self) -> None:
        self.names: list[str] = []

    async def hook(self, node_id: str, _connection: Connection) -> None:
        self.names.append(node_id)


async def begin(calm: Calm, begun: Begun, count: int = 1) -> asyncio.Future[list[None]]:
    hook = calm.after_lines(begun.hook)
    connection: Connection = None  # type: ignore[assignment]  # handed on, never looked at
    waiting = asyncio.gather(*(hook(str(i), connection) for i in range(count)))
    await asyncio.sleep(0.05)
    return waiting


async def test_a_hook_begins_at_once_when_no_first_attempt_is_under_way() -> None:
    begun = Begun()
    await (await begin(Calm(Latest(statuses(NodeState.LIVE, NodeState.UNREACHABLE))), begun))
    assert begun.names == ["0"]


async def test_a_hook_waits_for_first_attempts_and_not_for_those_that_come_after() -> None:
    begun, nodes = Begun(), Latest(statuses(NodeState.LIVE, NodeState.CONNECTING))
    waiting = await begin(Calm(nodes), begun)
    assert begun.names == []
    nodes.set(statuses(NodeState.LIVE, NodeState.RECONNECTING))
    await waiting
    assert begun.names == ["0"]


async def test_a_hook_waits_until_every_live_node_has_said_who_it_is() -> None:
    begun, heard = Begun(), statuses(NodeState.LIVE, NodeState.LIVE)
    nodes = Latest((heard[0], replace(heard[1], facts=NodeFacts())))
    waiting = await begin(Calm(nodes), begun)
    assert begun.names == []
    nodes.set(heard)
    await waiting
    assert begun.names == ["0"]


async def test_a_node_that_does_not_answer_holds_nobody_up_for_long() -> None:
    begun = Begun()
    waiting = await begin(Calm(Latest(statuses(NodeState.LIVE, NodeState.CONNECTING))), begun)
    async with asyncio.timeout(calm_module.LEAST_WAIT_S + 20):
        await waiting
    assert begun.names == ["0"]


async def test_many_hooks_follow_one_by_one_after_the_first_ones() -> None:
    begun = Begun()
    waiting = await begin(Calm(Latest(statuses(NodeState.LIVE))), begun, AT_ONCE + 40)
    assert AT_ONCE <= len(begun.names) < AT_ONCE + 40
    async with asyncio.timeout(40 * GAP_S + 20):
        await waiting
    assert len(begun.names) == AT_ONCE + 40
