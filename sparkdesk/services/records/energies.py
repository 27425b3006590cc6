"""Energy, cost and CO2 of nodes and deployments, added up while samples come, and kept over the end of the program.

The one rule: only what samples cover is counted, and the share of the time that they cover stands beside it. A wall's
figure is there for a DGX Spark only, as an estimate; without a price there is no cost.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from sparkdesk.core.cluster.node import NodeFacts, NodeStatus
from sparkdesk.core.feed import Latest, Subscription
from sparkdesk.core.jobs.reading import GENERATED_TOKENS, REQUESTS_RUNNING
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.telemetry.energy import SPARK_WALL, Energy, EnergyMeter, EnergyView, is_spark
from sparkdesk.core.telemetry.energy_rate import EnergyRates
from sparkdesk.core.telemetry.metric import GPU_POWER
from sparkdesk.core.telemetry.sample import NAN, Sample
from sparkdesk.services.telemetry import Telemetry

MAX_KEPT = 512
"""Sums that are kept; those that were counted last stay."""
KNOWN_SHARE = 0.9
"""A wall's estimate is shown once so much of the time is of machines that are known for Sparks."""
MOST = 1e18
"""No sum of ours comes near it: what is kept and larger was not written by us."""
_SUMS = ("joule", "covered_s", "gap_s", "wall_joule", "wall_s", "odd_s", "token_joule", "tokens")


@dataclass(frozen=True, slots=True)
class _Step:
    """What one sample added."""

    joule: float
    covered_s: float
    gap_s: float
    wall_joule: float
    wall_s: float
    """Seconds in which the machine was known for a Spark; what it is may be told a moment after its power."""
    odd_s: float
    """Seconds in which it was known for another."""


class _NodeMeter:
    """One node's meters, read as steps."""

    def __init__(self) -> None:
        self._rail = EnergyMeter()
        self._wall = EnergyMeter(wall=SPARK_WALL)
        self._last = (0.0, 0.0, 0.0, 0.0)

    def move_times(self, moved_ms: int) -> None:
        """This computer's clock was set by so much."""
        self._rail.move_times(moved_ms)
        self._wall.move_times(moved_ms)

    def add(self, sample: Sample, period_s: float, *, is_spark: bool | None) -> _Step:
        """What this sample added; `is_spark` None: not known yet."""
        power_w = sample.value(GPU_POWER)
        self._rail.period_s = self._wall.period_s = period_s
        self._rail.add(sample.t_ms, power_w)
        self._wall.add(sample.t_ms, power_w)
        rail, wall = self._rail.read(), self._wall.read()
        now = (_known(rail.joule), rail.covered_s, rail.gap_s, _known(wall.joule))
        joule, covered_s, gap_s, wall_joule = (new - old for new, old in zip(now, self._last, strict=True))
        self._last = now
        return _Step(
            joule,
            covered_s,
            gap_s,
            wall_joule,
            wall_s=covered_s if is_spark else 0.0,
            odd_s=covered_s if is_spark is False else 0.0,
        )


@dataclass(slots=True)
class _Tally:
    """The sums of a node or of a job. Seconds are those of all its nodes together."""

    since_ms: int
    last_ms: int
    joule: float = 0.0
    covered_s: float = 0.0
    gap_s: float = 0.0
    wall_joule: float = 0.0
    wall_s: float = 0.0
    odd_s: float = 0.0
    token_joule: float = 0.0
    tokens: float = 0.0
    is_changed: bool = False
    kept_ms: int = 0
    """When it was kept by an earlier run; 0: it was begun in this one."""
    heard: set[str] = field(default_factory=set)
    """Nodes that were heard in this run, of a sum of an earlier one."""

    def add(self, node_id: str, t_ms: int, step: _Step) -> None:
        """Count a step of one of its nodes."""
        if self.kept_ms and node_id not in self.heard:
            # Between the last run and this one nobody measured: that is a gap like any other.
            self.heard.add(node_id)
            self.gap_s += max(0.0, (t_ms - self.kept_ms) / 1000.0)
        self.joule += step.joule
        self.covered_s += step.covered_s
        self.gap_s += step.gap_s
        self.wall_joule += step.wall_joule
        self.wall_s += step.wall_s
        self.odd_s += step.odd_s
        self.last_ms = t_ms
        self.is_changed = True

    def move_times(self, moved_ms: int) -> None:
        """This computer's clock was set by so much."""
        self.since_ms += moved_ms
        self.last_ms += moved_ms
        self.kept_ms += moved_ms if self.kept_ms else 0

    def to_json(self) -> bytes:
        """As it is kept."""
        sums = {name: getattr(self, name) for name in _SUMS}
        return json.dumps({"since_ms": self.since_ms, "last_ms": self.last_ms, **sums}).encode()

    @classmethod
    def from_json(cls, data: bytes) -> _Tally:
        """From `to_json`. Raises ValueError, TypeError, KeyError, OverflowError."""
        read = json.loads(data)
        tally = cls(int(read["since_ms"]), int(read["last_ms"]))
        tally.kept_ms = tally.last_ms
        for name in _SUMS:
            setattr(tally, name, float(read[name]))
        if not all(0.0 <= getattr(tally, name) <= MOST for name in (*_SUMS, "since_ms", "last_ms")):
            raise ValueError("a sum that cannot be")
        return tally


