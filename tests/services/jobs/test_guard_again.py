"""A guard that somebody kills is replaced while the server runs on: memory is never left unwatched for long."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sparkdesk.core.jobs.record import JobState, PhaseState
from sparkdesk.core.step import StepEnded
from sparkdesk.services.jobs import course, heartbeat
from sparkdesk.services.jobs.deployment import OURS
from tests.services.job_rig import Rig, end_jobs, is_running, until

MIB = 1 << 20


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its node is asked at each beat."""
    monkeypatch.setattr(heartbeat, "ASK_EVERY", 1)
    monkeypatch.setattr(course, "GUARD_LOOK_S", 1)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path, root=tmp_path / "root")
    rig.echo.memory_floor_bytes = 500 * MIB
    set_memory(rig, 900 * MIB)
    await rig.start()
    yield rig
    await rig.close()
    await asyncio.to_thread(end_jobs, tmp_path)


def set_memory(rig: Rig, available: int) -> None:
    """What the node's kernel says from now on."""
    new = rig.folder / "root/proc/new"
    new.write_text(f"MemTotal: 999999 kB\nMemAvailable: {available // 1024} kB\n")
    new.replace(new.with_name("meminfo"))


def guard_of(rig: Rig, job_id: str) -> int:
    """The guard's process."""
    pid = rig.record(job_id)["guard_pid"]
    assert isinstance(pid, int)
    return pid


async def test_a_killed_guard_is_replaced_by_a_step_and_the_memory_floor_holds_again(rig: Rig) -> None:
    job_id = await rig.launch()
    await rig.until_state(job_id, JobState.READY)
    engine, guard = rig.pid(job_id), guard_of(rig, job_id)
    os.kill(guard, signal.SIGKILL)
    await until(lambda: guard_of(rig, job_id) != guard)
    await until(lambda: "A new guard watches over it" in rig.lines(job_id, OURS))
    assert is_running(guard_of(rig, job_id))
    assert (rig.pid(job_id), is_running(engine)) == (engine, True), "the engine was not touched"
    assert any("guard" in line and "gone" in line for line in rig.lines(job_id, OURS))
    ended = [event for event in rig.launcher.events(job_id).past if isinstance(event, StepEnded)]
    assert (ended[-1].step_id, ended[-1].result) == ("guard", "done")
    assert rig.status(job_id).state is JobState.READY
    set_memory(rig, 100 * MIB)
    status = await rig.until_state(job_id, JobState.FAILED)
    figures = "memory floor: 100.0 MiB available, at least 500.0 MiB wanted"
    assert status.message == f"Its guard on the node ended it before the node froze, {figures}", "no line of the log"
    assert "less context" in status.remedy
    assert rig.launcher.fix_of(job_id) is not None
    assert status.phases[-1].state is PhaseState.FAILED, "it died while it served"
    assert not is_running(engine)


async def test_a_guard_that_is_killed_while_the_model_loads_is_replaced_too(rig: Rig) -> None:
    job_id = await rig.launch("--never-ready")
    await until(lambda: rig.status(job_id).state is JobState.LOADING)
    guard = guard_of(rig, job_id)
    os.kill(guard, signal.SIGKILL)
    await until(lambda: guard_of(rig, job_id) != guard and is_running(guard_of(rig, job_id)))
    assert rig.status(job_id).state is JobState.LOADING
    set_memory(rig, 100 * MIB)
    status = await rig.until_state(job_id, JobState.FAILED)
    assert status.message.startswith("Its guard on the node ended it before the node froze, memory floor: 100.0 MiB")
    assert "Last line" not in status.message
    assert "less context" in status.remedy
    load = next(phase for phase in status.phases if phase.key == "load")
    assert load.state is PhaseState.FAILED


async def test_a_server_whose_time_is_up_was_stopped_as_its_plan_says(rig: Rig) -> None:
    request = rig.request().model_copy(update={"stop_after_s": 4})
    job_id = await rig.launcher.launch(rig.launcher.plan(request))
    status = await rig.until_state(job_id, JobState.STOPPED, JobState.FAILED, JobState.ENDED)
    assert (status.state, status.message) == (
        JobState.STOPPED,
        "Its time was up: it was to stop 4 s after its start",
    )
    assert rig.launcher.fixes_of(job_id) == ()
