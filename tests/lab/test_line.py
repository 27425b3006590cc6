"""Lines to real machines: links, keys and servers fall and come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from sparkdesk.core.cluster.node import NodeState, NodeStatus
from sparkdesk.core.command import Command, Exit
from sparkdesk.infra.ssh import SshConnector
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.fleet.inventory import Inventory
from sparkdesk.services.tasks import Tasks
from sparkdesk.services.telemetry import PulseState, Telemetry
from sparkdesk.services.wait import wait_for_value
from tests.lab.lab import Lab

pytestmark = pytest.mark.lab

REMOTE = Path(__file__).resolve().parents[2] / "sparkdesk" / "remote"
KEEPALIVE_S = 16.0


class Desk:
    """The services that watch nodes, joined as the application joins them, on all nodes of the lab."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.tasks = Tasks()
        self.store = SqliteStore(None)
        self.inventory = Inventory(tasks=self.tasks, connector=SshConnector(), store=self.store, clock=SystemClock())
        self.telemetry = Telemetry(
            clock=SystemClock(),
            programs=[(REMOTE / name).read_bytes() for name in ("gpu.py", "probe.py")],
            hz=5.0,
            on_facts=self.inventory.set_facts,
        )
        self.inventory.on_live.append(self.telemetry.watch)

    async def wait_for(self, index: int, *states: NodeState, timeout_s: float = 20.0) -> NodeStatus:
        """Until this node is in one of these states."""
        nodes = await wait_for_value(
            self.inventory.nodes, lambda nodes: nodes[index].state in states, timeout_s=timeout_s
        )
        return nodes[index]

    async def wait_for_pulse(self, index: int, *states: PulseState, timeout_s: float = 20.0) -> None:
        """Until this node's telemetry stands so."""
        pulse = self.telemetry.pulse(self.lab.nodes[index].name)
        await wait_for_value(pulse, lambda now: now.state in states, timeout_s=timeout_s)

    async def close(self) -> None:
        await self.inventory.close()
        await self.tasks.close()
        await self.store.close()


@pytest.fixture
async def desk(workstation: Lab) -> AsyncIterator[Desk]:
    desk = Desk(workstation)
    await desk.store.open()
    await desk.inventory.open(workstation.cluster())
    await wait_for_value(desk.inventory.nodes, lambda nodes: all(node.is_live for node in nodes), timeout_s=20)
    yield desk
    await desk.close()


async def test_four_nodes_are_live_each_under_its_own_name(desk: Desk) -> None:
    shells = [desk.inventory.shell(node.name) for node in desk.lab.nodes]
    outcomes = await asyncio.gather(*(shell.run(Command(("hostname",))) for shell in shells))
    assert [outcome.fate for outcome in outcomes] == [Exit(0)] * 4
    assert len({outcome.text for outcome in outcomes}) == 4


async def test_every_node_delivers_samples_and_says_who_it_is(desk: Desk) -> None:
    for index, node in enumerate(desk.lab.nodes):
        await wait_for_value(desk.telemetry.latest(node.name), lambda sample: sample is not None, timeout_s=20)
        nodes = await wait_for_value(
            desk.inventory.nodes, lambda nodes, i=index: bool(nodes[i].facts.machine_id), timeout_s=20
        )
        assert nodes[index].facts.machine_id == f"{index + 1:032x}"


async def test_a_dead_link_is_seen_at_once_closed_in_time_and_heals(desk: Desk) -> None:
    node = desk.lab.nodes[1]
    await desk.wait_for_pulse(1, PulseState.LIVE)
    probe = psutil.Process(node.processes("python3")[0].pid)
    node.set_link(False)
    try:
        await desk.wait_for_pulse(1, PulseState.STALE, timeout_s=5)
        assert desk.inventory.status(node.name).is_live
        lost = await desk.wait_for(1, NodeState.RECONNECTING, timeout_s=KEEPALIVE_S)
        assert lost.remedy
        assert not probe.is_running() or probe.status() == psutil.STATUS_ZOMBIE
    finally:
        node.set_link(True)
    live = await desk.wait_for(1, NodeState.LIVE, timeout_s=10)
    assert live.facts.machine_id == f"{2:032x}"
    await desk.wait_for_pulse(1, PulseState.LIVE, timeout_s=10)
    assert desk.inventory.status("spark-1").is_live


async def test_a_probe_leaves_its_node_within_ten_seconds_of_a_dead_link(desk: Desk) -> None:
    node = desk.lab.nodes[2]
    await desk.wait_for_pulse(2, PulseState.LIVE)
    probe = psutil.Process(node.processes("python3")[0].pid)
    node.set_link(False)
    try:
        for _ in range(100):
            if not probe.is_running() or probe.status() == psutil.STATUS_ZOMBIE:
                break
            await asyncio.sleep(0.1)
        else:
            pytest.fail("the probe is still on the node")
    finally:
        node.set_link(True)


async def test_a_killed_sshd_is_found_again_when_it_is_back(desk: Desk) -> None:
    node = desk.lab.nodes[0]
    node.kill_sshd()
    lost = await desk.wait_for(0, NodeState.RECONNECTING, NodeState.UNREACHABLE, timeout_s=5)
    assert lost.message
    await asyncio.sleep(1.0)
    assert not desk.inventory.status(node.name).is_live
    node.start_sshd()
    await desk.wait_for(0, NodeState.LIVE, timeout_s=10)
    await desk.wait_for_pulse(0, PulseState.LIVE, timeout_s=10)


async def test_another_host_key_is_refused(desk: Desk) -> None:
    node = desk.lab.nodes[3]
    trusted = node.host_key
    node.swap_host_key()
    changed = await desk.wait_for(3, NodeState.IDENTITY_CHANGED, timeout_s=10)
    assert changed.detail.count("SHA256:") == 2
    assert changed.record.host_key == trusted
    assert desk.inventory.status("spark-1").is_live