@dataclass(slots=True)
class _Count:
    """Where a job's counter of tokens stood, and the energy and gaps of that moment."""

    readings: tuple[tuple[str, float], ...]
    tokens: float
    joule: float
    gap_s: float
    waiting_joule: float = 0.0
    """Drawn while requests ran and no token was counted: some engines count an answer at its end."""
    j_per_token: float = NAN
    """Of the tokens that were made since the reading before."""


class Energies:
    """Adds up; `energy` is what screens ask. `rates` gives what a person said of price and grid."""

    def __init__(
        self,
        *,
        telemetry: Telemetry,
        nodes: Latest[tuple[NodeStatus, ...]],
        jobs: Latest[tuple[JobStatus, ...]],
        rates: Callable[[], EnergyRates] = EnergyRates,
    ) -> None:
        self._telemetry = telemetry
        self.rates = rates
        self._meters: dict[str, _NodeMeter] = {}
        self._tallies: dict[str, _Tally] = {}
        self._counts: dict[str, _Count] = {}
        self._facts: dict[str, NodeFacts] = {}
        self._jobs_on: dict[str, tuple[str, ...]] = {}
        self._watches: dict[str, Subscription] = {}
        self._subscriptions = (nodes.subscribe(self._take_nodes), jobs.subscribe(self._take_jobs))

    def close(self) -> None:
        """Stop listening."""
        for subscription in (*self._subscriptions, *self._watches.values()):
            subscription.close()
        self._watches.clear()

    def energy(self, subject_id: str) -> EnergyView | None:
        """What a node or a job drew since it is counted; None before the first sample."""
        tally = self._tallies.get(subject_id)
        if tally is None:
            return None
        rail = Energy(tally.joule if tally.covered_s > 0 else NAN, tally.covered_s, tally.gap_s)
        has_wall = tally.odd_s == 0 < tally.wall_s and tally.wall_s >= KNOWN_SHARE * tally.covered_s
        paid = replace(rail, joule=tally.wall_joule) if has_wall else rail
        rates = self.rates()
        return EnergyView(
            joule=rail.joule,
            wall_joule=tally.wall_joule if has_wall else NAN,
            cost=paid.cost(rates.price_per_kwh),
            currency=rates.currency,
            co2_g=paid.co2_g(rates.grid_g_per_kwh),
            j_per_token=tally.token_joule / tally.tokens if tally.tokens > 0 else NAN,
            covered=rail.coverage,
            since_ms=tally.since_ms,
            words=_words(has_wall=has_wall, has_price=math.isfinite(rates.price_per_kwh)),
        )

    def newest_j_per_token(self, job_id: str) -> float:
        """J per token since the reading before the newest; NaN where none was made, or the time has a gap."""
        count = self._counts.get(job_id)
        return count.j_per_token if count is not None else NAN

    def forget(self, subject_id: str) -> None:
        """Begin anew with the next sample."""
        self._tallies.pop(subject_id, None)
        self._counts.pop(subject_id, None)

    # Keeping ------------------------------------------------------------------------------------------------------

    def restore(self, kept: Mapping[str, bytes]) -> None:
        """Go on from what was kept; what cannot be read is left out, and what was counted in this run is added."""
        for subject_id, data in list(kept.items())[:MAX_KEPT]:
            try:
                old = _Tally.from_json(data)
            except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
                continue
            if (begun := self._tallies.get(subject_id)) is not None:
                for name in _SUMS:
                    setattr(old, name, getattr(old, name) + getattr(begun, name))
                old.gap_s += max(0.0, (begun.since_ms - old.kept_ms) / 1000.0)
                old.kept_ms, old.last_ms = 0, max(begun.last_ms, old.last_ms)
                self._counts.pop(subject_id, None)
            self._tallies[subject_id] = old

    def changes(self) -> dict[str, bytes]:
        """The sums that changed since the last call, as they are to be kept."""
        changed = {key: tally for key, tally in self._tallies.items() if tally.is_changed}
        for tally in changed.values():
            tally.is_changed = False
        return {key: tally.to_json() for key, tally in changed.items()}

    def move_times(self, moved_ms: int) -> None:
        """This computer's clock was set by so much: no time passed, so there is no gap."""
        for meter in self._meters.values():
            meter.move_times(moved_ms)
        for tally in self._tallies.values():
            tally.move_times(moved_ms)

    # What comes ---------------------------------------------------------------------------------------------------

    def _take_nodes(self, nodes: tuple[NodeStatus, ...]) -> None:
        self._facts = {status.record.id: status.facts for status in nodes}
        here = set(self._facts)
        for node_id in here - set(self._watches):
            self._meters[node_id] = _NodeMeter()
            self._watches[node_id] = self._telemetry.latest(node_id).subscribe(self._take_sample)
        for node_id in set(self._watches) - here:
            self._watches.pop(node_id).close()
            del self._meters[node_id]

    def _take_sample(self, sample: Sample | None) -> None:
        if sample is None or sample.node_id not in self._meters:
            return
        node_id = sample.node_id
        step = self._meters[node_id].add(sample, 1.0 / self._telemetry.hz, is_spark=is_spark(self._facts[node_id]))
        for subject_id in (node_id, *self._jobs_on.get(node_id, ())):
            tally = self._tallies.get(subject_id)
            if tally is None:
                tally = self._begin(subject_id, sample.t_ms)
            tally.add(node_id, sample.t_ms, step)

    def _begin(self, subject_id: str, t_ms: int) -> _Tally:
        while len(self._tallies) >= MAX_KEPT:
            del self._tallies[min(self._tallies, key=lambda key: self._tallies[key].last_ms)]
        tally = self._tallies[subject_id] = _Tally(t_ms, t_ms)
        return tally

    def _take_jobs(self, jobs: tuple[JobStatus, ...]) -> None:
        jobs_on: dict[str, tuple[str, ...]] = {}
        for job in jobs:
            if job.state.is_over or job.state is JobState.PLANNED:
                self._counts.pop(job.job_id, None)
                continue
            for node_id in job.node_ids:
                jobs_on[node_id] = (*jobs_on.get(node_id, ()), job.job_id)
            self._take_readings(job)
        self._jobs_on = jobs_on

    def _take_readings(self, job: JobStatus) -> None:
        """Pair the tokens that were made since the last reading with the energy of the same time."""
        tally, before = self._tallies.get(job.job_id), self._counts.get(job.job_id)
        if tally is None or not job.readings or (before is not None and job.readings is before.readings):
            return
        tokens = job.reading(GENERATED_TOKENS)
        now = _Count(job.readings, tokens, tally.joule, tally.gap_s)
        self._counts[job.job_id] = now
        if before is None or tally.gap_s > before.gap_s or not tokens >= before.tokens:
            return  # the first reading, a gap in between, a counter that began anew, or one that is not told
        joule = before.waiting_joule + tally.joule - before.joule
        if tokens > before.tokens:
            tally.tokens += tokens - before.tokens
            tally.token_joule += joule
            now.j_per_token = joule / (tokens - before.tokens)
            tally.is_changed = True
        elif job.reading(REQUESTS_RUNNING) > 0:
            now.waiting_joule = joule


def _known(value: float) -> float:
    return value if value == value else 0.0


def _words(*, has_wall: bool, has_price: bool) -> str:
    """What the figures are of."""
    of = "the wall, an estimate" if has_wall else "the GPU rail alone: the whole machine draws more"
    return f"Energy is the GPU rail's. Cost and CO2 are of {of}." + ("" if has_price else " No price is set.")
