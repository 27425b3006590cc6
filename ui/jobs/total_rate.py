"""What all deployments generate together, for the top bar and for the sentence alike.

The one rule: one sum, wherever it is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sparkdesk.core.jobs.rate import GENERATED_RATE
from sparkdesk.core.jobs.record import JobState, JobStatus
from ui.total import Total, total_of


def total_rate(jobs: Iterable[JobStatus], newest: Callable[[str, str], float]) -> Total:
    """What all deployments generate in tokens/s. `newest` takes a job's id and a metric's key; NaN is not known."""
    return total_of(newest(job.job_id, GENERATED_RATE) for job in jobs if job.state is JobState.READY)
