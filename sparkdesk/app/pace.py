"""How often nodes are asked: seldom while nobody looks and nothing of ours runs.

The one rule: what a person sees, and what a job does, is never sampled more seldom than the person chose.
"""

from __future__ import annotations

from sparkdesk.app.stack import Stack
from sparkdesk.core.jobs.record import JobState, JobStatus
from ui.sight import Sight

UNSEEN_HZ = 0.1
"""A line that goes dead is still shown as stale, after three periods, before its connection is given up at 16 s."""
UNSEEN_FACTOR = 10.0
"""So many times more seldom nodes are searched for what others start on them, and cables looked at."""


class Pace:
    """Sets the telemetry's rate by what the window and the jobs say."""

    def __init__(self, stack: Stack, sight: Sight) -> None:
        self._stack = stack
        self._sight = sight
        sight.changed.connect(self._set)
        self._watch = stack.launcher.jobs.subscribe(lambda _jobs: self._set())

    def _set(self) -> None:
        stack = self._stack
        is_wanted = self._sight.is_seen or any(is_busy(job) for job in stack.launcher.jobs.value)
        stack.telemetry.set_rate(stack.sample_hz if is_wanted else min(stack.sample_hz, UNSEEN_HZ))
        fleet, readings = stack.fleet, stack.records.server_readings
        seldom = (fleet.servers, fleet.power_caps, fleet.topology, readings, stack.launcher, stack.findings)
        for rhythm in (each.rhythm for each in seldom):
            rhythm.set_factor(1.0 if is_wanted else UNSEEN_FACTOR)

    def close(self) -> None:
        """Stop listening."""
        self._watch.close()


def is_busy(job: JobStatus) -> bool:
    """Whether a job needs looking after. One whose fate is not known, or another account's, gains nothing by it."""
    return not (job.state.is_over or job.state is JobState.UNKNOWN or job.account)
