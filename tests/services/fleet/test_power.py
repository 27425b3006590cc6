"""A node is restarted and shut down over a line of this computer; `systemctl` and `sudo` are scripts of the test's.

The one rule: nothing here can reach this machine's power: the programs are found on a PATH that begins with the test's.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from sparkdesk.core.cluster.found_server import FoundServer
from sparkdesk.core.cluster.node import ClusterRecord, NodeRecord, NodeState
from sparkdesk.core.command import Command
from sparkdesk.core.errors import PlanError
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.playbooks.power import BUTTON_WARNING, PEER_WARNING
from sparkdesk.core.step import Playbook, Run, Stage, Step, StepEnded, StepEvent
from sparkdesk.core.telemetry.sample import Sample
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.fleet.inventory import Inventory
from sparkdesk.services.fleet.power import Power
from sparkdesk.services.playbooks.runner import Runner
from sparkdesk.services.playbooks.runs import PlaybookRuns
from sparkdesk.services.tasks import Tasks
from sparkdesk.services.wait import wait_for_value
from tests.fakes.connector import LocalConnector

LOCK = (Path(__file__).parents[3] / "sparkdesk" / "remote" / "lock.py").read_bytes()
MAC = "4c:bb:47:00:01:10"
_SUDO = """#!/bin/sh
while [ "$1" != "--" ]; do [ "$1" != true ] || exit 0; shift; done
shift; SUDO=yes exec "$@"
"""
_SYSTEMCTL = """#!/bin/sh
[ -n "$SUDO" ] || { echo "Interactive authentication required." >&2; exit 1; }
echo "$1" >> "$HOME/ordered"
"""


class SentWakeUps:
    """Notes what would be sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[tuple[str, ...], tuple[str, ...]]] = []

    async def wake(self, macs: Sequence[str], addresses: Sequence[str]) -> None:
        self.sent.append((tuple(macs), tuple(addresses)))


