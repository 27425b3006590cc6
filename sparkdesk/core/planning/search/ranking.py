"""In which order plans stand, and why: one criterion from the workload, and the stated rules over it.

The one rule: every preference that is not the criterion is a constant here, with its reason, so that a person can
disagree with it. All of them are our own choice; none is measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sparkdesk.core.jobs.plan import Fit, Severity
from sparkdesk.core.planning.parallelism import Parallelism
from sparkdesk.core.planning.row import PlanRow
from sparkdesk.core.planning.search.combination import NO_SPECULATION
from sparkdesk.core.planning.search.explanation import EQUAL, HARM, explain
from sparkdesk.core.planning.search.question import Goal
from sparkdesk.core.planning.workload import Workload

READABLE_TOK_S = 20.0
"""For a person or an agent that waits: three to four times as fast as people read, so that text never lags."""
BEARABLE_TOK_S = 5.0
"""For many users at once: about as fast as people read."""
FEW_USERS = 16
"""Up to so many users `READABLE_TOK_S` is the target of each, beyond `BEARABLE_TOK_S`."""
NEIGHBOUR_GAIN = 1.5
"""A plan that slows a running deployment must be so many times as fast as one that does not: its users did not ask."""
QUALITY_GAIN = 1.08
"""Each level of quality that weights lose must gain so much: nobody notices 8 % of time, some notice lost quality."""
TIE = EQUAL
"""Plans within 3 % are equal (the bands are wider): then quality, what SparkDesk can launch, fewer nodes, more room.
A plan that departs from the plain one (8 bit cache, speculative decoding) never stands before it, however fast it is:
the first costs quality, and what the second gains depends on the text. It stands right behind."""
FOUR_BIT_LEVEL = 3
"""Quality level from which weights have less than 8 bits' quality."""
FITTING = (Fit.FITS, Fit.TIGHT)


@dataclass(frozen=True, slots=True)
class Criterion:
    """What the first plan is first in, in words, and the speed of each user that "fast enough" means here."""

    words: str
    target_tok_s: float

    @property
    def target_words(self) -> str:
        """The speed of each user that counts as enough."""
        return f"{self.target_tok_s:g} tokens a second for each user count as fast enough"


def criterion_of(workload: Workload) -> Criterion:
    """One user: the time of an answer. Several: what all get together, each at a bearable speed."""
    target = READABLE_TOK_S if workload.users <= FEW_USERS else BEARABLE_TOK_S
    if workload.users == 1:
        return Criterion("Lowest time per answer", target)
    return Criterion(f"Highest total for {workload.users} users, prompts included", target)


def is_fitting(row: PlanRow) -> bool:
    """Whether it can be launched without "Launch anyway"."""
    return row.fit in FITTING and not has_error(row)


def has_error(row: PlanRow) -> bool:
    """Whether something forbids it."""
    return any(problem.severity is Severity.ERROR for problem in row.problems)


def is_harming(row: PlanRow) -> bool:
    """Whether it slows a deployment that runs there, or may: how much is not known."""
    return any(not toll.slowdown >= HARM for toll in row.tolls)


def is_of_other_build(row: PlanRow) -> bool:
    """Whether it is not the engine's first build, so that it must be got first."""
    builds = row.setup.engine.builds
    return bool(builds) and row.setup.build.key != builds[0].key


def rank(rows: Iterable[PlanRow], goal: Goal, *, is_build_fixed: bool) -> tuple[PlanRow, ...]:
    """The rows in their order, with `rank` from 1 and `why`. Deterministic: equal rows keep the order they came in.

    Fitting first, other builds after them (unless the build is fixed), then Risky, then not known, then Too big (the
    least missing first).
    """
    ordered = order(rows, goal, is_build_fixed=is_build_fixed)
    words = criterion_of(ordered[0].workload).words if ordered else ""
    return tuple(replace(row, rank=at, why=explain(row, at, ordered, words)) for at, row in enumerate(ordered, start=1))


def order(rows: Iterable[PlanRow], goal: Goal, *, is_build_fixed: bool) -> list[PlanRow]:
    """The rows in their order, as they are."""
    found = [Standing(row, goal, is_build_fixed) for row in rows]
    if goal is Goal.BALANCED:
        _raise_quality(found)
        _hold_back_departures(found)
    return _ordered(found)


