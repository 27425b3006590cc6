"""Lines to real machines: links, keys and servers fall and come back."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator

import psutil
import pytest

from sparkdesk.core.cluster.node import NodeState
from sparkdesk.core.command import Command, Exit
from sparkdesk.services.telemetry import PulseState
from sparkdesk.services.wait import wait_for_value
from tests.lab.desk import WAIT_S, Desk, opened_desk
from tests.lab.lab import Lab

pytestmark = pytest.mark.lab

KEEPALIVE_S = 24.0
"""A dead line is given up after 15 s."""
AT_ONCE_S = 8.0
"""Well before that."""


@pytest.fixture
async def desk(workstation: Lab) -> AsyncIterator[Desk]:
    async with opened_desk(workstation) as desk:
        yield desk


async def test_four_nodes_are_live_each_under_its_own_name(desk: Desk) -> None:
    shells = [desk.inventory.shell(node.name) for node in desk.lab.nodes]
    outcomes = await asyncio.gather(*(shell.run(Command(("hostname",))) for shell in shells))
    assert [outcome.fate for outcome in outcomes] == [Exit(0)] * 4
    assert len({outcome.text for outcome in outcomes}) == 4


async def test_every_node_delivers_samples_and_says_who_it_is(desk: Desk) -> None:
    for index, node in enumerate(desk.lab.nodes):
        await wait_for_value(desk.telemetry.latest(node.name), lambda sample: sample is not None, timeout_s=WAIT_S)
        nodes = await wait_for_value(
            desk.inventory.nodes, lambda nodes, i=index: bool(nodes[i].facts.machine_id), timeout_s=WAIT_S
        )
        assert nodes[index].facts.machine_id == f"{index + 1:032x}"


async def test_a_dead_link_is_seen_at_once_closed_in_time_and_heals(desk: Desk) -> None:
    node = desk.lab.nodes[1]
    await desk.wait_for_pulse(1, PulseState.LIVE)
    node.set_link(False)
    try:
        stale = await desk.wait_for(1, NodeState.STALE, timeout_s=AT_ONCE_S)
        assert "No telemetry from spark-2, since " in stale.message
        assert stale.remedy
        assert not stale.is_live
        assert stale.is_connected
        assert desk.inventory.shell(node.name).node == node.name, "what runs on it goes on"
        lost = await desk.wait_for(1, NodeState.RECONNECTING, timeout_s=KEEPALIVE_S)
        assert lost.remedy
    finally:
        node.set_link(True)
    live = await desk.wait_for(1, NodeState.LIVE, timeout_s=WAIT_S)
    assert live.facts.machine_id == f"{2:032x}"
    await desk.wait_for_pulse(1, PulseState.LIVE, timeout_s=WAIT_S)
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


async def test_a_frozen_machine_is_stale_then_lost_and_heals_when_it_goes_on(desk: Desk) -> None:
    node = desk.lab.nodes[1]
    await desk.wait_for_pulse(1, PulseState.LIVE)
    frozen = node.processes("sshd")
    for process in frozen:
        process.send_signal(signal.SIGSTOP)
    try:
        await desk.wait_for(1, NodeState.STALE, timeout_s=AT_ONCE_S)
        await desk.wait_for(1, NodeState.RECONNECTING, timeout_s=KEEPALIVE_S)
        assert desk.inventory.status("spark-1").is_live
    finally:
        for process in frozen:
            process.send_signal(signal.SIGCONT)
    await desk.wait_for(1, NodeState.LIVE, timeout_s=WAIT_S)
    await desk.wait_for_pulse(1, PulseState.LIVE, timeout_s=WAIT_S)


async def test_a_killed_sshd_is_found_again_when_it_is_back(desk: Desk) -> None:
    node = desk.lab.nodes[0]
    node.kill_sshd()
    lost = await desk.wait_for(0, NodeState.RECONNECTING, NodeState.UNREACHABLE, timeout_s=AT_ONCE_S)
    assert lost.message
    await asyncio.sleep(1.0)
    assert not desk.inventory.status(node.name).is_live
    node.start_sshd()
    await desk.wait_for(0, NodeState.LIVE, timeout_s=WAIT_S)
    await desk.wait_for_pulse(0, PulseState.LIVE, timeout_s=WAIT_S)
