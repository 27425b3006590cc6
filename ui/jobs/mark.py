"""What a job's state looks like everywhere: a word, a kind of chip and an icon.

The one rule: a state has one mark, on the map, in the list and in the detail alike.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from sparkdesk.core.jobs.record import JobState, JobStatus, Phase, PhaseState
from ui import text

MarkKind = Literal["neutral", "accent", "ok", "warn", "crit", "simulated"]


class Mark(NamedTuple):
    """A state as a chip shows it. `icon` None takes the icon of the kind."""

    text: str
    kind: MarkKind = "neutral"
    icon: str | None = None


NO_MARK = Mark("")
READ_ONLY = Mark("Read-only", "neutral", "lock")
_MARKS: dict[JobState, Mark] = {
    JobState.PLANNED: Mark("Planned", "accent", "clock"),
    JobState.STARTING: Mark("Starting", "accent", "loader"),
    JobState.LOADING: Mark("Loading", "accent", "loader"),
    JobState.READY: Mark("Ready", "ok", "check"),
    JobState.DEGRADED: Mark("Degraded", "warn", "triangle-alert"),
    JobState.STOPPING: Mark("Stopping", "accent", "loader"),
    JobState.STOPPED: Mark("Stopped", "neutral", "square"),
    JobState.FAILED: Mark("Failed", "crit", "octagon-alert"),
    JobState.ENDED: Mark("Ended", "neutral", "square"),
    JobState.UNKNOWN: Mark("Not known", "neutral", "circle-help"),
}


def mark_of(state: JobState) -> Mark:
    """The chip of a state."""
    return _MARKS[state]


def mark_of_job(status: JobStatus) -> Mark:
    """The chip of a job: its state's, but of another account's job only that it is there is known."""
    return READ_ONLY if status.account else mark_of(status.state)


def mark_of_silent_job(status: JobStatus, silent_s: float) -> Mark:
    """The chip of a job with a node that tells nothing of now, for so long (NaN: not known how long)."""
    mark = mark_of_job(status)
    if status.account or status.state is not JobState.READY:
        return mark
    how_long = f"{text.age(silent_s)} ago" if text.is_known(silent_s) else "not heard"
    return Mark(f"{mark.text} {how_long}", "neutral", "clock")


def current_phase(status: JobStatus) -> Phase | None:
    """The point of the timeline where the job stands now, if it is under way."""
    return next((phase for phase in status.phases if phase.state is PhaseState.CURRENT), None)


def is_coming_up(status: JobStatus) -> bool:
    """Whether the job is on its way to be ready."""
    return status.state in (JobState.PLANNED, JobState.STARTING, JobState.LOADING)


def is_serving(status: JobStatus) -> bool:
    """Whether the job holds memory on its nodes, for all we know."""
    return not status.state.is_over and status.state is not JobState.PLANNED
