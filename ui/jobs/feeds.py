"""What the deployments page reads and asks for; services fill it, the page holds none of them.

The one rule: every callable has a safe default, so that a part nobody wired is not shown, or says that it is not there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from sparkdesk.core.bench.expectation import NOTHING, Expectation
from sparkdesk.core.bench.run import BenchRun, BenchShape
from sparkdesk.core.cluster.node import NodeStatus
from sparkdesk.core.feed import Latest, Stream
from sparkdesk.core.jobs.fix import Fix
from sparkdesk.core.jobs.next_change import NextChange
from sparkdesk.core.jobs.plan import LaunchPlan
from sparkdesk.core.jobs.record import JobStatus, LogLine
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.jobs.truth import Correction, TruthRow
from sparkdesk.core.jobs.verdict import Verdict
from sparkdesk.core.planning.speed.bandwidth import Bandwidth
from sparkdesk.core.step import Playbook
from sparkdesk.core.telemetry.energy import EnergyView
from sparkdesk.services.chat.endpoint import ChatEndpoint
from sparkdesk.services.jobs.reach.doors import Door
from sparkdesk.services.jobs.trace import Traces


class Found(Protocol):
    """What a search of a whole log gave (services/jobs/log_archive.py LogSearch)."""

    @property
    def lines(self) -> tuple[LogLine, ...]:
        """The lines that match, the oldest first."""

    @property
    def is_more(self) -> bool:
        """Whether older lines match too."""

    @property
    def scanned_bytes(self) -> int:
        """How much of the log was read."""

    @property
    def next_offset(self) -> int:
        """Where the search goes on, before this byte."""

    @property
    def fraction(self) -> float | None:
        """How much of the log was searched; None while nothing was."""

    @property
    def problem(self) -> str:
        """Why no more was searched; "" when the lines were enough."""


Question = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class DeploymentFeeds:
    """What the page reads. The callables take a job's id; None is "cannot be done here", and then it is not offered."""

    jobs: Latest[tuple[JobStatus, ...]]
    nodes: Latest[tuple[NodeStatus, ...]]
    traces: Traces
    now_ms: Callable[[], int]
    log: Callable[[str], Stream[LogLine]]
    plan_of: Callable[[str], LaunchPlan | None]
    stop_plan: Callable[[str], Playbook | None]
    engine_titles: Mapping[str, str] = field(default_factory=dict)
    """An engine's key -> how it is called on screen."""
    takeover_plan: Callable[[str], Playbook | None] = lambda _job_id: None
    """What taking a job over from another computer will do; None where there is nothing to take over."""
    owner: str = ""
    """This user@computer, as jobs name who started them."""
    tunnel_command: Callable[[str, str, int], str] = lambda _node_id, _host, _port: ""
    """A node's id, and a host and port as it sees them -> the command that leads there; "" when there is none."""
    bandwidth: Callable[[str], Bandwidth | None] = lambda _job_id: None
    energy: Callable[[str], EnergyView | None] = lambda _job_id: None

    # How fast, and what to change.
    changed: Latest[int] = field(default_factory=lambda: Latest(0))
    """Counts up when a verdict, a truth or a proposal is another."""
    verdict: Callable[[str], Verdict | None] = lambda _job_id: None
    first_verdict: Callable[[str], Verdict | None] = lambda _job_id: None
    """The first one of a job: what a later fall is told by."""
    check_again: Callable[[str], object] | None = None
    """Sends the fixed request again."""
    truth: Callable[[str], tuple[TruthRow, ...]] = lambda _job_id: ()
    correction: Callable[[str], Correction | None] = lambda _job_id: None
    """What starts like this one taught its next plans."""
    set_correction: Callable[[str, bool], object] | None = None
    """Applies a job's correction to the next plans, or takes it back."""
    next_change: Callable[[str], NextChange | None] = lambda _job_id: None
    dismiss_change: Callable[[str, str], object] | None = None
    """A job's id and a proposal's key: not now."""
    expected: Callable[[str, BenchShape, int], Expectation] = lambda _job_id, _shape, _concurrency: NOTHING
    runs: Latest[tuple[BenchRun, ...]] = field(default_factory=lambda: Latest(()))
    measure: Callable[[str, BenchShape], object] | None = None
    """Begins to measure a job, and comes back at once. Raises SparkDeskError with what speaks against it."""
    cancel_measure: Callable[[str], object] | None = None
    """Takes the run's id."""

    # What a person may start. All of them start something and come back at once.
    fix_of: Callable[[str], Fix | None] = lambda _job_id: None
    restart: Callable[[str], object] | None = None
    """Stops it and launches the same again, as one plan."""
    switch: Callable[[str], object] | None = None
    """Shows the launch form for a model that takes this one's place."""
    embed_beside: Callable[[LaunchRequest], object] | None = None
    """Shows the launch form for a small embedding server on the node of a server that runs."""
    last_plan: Callable[[], LaunchPlan | None] = lambda: None
    """The newest launch, for one click; None where there was none."""
    launch_again: Callable[[LaunchRequest], object] | None = None

    evidence: Callable[[str], str] | None = None
    """What is known of a failed deployment, for a model to explain: redacted, bounded, plain text."""
    talkers: Latest[tuple[ChatEndpoint, ...]] = field(default_factory=lambda: Latest(()))
    """The models that could be asked."""

    # What takes a while: async functions, started with `start`; they raise SparkDeskError.
    start: Callable[..., object] | None = None
    """Bridge.start: without it nothing that takes a while is offered."""
    older_lines: Question | None = None
    """(job_id, before_offset) -> tuple[LogLine, ...] that end before this byte of the log, the oldest first."""
    search_lines: Question | None = None
    """(job_id, pattern, level, before_offset) -> Found; level "" is all, before_offset -1 the log's end."""
    save_log: Question | None = None
    """(job_id, path)"""
    open_door: Question | None = None
    """(job_id) -> the URL on this computer, once a port of it leads to the server."""
    is_open: Callable[[str], bool | None] = lambda _job_id: None
    """Whether the server listens beyond its node's loopback, as seen on the node; None is not known."""
    doors: Latest[Mapping[str, Door]] = field(default_factory=lambda: Latest({}))
    """The ports of this computer that lead to servers, by job."""
    close_door: Callable[[str], object] | None = None
    api_key: Question | None = None
    """(job_id) -> the key of a server that its network can reach."""
