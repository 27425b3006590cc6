"""Four nodes, each behind a real SSH server: how their lines stand, fall and come back."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from sparkdesk.core.cluster.node import ClusterRecord, NodeFacts, NodeRecord, NodeState
from sparkdesk.core.command import Command
from sparkdesk.core.errors import NodeError, Unreachable
from sparkdesk.core.ports import Connection
from sparkdesk.services.telemetry import Pulse, PulseState
from sparkdesk.services.wait import wait_for_value
from tests.infra.ssh_server import SshServer, new_key, public_line, running_server
from tests.infra.sshd import Sshd, free_port, running_sshd
from tests.services.fleet.fleet_desk import FleetDesk, fleet_desk


@pytest.fixture
async def desk() -> AsyncIterator[FleetDesk]:
    async with fleet_desk() as desk:
        yield desk


def cluster_of(*records: NodeRecord) -> ClusterRecord:
    return ClusterRecord(id="c", name="Test", nodes=records)


def named(server: SshServer | Sshd, name: str) -> NodeRecord:
    return replace(server.record(), id=name, name=name)


async def test_four_nodes_are_live_and_answer(desk: FleetDesk) -> None:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(running_server(password="word")) for _ in range(4)]
        await desk.inventory.open(cluster_of(*(named(server, f"spark-{i}") for i, server in enumerate(servers))))
        for index in range(4):
            await desk.inventory.provide_password(f"spark-{index}", "word")
        nodes = await wait_for_value(desk.inventory.nodes, lambda all_: all(n.is_live for n in all_), timeout_s=20)
        assert [node.record.name for node in nodes] == ["spark-0", "spark-1", "spark-2", "spark-3"]
        outcome = await desk.inventory.shell("spark-2").run(Command(("greet",)))
        assert outcome.stdout == b"hello\n"
        assert (await desk.store.clusters())[0].id == "c"
        await desk.inventory.close()


async def test_a_killed_connection_comes_back_and_its_hooks_with_it(desk: FleetDesk, tmp_path: Path) -> None:
    events: list[str] = []

    async def hook(node_id: str, connection: Connection) -> None:
        events.append("begun")
        try:
            await asyncio.sleep(3600)
        finally:
            events.append("ended")

    desk.inventory.on_live.append(hook)
    with running_sshd(tmp_path / "sshd") as server:
        await desk.inventory.open(cluster_of(server.record()))
        await desk.wait_for(NodeState.LIVE)
        desk.inventory.set_facts("spark-1", NodeFacts(hostname="spark-a", machine_id="m1"))
        server.kill_sessions()
        lost = await desk.wait_for(NodeState.RECONNECTING)
        assert "spark-1 was lost" in lost.message
        assert lost.remedy
        assert lost.facts.hostname == "spark-a"
        live = await desk.wait_for(NodeState.LIVE)
        assert live.record.machine_id == "m1"
        assert any("connection lost" in line for line in live.log)
        await asyncio.sleep(0.1)
        assert events == ["begun", "ended", "begun"]


async def test_a_server_that_comes_later_is_found_within_seconds(desk: FleetDesk, tmp_path: Path) -> None:
    server = Sshd(tmp_path / "sshd")
    await desk.inventory.open(cluster_of(server.record()))
    away = await desk.wait_for(NodeState.UNREACHABLE)
    assert "Nothing answers on port" in away.message
    assert away.remedy
    with pytest.raises(Unreachable, match="Nothing answers"):
        desk.inventory.shell("spark-1")
    await asyncio.sleep(1.5)
    try:
        server.start()
        live = await desk.wait_for(NodeState.LIVE, timeout_s=10)
    finally:
        server.stop()
    assert len(live.log) < 10
    assert any("times)" in line for line in live.log)


async def test_a_changed_host_key_is_refused_and_never_tried_again_by_itself(desk: FleetDesk, tmp_path: Path) -> None:
    with running_sshd(tmp_path / "sshd") as server:
        await desk.inventory.open(cluster_of(server.record()))
        await desk.wait_for(NodeState.LIVE)
        server.change_host_key()
        changed = await desk.wait_for(NodeState.IDENTITY_CHANGED)
        assert changed.detail.count("SHA256:") == 2
        touches = server.log.count("Connection from")
        assert touches >= 2
        await asyncio.sleep(3)
        assert server.log.count("Connection from") == touches
        desk.inventory.reconnect("spark-1")
        await asyncio.sleep(0.5)
        assert desk.inventory.status("spark-1").state is NodeState.IDENTITY_CHANGED
        await desk.inventory.add_node(server.record())
        await desk.wait_for(NodeState.LIVE)


async def test_an_address_that_answers_as_another_machine_is_said_and_left_alone_for_a_minute(
    desk: FleetDesk, tmp_path: Path
) -> None:
    with running_sshd(tmp_path / "other") as other:
        gone = free_port()
        record = replace(
            other.record(), port=gone, host_key=public_line(new_key()), other_addresses=(f"127.0.0.1:{other.port}",)
        )
        await desk.inventory.open(cluster_of(record))
        said = f"127.0.0.1 port {other.port} answers as another machine: refused"
        await desk.wait(lambda node: said in node.message and "Nothing answers" in node.message)
        await desk.wait(lambda node: any("(4 times)" in line for line in node.log))
        assert other.log.count("Connection from") == 2, "one when it was started, and one of ours"
        assert said in desk.inventory.status("spark-1").message
        desk.inventory.reconnect("spark-1")
        await desk.wait(lambda node: any(line[9:] == f"{said} (2 times)" for line in node.log))
        assert other.log.count("Connection from") == 3


async def test_an_unconfirmed_host_key_waits_for_a_person(desk: FleetDesk) -> None:
    async with running_server(password="word") as server:
        await desk.inventory.open(cluster_of(server.record(host_key="")))
        refused = await desk.wait_for(NodeState.REFUSED)
        assert "confirmed" in refused.message
        assert server.seen.users == []
        offer = await desk.inventory.look("127.0.0.1", server.port)
        await desk.inventory.add_node(server.record(host_key=offer.host_key))
        await desk.inventory.provide_password("spark-1", "word")
        await desk.wait_for(NodeState.LIVE)
        await desk.inventory.close()


async def test_a_wrong_password_is_tried_once_and_the_right_one_helps_at_once(desk: FleetDesk) -> None:
    async with running_server(password="right") as server:
        await desk.inventory.open(cluster_of(server.record()))
        await desk.wait_for(NodeState.REFUSED)
        await desk.inventory.provide_password("spark-1", "wrong")
        await desk.wait(lambda node: node.state is NodeState.REFUSED and "password again" in node.remedy)
        await asyncio.sleep(1.5)
        assert server.seen.passwords == ["wrong"]
        await desk.inventory.provide_password("spark-1", "right")
        await desk.wait_for(NodeState.LIVE)
        assert "wrong" not in " ".join(desk.inventory.status("spark-1").log)
        await desk.inventory.close()


async def test_a_password_of_one_user_is_never_sent_for_another(desk: FleetDesk) -> None:
    async with running_server(password="right") as server:
        await desk.inventory.open(cluster_of(server.record()))
        await desk.wait_for(NodeState.REFUSED)
        await desk.inventory.provide_password("spark-1", "right")
        await desk.wait_for(NodeState.LIVE)
        server.seen.passwords.clear()
        server.seen.users.clear()
        await desk.inventory.update_node(replace(desk.inventory.status("spark-1").record, user="root"))
        await desk.wait_for(NodeState.REFUSED)
        assert server.seen.users
        assert server.seen.passwords == []
        await desk.inventory.close()


async def test_another_machine_behind_the_same_record_is_refused(desk: FleetDesk, tmp_path: Path) -> None:
    with running_sshd(tmp_path / "sshd") as server:
        await desk.inventory.open(cluster_of(server.record(machine_id="old")))
        await desk.wait_for(NodeState.LIVE)
        desk.inventory.set_facts("spark-1", NodeFacts(machine_id="new"))
        held = await desk.wait_for(NodeState.IDENTITY_CHANGED)
        assert "another machine" in held.message
        await asyncio.sleep(1.0)
        assert desk.inventory.status("spark-1").state is NodeState.IDENTITY_CHANGED
        with pytest.raises(Unreachable, match="another machine"):
            desk.inventory.shell("spark-1")


async def test_a_learned_machine_id_is_kept(desk: FleetDesk, tmp_path: Path) -> None:
    with running_sshd(tmp_path / "sshd") as server:
        await desk.inventory.open(cluster_of(server.record()))
        await desk.wait_for(NodeState.LIVE)
        desk.inventory.set_facts("spark-1", NodeFacts(machine_id="m1"))
        for _ in range(100):
            if (await desk.store.clusters())[0].nodes[0].machine_id == "m1":
                break
            await asyncio.sleep(0.02)
        assert (await desk.store.clusters())[0].nodes[0].machine_id == "m1"


async def test_after_sleep_a_dead_line_is_replaced_at_once_and_a_good_one_is_kept(
    desk: FleetDesk, tmp_path: Path
) -> None:
    with running_sshd(tmp_path / "a") as good, running_sshd(tmp_path / "b", name="spark-2") as frozen:
        await desk.inventory.open(cluster_of(frozen.record(), good.record()))
        nodes = await wait_for_value(desk.inventory.nodes, lambda all_: all(n.is_live for n in all_), timeout_s=20)
        kept = desk.inventory.shell("spark-1")
        frozen.signal_sessions(signal.SIGSTOP)
        desk.clock.moved_ms = 3_600_000
        lost = await desk.wait(lambda node: not node.is_live, timeout_s=8)
        assert lost.record.name == "spark-2"
        await desk.wait_for(NodeState.LIVE, timeout_s=10)
        assert desk.inventory.shell("spark-1") is kept
        assert nodes[1].is_live
        frozen.signal_sessions(signal.SIGCONT)


async def test_the_first_node_makes_a_cluster_and_removing_it_forgets_it(desk: FleetDesk) -> None:
    async with running_server(password="word") as server:
        await desk.inventory.add_node(server.record())
        assert desk.inventory.cluster.value is not None
        assert desk.inventory.cluster.value.name == "My Sparks"
        with pytest.raises(NodeError, match="same host key"):
            await desk.inventory.add_node(replace(server.record(), id="other", name="other"))
        await desk.inventory.remove_node("spark-1")
        assert desk.inventory.nodes.value == ()
        assert (await desk.store.clusters())[0].nodes == ()
        with pytest.raises(KeyError):
            desk.inventory.status("spark-1")
        with pytest.raises(Unreachable, match="no longer"):
            desk.inventory.shell("spark-1")


async def test_nodes_that_do_not_answer_do_not_hold_up_the_others(desk: FleetDesk) -> None:
    dead = [
        NodeRecord(id=f"dead-{i}", name=f"dead-{i}", address="127.0.0.1", port=free_port(), user="nvidia", host_key="")
        for i in range(8)
    ]
    async with running_server(new_key(), password="word") as server:
        await desk.inventory.open(cluster_of(server.record(), *dead))
        await desk.inventory.provide_password("spark-1", "word")
        await desk.wait_for(NodeState.LIVE, timeout_s=10)
        await desk.inventory.close()


async def test_samples_that_stop_and_come_again_stand_in_the_log(desk: FleetDesk, tmp_path: Path) -> None:
    with running_sshd(tmp_path / "sshd") as server:
        await desk.inventory.open(cluster_of(server.record()))
        await desk.wait_for(NodeState.LIVE)
        for state, message in ((PulseState.STALE, "The probe ended"), (PulseState.LIVE, ""), (PulseState.LIVE, "")):
            desk.inventory.hear_pulse("spark-1", Pulse(state, 1, message))
        log = [line[9:] for line in desk.inventory.status("spark-1").log]
        assert log[log.index("live") + 1 :] == ["stale: The probe ended", "samples come again"]
