"""All that is said about a server, over a real launch: its process, log, forward and store are real."""

from __future__ import annotations

import asyncio
import json
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
from tests.fakes.echo_backend import Echo
from tests.services.job_rig import Rig, end_jobs, until


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path)
    await rig.start()
    yield rig
    await rig.close()
    await asyncio.to_thread(end_jobs, tmp_path)


def assess(rig: Rig) -> Assessment:
    return Assessment(
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


async def test_the_launchers_next_plan_says_what_earlier_starts_taught(tmp_path: Path) -> None:
    rig = Rig(tmp_path, backends={"vllm": Echo()})  # under the name of an engine that the planner knows
    await rig.start()
    start = {"job_id": "a", "weights_factor": 1.1, "kv_factor": None, "runtime_bytes": None, "load_s": None}
    learned = {"schema": 1, "key": ["tiny", "vllm", "stock"], "is_applied": True, "starts": [start]}
    await rig.store.save_document("correction", "tiny", json.dumps(learned).encode())
    assessment = assess(rig)
    request = rig.request(engine="vllm")
    assert "Corrected by 1 start: weights x1.10" not in rig.launcher.plan(request).notes
    await assessment.load()
    assert "Corrected by 1 start: weights x1.10" in rig.launcher.plan(request).notes
    assert rig.launcher.problems(request) == []
    assessment.close()
    await rig.close()


async def test_a_launched_server_gets_its_verdict_and_its_truth_by_itself(rig: Rig) -> None:
    assessment = assess(rig)
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
