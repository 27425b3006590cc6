"""Two computers with stores of their own and one node account: both see, both may act, nothing is lost or done twice.

Real processes, sockets and databases; only the line to the node is local. The first computer is me@here.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from sparkdesk.core.errors import StepFailed
from sparkdesk.core.jobs.record import JobState
from sparkdesk.core.step import PutFile, StepEnded
from sparkdesk.infra.store import SqliteStore
from tests.infra.sshd import require
from tests.services.job_rig import JOBS, Rig, end_jobs, is_running, until

MakeRig = Callable[..., Rig]
SELDOM_S = 3.0
"""A computer that looks so seldom lists everything later than any of these tests waits."""
FOREIGN = "abcdefghijklmnop"
GUARD = """import os, sys
os.setgroups([]); os.setgid(1901); os.setuid(1901)
print("ready", flush=True)
sys.stdin.read()
"""
"""Makes itself a process of another account; its command line is a guard's."""


@pytest.fixture
async def make_rig(tmp_path: Path) -> AsyncIterator[MakeRig]:
    made: list[Rig] = []

    def make(owner: str, look_every_s: float = 0.5) -> Rig:
        made.append(Rig(tmp_path, owner=owner, look_every_s=look_every_s))
        return made[-1]

    yield make
    for rig in made:
        await rig.close()
    await asyncio.to_thread(end_jobs, tmp_path)


@pytest.fixture
async def here(make_rig: MakeRig) -> Rig:
    rig = make_rig("me@here")
    await rig.start()
    return rig


@pytest.fixture
async def there(make_rig: MakeRig) -> Rig:
    rig = make_rig("anna@there")
    await rig.start()
    return rig


def has(rig: Rig, job_id: str, *states: JobState) -> bool:
    """Whether the job is on the list and stands so."""
    return any(job.job_id == job_id and (not states or job.state in states) for job in rig.launcher.jobs.value)


async def test_what_one_starts_the_other_sees_talks_to_reads_and_stops(here: Rig, there: Rig) -> None:
    job_id = await here.launch()
    await here.until_state(job_id, JobState.READY)
    status = await there.until_state(job_id, JobState.READY)
    assert (status.title, status.owner, status.holder, status.account) == ("tiny", "me@here", "", "")
    async with there.launcher.client(job_id) as client:
        assert (await client.get("/health"))[0] == 200
    there.launcher.log(job_id)
    await until(lambda: "echo: answered" in there.lines(job_id))
    pid = here.pid(job_id)
    assert there.launcher.stop_plan(job_id) is not None
    await there.launcher.stop(job_id)
    assert there.status(job_id).state is JobState.STOPPED
    assert not is_running(pid)
    await here.until_state(job_id, JobState.STOPPED)
    assert here.status(job_id).stop_error == ""
    (intent,) = await here.store.job_intents()
    assert intent.state is JobState.STOPPED
    assert await there.store.job_intents() == (), "the second computer keeps no intent of what it only saw"


async def test_both_stopping_at_once_is_stopping_once(here: Rig, there: Rig) -> None:
    job_id = await here.launch("--deaf")
    await here.until_state(job_id, JobState.READY)
    await there.until_state(job_id, JobState.READY)
    pid = here.pid(job_id)
    await asyncio.gather(here.launcher.stop(job_id), there.launcher.stop(job_id))
    for rig in (here, there):
        assert (rig.status(job_id).state, rig.status(job_id).stop_error) == (JobState.STOPPED, "")
    assert not is_running(pid)
    assert here.record(job_id, "exit.json")["reason"] == "stopped by user"


async def test_a_launch_that_the_other_stops_is_stopped_and_not_failed(here: Rig, there: Rig) -> None:
    job_id = await here.launch("--never-ready")
    await here.until_state(job_id, JobState.LOADING)
    await until(lambda: has(there, job_id))
    await there.launcher.stop(job_id)
    status = await here.until_state(job_id, JobState.STOPPED, JobState.FAILED)
    assert status.state is JobState.STOPPED
    assert "another computer" in status.message
    assert not is_running(here.pid(job_id))