class Desk:
    """Two nodes, and everything that has to do with their power."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "nodes" / "n1"
        self.root = folder / "root"
        self.tasks = Tasks()
        self.store = SqliteStore(folder / "data")
        env = {
            "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
            "SPARKDESK_ROOT": str(self.root),
            "SPARKDESK_LOCK_DIR": str(folder / "locks"),
        }
        (folder / "locks").mkdir()
        (folder / "bin").mkdir()
        for name, text in (("sudo", _SUDO), ("systemctl", _SYSTEMCTL)):
            (folder / "bin" / name).write_text(text)
            (folder / "bin" / name).chmod(0o755)
        self.boot()
        for name, carrier in (("enp1s0f0np0", "1"), ("enP2p1s0f0np0", "1"), ("enp1s0f1np1", "0"), ("eth0", "1")):
            self.set_link(name, carrier)
        self.connector = LocalConnector(folder / "nodes", env)
        clock = SystemClock()
        self.inventory = Inventory(tasks=self.tasks, connector=self.connector, store=self.store, clock=clock)
        runner = Runner(
            shells=self.inventory.shell, store=self.store, clock=clock, lock_program=LOCK, owner="me@here", settle_s=5.0
        )
        self.runs = PlaybookRuns(tasks=self.tasks, runner=runner, store=self.store, clock=clock)
        self.waker = SentWakeUps()
        self.jobs: Latest[tuple[JobStatus, ...]] = Latest(())
        self.servers: Latest[tuple[FoundServer, ...]] = Latest(())
        self.sample: Latest[Sample | None] = Latest(None)
        self.power = Power(
            inventory=self.inventory,
            runs=self.runs,
            waker=self.waker,
            jobs=self.jobs,
            stop_plan=self.stop_plan,
            servers=self.servers,
            samples=lambda _node_id: self.sample,
        )
        self.events: list[StepEvent] = []

    def stop_plan(self, job_id: str) -> Playbook | None:
        if job_id != "ours":
            return None
        step = Step("stop", "Stop it", "n1", (Run(Command(("sh", "-c", "echo stopped >> ordered"))),))
        return Playbook("Stop it", (Stage("Stop it", (step,)),))

    def boot(self) -> None:
        """The kernel says another boot."""
        kernel = self.root / "proc/sys/kernel/random"
        kernel.mkdir(parents=True, exist_ok=True)
        (kernel / "boot_id").write_text(f"{uuid.uuid4()}\n")

    def set_link(self, name: str, carrier: str) -> None:
        """A port of the node has a link, or not."""
        folder = self.root / "sys/class/net" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "carrier").write_text(f"{carrier}\n")

    def ordered(self) -> list[str]:
        path = self.home / "ordered"
        return path.read_text().split() if path.exists() else []

    async def open(self) -> None:
        await self.store.open()
        nodes = tuple(
            NodeRecord(
                f"n{i}", f"spark-{i}", f"192.168.1.{i}", 22, "spark", host_key=f"k{i}", macs=(MAC,) if i == 1 else ()
            )
            for i in (1, 2)
        )
        await self.inventory.open(ClusterRecord("c", "Test", nodes))
        await self.until(NodeState.LIVE)

    async def until(self, *states: NodeState, timeout_s: float = 90.0) -> None:
        await wait_for_value(self.inventory.nodes, lambda nodes: nodes[0].state in states, timeout_s=timeout_s)

    async def until_ordered(self, word: str) -> None:
        async with asyncio.timeout(30):
            while word not in self.ordered():
                await asyncio.sleep(0.05)

    def results(self) -> dict[str, str]:
        return {event.step_id: event.result for event in self.events if isinstance(event, StepEnded)}

    async def close(self) -> None:
        await self.inventory.close()
        await self.tasks.close()
        await self.store.close()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path)
    await desk.open()
    yield desk
    await desk.close()


def job(job_id: str, state: JobState = JobState.READY, owner: str = "") -> JobStatus:
    """A job on the first node."""
    return JobStatus(job_id, f"model of {job_id}", "vllm", ("n1",), state, 1, owner=owner)


async def test_a_plan_names_every_job_that_dies(desk: Desk) -> None:
    desk.jobs.set((job("ours", owner="me@here"), job("theirs", owner="anna@laptop"), job("old", JobState.STOPPED)))
    desk.servers.set((FoundServer("n1:8000", "n1", "127.0.0.1", 8000, "openai", title="ollama"),
                      FoundServer("n2:1", "n2", "127.0.0.1", 1, "openai", title="elsewhere")))  # fmt: skip
    plan = desk.power.reboot_plan("n1")
    assert plan.dying == ("model of ours, of me@here", "model of theirs, of anna@laptop", "ollama, port 8000")
    assert PEER_WARNING in plan.warnings
    assert any("theirs" in words and "ollama" in words and "ours" not in words for words in plan.warnings)
    assert BUTTON_WARNING in desk.power.shutdown_plan("n1").warnings
    assert plan.playbook.needs_lock
    first = next(plan.playbook.steps())
    assert (first.title, first.phase) == ("Stop it", "stop")
    with pytest.raises(PlanError):
        desk.power.reboot_plan("nothing")


async def test_a_lone_nodes_peer_is_warned_of_unless_its_ports_are_seen_without_a_link(desk: Desk) -> None:
    await desk.inventory.remove_node("n2")

    def is_warned(**up: float) -> bool:
        desk.sample.set(Sample("n1", 0, 0, "b", {f"cage_up.{cage}": value for cage, value in up.items()}))
        return PEER_WARNING in desk.power.reboot_plan("n1").warnings

    assert PEER_WARNING in desk.power.reboot_plan("n1").warnings, "nothing is known of its ports"
    assert is_warned(P0=0.0), "P1 is not known"
    assert is_warned(P0=0.0, P1=1.0)
    assert not is_warned(P0=0.0, P1=0.0)
    other = NodeRecord("n3", "spark-3", "192.168.1.3", 22, "spark", host_key="k3")
    lab = await desk.inventory.create_cluster("Lab")
    await desk.inventory.open(replace(lab, nodes=(other,)))
    await desk.inventory.open_known("c")
    await desk.until(NodeState.LIVE)
    assert is_warned(P0=0.0, P1=0.0), "another Spark is known, in another cluster"


async def test_a_restart_stops_our_jobs_and_ends_with_another_boot_and_its_links(desk: Desk) -> None:
    desk.jobs.set((job("ours"),))
    running = asyncio.ensure_future(desk.power.run(desk.power.reboot_plan("n1"), desk.events.append))
    await desk.until_ordered("reboot")
    assert desk.ordered() == ["stopped", "reboot"]
    desk.connector.lose("n1")
    for name in ("enp1s0f0np0", "enP2p1s0f0np0"):
        desk.set_link(name, "0")
    await wait_for_value(desk.inventory.nodes, lambda nodes: not nodes[0].is_connected, timeout_s=20)
    assert "restarts" in desk.inventory.nodes.value[0].message
    desk.boot()
    desk.connector.give_back("n1")
    await asyncio.sleep(1.0)
    for name in ("enp1s0f0np0", "enP2p1s0f0np0"):
        desk.set_link(name, "1")
    ended = await running
    assert ended.result == "done", ended
    assert desk.results() == {"stop-1-stop": "done", "note": "done", "restart": "done", "back": "done", "links": "done"}
    assert not list((desk.home / ".local/state/sparkdesk").glob("restart-*")), "nothing of ours is left"


async def test_a_node_that_only_lost_its_line_has_not_restarted(desk: Desk) -> None:
    running = asyncio.ensure_future(desk.power.run(desk.power.reboot_plan("n1"), desk.events.append))
    await desk.until_ordered("reboot")
    desk.connector.lose("n1")
    desk.connector.give_back("n1")
    await desk.until(NodeState.LIVE)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3):
            await asyncio.shield(running)
    assert "back" not in desk.results(), "the same boot is no restart"
    desk.boot()
    assert (await running).result == "done"


async def test_a_run_that_is_carried_on_does_not_restart_twice(desk: Desk) -> None:
    plan = desk.power.reboot_plan("n1")
    run_id = desk.runs.start(plan.playbook, on_event=desk.events.append)
    await desk.until_ordered("reboot")
    desk.runs.cancel(run_id)
    assert (await desk.runs.wait(run_id)).result == "cancelled"
    desk.boot()
    desk.runs.resume(run_id)
    assert (await desk.runs.wait(run_id)).result == "done"
    assert desk.ordered() == ["reboot"]


async def test_a_link_that_stays_down_is_named_with_what_to_do(desk: Desk) -> None:
    steps = {step.id: step for step in desk.power.reboot_plan("n1").playbook.steps()}
    note, links = steps["note"], steps["links"]
    shell = desk.inventory.shell("n1")
    looking = links.apply[0]
    assert isinstance(note.apply[0], Run)
    assert isinstance(looking, Run)
    assert (await shell.run(note.apply[0].command)).is_ok
    desk.set_link("enP2p1s0f0np0", "0")
    argv = (*looking.command.argv[:-1], "1")
    said = (await shell.run(Command(argv))).text
    assert '"ok": false' in said
    assert "enP2p1s0f0np0" in said
    assert "enp1s0f0np0" not in said
    assert "both have restarted" in said


async def test_a_shut_down_ends_when_the_node_answers_no_more(desk: Desk) -> None:
    running = asyncio.ensure_future(desk.power.run(desk.power.shutdown_plan("n1"), desk.events.append))
    await desk.until_ordered("poweroff")
    assert "gone" not in desk.results()
    desk.connector.lose("n1")
    ended = await running
    assert ended.result == "done", ended
    await desk.until(NodeState.ASLEEP)
    assert desk.power.can_wake("n1") == ""
    await desk.power.wake("n1")
    assert desk.waker.sent == [((MAC,), ("192.168.1.1",))]
    record = desk.inventory.status("n1").record
    await desk.inventory.update_node(replace(record, other_addresses=("[fd00::1]:22", "192.168.1.1:2222", "none")))
    await desk.power.wake("n1")
    assert desk.waker.sent[1] == ((MAC,), ("192.168.1.1", "fd00::1")), "each address once, as a socket takes it"


async def test_what_cannot_be_woken_says_why(desk: Desk) -> None:
    assert "awake" in desk.power.can_wake("n1")
    with pytest.raises(PlanError, match="awake"):
        await desk.power.wake("n1")
    desk.connector.lose("n2")
    await wait_for_value(desk.inventory.nodes, lambda nodes: not nodes[1].is_connected, timeout_s=20)
    assert "hardware address" in desk.power.can_wake("n2")
    assert desk.waker.sent == []
