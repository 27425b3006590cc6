"""The same button twice, and two who want the same port: one server comes of it, and the other one is told why."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.record import JobState
from tests.services.job_rig import Rig, end_jobs, free_port
from tests.services.jobs.test_killed import engines_on


@pytest.fixture
async def rigs(tmp_path: Path) -> AsyncIterator[tuple[Rig, Rig]]:
    """Two computers with one account on the nodes."""
    made = Rig(tmp_path), Rig(tmp_path, owner="anna@there")
    for rig in made:
        await rig.start()
    yield made
    for rig in made:
        await rig.close()
    await asyncio.to_thread(end_jobs, tmp_path)


async def test_two_plans_for_one_port_at_once_are_one_launch(rigs: tuple[Rig, Rig]) -> None:
    rig, _ = rigs
    port = free_port()
    plans = [rig.launcher.plan(rig.request(port=port)) for _ in range(2)]
    ends = await asyncio.gather(*(rig.launcher.launch(plan) for plan in plans), return_exceptions=True)
    (refused,) = [end for end in ends if isinstance(end, PlanError)]
    assert str(port) in refused.message
    (job_id,) = [end for end in ends if isinstance(end, str)]
    await rig.until_state(job_id, JobState.READY)
    assert len(await rig.store.job_intents()) == 1


async def test_a_restart_that_is_clicked_twice_is_one_restart(rigs: tuple[Rig, Rig]) -> None:
    rig, _ = rigs
    first = await rig.launch()
    await rig.until_state(first, JobState.READY)
    old = rig.launcher.plan_of(first)
    assert old is not None
    plans = [rig.launcher.switch_plan(first, old.request) for _ in range(2)]
    ends = await asyncio.gather(*(rig.launcher.switch(first, plan) for plan in plans), return_exceptions=True)
    (job_id,) = [end for end in ends if isinstance(end, str)]
    assert len([end for end in ends if isinstance(end, PlanError)]) == 1
    await rig.until_state(job_id, JobState.READY)
    assert rig.status(first).state is JobState.STOPPED
    assert engines_on([old.request.port]) == {old.request.port: [rig.pid(job_id)]}
    await asyncio.gather(*(rig.launcher.stop(job_id) for _ in range(3)))
    assert (rig.status(job_id).state, rig.status(job_id).stop_error) == (JobState.STOPPED, "")


async def test_two_computers_that_take_one_port_at_once_get_one_server_and_one_failure(rigs: tuple[Rig, Rig]) -> None:
    port = free_port()
    plans = [rig.launcher.plan(rig.request(port=port)) for rig in rigs]
    ids = await asyncio.gather(
        *(rig.launcher.launch(plan) for rig, plan in zip(rigs, plans, strict=True)), return_exceptions=True
    )
    states = []
    for rig, job_id in zip(rigs, ids, strict=True):
        if isinstance(job_id, str):
            status = await rig.until_state(job_id, JobState.READY, JobState.FAILED)
            states.append(status.state)
            assert status.state is JobState.READY or ("port" in status.message and status.remedy), status
        else:
            assert isinstance(job_id, PlanError)
    assert states.count(JobState.READY) == 1
    assert len(engines_on([port])[port]) == 1