async def test_seeing_a_launch_under_way_does_not_touch_it(here: Rig, make_rig: MakeRig) -> None:
    job_id = await here.launch("--load", "2")
    await here.until_state(job_id, JobState.LOADING)
    there = make_rig("anna@there")
    await there.start()
    await here.until_state(job_id, JobState.READY)
    await there.until_state(job_id, JobState.READY)
    assert JobState.FAILED not in here.states
    journal = [json.loads(entry) for entry in await here.store.journal(job_id)]
    assert journal[-1]["result"] == "done"
    assert await there.store.journal(job_id) == ()


async def test_the_other_quitting_ends_nothing(here: Rig, there: Rig) -> None:
    job_id = await here.launch()
    await here.until_state(job_id, JobState.READY)
    await there.until_state(job_id, JobState.READY)
    await there.close()
    pid = here.pid(job_id)
    await asyncio.sleep(0.5)
    assert is_running(pid)
    assert here.status(job_id).state is JobState.READY


async def test_a_job_is_taken_over_and_survives_its_first_computer(
    here: Rig, there: Rig, make_rig: MakeRig, tmp_path: Path
) -> None:
    job_id = await here.launch("--load", "0.2")
    await here.until_state(job_id, JobState.READY)
    await there.until_state(job_id, JobState.READY)
    await there.launcher.take_over(job_id)
    assert (there.status(job_id).holder, there.status(job_id).owner) == ("anna@there", "me@here")
    assert here.record(job_id, "holder.json")["holder"] == "anna@there"
    (intent,) = await there.store.job_intents()
    assert (intent.job_id, intent.state) == (job_id, JobState.READY)
    plan = there.launcher.plan_of(job_id)
    assert plan is not None
    assert plan.request.extra_flags == ("--load", "0.2"), "it can be launched again from there"
    assert any(isinstance(event, StepEnded) and event.step_id == "take" for event in there.launcher.events(job_id).past)
    pid = here.pid(job_id)
    await here.close()
    await there.close()
    again, first = make_rig("anna@there"), make_rig("me@here")
    await again.start()
    status = await again.until_state(job_id, JobState.READY)
    assert (status.owner, status.holder) == ("me@here", "anna@there")
    await first.start()
    assert (await first.until_state(job_id, JobState.READY)).holder == "anna@there"
    await again.launcher.stop(job_id)
    assert not is_running(pid)
    await first.until_state(job_id, JobState.STOPPED)
    await first.launcher.remove(job_id)
    assert not list((tmp_path / "nodes/n1").glob(f"**/{job_id}"))
    with pytest.raises(StepFailed, match="over"):
        await again.launcher.take_over(job_id)


async def test_who_has_a_job_is_seen_on_both_sides_while_it_goes_to_and_fro(make_rig: MakeRig) -> None:
    here, there = make_rig("me@here", SELDOM_S), make_rig("anna@there", SELDOM_S)
    await here.start()
    await there.start()
    job_id = await here.launch()
    await here.until_state(job_id, JobState.READY)
    await there.until_state(job_id, JobState.READY)
    assert here.launcher.takeover_plan(job_id) is None, "it is ours"
    plan = there.launcher.takeover_plan(job_id)
    assert plan is not None
    assert [step.title for step in plan.steps()] == ["Take tiny over"]
    await there.launcher.take_over(job_id)
    assert there.launcher.takeover_plan(job_id) is None
    await until(lambda: here.status(job_id).holder == "anna@there")
    assert here.launcher.takeover_plan(job_id) is not None
    await here.launcher.take_over(job_id)
    await until(lambda: there.status(job_id).holder == "me@here")
    for rig in (here, there):
        assert rig.status(job_id).state is JobState.READY
    await here.launcher.stop(job_id)
    await there.until_state(job_id, JobState.STOPPED)
    assert there.launcher.takeover_plan(job_id) is None, "it is over"


