"""One fault at a time on a real machine: the line heals, or says what to do; nothing is called done that is not.

Every fault leaves this process with the tasks, threads and descriptors that it had before. What only the display tells
of dead links and frozen machines is in test_line.py; many faults at once are in test_chaos.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest

from sparkdesk.core.cluster.node import NodeState
from sparkdesk.core.command import Command, Refused, Unknown
from sparkdesk.core.errors import CommandFailed, NodeBusy, NodeError
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.ports import Shell
from sparkdesk.services.jobs.launcher import Launcher
from sparkdesk.services.telemetry import PulseState
from sparkdesk.services.wait import wait_for_value
from tests.lab.chaos import SIGN_IN, Fault, Heard, broken
from tests.lab.desk import Desk, opened_desk
from tests.lab.engine import make_backend, put_engine, request_on
from tests.lab.lab import Lab, LabNode
from tests.lab.trial import Belongings, Watch

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

HEAL_S = 60.0
QUIET_S = 4.0
"""Longer than any pause between attempts that nobody forbade."""
CONNECTION = "Connection from"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Three nodes that note every connection and sign-in."""
    with Lab(3, tmp_path_factory.mktemp("faults"), marker="faults", sshd_options="LogLevel DEBUG1") as lab:
        put_engine(lab.nodes[0])
        yield lab


@pytest.fixture
async def desk(workstation: Lab) -> AsyncIterator[Desk]:
    """Everything that a window has at work on its nodes; nothing of it is left afterwards."""
    before = Belongings.count()
    async with opened_desk(workstation, backends={"echo": make_backend()}) as desk:
        for index in range(3):
            await desk.wait_for_pulse(index, PulseState.LIVE)
        yield desk
    assert Belongings.count().more_than(before) == []


def launcher_of(desk: Desk) -> Launcher:
    """Its launcher."""
    assert desk.launcher is not None
    return desk.launcher


async def healed(desk: Desk, node: LabNode) -> None:
    """It runs commands again, is live, and samples come."""
    async with asyncio.timeout(HEAL_S):
        while not await answers(desk, node):
            await asyncio.sleep(0.1)
    await desk.wait_for(node.index, NodeState.LIVE, timeout_s=HEAL_S)
    await desk.wait_for_pulse(node.index, PulseState.LIVE, timeout_s=HEAL_S)


async def answers(desk: Desk, node: LabNode) -> bool:
    """Whether a command runs there now, and tells its name."""
    try:
        outcome = await desk.inventory.shell(node.name).run(Command(("hostname",)), timeout_s=10)
    except NodeError:
        return False
    return outcome.is_ok and outcome.text == node.run("hostname")


async def replaced(desk: Desk, before: Shell) -> None:
    """Until its node is connected by another connection."""
    async with asyncio.timeout(HEAL_S):
        while True:
            with suppress(NodeError):
                if desk.inventory.shell(before.node) is not before:
                    return
            await asyncio.sleep(0.05)


@asynccontextmanager
async def watched(desk: Desk, *steady: str) -> AsyncIterator[None]:
    """Meanwhile nothing untrue is shown, and the lines of these nodes do not fall."""
    watch = Watch(desk, steady=frozenset(steady))
    watching = asyncio.ensure_future(watch.look())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait({watching})
    assert not list(watch.wrong)


async def job_is(desk: Desk, job_id: str, *states: JobState) -> JobStatus:
    """The job, once it is in one of these states."""
    jobs = await wait_for_value(
        launcher_of(desk).jobs,
        lambda jobs: any(job.job_id == job_id and job.state in states for job in jobs),
        timeout_s=HEAL_S,
    )
    return next(job for job in jobs if job.job_id == job_id)


async def launched(desk: Desk, node: LabNode) -> str:
    """The id of a new job, once its node has been looked at."""
    launcher = launcher_of(desk)
    await wait_for_value(
        launcher.node_contexts,
        lambda contexts: any(context.record.id == node.name and context.home for context in contexts),
        timeout_s=HEAL_S,
    )
    return await launcher.launch(launcher.plan(request_on(node)))


@pytest.mark.parametrize("fault", [Fault.SSHD_KILLED, Fault.SSHD_FROZEN, Fault.LINK_DOWN, Fault.RESTARTED])
async def test_a_command_that_a_fault_hits_is_never_called_done_and_its_line_heals(desk: Desk, fault: Fault) -> None:
    node = desk.lab.nodes[1]
    mark = f"/tmp/begun-{fault.name.lower()}"
    slow = Command(("sh", "-c", f"touch {mark}; sleep 60; echo done"))
    async with watched(desk, "spark-1", "spark-3"):
        running = asyncio.ensure_future(desk.inventory.shell(node.name).run(slow, timeout_s=6))
        async with asyncio.timeout(10):
            while not (node.root / mark.lstrip("/")).exists():
                await asyncio.sleep(0.02)
        with broken(fault, node, Heard()):
            outcome = await running
        assert isinstance(outcome.fate, Unknown), outcome
        assert not outcome.is_ok
        await healed(desk, node)


