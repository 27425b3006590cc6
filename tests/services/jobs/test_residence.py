"""Free memory is promised once: what a server that still loads will take is not free for the next one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.backend import Resident
from sparkdesk.core.jobs.record import JobState
from sparkdesk.services.jobs.start.plans import without_job
from tests.services.job_rig import Rig, end_jobs, until
from tests.services.jobs.test_guard_again import set_memory

GIB = 1 << 30


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path, root=tmp_path / "root")
    rig.echo.weights_bytes = 6 * GIB
    set_memory(rig, 10 * GIB)
    await rig.start()
    yield rig
    for job in rig.launcher.jobs.value:  # `end_jobs` takes them for jobs of another boot: their boot id is the root's
        if not job.state.is_over and not job.account:
            await rig.launcher.stop(job.job_id)
    await rig.close()
    await asyncio.to_thread(end_jobs, tmp_path)


def ours(rig: Rig) -> list[Resident]:
    """The first node's; another account of this machine may run jobs too."""
    mine = {job.job_id for job in rig.launcher.jobs.value if not job.account}
    found = [one for one in rig.launcher._contexts.current()[0].residents if one.job_id in mine]
    return sorted(found, key=lambda one: rig.status(one.job_id).created_ms)


async def test_two_launches_at_once_do_not_count_on_the_same_free_memory(rig: Rig) -> None:
    plans = [rig.launcher.plan(rig.request("--load", "2")) for _ in range(2)]
    ends = await asyncio.gather(*(rig.launcher.launch(plan) for plan in plans), return_exceptions=True)
    (job_id,) = [end for end in ends if isinstance(end, str)]
    (refused,) = [end for end in ends if isinstance(end, PlanError)]
    assert refused.message == (
        "tiny still loads on spark-1 and takes 6.0 GiB more: this launch needs 6.0 GiB, and 4.0 GiB are left for it"
    )
    assert "Wait until tiny is ready" in refused.remedy
    assert len(await rig.store.job_intents()) == 1
    await rig.until_state(job_id, JobState.READY)
    rig.echo.weights_bytes = 3 * GIB
    set_memory(rig, 4 * GIB)
    small = await rig.launch()
    await rig.until_state(small, JobState.READY)


async def test_what_a_loading_server_has_by_now_is_not_counted_again(rig: Rig) -> None:
    job_id = await rig.launch("--never-ready")
    await until(lambda: rig.status(job_id).state is JobState.LOADING)
    (resident,) = ours(rig)
    assert (resident.is_loading, resident.memory_bytes, resident.coming_bytes) == (True, 6 * GIB, 6 * GIB)
    set_memory(rig, 6 * GIB)
    await rig.launcher.survey("n1")
    assert [one.coming_bytes for one in ours(rig)] == [2 * GIB]
    deployment = rig.launcher._known(job_id)
    set_memory(rig, 2 * GIB)
    await rig.launcher.survey("n1")
    assert [one.coming_bytes for one in ours(rig)] == [0], "it may take more than planned, and never less than nothing"
    rig.echo.weights_bytes = 1 * GIB
    second = await rig.launch("--never-ready")
    freed = without_job(rig.launcher._contexts.current()[0], deployment)
    assert [one.job_id for one in ours(rig)] == [job_id, second]
    assert job_id not in [one.job_id for one in freed.residents]
    await rig.launcher.stop(job_id)
    await rig.launcher.stop(second)


async def test_the_place_of_one_that_loads_and_leaves_is_what_it_has_and_no_more(rig: Rig) -> None:
    job_id = await rig.launch("--never-ready")
    await until(lambda: rig.status(job_id).state is JobState.LOADING)
    set_memory(rig, 8 * GIB)
    await rig.launcher.survey("n1")
    node = rig.launcher._contexts.current()[0]
    assert [one.coming_bytes for one in ours(rig)] == [4 * GIB]
    freed = without_job(replace(node, mem_total_bytes=64 * GIB), rig.launcher._known(job_id))
    assert freed.mem_available_bytes == 10 * GIB
    await rig.launcher.stop(job_id)
