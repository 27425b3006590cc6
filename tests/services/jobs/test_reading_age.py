"""What an engine said is of now for a short while only: a server that falls silent has no figures."""

from __future__ import annotations

import asyncio
import math

from sparkdesk.core.jobs.reading import REQUESTS_RUNNING
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.jobs.deployment import Deployment

READINGS = ((REQUESTS_RUNNING, 1.0),)


def running(told: list[int]) -> Deployment:
    status = JobStatus("j1", "smollm2", "llamacpp", ("n1",), JobState.READY, 0)
    return Deployment(status, None, None, SystemClock(), lambda: told.append(1))


async def test_readings_that_nothing_newer_follows_are_not_known_any_more() -> None:
    told: list[int] = []
    deployment = running(told)
    deployment.take_readings(READINGS, for_s=0.05)
    assert deployment.status.reading(REQUESTS_RUNNING) == 1.0
    async with asyncio.timeout(10):
        while deployment.status.readings:
            await asyncio.sleep(0.01)
    assert math.isnan(deployment.status.reading(REQUESTS_RUNNING))
    assert deployment.status.state is JobState.READY
    assert len(told) == 2


async def test_newer_readings_are_kept_when_the_time_of_the_ones_before_is_over() -> None:
    deployment = running([])
    deployment.take_readings(READINGS, for_s=0.05)
    deployment.take_readings(READINGS, for_s=600.0)
    await asyncio.sleep(0.2)
    assert deployment.status.reading(REQUESTS_RUNNING) == 1.0
