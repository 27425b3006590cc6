"""Networks that come and go, machines at several addresses, and absences that were ordered from here."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from sparkdesk.core.cluster.node import NodeRecord, NodeState
from sparkdesk.infra.network_watch import NetworkWatch
from sparkdesk.services.wait import wait_for_value
from tests.lab.desk import WAIT_S, opened_desk
from tests.lab.lab import Lab

pytestmark = pytest.mark.lab

KEEPALIVE_S = 24.0
"""A dead line is given up after 15 s."""
SOON_S = 12.0
"""Without a word from the network the next attempt may be half a minute away."""
OTHER_ADDRESS = "10.42.0.111"


def set_workstation_link(lab: Lab, is_up: bool) -> None:
    """Pull or plug this computer's own cable."""
    lab.nodes[0].fabric.set_link("ws", is_up)


async def test_the_kernel_tells_of_our_cable_and_a_refreshed_address_is_no_change(workstation: Lab) -> None:
    changes = 0

    async def count() -> None:
        nonlocal changes
        async for _ in NetworkWatch().changes():
            changes += 1

    async def until(number: int) -> None:
        async with asyncio.timeout(WAIT_S):
            while changes < number:
                await asyncio.sleep(0.02)

    async with asyncio.TaskGroup() as group:
        counting = group.create_task(count())
        await asyncio.sleep(0.2)
        set_workstation_link(workstation, False)
        await until(1)
        set_workstation_link(workstation, True)
        await until(2)
        await asyncio.sleep(3.0)
        for lifetime in ("600", "700"):
            process = await asyncio.create_subprocess_exec(
                "ip", "addr", "change", "10.42.0.1/24", "dev", "eth0", "valid_lft", lifetime, "preferred_lft", lifetime
            )
            await process.wait()
        known = changes  # what was there before the watch began may be news once
        await asyncio.sleep(3.0)
        assert known - 2 <= 1
        before = changes
        process = await asyncio.create_subprocess_exec(
            "ip", "addr", "change", "10.42.0.1/24", "dev", "eth0", "valid_lft", "forever", "preferred_lft", "forever"
        )
        await process.wait()
        await asyncio.sleep(2.5)
        assert changes == before
        counting.cancel()


async def test_when_our_network_is_back_every_node_is_soon(workstation: Lab) -> None:
    async with opened_desk(workstation) as desk:
        set_workstation_link(workstation, False)
        try:
            for index in range(4):
                await desk.wait_for(index, NodeState.RECONNECTING, NodeState.UNREACHABLE, timeout_s=KEEPALIVE_S + 4)
            await asyncio.sleep(2.0)
        finally:
            set_workstation_link(workstation, True)
        await desk.wait_for_all(count=4, timeout_s=SOON_S)


async def test_a_short_loss_of_our_network_costs_no_connection(workstation: Lab) -> None:
    async with opened_desk(workstation) as desk:
        shells = [desk.inventory.shell(node.name) for node in workstation.nodes]
        set_workstation_link(workstation, False)
        await asyncio.sleep(1.0)
        set_workstation_link(workstation, True)
        await asyncio.sleep(5.0)
        assert [desk.inventory.shell(node.name) for node in workstation.nodes] == shells
        await desk.wait_for_all(count=4, timeout_s=SOON_S)


async def test_two_dozen_machines_without_power_do_not_keep_one_from_coming_back(workstation: Lab) -> None:
    dead = [
        NodeRecord(id=f"dead-{i}", name=f"dead-{i}", address=f"10.42.0.{200 + i}", port=22, user="nvidia", host_key=key)
        for i, key in enumerate([workstation.nodes[0].host_key] * 24)
    ]
    async with opened_desk(workstation, *workstation.cluster().nodes, *dead) as desk:
        await wait_for_value(
            desk.inventory.nodes, lambda nodes: nodes[-1].state is NodeState.UNREACHABLE, timeout_s=WAIT_S
        )
        node = workstation.nodes[2]
        node.kill_sshd()
        await desk.wait_for(2, NodeState.RECONNECTING)
        node.start_sshd()
        await desk.wait_for(2, NodeState.LIVE, timeout_s=10)  # one attempt at a dead machine takes 12 s


async def test_a_node_is_met_at_its_other_address_when_the_first_is_gone(workstation: Lab) -> None:
    node, impostor = workstation.nodes[1], workstation.nodes[2]
    node.run("ip", "addr", "add", f"{OTHER_ADDRESS}/24", "dev", "enP7s7")
    others = (f"{impostor.address}:22", f"{OTHER_ADDRESS}:22")
    records = [replace(r, other_addresses=others) if r.id == node.name else r for r in workstation.cluster().nodes]
    try:
        async with opened_desk(workstation, *records) as desk:
            # It comes back with another address.
            node.kill_sshd()
            await desk.wait_for(1, NodeState.RECONNECTING, timeout_s=KEEPALIVE_S)
            node.run("sh", "-c", f"ip addr flush dev enP7s7; ip addr add {OTHER_ADDRESS}/24 dev enP7s7")
            node.start_sshd()
            live = await desk.wait_for(1, NodeState.LIVE)
            assert live.record.address == node.address
            assert any(f"{impostor.address} port 22 answers as another machine: refused" in line for line in live.log)
            machine_id = f"{2:032x}"
            await wait_for_value(
                desk.inventory.nodes, lambda nodes: nodes[1].facts.machine_id == machine_id, timeout_s=WAIT_S
            )
            node.kill_sshd()
            await desk.wait_for(1, NodeState.RECONNECTING, timeout_s=KEEPALIVE_S)
            said = f"{impostor.address} port 22 answers as another machine: refused"
            await wait_for_value(desk.inventory.nodes, lambda nodes: said in nodes[1].message, timeout_s=WAIT_S)
            assert desk.inventory.status(node.name).remedy
    finally:
        node.run("sh", "-c", f"ip addr flush dev enP7s7; ip addr add {node.address}/24 dev enP7s7")
        node.kill_sshd()
        node.start_sshd()


async def test_a_restart_from_here_is_no_error_at_any_time(workstation: Lab) -> None:
    async with opened_desk(workstation) as desk:
        node = workstation.nodes[3]
        await wait_for_value(desk.inventory.nodes, lambda nodes: bool(nodes[3].facts.boot_id), timeout_s=WAIT_S)
        seen = desk.watch_states(3)
        desk.inventory.expect_absence(node.name, "spark-4 restarts", asleep=False)
        restarting = asyncio.ensure_future(asyncio.to_thread(node.restart, 18.0))
        gone = await desk.wait_for(3, NodeState.RECONNECTING)
        assert gone.message == "spark-4 restarts"
        assert gone.remedy
        await restarting
        await desk.wait_for(3, NodeState.LIVE)
        assert NodeState.UNREACHABLE not in seen


async def test_a_shut_down_from_here_is_sleep_and_a_machine_that_is_switched_on_is_found(workstation: Lab) -> None:
    async with opened_desk(workstation) as desk:
        node = workstation.nodes[3]
        desk.inventory.expect_absence(node.name, "spark-4 was shut down", asleep=True)
        node.kill_sshd()
        node.set_link(False)
        try:
            asleep = await desk.wait_for(3, NodeState.ASLEEP, timeout_s=KEEPALIVE_S)
            assert asleep.message == "spark-4 was shut down"
            assert "switch it on" in asleep.remedy
            seen = desk.watch_states(3)
            await asyncio.sleep(15.0)
            assert seen == [NodeState.ASLEEP]
        finally:
            node.start_sshd()
            node.set_link(True)
        await desk.wait_for(3, NodeState.LIVE)
