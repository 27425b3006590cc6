"""A stop, and a restart of the node, in each phase of a launch: nothing is left running that nobody knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sparkdesk.core.jobs.record import JobState, PhaseState
from tests.services.job_rig import Rig, end_jobs, until
from tests.services.jobs.test_killed import engines_on

PHASES = ("put", "start", "load", "token", "ready")


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path, root=tmp_path / "root")
    await rig.start()
    yield rig
    await rig.close()
    await asyncio.to_thread(end_jobs, tmp_path)


async def launch_until(rig: Rig, phase: str) -> tuple[str, int]:
    """A launch that has come so far, and is held there; its id and port."""
    sign = rig.folder / "engine"
    held = sign.with_suffix(".now")
    held.touch() if phase == "token" else held.unlink(missing_ok=True)
    flags = ("--never-ready",) if phase == "load" else ("--hang", str(sign))
    job_id = await rig.launch(*flags)

    def is_there() -> bool:
        status = rig.status(job_id)
        if phase == "ready":
            return status.state is JobState.READY
        states = {point.key: point.state for point in status.phases}
        return states[phase] is not PhaseState.TO_DO

    await until(is_there)
    endpoint = rig.status(job_id).endpoint
    assert endpoint is not None
    return job_id, endpoint.port


async def test_a_stop_in_each_phase_is_verified_and_leaves_nothing(rig: Rig) -> None:
    for phase in PHASES:
        job_id, port = await launch_until(rig, phase)
        await asyncio.gather(rig.launcher.stop(job_id), rig.launcher.stop(job_id))
        status = rig.status(job_id)
        assert (phase, status.state, status.stop_error) == (phase, JobState.STOPPED, "")
        assert engines_on([port]) == {port: []}, phase


async def test_a_node_that_restarts_in_each_phase_leaves_no_orphan_and_no_job_in_doubt(rig: Rig) -> None:
    for phase in PHASES:
        job_id, port = await launch_until(rig, phase)
        rig.reboot("n1")
        if phase == "ready":
            await rig.until_state(job_id, JobState.UNKNOWN)
            assert rig.status(job_id).remedy, "not known is said, with what happens next"
        (rig.folder / "engine.now").unlink(missing_ok=True)
        rig.connector.give_back("n1")
        status = await rig.until_state(job_id, JobState.READY, JobState.FAILED)
        count = 1 if status.state is JobState.READY else 0
        assert len(engines_on([port])[port]) == count, (phase, status)
        if phase in ("load", "token", "ready"):
            assert (status.state, "restarted" in status.message) == (JobState.FAILED, True), (phase, status.message)
            fix = rig.launcher.fix_of(job_id)
            assert fix is not None
            assert "again" in fix.words
        if count:
            await rig.launcher.stop(job_id)
