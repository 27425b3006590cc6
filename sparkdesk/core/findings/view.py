"""What judges look at: one node's recent past, its details, its last check-up and the jobs on it.

The one rule: a value that is older than the span that was asked for does not exist, so that a node which is away, or a
probe which is silent, leaves its judges without an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from statistics import median
from types import MappingProxyType

from sparkdesk.core.cluster.details import NodeDetails
from sparkdesk.core.findings.concern import Judgement
from sparkdesk.core.jobs.record import JobStatus
from sparkdesk.core.probes.check import CheckUp
from sparkdesk.core.step import Playbook

NAN = float("nan")
HEARD_S = 60.0
"""Twice what the slowest judge waits before it tells something (its span of 20 s, then 10 s of lasting)."""
COVERED_SHARE = 0.5
"""Readings must reach over at least so much of a span to speak for it."""

Points = tuple[tuple[int, float], ...]
"""Time (Unix ms) and value, oldest first."""


class Past:
    """A node's recent readings as of `now_ms`. `read(key, span_s)` gives times (Unix ms) and values; NaN is a gap."""

    def __init__(self, read: Callable[[str, float], tuple[Iterable[int], Iterable[float]]], now_ms: int) -> None:
        self._read = read
        self._now_ms = now_ms
        self._kept: dict[tuple[str, float], Points] = {}

    def points(self, key: str, span_s: float) -> Points:
        """The known readings of the last `span_s` seconds."""
        if (key, span_s) not in self._kept:
            times, values = self._read(key, span_s)
            first_ms = self._now_ms - span_s * 1000
            rows = ((int(t_ms), float(value)) for t_ms, value in zip(times, values, strict=True))
            known = (row for row in rows if first_ms <= row[0] <= self._now_ms and isfinite(row[1]))
            self._kept[key, span_s] = tuple(known)
        return self._kept[key, span_s]

    def typical(self, key: str, span_s: float) -> float:
        """The median of the last `span_s` seconds; NaN when the readings do not speak for them."""
        found = self.points(key, span_s)
        return median(value for _, value in found) if covers(found, span_s) else NAN

    def last(self, key: str, span_s: float) -> float:
        """The newest reading of the last `span_s` seconds, or NaN."""
        found = self.points(key, span_s)
        return found[-1][1] if found else NAN


def covers(points: Points, span_s: float) -> bool:
    """Whether these readings speak for so many seconds."""
    return len(points) >= 2 and points[-1][0] - points[0][0] >= COVERED_SHARE * span_s * 1000


def nothing(_key: str, _span_s: float) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """A past without readings."""
    return (), ()


@dataclass(frozen=True, slots=True)
class CageRecord:
    """What was seen of a cage: halves with a carrier, and the line rate in Gb/s (0 without a carrier)."""

    halves: int
    gbps: float


@dataclass(frozen=True, slots=True)
class NodeNow:
    """One node now. `jobs` are those on this node that are not over."""

    node_id: str
    name: str
    past: Past
    details: NodeDetails | None = None
    check_up: CheckUp | None = None
    jobs: tuple[JobStatus, ...] = ()
    stop_plans: Mapping[str, Playbook] = field(default_factory=lambda: MappingProxyType({}))
    """What stops a job, by its id; a job that is not ours to stop has none."""
    cages: Mapping[str, CageRecord] = field(default_factory=lambda: MappingProxyType({}))
    """By cage, now; one that is not known is absent."""
    best_cages: Mapping[str, CageRecord] = field(default_factory=lambda: MappingProxyType({}))
    """By cage, the best that was ever seen."""
    foreign_cages: frozenset[str] = frozenset()
    """Cages that lead to a device that is no node of this cluster: no job waits for them."""
    power_capped: float = NAN
    """Share of the time that the driver's own counter was read over, where samples do not tell it."""


def is_heard(view: NodeNow) -> bool:
    """Whether the node's readings go far enough back to say that nothing is wrong with it."""
    return covers(view.past.points("mem_available_bytes", HEARD_S), HEARD_S)


Judge = Callable[[NodeNow, tuple[NodeNow, ...]], Iterable[Judgement]]
"""Judges one node; the second argument is every node of the cluster. Pure and total."""
