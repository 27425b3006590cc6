"""What an engine told of itself beside what its plan said, and what a start teaches the next plan.

The one rule: a figure that was not told has no row, and teaches nothing. What is corrected says so in words.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import median

from sparkdesk.core.jobs.plan import Fit, LaunchPlan, MemoryLedger, Problem, Severity
from sparkdesk.core.jobs.reading import (
    GRAPH_BYTES,
    KV_CAPACITY_BYTES,
    KV_CAPACITY_TOKENS,
    START_S,
    WEIGHTS_BYTES,
    WEIGHTS_LOAD_S,
)
from sparkdesk.core.jobs.truth import Correction, TruthRow

NAN = math.nan
ROWS = (
    (WEIGHTS_BYTES, "Weights", "bytes"),
    (KV_CAPACITY_TOKENS, "Room in the KV cache", "tokens"),
    (KV_CAPACITY_BYTES, "Memory of the KV cache", "bytes"),
    (GRAPH_BYTES, "Graph memory", "bytes"),
    (WEIGHTS_LOAD_S, "Loading weights", "s"),
    (START_S, "Start", "s"),
)
LEAST_FACTOR, MOST_FACTOR = 0.25, 4.0
"""Beyond these a figure was misread, or is of another model; it corrects nothing."""
SAME = 0.005
"""Closer to 1 than this a factor is as planned."""
FITS = (Fit.FITS, Fit.TIGHT)


@dataclass(frozen=True, slots=True)
class StartFigures:
    """What one start told, over what its plan said. NaN: not told, or not planned."""

    job_id: str
    weights_factor: float = NAN
    kv_factor: float = NAN
    runtime_bytes: float = NAN
    load_s: float = NAN


def truth_rows(
    plan: LaunchPlan, told: Mapping[str, float], *, token_bytes: float = NAN, earlier: Correction | None = None
) -> tuple[TruthRow, ...]:
    """A row for each figure that was told. `token_bytes`: what the plan reckons a token of KV cache to take.

    The seconds of a plan are those of earlier starts.
    """
    planned = _planned(plan, token_bytes)
    if earlier is not None:
        planned[WEIGHTS_LOAD_S] = earlier.load_s
    return tuple(
        TruthRow(key, title, planned.get(key, NAN), told[key], unit)
        for key, title, unit in ROWS
        if math.isfinite(told.get(key, NAN)) and told[key] > 0.0
    )


def figures_of(
    plan: LaunchPlan, told: Mapping[str, float], *, takes_share: bool, token_bytes: float = NAN
) -> StartFigures:
    """What this start teaches. The KV cache by its tokens, where they were told, else by its bytes.

    Of the runtime only an engine that takes a share tells something: weights, cache and runtime are that share.
    """
    planned = _planned(plan, token_bytes)
    ratios = {key: _factor(told.get(key, NAN), planned.get(key, NAN)) for key in planned}
    tokens = ratios.get(KV_CAPACITY_TOKENS, NAN)
    return StartFigures(
        job_id=plan.job_id,
        weights_factor=ratios.get(WEIGHTS_BYTES, NAN),
        kv_factor=tokens if math.isfinite(tokens) else ratios.get(KV_CAPACITY_BYTES, NAN),
        runtime_bytes=_runtime(plan, told) if takes_share else NAN,
        load_s=told.get(WEIGHTS_LOAD_S, NAN),
    )


def learn(key: tuple[str, str, str], starts: Iterable[StartFigures], *, is_applied: bool = True) -> Correction | None:
    """What starts of one (model, engine, build) teach together: the median of each figure. None: nothing."""
    found = tuple(starts)
    weights, kv, runtime, load = (
        _median(getattr(one, name) for one in found)
        for name in ("weights_factor", "kv_factor", "runtime_bytes", "load_s")
    )
    if all(math.isnan(value) for value in (weights, kv, runtime, load)):
        return None
    return Correction(
        *key,
        starts=len(found),
        weights_factor=1.0 if math.isnan(weights) else weights,
        kv_factor=1.0 if math.isnan(kv) else kv,
        runtime_bytes=runtime,
        load_s=load,
        is_applied=is_applied,
    )


def correct_plan(plan: LaunchPlan, correction: Correction, *, takes_share: bool) -> LaunchPlan:
    """The plan with corrected ledgers and a note that says so; the same plan where nothing is to be corrected.

    What an engine that takes a share of memory needs more for weights, its KV cache has less.
    """
    correction = _applicable(correction, takes_share=takes_share)
    if not correction.is_applied or not is_telling(correction):
        return plan
    ledgers = tuple(_corrected(ledger, correction, takes_share=takes_share) for ledger in plan.ledgers)
    notes = [correction_words(correction)]
    for before, after in zip(plan.ledgers, ledgers, strict=True):
        if before.fit is not after.fit:
            planned, learned = before.fit.value.lower(), after.fit.value.lower()
            notes.append(f"By these starts it is {learned}; by the planner alone it is {planned}")
            break
    return replace(plan, ledgers=ledgers, notes=(*plan.notes, *notes))


def correction_problems(before: LaunchPlan, after: LaunchPlan) -> tuple[Problem, ...]:
    """What a correction changes about whether a plan fits: a warning where it fits worse, a note where better.

    What the planner itself said against the plan stands beside it: a correction takes no problem away.
    """
    for planned, learned in zip(before.ledgers, after.ledgers, strict=True):
        if planned.fit in FITS and learned.fit not in (*FITS, Fit.UNKNOWN):
            words = f"Earlier starts of this model took more than was planned: this is {learned.fit.value.lower()}"
            return (Problem(Severity.WARNING, words, "Lower the context or the users, or take the correction back."),)
        if planned.fit not in (*FITS, Fit.UNKNOWN) and learned.fit in FITS:
            words = f"Only by what earlier starts took it is {learned.fit.value.lower()}"
            return (Problem(Severity.NOTE, words, "Watch the node's free memory while it loads."),)
    return ()


def is_telling(correction: Correction) -> bool:
    """Whether anything of it departs from a plan."""
    factors = (correction.weights_factor, correction.kv_factor)
    return any(abs(factor - 1.0) > SAME for factor in factors) or math.isfinite(correction.runtime_bytes)


def is_corrected(plan: LaunchPlan) -> bool:
    """Whether a plan's ledgers were corrected, by its notes."""
    return any(note.startswith(("KV tokens corrected by", "Corrected by")) for note in plan.notes)


