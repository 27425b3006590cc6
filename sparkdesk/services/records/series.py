"""Everything that was measured, as charts ask for it: nodes, deployments and found servers under one roof.

The one rule: what was kept from before the start and what is measured now are one series, and between them is a gap
that says that SparkDesk was closed. Asks nobody; what is not known is NaN. The wall's power is kept nowhere: it is
reckoned from the rail's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sparkdesk.core.cluster.found_server import FoundServer
from sparkdesk.core.cluster.node import NodeStatus
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.record import JobStatus
from sparkdesk.core.telemetry.energy import SPARK_WALL, is_spark
from sparkdesk.core.telemetry.history import History
from sparkdesk.core.telemetry.metric import GPU_POWER, METRICS, WALL_POWER
from sparkdesk.core.telemetry.past import Means, explain_holes, join
from sparkdesk.core.telemetry.series import ChartSource, Gap, Series, Stretch
from sparkdesk.services.records.absence import Absences
from sparkdesk.services.records.reading_book import ReadingBook
from sparkdesk.services.telemetry import Telemetry

_ORDER = {key: at for at, key in enumerate(METRICS)}
_NOTHING = Means()
NOT_RUNNING = "not running"


@dataclass(slots=True)
class Past:
    """What was kept from before the start: means by source, and when SparkDesk was closed. Filled by the recorder."""

    means: Mapping[str, Means] = field(default_factory=dict)
    closed: tuple[Stretch, ...] = ()


@dataclass(frozen=True, slots=True)
class SeriesParts:
    """What a `SeriesBook` reads."""

    telemetry: Telemetry
    nodes: Latest[tuple[NodeStatus, ...]]
    jobs: Latest[tuple[JobStatus, ...]]
    servers: Latest[tuple[FoundServer, ...]]
    job_readings: ReadingBook
    server_readings: ReadingBook
    absences: Absences
    past: Past
    now_ms: Callable[[], int]


class SeriesBook:
    """Sources, their quantities, series and gaps, in the forms that charts ask for."""

    def __init__(self, parts: SeriesParts) -> None:
        self._parts = parts

    def sources(self) -> Sequence[ChartSource]:
        """Nodes, then deployments that told something, then found servers that did."""
        parts = self._parts
        nodes = [ChartSource(status.record.id, status.record.name, "node") for status in parts.nodes.value]
        jobs = [ChartSource(job.job_id, job.title, "job") for job in parts.jobs.value if self.keys(job.job_id)]
        servers = [
            ChartSource(server.id, server.title or f"Model server on port {server.port}", "server")
            for server in parts.servers.value
            if self.keys(server.id)
        ]
        return (*nodes, *jobs, *servers)

    def keys(self, source_id: str) -> Sequence[str]:
        """The quantities of a source that have a row in the metric table, in its order."""
        history = self._history(source_id)
        live = history.keys if history is not None else ()
        kept = self._parts.past.means.get(source_id, _NOTHING).keys
        known = {key for key in (*live, *kept) if key.partition(".")[0] in METRICS}
        if GPU_POWER in known and self._is_spark(source_id):
            known.add(WALL_POWER)
        return sorted(known, key=lambda key: (_ORDER[key.partition(".")[0]], key))

    def series(self, source_id: str, key: str, span_s: float) -> Series:
        """The last `span_s` until now: times in Unix ms, values in code units, a NaN point inside each gap."""
        if key == WALL_POWER and self._is_spark(source_id):
            times_ms, rail_w = self.series(source_id, GPU_POWER, span_s)
            return times_ms, SPARK_WALL.estimate_all(rail_w)
        since_ms = self._since_ms(span_s)
        history = self._history(source_id)
        first_ms = history.first_ms if history is not None and history.keys else 0
        past = self._past(source_id, since_ms, first_ms).series(key)
        return past if history is None or not history.keys else join(past, history.since(key, since_ms))

    def gaps(self, source_id: str, span_s: float) -> Sequence[Gap]:
        """Where nothing was measured in the last `span_s`, oldest first, and why."""
        since_ms, now_ms = self._since_ms(span_s), self._parts.now_ms()
        history = self._history(source_id)
        is_measured = history is not None and bool(history.keys)
        first_ms = history.first_ms if history is not None and is_measured else 0
        past = self._past(source_id, since_ms, first_ms)
        holes = past.holes()
        if history is not None and is_measured:
            kept_ms = self._last_kept_ms(source_id, first_ms)
            if kept_ms and first_ms - kept_ms > history.gap_ms and first_ms > since_ms:
                holes.append((kept_ms, first_ms))
            holes += history.holes(since_ms)
            if now_ms - history.last_ms > history.gap_ms:
                holes.append((history.last_ms, now_ms))
        elif kept_ms := self._last_kept_ms(source_id, now_ms):
            holes.append((kept_ms, now_ms))
        clipped = [(max(start, since_ms), end) for start, end in holes if end > since_ms]
        return explain_holes(clipped, self._parts.past.closed, lambda start, end: self._reason(source_id, start, end))

    def _is_spark(self, source_id: str) -> bool:
        """Whether this is a node that the wall's estimate holds for."""
        return any(node.record.id == source_id and is_spark(node.facts) for node in self._parts.nodes.value)

    def _since_ms(self, span_s: float) -> int:
        return self._parts.now_ms() - int(span_s * 1000.0)

    def _history(self, source_id: str) -> History | None:
        parts = self._parts
        if any(status.record.id == source_id for status in parts.nodes.value):
            return parts.telemetry.history(source_id)
        return parts.job_readings.history(source_id) or parts.server_readings.history(source_id)

    def _past(self, source_id: str, since_ms: int, first_ms: int) -> Means:
        """What was kept, from `since_ms` until the first sample of this run."""
        means = self._parts.past.means.get(source_id, _NOTHING)
        return means.between(since_ms, first_ms or self._parts.now_ms())

    def _last_kept_ms(self, source_id: str, until_ms: int) -> int:
        times = self._parts.past.means.get(source_id, _NOTHING).between(0, until_ms).times_ms
        return int(times[-1]) if len(times) else 0

    def _reason(self, source_id: str, start_ms: int, end_ms: int) -> str:
        """Why nothing was measured: of a deployment or server that is its node's absence, or its own end."""
        node_id = source_id
        for job in self._parts.jobs.value:
            if job.job_id == source_id:
                if job.state.is_over and end_ms >= self._parts.now_ms():
                    return NOT_RUNNING
                node_id = job.endpoint.node_id if job.endpoint is not None else job.node_ids[0]
        for server in self._parts.servers.value:
            if server.id == source_id:
                node_id = server.node_id
        return self._parts.absences.reason(node_id, start_ms, end_ms)
