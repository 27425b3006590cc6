"""Plans as others read them: one JSON document for programs, one table of text for people.

The one rule: JSON has no NaN and no Infinity; what is not known is null, and every figure has its band.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sparkdesk.core.jobs.plan import MemoryLedger, Problem
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.planning.figure import Figure, Parts
from sparkdesk.core.planning.row import Cost, PlanRow
from sparkdesk.core.planning.search.question import Question
from sparkdesk.core.planning.search.ranking import criterion_of, is_fitting
from sparkdesk.core.planning.workload import Workload

SCHEMA = 1
GIB = 1 << 30
UNKNOWN = "n/a"


def plans_json(question: Question, rows: Sequence[PlanRow]) -> dict[str, Any]:
    """The answer to one question."""
    return {
        "schema": SCHEMA,
        **model_json(question.spec),
        "workload": workload_json(question.workload),
        "criterion": criterion_of(question.workload).words,
        "target_user_tok_s": criterion_of(question.workload).target_tok_s,
        "goal": question.goal.value,
        "plans": [row_json(row) for row in rows],
    }


def model_json(spec: ModelSpec) -> dict[str, Any]:
    """Which model was understood."""
    return {"model": spec.name, "model_key": spec.key, "model_title": spec.title}


def workload_json(workload: Workload) -> dict[str, Any]:
    """The load, in the words of the command line."""
    return {
        "name": workload.key,
        "isl": workload.prompt_tokens,
        "osl": workload.answer_tokens,
        "concurrency": workload.users,
        "cached_share": workload.cached_share,
    }


def row_json(row: PlanRow) -> dict[str, Any]:
    """One plan."""
    setup, shown = row.setup, row.shown
    return {
        "rank": row.rank,
        "engine": setup.engine.key,
        "is_launchable": setup.engine.is_launchable,
        "build": setup.build.key,
        "quantization": setup.weights.key,
        "repo": setup.weights.repo,
        "is_checkpoint_known": not setup.weights.is_computed,
        "nodes": len(row.place.nodes),
        "node_names": [node.name for node in row.place.nodes],
        "tensor_parallel_size": setup.parallelism.tensor_parallel_size,
        "pipeline_parallel_size": setup.parallelism.pipeline_parallel_size,
        "data_parallel_size": setup.parallelism.data_parallel_size,
        "kv_dtype": setup.kv_dtype or "auto",
        "speculative": setup.speculative,
        "fits": is_fitting(row),
        "fit": row.fit.value,
        "problems": [problem_json(problem) for problem in row.problems],
        "memory_bytes": [ledger_json(ledger) for ledger in row.ledgers],
        "max_context_tokens": row.max_context_tokens,
        "max_concurrency": row.max_concurrency,
        "ttft_s": figure_json(shown.ttft_s),
        "tpot_s": figure_json(shown.tpot_s),
        "e2e_s": figure_json(shown.e2e_s),
        "prefill_tok_s": figure_json(shown.prefill_tok_s),
        "output_tok_s": figure_json(shown.output_tok_s),
        "user_tok_s": figure_json(shown.user_tok_s),
        "parts_s": {"ttft": parts_json(shown.ttft_parts), "tpot": parts_json(shown.tpot_parts)},
        "power_w": figure_json(row.cost.power_w),
        "cost": cost_json(row.cost),
        "quality": {"level": row.quality.level, "words": row.quality.words, "source": row.quality.source},
        "leans_on": [
            {"key": case.key, "title": case.title, "figures": case.figures, "distance": case.distance}
            for case in shown.leans_on
        ],
        "is_fitted": shown.is_fitted,
        "why": row.why,
    }


def figure_json(figure: Figure) -> dict[str, float | None]:
    """A prediction with its band."""
    return {"value": number(figure.value), "low": number(figure.low), "high": number(figure.high)}


def parts_json(parts: Parts) -> dict[str, float | None]:
    """Seconds by what takes them."""
    return {part.key: number(part.seconds) for part in parts}


def cost_json(cost: Cost) -> dict[str, Any]:
    """Money for a million output tokens; null without prices."""
    return {
        "energy_per_million": figure_json(cost.energy_per_million),
        "total_per_million": figure_json(cost.total_per_million),
    }


def ledger_json(ledger: MemoryLedger) -> dict[str, Any]:
    """One node's memory; parts sum to the total."""
    return {
        "node": ledger.node_id,
        "total": ledger.total_bytes,
        "weights": ledger.weights_bytes,
        "kv": ledger.kv_bytes,
        "runtime": ledger.runtime_bytes,
        "others": ledger.others_bytes,
        "reserve": ledger.reserve_bytes,
        "free": ledger.free_bytes,
    }