def correction_words(correction: Correction) -> str:
    """The note on a corrected plan: "KV tokens corrected by 2 starts: x0.93"."""
    parts = []
    if abs(correction.kv_factor - 1.0) > SAME:
        parts.append(f"KV tokens x{correction.kv_factor:.2f}")
    if abs(correction.weights_factor - 1.0) > SAME:
        parts.append(f"weights x{correction.weights_factor:.2f}")
    if math.isfinite(correction.runtime_bytes):
        parts.append(f"runtime {correction.runtime_bytes / 2**30:.1f} GiB")
    starts = "1 start" if correction.starts == 1 else f"{correction.starts} starts"
    if len(parts) == 1 and parts[0].startswith("KV"):
        return f"KV tokens corrected by {starts}: x{correction.kv_factor:.2f}"
    words = ", ".join(parts)
    return f"Corrected by {starts}: {words}"


def _planned(plan: LaunchPlan, token_bytes: float) -> dict[str, float]:
    """By reading.py's keys, on the fullest node; what is not known is left out."""
    if not plan.ledgers:
        return {}
    ledger = plan.ledgers[0]
    found: dict[str, float] = {}
    if ledger.weights_bytes is not None:
        found[WEIGHTS_BYTES] = float(ledger.weights_bytes)
    if ledger.kv_bytes is not None and ledger.kv_bytes > 0:
        found[KV_CAPACITY_BYTES] = float(ledger.kv_bytes)
        if token_bytes > 0.0 and math.isfinite(token_bytes):
            found[KV_CAPACITY_TOKENS] = math.floor(ledger.kv_bytes / token_bytes)
    return found


def _runtime(plan: LaunchPlan, told: Mapping[str, float]) -> float:
    """What weights and KV cache left of what the plan gave the engine; NaN where one of them was not told."""
    weights, kv = told.get(WEIGHTS_BYTES, NAN), told.get(KV_CAPACITY_BYTES, NAN)
    if not plan.ledgers or math.isnan(weights + kv):
        return NAN
    ledger = plan.ledgers[0]
    parts = (ledger.weights_bytes, ledger.kv_bytes, ledger.runtime_bytes)
    known = [part for part in parts if part is not None]
    left = sum(known) - weights - kv
    return left if len(known) == len(parts) and 0.0 < left < MOST_FACTOR * sum(known) else NAN


def _applicable(correction: Correction, *, takes_share: bool) -> Correction:
    """What of it changes a ledger: of a share the cache has what is left; else the runtime is not known apart."""
    return replace(correction, kv_factor=1.0) if takes_share else replace(correction, runtime_bytes=NAN)


def _corrected(ledger: MemoryLedger, correction: Correction, *, takes_share: bool) -> MemoryLedger:
    weights, kv, runtime = ledger.weights_bytes, ledger.kv_bytes, ledger.runtime_bytes
    if weights is None or kv is None or runtime is None or ledger.undivided_bytes is not None:
        return ledger
    new_weights = math.ceil(weights * correction.weights_factor)
    if takes_share:
        new_runtime = math.ceil(correction.runtime_bytes) if math.isfinite(correction.runtime_bytes) else runtime
        new_kv = weights + kv + runtime - new_weights - new_runtime
        return replace(ledger, weights_bytes=new_weights, kv_bytes=max(0, new_kv), runtime_bytes=new_runtime)
    return replace(ledger, weights_bytes=new_weights, kv_bytes=math.ceil(kv * correction.kv_factor))


def _factor(told: float, planned: float) -> float:
    factor = told / planned if planned > 0.0 else NAN
    return factor if LEAST_FACTOR <= factor <= MOST_FACTOR else NAN


def _median(values: Iterable[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return median(known) if known else NAN
