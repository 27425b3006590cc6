"""A row tells how its job went after the program was started anew: the phase it died in, and what each took."""

from __future__ import annotations

import asyncio
import math
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sparkdesk.core.jobs.record import JobState, JobStatus, Phase, PhaseState
from sparkdesk.core.jobs.story import Story
from sparkdesk.infra.store.sqlite_store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.jobs.deployment import Deployment
from sparkdesk.services.jobs.start.story_book import STORIES, StoryBook
from sparkdesk.services.tasks import Tasks
from tests.services.job_rig import Rig, end_jobs, free_port, until
from tests.services.jobs.test_killed import kill_at


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    yield tmp_path
    await asyncio.to_thread(end_jobs, tmp_path)


def told(phases: tuple[Phase, ...]) -> list[tuple[str, PhaseState, str, str]]:
    """What a row shows of a timeline, to the tenth of a second."""
    return [(phase.key, phase.state, f"{phase.seconds:.1f}", phase.note) for phase in phases]


async def test_a_failed_and_a_stopped_job_keep_their_phases_over_a_restart_of_the_program(folder: Path) -> None:
    rig = Rig(folder)
    await rig.start()
    failed = await rig.launch("--load", "0.3", "--no-token")
    before_failed = (await rig.until_state(failed, JobState.FAILED)).phases
    stopped = await rig.launch()
    await rig.until_state(stopped, JobState.READY)
    await rig.launcher.stop(stopped)
    before_stopped = rig.status(stopped).phases
    removed = await rig.launch("--die", "no device")
    await rig.until_state(removed, JobState.FAILED)
    await rig.launcher.remove(removed)
    await rig.close()

    later = Rig(folder)
    await later.start()
    try:
        assert told(later.status(failed).phases) == told(before_failed)
        died_in = next(phase for phase in later.status(failed).phases if phase.state is PhaseState.FAILED)
        assert (died_in.key, died_in.seconds > 0, "token" in died_in.note) == ("token", True, True)
        assert told(later.status(stopped).phases) == told(before_stopped)
        assert set(await later.store.documents(STORIES)) == {failed, stopped}
    finally:
        await later.close()


async def test_a_launch_that_was_cut_off_goes_on_with_the_phases_that_were_behind_it(folder: Path) -> None:
    port = free_port()
    await kill_at(folder, "token", [port])
    looked = Rig(folder)
    await looked.store.open()
    ((job_id, data),) = (await looked.store.documents(STORIES)).items()
    await looked.store.close()
    kept = {phase.key: phase for phase in Story.from_json(data).phases}
    assert [kept[key].state for key in ("preflight", "put", "start")] == [PhaseState.DONE] * 3
    assert kept["load"].state is PhaseState.CURRENT, "the program died as the next one began"
    rig = Rig(folder)
    await rig.start()
    try:
        phases = {phase.key: phase for phase in (await rig.until_state(job_id, JobState.READY)).phases}
        for key in ("preflight", "put", "start"):
            assert phases[key].seconds == kept[key].seconds, key
        assert {phase.state for phase in phases.values()} == {PhaseState.DONE}
    finally:
        await rig.close()


async def test_a_server_that_died_unseen_says_in_which_phase_and_the_time_that_its_node_knows(folder: Path) -> None:
    rig = Rig(folder)
    await rig.start()
    job_id = await rig.launch("--never-ready")
    await until(lambda: rig.status(job_id).state is JobState.LOADING)
    ready = await rig.launch()
    await rig.until_state(ready, JobState.READY)
    pids = [rig.pid(job_id), rig.pid(ready)]
    await rig.close()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    await until(lambda: bool(rig.record(job_id, "exit.json") and rig.record(ready, "exit.json")))
    later = Rig(folder)
    await later.start()
    try:
        loading = await later.until_state(job_id, JobState.FAILED)
        failed = next(phase for phase in loading.phases if phase.state is PhaseState.FAILED)
        assert (failed.key, math.isfinite(failed.seconds)) == ("load", True)
        served = await later.until_state(ready, JobState.FAILED)
        assert served.phases[-1].state is PhaseState.FAILED
        assert served.message == "The server is gone: ended by signal 9", "its last line is not why"
        assert math.isfinite(served.phases[-1].seconds)
    finally:
        await later.close()


@pytest.mark.parametrize("is_beside", [True, False])
async def test_a_job_that_is_forgotten_while_its_story_is_written_is_not_written_again(is_beside: bool) -> None:
    """Kept beside what goes on, and by one who waits for it."""
    store, tasks = SqliteStore(None), Tasks()
    await store.open()
    book = StoryBook(store, tasks)
    status = JobStatus("j" * 16, "tiny", "vLLM", ("n1",), JobState.LOADING, 0)
    deployment = Deployment(status, None, None, SystemClock(), lambda: None)
    deployment.recall(Story(restarts=1))
    try:
        if is_beside:
            book.follow(deployment)
        else:
            tasks.start(book.keep, deployment)
        while not book._kept:
            await asyncio.sleep(0)
        await book.forget(deployment.job_id)
        book.follow(deployment)
        await until(lambda: not tasks.names)
        assert await store.documents(STORIES) == {}
        book.recall(deployment)
        await book.keep(deployment)
        assert list(await store.documents(STORIES)) == [deployment.job_id], "taken up again it is kept again"
    finally:
        await tasks.close()
        await store.close()


async def test_the_tries_are_kept_with_how_each_of_them_ended(folder: Path) -> None:
    rig = Rig(folder)
    await rig.start()
    job_id = await rig.launcher.launch(rig.launcher.plan(rig.request(restart_limit=2)))
    await rig.until_state(job_id, JobState.READY)
    os.kill(rig.pid(job_id), signal.SIGKILL)
    await until(lambda: rig.status(job_id).restarts >= 1)
    tries = rig.status(job_id).tries
    assert tries == ("try 1 ended by signal 9",)
    await rig.launcher.stop(job_id)
    await rig.close()
    later = Rig(folder)
    await later.start()
    try:
        assert later.status(job_id).tries[:1] == tries[:1]
        assert later.status(job_id).restarts >= 1
    finally:
        await later.close()
