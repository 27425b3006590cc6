"""A node whose samples have stopped while its connection stands: what runs on it goes on, and nothing is let go of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sparkdesk.core.cluster.node import NodeState
from sparkdesk.core.jobs.record import JobState
from sparkdesk.services.telemetry import Pulse, PulseState
from tests.services.job_rig import Rig, end_jobs


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path)
    await rig.start()
    yield rig
    await rig.close()
    await asyncio.to_thread(end_jobs, tmp_path)


async def test_a_quiet_node_keeps_its_logs_its_survey_and_its_jobs(rig: Rig) -> None:
    job_id = await rig.launch()
    await rig.until_state(job_id, JobState.READY)
    assert rig.tasks.is_running("log n1")
    rig.inventory.hear_pulse("n1", Pulse(PulseState.STALE, 1_000, "No telemetry from spark-1", "Wait."))
    status = rig.inventory.status("n1")
    assert status.state is NodeState.STALE
    assert status.message.startswith("No telemetry from spark-1, since ")
    await asyncio.sleep(0.1)
    assert rig.tasks.is_running("log n1")
    assert [bool(context.home) for context in rig.launcher.node_contexts.value] == [True, True]
    rig.inventory.hear_pulse("n1", Pulse(PulseState.LIVE, 2_000))
    assert rig.inventory.status("n1").state is NodeState.LIVE
    assert rig.status(job_id).state is JobState.READY


async def test_a_launch_whose_node_is_away_while_it_loads_is_not_known_until_it_is_back(rig: Rig) -> None:
    job_id = await rig.launch("--load", "4")
    await rig.until_state(job_id, JobState.LOADING)
    engine = rig.pid(job_id)
    rig.connector.lose("n1")
    status = await rig.until_state(job_id, JobState.UNKNOWN)
    assert "does not answer since" in status.message
    assert "goes on there" in status.message
    assert status.remedy
    rig.states.clear()
    rig.connector.give_back("n1")
    status = await rig.until_state(job_id, JobState.READY)
    assert rig.states[-2:] == [JobState.LOADING, JobState.READY]
    assert (status.message, rig.pid(job_id)) == ("", engine), "the same engine, which went on"
