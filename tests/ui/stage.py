"""Feeds of the pages, filled with a rack's values: what services would publish, changed by tests as services do."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from sparkdesk.core.cluster.node import ClusterRecord, NodeStatus
from sparkdesk.core.cluster.topology import LookState, Topology
from sparkdesk.core.feed import Latest, Stream
from sparkdesk.core.findings.concern import Concern
from sparkdesk.core.jobs.plan import LaunchPlan
from sparkdesk.core.jobs.record import JobState, JobStatus, LogLine
from sparkdesk.core.step import Playbook
from sparkdesk.core.telemetry.history import History
from sparkdesk.core.telemetry.sample import Sample
from sparkdesk.services.jobs.trace import Traces
from tests.ui import rack
from ui.cluster.model import ClusterFeeds
from ui.jobs.model import DeploymentFeeds

HERE = "me@desk"
"""How this computer calls itself."""


@dataclass
class Stage:
    """A cluster as services would show it. `now_ms` is its clock."""

    count: int = 4
    shape: str = "switch"
    now_ms: int = rack.NOW_MS
    cluster: Latest[ClusterRecord | None] = field(default_factory=lambda: Latest(None))
    nodes: Latest[tuple[NodeStatus, ...]] = field(default_factory=lambda: Latest(()))
    jobs: Latest[tuple[JobStatus, ...]] = field(default_factory=lambda: Latest(()))
    samples: dict[str, Sample] = field(default_factory=dict)
    histories: dict[str, History] = field(default_factory=dict)
    topology: Latest[Topology] = field(default_factory=lambda: Latest(Topology()))
    findings: Latest[tuple[Concern, ...]] = field(default_factory=lambda: Latest(()))
    plans: dict[str, LaunchPlan] = field(default_factory=dict)
    logs: dict[str, Stream[LogLine]] = field(default_factory=dict)
    takeovers: dict[str, Playbook] = field(default_factory=dict)
    locked: set[str] = field(default_factory=set)
    """Jobs that may not be stopped from here."""

    def __post_init__(self) -> None:
        self.traces = Traces(self.jobs, lambda: self.now_ms)
        if self.count:
            self.cluster.set(rack.cluster(self.count, self.shape))
            self.nodes.set(tuple(rack.status(i) for i in range(self.count)))
            self.topology.set(Topology(state=LookState.DONE, seen_ms=self.now_ms))

    def measure(self, i: int, used_gib: float = 6.2, **values: float) -> None:
        """Node `i` sends a sample now; dots of a key are written as two underscores."""
        found = {key.replace("__", "."): value for key, value in values.items()}
        sample = rack.sample(i, used_gib, found, t_ms=self.now_ms)
        self.samples[f"node{i}"] = sample
        self.histories.setdefault(f"node{i}", History()).append(sample)

    def serve(self, *jobs: JobStatus) -> None:
        """These jobs are there now, newest first."""
        for job in jobs:
            i = int(job.node_ids[0].removeprefix("node"))
            self.plans.setdefault(job.job_id, rack.plan(job.job_id, i))
        self.jobs.set(jobs)

    def live(self, seconds: int) -> None:
        """Let some seconds pass: every node sends a sample a second and every ready engine its readings."""
        for k in range(seconds):
            self.now_ms += 1000
            for i in range(self.count):
                wave = math.sin(k / 9 + i)
                self.measure(i, (93.8, 6.2, 55.1, 9.6)[i % 4], gpu_util=0.5 + 0.2 * wave, gpu_power_w=44 + 8 * wave)
            self.jobs.set(tuple(_breathe(job, k) for job in self.jobs.value))

    def cluster_feeds(self) -> ClusterFeeds:
        """What the cluster page reads."""
        return ClusterFeeds(
            cluster=self.cluster,
            nodes=self.nodes,
            jobs=self.jobs,
            sample=self.samples.get,
            now_ms=lambda: self.now_ms,
            traces=self.traces,
            plan_of=self.plans.get,
            series=lambda node_id, key, span_s: self.histories[node_id].series(key, span_s),
            topology=self.topology,
            findings=self.findings,
        )

    def log(self, job_id: str) -> Stream[LogLine]:
        """A job's log."""
        return self.logs.setdefault(job_id, Stream(keep=5000))

    def write(self, job_id: str, *lines: str, source: str = "engine", level: str = "info") -> None:
        """Lines come into a job's log."""
        for line in lines:
            self.log(job_id).put(LogLine(self.now_ms, source, level, line))

    def deployment_feeds(self) -> DeploymentFeeds:
        """What the deployments page reads."""
        return DeploymentFeeds(
            jobs=self.jobs,
            nodes=self.nodes,
            traces=self.traces,
            now_ms=lambda: self.now_ms,
            log=self.log,
            plan_of=self.plans.get,
            stop_plan=lambda job_id: self.plans[job_id].stop if job_id in {*self.plans} - self.locked else None,
            takeover_plan=self.takeovers.get,
            engine_titles={"llamacpp": "llama.cpp"},
            owner=HERE,
            tunnel_command=lambda node_id, host, port: f"ssh -N -L 127.0.0.1:{port}:{host}:{port} -- {node_id}",
        )


def _breathe(job: JobStatus, k: int) -> JobStatus:
    if job.state is not JobState.READY or not job.readings:
        return job
    told = {key for key, _ in job.readings}
    fresh = rack.readings(8.0, max(0.0, k - 60) / 4, 228 + 20 * math.sin(k / 20), min(0.9, 0.2 + k / 900))
    return replace(job, readings=tuple((key, value) for key, value in fresh if key in told))
