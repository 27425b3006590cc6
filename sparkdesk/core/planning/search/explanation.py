"""Why a plan stands where it does, in one clause: the largest difference in where the time goes.

The one rule: every number of a clause is a part or a figure of the two rows that it compares; nothing is judged here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from sparkdesk.core.jobs.plan import Fit, Severity
from sparkdesk.core.planning.prediction import Prediction
from sparkdesk.core.planning.row import PlanRow

HARM = 0.97
"""A neighbour that keeps less than this part of its speed is slowed; above it nobody would notice."""
SAME = 1.005
"""Times that differ by less are the same."""
EQUAL = 1.03
"""Plans so near are equal: there is nothing to explain between them."""
NAMES = {"kv": "KV"}
"""Parts whose name is not their key."""
LEAST_DIFFERENCE = 0.005
"""Below half a percent of the time nothing is worth a sentence."""


def explain(row: PlanRow, rank: int, ordered: Sequence[PlanRow], criterion: str) -> str:
    """The clause of the row at this rank: of the first against the next one that is divided or packed otherwise."""
    problem = next((one for one in row.problems if one.severity is Severity.ERROR), None)
    if row.fit is Fit.TOO_BIG or problem is not None:
        return _misfit(row, problem.message if problem else "")
    if row.fit is Fit.RISKY:
        return f"Risky: {_gib(row.least_free_bytes)} GiB left, the node may freeze"
    if rank == 1:
        return _of_first(row, ordered, criterion)
    return _of_other(row, ordered[0])


def difference(row: PlanRow, other: PlanRow) -> str:
    """The part that differs most over a whole answer, as "communication 3 ms instead of 41 ms a token"; "" for none."""
    answer = max(1, row.workload.answer_tokens - 1)
    mine, theirs = row.shown, other.shown
    best, words = 0.0, ""
    sign = 1.0 if theirs.e2e_s.value >= mine.e2e_s.value else -1.0
    for parts, weight, unit in (("tpot_parts", float(answer), " a token"), ("ttft_parts", 1.0, " to the first token")):
        first, second = _seconds(mine, parts), _seconds(theirs, parts)
        for key in dict.fromkeys((*first, *second)):
            gain = sign * (second.get(key, 0.0) - first.get(key, 0.0)) * weight
            if gain > best:
                best = gain
                words = (
                    f"{NAMES.get(key, key)} {_time(first.get(key, 0.0))} instead of {_time(second.get(key, 0.0))}{unit}"
                )
    return words if best > LEAST_DIFFERENCE * mine.e2e_s.value else ""


def name_of(row: PlanRow, beside: PlanRow) -> str:
    """What the row is, in as many words as set it apart from another."""
    words = []
    setup, other = row.setup, beside.setup
    if setup.engine.key != other.engine.key:
        words.append(setup.engine.title)
    if setup.weights.key != other.weights.key:
        words.append(setup.weights.key)
    words.append(setup.parallelism.label if setup.parallelism.world_size > 1 else "one node")
    if setup.build.key != other.build.key:
        words.append(setup.build.title)
    if setup.speculative != other.speculative:
        words.append("no speculation" if setup.speculative == "none" else setup.speculative)
    if setup.kv_dtype != other.kv_dtype:
        words.append(f"KV {setup.kv_dtype or '16 bit'}")
    return ", ".join(words)


def _of_first(row: PlanRow, ordered: Sequence[PlanRow], criterion: str) -> str:
    fitting = [one for one in ordered[1:] if one.fit in (Fit.FITS, Fit.TIGHT) and one.shown.e2e_s.is_known]
    if not fitting or not row.shown.e2e_s.is_known:
        return "How fast it is, is not known" if fitting else criterion
    mine = row.shown.e2e_s.value
    rivals = [one for one in fitting if _is_other_way(one, row) and _is_as_plain(one, row)]
    faster = min(rivals, key=lambda one: one.shown.e2e_s.value, default=row)
    if faster.shown.e2e_s.value * SAME < mine:
        lead = f"{name_of(faster, row)} takes {_time(faster.shown.e2e_s.value)} an answer, this {_time(mine)}"
        reason = _harm(faster) or _quality(row, faster) or _economy(row, faster)
        return f"{lead}; {reason}" if reason else lead
    others = rivals or [one for one in fitting if one.shown.e2e_s.value >= mine]
    if not others:  # what is faster departs in something: it stands behind for that
        return f"{criterion}, without speculation or a smaller cache"
    other = next((one for one in others if one.shown.e2e_s.value > mine * EQUAL), others[0])
    words = difference(row, other)
    return f"{criterion}: {words} with {name_of(other, row)}" if words else criterion


def _of_other(row: PlanRow, first: PlanRow) -> str:
    mine, best = row.shown.e2e_s, first.shown.e2e_s
    if not (mine.is_known and best.is_known):
        return "How fast it is, is not known"
    harm = _harm(row)
    if harm and not _harm(first):
        return harm
    words = difference(row, first)
    ratio = mine.value / best.value
    if ratio < 1.0 / SAME:
        lead = f"{1.0 / ratio:.2f} times as fast as the first"
        reason = _other_build(row, first) or _quality(first, row) or _economy(first, row) or words
    else:
        lead = "As fast as the first" if ratio < SAME else f"{ratio:.2f} times the time of the first"
        reason = words
    return f"{lead}: {reason}" if reason else lead


def _misfit(row: PlanRow, message: str) -> str:
    left = row.least_free_bytes
    if row.fit is Fit.TOO_BIG and left is not None:
        return f"Too big: {_gib(-left)} GiB missing on a node"
    return message or "Too big"


def _other_build(row: PlanRow, first: PlanRow) -> str:
    return f"needs another build: {row.setup.build.title}" if row.setup.build.key != first.setup.build.key else ""


def _quality(better: PlanRow, worse: PlanRow) -> str:
    """What the faster one costs in answers; "" where it costs nothing more."""
    if worse.quality.level <= better.quality.level:
        return ""
    return f"its quality loss is {worse.quality.words} against {better.quality.words}"


def _economy(first: PlanRow, second: PlanRow) -> str:
    """What the slower one has before the faster one, where they are nearly equal."""
    if first.setup.engine.is_launchable and not second.setup.engine.is_launchable:
        return f"SparkDesk cannot launch {second.setup.engine.title} itself"
    if second.setup.speculative not in ("none", first.setup.speculative):
        return "what speculation gains depends on the text"
    if len(first.place.nodes) != len(second.place.nodes):
        few, many = sorted((len(first.place.nodes), len(second.place.nodes)))
        return f"with {few} of {many} nodes" if len(first.place.nodes) == few else ""
    mine, theirs = first.least_free_bytes, second.least_free_bytes
    if mine is not None and theirs is not None and mine - theirs > 1 << 30:
        return f"{_gib(mine)} GiB left instead of {_gib(theirs)}"
    return ""


def _harm(row: PlanRow) -> str:
    worst = min(row.tolls, key=lambda toll: -1.0 if math.isnan(toll.slowdown) else toll.slowdown, default=None)
    if worst is None or worst.slowdown >= HARM:
        return ""
    if math.isnan(worst.slowdown):
        return f"may slow {worst.title}: how busy it is, is not known"
    return f"slows {worst.title} to {worst.slowdown:.0%} of its speed"


def _is_other_way(row: PlanRow, first: PlanRow) -> bool:
    return (row.setup.weights.key, row.setup.parallelism) != (first.setup.weights.key, first.setup.parallelism)


def _is_as_plain(row: PlanRow, first: PlanRow) -> bool:
    """Whether both are the same in what a plan may depart in: cache, speculation, build."""
    mine, theirs = row.setup, first.setup
    return (mine.kv_dtype, mine.speculative, mine.build.key) == (theirs.kv_dtype, theirs.speculative, theirs.build.key)


def _seconds(prediction: Prediction, name: str) -> dict[str, float]:
    return {part.key: part.seconds for part in getattr(prediction, name) if math.isfinite(part.seconds)}


def _gib(count: int | None) -> str:
    return "an unknown number of" if count is None else f"{count / (1 << 30):.1f}"


def _time(seconds: float) -> str:
    """With as many digits as help: 3.1 ms, 41 ms, 2.4 s, 95 s."""
    if seconds >= 9.95:
        return f"{seconds:.0f} s"
    if seconds >= 0.9995:
        return f"{seconds:.1f} s"
    if seconds <= 0.0:
        return "none"
    milliseconds = seconds * 1000.0
    return f"{milliseconds:.0f} ms" if milliseconds >= 9.95 else f"{milliseconds:.1f} ms"
