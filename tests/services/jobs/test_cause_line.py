"""Why an engine ended is told by the first line that may say why, not by the heading over it."""

from __future__ import annotations

import pytest

from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.jobs.deployment import Deployment
from sparkdesk.services.jobs.job_log import LogPiece


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        (["Traceback (most recent call last):", "ValueError: no room", "KeyError: later"], "ValueError: no room"),
        (["Loading", "Traceback (most recent call last):"], "Traceback (most recent call last):"),
        (["KeyError: first", "Traceback (most recent call last):", "ValueError: second"], "KeyError: first"),
    ],
)
def test_the_cause_is_the_first_error_that_may_say_why(lines: list[str], cause: str) -> None:
    status = JobStatus("j1", "smollm2", "vllm", ("n1",), JobState.STARTING, 0)
    deployment = Deployment(status, None, None, SystemClock(), lambda: None)
    for line in lines:
        deployment.take_piece(LogPiece("j1", line))
    assert deployment.cause == cause
