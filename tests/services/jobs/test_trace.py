"""What engines said: a series with gaps, never an old value as one of now."""

from __future__ import annotations

import math

from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.rate import GENERATED_RATE
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.services.jobs.trace import Traces


def job(job_id: str, rate: float) -> JobStatus:
    return JobStatus(job_id, "a model", "vLLM", ("n1",), JobState.READY, 0, readings=((GENERATED_RATE, rate),))


def test_readings_become_a_series_with_gaps() -> None:
    now = [0]
    jobs: Latest[tuple[JobStatus, ...]] = Latest(())
    traces = Traces(jobs, lambda: now[0])
    for at_ms in (0, 2000, 4000, 30_000):
        now[0] = at_ms
        jobs.set((job("j1", at_ms / 100),))
    times_s, values = traces.series("j1", GENERATED_RATE)
    assert times_s == [-30.0, -28.0, -26.0, -13.0, 0.0]
    assert values[:3] == [0.0, 20.0, 40.0]
    assert math.isnan(values[3])
    assert values[4] == 300.0


def test_the_same_readings_told_again_are_no_new_reading() -> None:
    now = [0]
    said = job("j1", 5.0)
    jobs = Latest((said,))
    traces = Traces(jobs, lambda: now[0])
    now[0] = 3000
    jobs.set((said,))
    assert traces.series("j1", GENERATED_RATE) == ([-3.0], [5.0])


def test_an_old_reading_is_not_the_value_of_now() -> None:
    now = [0]
    traces = Traces(Latest((job("j1", 228.0),)), lambda: now[0])
    assert traces.newest("j1", GENERATED_RATE) == 228.0
    now[0] = 20_000
    assert math.isnan(traces.newest("j1", GENERATED_RATE))
    assert math.isnan(traces.newest("other", GENERATED_RATE))


def test_a_job_that_is_gone_is_forgotten() -> None:
    jobs = Latest((job("j1", 228.0),))
    traces = Traces(jobs, lambda: 0)
    jobs.set(())
    assert traces.series("j1", GENERATED_RATE) == ([], [])
    traces.close()
    jobs.set((job("j1", 228.0),))
    assert not traces.has("j1", GENERATED_RATE)
