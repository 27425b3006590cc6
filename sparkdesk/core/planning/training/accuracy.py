"""How far predicted training is from what was published on several nodes: a section of the accuracy report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sparkdesk.core.planning.place import Device, NodeRoom, Place
from sparkdesk.core.planning.training.case import TrainingCase
from sparkdesk.core.planning.training.plan import TrainingQuestion, plan_training

_HEAD = """
## Training over several nodes

Each row scales from the same job's figure on one node; wanted: within 5 %.

| Case | Source | Nodes | Measured | Predicted | Error |
|---|---|---:|---:|---:|---:|
"""


def training_section(cases: Sequence[TrainingCase], devices: Mapping[str, Device]) -> str:
    """Markdown: every run that was measured on more than one node, and what the planner says of it."""
    lines = [
        _line(case, run.nodes, run.unit_per_s, devices) for case in cases for run in case.measured if run.nodes > 1
    ]
    return _HEAD + "\n".join(lines) + "\n"


def _line(case: TrainingCase, nodes: int, measured: float, devices: Mapping[str, Device]) -> str:
    place = Place(tuple(NodeRoom(f"n{number}", f"n{number}") for number in range(nodes)))
    row = plan_training(TrainingQuestion(case.method, case.key, place), (case,), devices)[0]
    predicted = (row.tok_s if case.unit == "tokens" else row.samples_s).value
    error = predicted / measured - 1.0
    return (
        f"| {case.title} | {case.source} | {nodes} | {_number(measured)} {case.unit}/s | {_number(predicted)} |"
        f" {error:+.1%} |"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