class Standing:
    """A row with what decides its place, computed once."""

    __slots__ = ("departures", "is_harming", "row", "score", "shelf", "tie", "tier", "user_tok_s")

    def __init__(self, row: PlanRow, goal: Goal, is_build_fixed: bool) -> None:
        self.row = row
        self.is_harming = is_harming(row)
        self.shelf = _shelf(row, is_build_fixed)
        self.score = _score(row, goal, self.is_harming)
        speed = row.shown.tpot_s
        self.user_tok_s = 1.0 / speed.value if speed.is_known and speed.value > 0 else 0.0
        if self.is_harming:
            self.user_tok_s /= NEIGHBOUR_GAIN
        target = criterion_of(row.workload).target_tok_s
        is_slow = row.workload.users > 1 and self.user_tok_s < target
        self.tier = 2 if is_slow else 1
        self.departures = (row.setup.kv_dtype != "") + (row.setup.speculative != NO_SPECULATION)
        self.tie = (
            self.departures,
            row.shown.e2e_s.value if self.departures else 0.0,
            row.quality.level,
            not row.setup.engine.is_launchable,
            len(row.place.nodes),
            -(row.least_free_bytes or 0),
        )


def _shelf(row: PlanRow, is_build_fixed: bool) -> int:
    if row.fit is Fit.TOO_BIG:
        return 5
    if has_error(row):
        return 4
    if row.fit is Fit.UNKNOWN:
        return 3
    if row.fit is Fit.RISKY:
        return 2
    return 1 if is_of_other_build(row) and not is_build_fixed else 0


def _score(row: PlanRow, goal: Goal, is_harming: bool) -> float:
    """Seconds until all users have their answer (with the same load the lowest is also the most tokens a second)."""
    shown = row.shown.e2e_s
    if not shown.is_known:
        return math.inf
    score = shown.value
    if goal is Goal.BALANCED:
        score *= QUALITY_GAIN**row.quality.level
    return score * NEIGHBOUR_GAIN if is_harming else score


def _raise_quality(found: list[Standing]) -> None:
    """Where 8 bits (or what was trained in less) reach the target and harm nobody, they stand before 4."""
    must_harm = all(one.is_harming for one in found)
    for one in found:
        target = criterion_of(one.row.workload).target_tok_s
        is_enough = one.user_tok_s >= target and (must_harm or not one.is_harming)
        if is_enough and one.row.quality.level < FOUR_BIT_LEVEL:
            one.tier = 0


def _hold_back_departures(found: list[Standing]) -> None:
    """A plan with an 8 bit cache or speculation counts as no faster than the same one without, where that fits."""
    plain = {_way(one.row): one for one in found if not one.departures and one.shelf == 0}
    for one in found:
        sibling = plain.get(_way(one.row))
        if one.departures and one.shelf == 0 and sibling is not None:
            one.tier, one.score = max((one.tier, one.score), (sibling.tier, sibling.score))


def _way(row: PlanRow) -> tuple[str, str, Parallelism, str]:
    setup = row.setup
    return setup.engine.key, setup.weights.repo + setup.weights.key, setup.parallelism, setup.build.key


def _ordered(found: list[Standing]) -> list[PlanRow]:
    too_big = sorted((one for one in found if one.shelf == 5), key=lambda one: -(one.row.least_free_bytes or -math.inf))
    waiting = sorted((one for one in found if one.shelf < 5), key=lambda one: (one.shelf, one.tier, one.score))
    ordered: list[PlanRow] = []
    while waiting:
        first = waiting[0]
        equal = 1
        while equal < len(waiting) and _is_equal(first, waiting[equal]):
            equal += 1
        taken = min(range(equal), key=lambda at: (waiting[at].tie, waiting[at].score, at))
        ordered.append(waiting.pop(taken).row)
    return ordered + [one.row for one in too_big]


def _is_equal(first: Standing, other: Standing) -> bool:
    return (other.shelf, other.tier) == (first.shelf, first.tier) and other.score <= first.score * TIE