async def test_a_job_that_the_other_removed_goes_from_the_list(here: Rig, there: Rig) -> None:
    job_id = await here.launch()
    await here.until_state(job_id, JobState.READY)
    await there.until_state(job_id, JobState.READY)
    await here.launcher.stop(job_id)
    await there.until_state(job_id, JobState.STOPPED)
    await here.launcher.remove(job_id)
    await until(lambda: not has(there, job_id))


async def test_a_folder_that_is_only_being_written_is_read_when_it_is_whole(
    here: Rig, there: Rig, tmp_path: Path
) -> None:
    plan = here.launcher.plan(here.request())
    folder = tmp_path / "nodes/n1" / JOBS / plan.job_id
    folder.mkdir(parents=True)
    put = next(step for step in plan.playbook.steps() if step.phase == "put")
    files = {Path(action.path).name: action.content for action in put.apply if isinstance(action, PutFile)}
    spec = files.pop("spec.json")
    for name, content in files.items():
        (folder / name).write_bytes(content)
    await until(lambda: has(there, plan.job_id, JobState.UNKNOWN))
    assert there.launcher.stop_plan(plan.job_id) is None, "whose it is cannot be read yet"
    (folder / "spec.json").write_bytes(spec)
    start = [sys.executable, "-I", str(folder / "job.py"), "start", str(folder)]
    await asyncio.to_thread(subprocess.run, start, check=True, capture_output=True, timeout=60)
    status = await there.until_state(plan.job_id, JobState.READY)
    assert (status.title, status.owner) == ("tiny", "me@here")
    assert there.launcher.stop_plan(plan.job_id) is not None


async def test_a_launch_that_was_taken_over_is_not_carried_on_by_its_first_computer(
    here: Rig, there: Rig, make_rig: MakeRig, tmp_path: Path
) -> None:
    job_id = await here.launch("--load", "2")
    await here.until_state(job_id, JobState.LOADING)
    await here.close()
    await until(lambda: has(there, job_id))
    await there.launcher.take_over(job_id)
    before = await kept_journal(tmp_path, "me@here", job_id)
    again = make_rig("me@here")
    await again.start()
    await again.until_state(job_id, JobState.READY)
    assert await again.store.journal(job_id) == before
    await there.until_state(job_id, JobState.READY)


async def kept_journal(folder: Path, owner: str, job_id: str) -> tuple[bytes, ...]:
    """The journal of a computer that is closed."""
    store = SqliteStore(folder / f"data-{owner}")
    await store.open()
    try:
        return await store.journal(job_id)
    finally:
        await store.close()


async def test_a_job_of_another_account_is_shown_and_not_touched(there: Rig, tmp_path: Path) -> None:
    """Its guard is a process of another user; its folder is closed to us."""
    require(os.geteuid() == 0, "another account needs root")
    folder = f"/home/eve/.local/state/sparkdesk/jobs/{FOREIGN}"
    words = [sys.executable, "-c", GUARD, f"{folder}/job.py", "guard", folder]
    guard = await asyncio.to_thread(subprocess.Popen, words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert guard.stdout is not None
        assert await asyncio.to_thread(guard.stdout.readline) == b"ready\n"
        (tmp_path / "nodes/n1/.local/state/sparkdesk/jobs/aaaaaaaaaaaaaaaa").mkdir(parents=True)  # a look at once
        status = await there.until_state(FOREIGN, JobState.UNKNOWN)
        assert status.account == "1901"
        assert "the account 1901" in status.message
        assert status.remedy
        assert there.launcher.stop_plan(FOREIGN) is None
        assert there.launcher.takeover_plan(FOREIGN) is None
        for refused in (there.launcher.stop, there.launcher.remove, there.launcher.take_over):
            with pytest.raises(StepFailed, match="belongs to the account 1901"):
                await refused(FOREIGN)
        assert guard.poll() is None
    finally:
        guard.send_signal(signal.SIGKILL)
        await asyncio.to_thread(guard.communicate)
    (tmp_path / "nodes/n1/.local/state/sparkdesk/jobs/bbbbbbbbbbbbbbbb").mkdir(parents=True)
    await until(lambda: not has(there, FOREIGN))
