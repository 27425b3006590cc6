"""A job: a launch plan that runs, or ran. The node is the source of truth; what is kept here is the intent.

The one rule: an intent is durable before the first command of the launch goes out, so that nothing that was started
can be forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sparkdesk.core.jobs.endpoint import Endpoint


class JobState(StrEnum):
    """Where a job stands."""

    PLANNED = "planned"
    STARTING = "starting"
    LOADING = "loading"
    READY = "ready"
    DEGRADED = "degraded"
    """It runs, and does not serve as it should: an engine that is dead behind an API that answers, a restart."""
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"
    ENDED = "ended"
    UNKNOWN = "unknown"

    @property
    def is_over(self) -> bool:
        """Whether nothing of it runs any more, for all we know."""
        return self in (JobState.STOPPED, JobState.FAILED, JobState.ENDED)

    @property
    def words(self) -> str:
        """The state in words."""
        return {"unknown": "Not known"}.get(self.value, self.value.capitalize())


@dataclass(frozen=True, slots=True)
class JobIntent:
    """What this computer means to run, or meant to: written before the launch, updated when it ends."""

    job_id: str
    cluster_id: str
    created_ms: int
    state: JobState
    plan_json: bytes
    """The plan (core/jobs/plan_json.py), whole."""
    message: str = ""


@dataclass(frozen=True, slots=True)
class JobReport:
    """What a node says about one job folder (remote/job.py list). Untrusted; unknown is None or ""."""

    job_id: str
    node_id: str
    state: str
    """planned, running, ended, unknown, or unreadable."""
    owner: str = ""
    """Who started it, user@computer as that SparkDesk called itself."""
    holder: str = ""
    """Who took it over since; "" means its owner still has it."""
    account: str = ""
    """The node's account it belongs to, where that is not the one we signed in with; such a job is only shown."""
    title: str = ""
    engine: str = ""
    """The engine's title, as the job's folder names it."""
    pid: int | None = None
    started_ms: int | None = None
    ended_ms: int | None = None
    """By the node's clock."""
    exit_code: int | None = None
    exit_reason: str = ""
    restarts: int = 0
    """How often its guard has started the engine again."""
    plan_json: bytes = b""
    log_bytes: int = 0


class PhaseState(StrEnum):
    """One point of a deployment's timeline."""

    TO_DO = "to_do"
    CURRENT = "current"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Phase:
    """A point of the timeline: what, how it stands, how long it took or has taken (NaN = not known)."""

    key: str
    title: str
    state: PhaseState
    seconds: float = float("nan")
    note: str = ""
    fraction: float = float("nan")
    """How far it is, 0..1; NaN = not known."""


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job as the screens show it."""

    job_id: str
    title: str
    engine: str
    node_ids: tuple[str, ...]
    state: JobState
    created_ms: int
    phases: tuple[Phase, ...] = ()
    endpoint: Endpoint | None = None
    message: str = ""
    remedy: str = ""
    is_adopted: bool = False
    """Found on the node: it was not launched from this computer."""
    owner: str = ""
    """Who started it, user@computer."""
    holder: str = ""
    """Who took it over since; "" means nobody did."""
    account: str = ""
    """Another account of its node that it belongs to; then it is shown and never touched."""
    readings: tuple[tuple[str, float], ...] = ()
    """The newest engine metrics by key of the metric table."""
    stop_error: str = ""
    eta_s: float = float("nan")
    """How long until it is ready, by earlier starts of the same model, engine and node; NaN = not known."""
    restarts: int = 0
    """How often its guard has started the engine again."""
    tries: tuple[str, ...] = ()
    """How each life of the engine ended that another one followed, in its guard's words, the first one first."""

    def reading(self, key: str) -> float:
        """A metric, NaN when not known."""
        return dict(self.readings).get(key, float("nan"))


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a job's log. `source` is "engine", "job" (remote/job.py) or "SparkDesk" (ours)."""

    t_ms: int
    source: str
    level: str
    text: str
    cut_bytes: int = 0
    node_id: str = ""
    rank: int = 0
    offset: int = -1
    """Where in its rank's log the line ends, in bytes; -1 for lines that are not in it (ours)."""
    attempt: int = 0
    """Which start of the engine wrote it, the first is 1: its guard starts one again that died; 0 is not known."""