def problem_json(problem: Problem) -> dict[str, str]:
    """What, how bad, and what to do."""
    return {
        "severity": problem.severity.value,
        "message": problem.message,
        "remedy": problem.remedy,
        "field": problem.field,
    }


def number(value: float | None) -> float | None:
    """The value, or None where JSON has no word for it."""
    return value if value is not None and math.isfinite(value) else None


# For people -----------------------------------------------------------------------------------------------------------

_COLUMNS = (
    f"{'':>3} {'engine':<9} {'weights':<10} {'nodes':>5} {'split':<11} {'KV':<5} {'spec':<7} {'build':<6} {'fit':<9}"
    f" {'left GiB':>8} {'TTFT s':>7} {'TPOT ms':>7} {'tok/s each':>10} {'all':>7} {'context':>8} {'W':>5} {'cost/M':>7}"
    f"  why"
)


def plans_table(question: Question, rows: Sequence[PlanRow], most: int) -> str:
    """The question in a line, then the rows, the first `most` of them."""
    load = question.workload
    users = "1 user" if load.users == 1 else f"{load.users} users"
    cached = f", {load.cached_share:.0%} of the prompt cached" if load.cached_share else ""
    lines = [
        f"{make_line(question.spec.title, max_chars=120)}: prompt {load.prompt_tokens:,}, answer"
        f" {load.answer_tokens:,} tokens, {users}{cached}.",
        f"{criterion_of(load).words} first; {criterion_of(load).target_words}.",
        "",
        _COLUMNS,
        *(_line(row) for row in rows[:most]),
    ]
    if len(rows) > most:
        lines.append(f"... and {len(rows) - most} more (--all)")
    lines += _remedies(rows) + _notes(question, rows)
    if rows and rows[0].shown.leans_on:
        case = rows[0].shown.leans_on[0]
        lines += ["", f"The first leans on {case.title}: {case.figures}{f' ({case.distance})' * bool(case.distance)}."]
    return "\n".join(lines)


def _line(row: PlanRow) -> str:
    setup, shown = row.setup, row.shown
    left = [ledger.free_bytes for ledger in row.ledgers if ledger.free_bytes is not None]
    return (
        f"{row.rank:>3} {setup.engine.key:<9.9} {setup.weights.key:<10.10} {len(row.place.nodes):>5}"
        f" {setup.parallelism.label:<11.11} {setup.kv_dtype or 'auto':<5.5} {setup.speculative:<7.7}"
        f" {setup.build.key:<6.6} {row.fit.value:<9} {_digits(min(left) / GIB if left else None, 1):>8}"
        f" {_digits(shown.ttft_s.value, 2):>7} {_digits(shown.tpot_s.value * 1000, 1):>7}"
        f" {_digits(shown.user_tok_s.value, 1):>10} {_digits(shown.output_tok_s.value, 1):>7}"
        f" {UNKNOWN if row.max_context_tokens is None else row.max_context_tokens:>8}"
        f" {_digits(row.cost.power_w.value, 0):>5} {_digits(_cost(row), 2):>7}  {row.why}"
    )


def _cost(row: PlanRow) -> float:
    """Money for a million tokens: all of it where the machines' price is known, else the energy's."""
    total = row.cost.total_per_million
    return total.value if total.is_known else row.cost.energy_per_million.value


def _notes(question: Question, rows: Sequence[PlanRow]) -> list[str]:
    """What a reader must know of the columns."""
    notes = []
    if question.workload.users > 1:
        notes.append(f"TTFT is that of the last of {question.workload.users} users who start together.")
    if rows and not rows[0].shown.is_fitted:
        notes.append("Estimate, not fitted: nothing was measured on this device, so figures are of its roofline alone.")
    if rows and not any(math.isfinite(_cost(row)) for row in rows):
        notes.append("Cost is not known without a price of energy: --kwh-price, and --machine-price for the machines'.")
    return ["", *notes] if notes else []


def _remedies(rows: Sequence[PlanRow]) -> list[str]:
    """What the first row's problems are; when nothing fits this is what there is to say."""
    if not rows:
        return []
    problems = rows[0].problems
    return ["", *(f"{problem.message}. {problem.remedy}" for problem in problems)] if problems else []


def _digits(value: float | None, digits: int) -> str:
    return UNKNOWN if value is None or not math.isfinite(value) else f"{value:.{digits}f}"