async def test_another_host_key_is_refused_unheard_until_a_person_acts(desk: Desk) -> None:
    node = desk.lab.nodes[2]
    trusted = node.host_key
    heard = Heard()
    with broken(Fault.KEY_SWAPPED, node, heard):
        changed = await desk.wait_for(2, NodeState.IDENTITY_CHANGED)
        assert "shows another host key than the one you trusted" in changed.message
        assert "remove it here, add it again" in changed.remedy
        assert changed.detail.count("SHA256:") == 2
        assert changed.record.host_key == trusted
        before = node.sshd_log.count(CONNECTION)
        await asyncio.sleep(QUIET_S)
        assert node.sshd_log.count(CONNECTION) == before, "it was tried again"
    assert CONNECTION in heard.log[0]
    assert SIGN_IN not in heard.log[0], "another machine was offered a sign-in"
    assert desk.inventory.status(node.name).state is NodeState.IDENTITY_CHANGED
    desk.inventory.reconnect(node.name)
    await healed(desk, node)
    assert SIGN_IN in node.sshd_log, "this is how a sign-in would have looked"


async def test_a_node_with_one_session_says_so_and_does_nothing_by_halves(desk: Desk) -> None:
    node = desk.lab.nodes[1]
    before = desk.inventory.shell(node.name)
    with broken(Fault.ONE_SESSION, node, Heard()):
        await replaced(desk, before)
        await desk.wait_for_pulse(1, PulseState.LIVE, timeout_s=HEAL_S)  # its probe has the one session
        shell = desk.inventory.shell(node.name)
        outcome = await shell.run(Command(("touch", "/tmp/one-session")), timeout_s=20)
        assert isinstance(outcome.fate, Refused), outcome
        assert "no further channel" in outcome.explain()
        with pytest.raises(NodeBusy, match="no further channel") as caught:
            await shell.put(b"word", "/tmp/one-session", mode=0o600)
        assert "MaxSessions" in caught.value.remedy
        assert not (node.root / "tmp/one-session").exists()
        assert desk.inventory.status(node.name).is_live
    await healed(desk, node)


async def test_a_node_that_turns_logins_away_is_left_in_peace_and_says_so(desk: Desk) -> None:
    node = desk.lab.nodes[1]
    with broken(Fault.NO_LOGIN, node, Heard()):
        busy = await desk.wait_for(1, NodeState.RECONNECTING, NodeState.UNREACHABLE)
        nodes = await wait_for_value(
            desk.inventory.nodes, lambda nodes: "busy with other logins" in nodes[1].message, timeout_s=HEAL_S
        )
        assert nodes[1].remedy
        assert not busy.is_live
        before = node.sshd_log.count("MaxStartups")
        await asyncio.sleep(QUIET_S)
        assert node.sshd_log.count("MaxStartups") == before, "it was tried again within half a minute"
    desk.inventory.reconnect(node.name)  # or half a minute later by itself
    await healed(desk, node)


async def test_on_a_full_disk_nothing_is_called_done_and_the_node_says_why(desk: Desk) -> None:
    node = desk.lab.nodes[0]
    shell = desk.inventory.shell(node.name)
    await shell.put(b"before", "~/note", mode=0o600)
    async with watched(desk, "spark-1", "spark-2", "spark-3"):
        with broken(Fault.HOME_FULL, node, Heard()):
            with pytest.raises(CommandFailed, match=r"could not be written.*No space left on device") as caught:
                await shell.put(b"after" * 4096, "~/note", mode=0o600)
            assert "Make room" in caught.value.remedy
            job_id = await launched(desk, node)
            failed = await job_is(desk, job_id, JobState.FAILED, JobState.READY)
            assert failed.state is JobState.FAILED
            assert "No space left on device" in failed.message
            assert "Make room" in failed.remedy
            assert failed.stop_error == ""
            assert not node.processes("echo_engine")
        assert await shell.fetch("~/note", max_bytes=100) == b"before"
        job_id = await launched(desk, node)
        assert (await job_is(desk, job_id, JobState.FAILED, JobState.READY)).state is JobState.READY
        await launcher_of(desk).stop(job_id)
        assert not node.processes("echo_engine")


async def test_after_a_restart_the_boot_is_another_and_its_jobs_are_gone(desk: Desk) -> None:
    node = desk.lab.nodes[0]
    job_id = await launched(desk, node)
    await job_is(desk, job_id, JobState.READY)
    await wait_for_value(desk.inventory.nodes, lambda nodes: nodes[0].facts.boot_id == node.boot_id, timeout_s=HEAL_S)
    with broken(Fault.RESTARTED, node, Heard()):
        await healed(desk, node)
    await wait_for_value(desk.inventory.nodes, lambda nodes: nodes[0].facts.boot_id == node.boot_id, timeout_s=HEAL_S)
    gone = await job_is(desk, job_id, JobState.FAILED, JobState.ENDED)
    assert "the node was restarted" in gone.message
    assert gone.remedy
