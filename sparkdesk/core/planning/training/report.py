"""Training plans as others read them: one JSON document for programs, one table of text for people.

The one rule: as of `report`: no NaN in JSON, and every figure has its band.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sparkdesk.core.planning.figure import Figure
from sparkdesk.core.planning.search.report import SCHEMA, figure_json, parts_json, problem_json
from sparkdesk.core.planning.training.memory import TrainingMemory
from sparkdesk.core.planning.training.plan import TrainingQuestion, TrainingRow

UNKNOWN = "n/a"


def training_json(question: TrainingQuestion, rows: Sequence[TrainingRow]) -> dict[str, Any]:
    """The answer: the first row's figures on top, all rows in `plans` (all nodes first, then fewer)."""
    plans = [training_row_json(row) for row in rows]
    first = {key: plans[0][key] for key in ("nodes", "samples_s", "tok_s", "step_s")} if plans else {}
    return {
        "schema": SCHEMA,
        "model": question.model,
        "method": question.method or "any",
        **first,
        "plans": [{"rank": at, **plan} for at, plan in enumerate(plans, start=1)],
    }


def training_row_json(row: TrainingRow) -> dict[str, Any]:
    """One method on its nodes."""
    lean = row.leans_on
    return {
        "method": row.method,
        "title": row.title,
        "nodes": row.nodes,
        "batch": row.batch,
        "is_sharded": row.is_sharded,
        "fits": row.fit.value in ("Fits", "Tight"),
        "fit": row.fit.value,
        "problems": [problem_json(problem) for problem in row.problems],
        "memory_bytes": [_memory_json(one) for one in row.memory],
        "samples_s": figure_json(row.samples_s),
        "tok_s": figure_json(row.tok_s),
        "step_s": figure_json(row.step_s),
        "parts_s": parts_json(row.parts),
        "leans_on": []
        if lean is None
        else [{"key": lean.key, "title": lean.title, "figures": lean.figures, "distance": lean.distance}],
        "is_fitted": row.is_fitted,
        "why": row.why,
    }


def training_table(question: TrainingQuestion, rows: Sequence[TrainingRow]) -> str:
    """The rows as aligned text."""
    lines = [
        f"Training {question.model}",
        "",
        f"{'method':<9} {'nodes':>5} {'batch':>6} {'fit':<9} {'step s':>8} {'samples/s':>10} {'tokens/s':>10}  why",
    ]
    for row in rows:
        lines.append(
            f"{row.method:<9} {row.nodes:>5} {row.batch:>6} {row.fit.value:<9} {_digits(row.step_s, 2):>8}"
            f" {_digits(row.samples_s, 2):>10} {_digits(row.tok_s, 0):>10}  {row.why}"
        )
    notes = dict.fromkeys(f"{problem.message}. {problem.remedy}" for row in rows for problem in row.problems)
    return "\n".join([*lines, *notes])


def _memory_json(memory: TrainingMemory) -> dict[str, Any]:
    return {
        "node": memory.node_id,
        "total": memory.total_bytes,
        "weights": memory.weights_bytes,
        "gradients": memory.gradients_bytes,
        "optimizer": memory.optimizer_bytes,
        "activations": memory.activations_bytes,
        "runtime": memory.runtime_bytes,
        "others": memory.others_bytes,
        "reserve": memory.reserve_bytes,
        "free": memory.free_bytes,
    }


def _digits(figure: Figure, digits: int) -> str:
    return f"{figure.value:,.{digits}f}" if figure.is_known else UNKNOWN
