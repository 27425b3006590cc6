"""All that is said about a server, over a real launch: its process, log, forward and store are real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sparkdesk.app.plan_data import load_reference
from sparkdesk.core.jobs.reading import WEIGHTS_BYTES
from sparkdesk.core.jobs.record import JobState
from sparkdesk.core.jobs.verdict import Pace
from sparkdesk.core.planning.place import NodeRoom, Place
from sparkdesk.services.appraisal.assessment import Assessment, AssessmentParts
from sparkdesk.services.bench.sender import NOT_COUNTED
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.telemetry import Telemetry
from tests.services.job_rig import Rig, end_jobs, until


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path)
    await rig.start()
    yield rig
    await rig.close()
    await asyncio.to_thread(end_jobs, tmp_path)


async def test_a_launched_server_gets_its_verdict_and_its_truth_by_itself(rig: Rig) -> None:
    assessment = Assessment(
        AssessmentParts(
            tasks=rig.tasks,
            clock=SystemClock(),
            store=rig.store,
            launcher=rig.launcher,
            telemetry=Telemetry(clock=SystemClock(), programs=()),
            reference=load_reference,
            place=lambda node_ids: Place(tuple(NodeRoom(node_id, node_id) for node_id in node_ids)),
            name_of=rig.inventory.name_of,
        )
    )
    await assessment.load()
    job_id = await rig.launch("--tell")
    await rig.until_state(job_id, JobState.READY)
    before = assessment.changed.value

    def note() -> str:
        verdict = assessment.appraisals.verdict(job_id)
        return verdict.note if verdict is not None else ""

    await until(lambda: NOT_COUNTED in note())  # this small engine tells no usage, and that is said
    verdict = assessment.appraisals.verdict(job_id)
    assert verdict is not None
    assert verdict.pace is Pace.UNKNOWN
    await until(lambda: bool(assessment.corrections.truth(job_id)))
    (row,) = assessment.corrections.truth(job_id)
    assert (row.key, row.told) == (WEIGHTS_BYTES, 123456.0)
    assert assessment.changed.value > before
    assert assessment.next_changes.next_change(job_id) is None
    assert set(await rig.store.documents("verdict")) == {job_id}
    assessment.close()
