"""Rows of a planner that never was, for the look of the plan column. No figure in it was measured or predicted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from sparkdesk.core.jobs.plan import Fit, MemoryLedger, Problem, Severity
from sparkdesk.core.models.spec import LayerGroup, LayerKind, ModelSpec, WeightFormat
from sparkdesk.core.planning.figure import Figure, Part
from sparkdesk.core.planning.parallelism import Parallelism
from sparkdesk.core.planning.place import Neighbour, NodeRoom, Place
from sparkdesk.core.planning.prediction import MeasuredCase, Prediction
from sparkdesk.core.planning.row import Cost, PlanRow, Quality, Toll
from sparkdesk.core.planning.search.question import Question
from sparkdesk.core.planning.setup import Build, EngineProfile, Setup
from sparkdesk.core.planning.workload import Workload
from tests.ui import rack

GIB = rack.GIB
LOAD = Workload("custom", "Custom", 32_768, 1024, 4)
WEIGHTS = WeightFormat("NVFP4", round(40.6e9), "nvidia/Llama-3.3-70B-Instruct-FP4", ("vllm",))
SPEC = ModelSpec(
    name="nvidia/Llama-3.3-70B-Instruct-FP4",
    title="Llama 3.3 70B",
    parameters=70_553_706_496,
    context_tokens=131_072,
    key="llama-3.3-70b",
    layers=(LayerGroup(LayerKind.FULL, 80, 8, 128),),
    formats=(WEIGHTS,),
)
STOCK, TUNED = Build("stock", "stock"), Build("tuned", "tuned", "flags of a recipe")
VLLM = EngineProfile(
    "vllm", "vLLM", ("NVFP4",), ("", "fp8"), ("tensor", "pipeline", "data"), ("none",), (STOCK, TUNED), 5 * GIB, 0.85
)
CASE = MeasuredCase("x", "Made case: NVFP4, TP 4, 32K/1K, 1 user", "15.55 s, 72 ms", "4 users instead of 1")
BUSY = Neighbour("job1", "gpt-oss-120b", ("node0",), 120.0, 228.0, 60 * GIB)


def figure(value: float, share: float = 0.12) -> Figure:
    """A figure with an even band."""
    return Figure(value, value * (1 - share), value * (1 + share))


def prediction(ttft_s: float = 15.8, tpot_s: float = 0.073, users: int = 4, **changes: object) -> Prediction:
    """Figures that agree with each other and with their parts."""
    made = Prediction(
        ttft_s=figure(ttft_s),
        tpot_s=figure(tpot_s),
        e2e_s=figure(ttft_s + 1023 * tpot_s),
        prefill_tok_s=figure(32_768 * users / ttft_s),
        output_tok_s=figure(users / tpot_s),
        ttft_parts=(Part("compute", ttft_s * 0.7), Part("communication", ttft_s * 0.1), Part("queue", ttft_s * 0.2)),
        tpot_parts=(
            Part("weights", tpot_s * 0.55),
            Part("kv", tpot_s * 0.2),
            Part("communication", tpot_s * 0.15),
            Part("bubble", 0.0),
            Part("overhead", tpot_s * 0.1),
        ),
        leans_on=(CASE,),
        memory_gb_per_s=171.0,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # by name


def ledger(node_id: str, used_gib: float, weights_gib: float, kv_gib: float = 2.5) -> MemoryLedger:
    """One node's memory."""
    parts = (rack.TOTAL, *(round(gib * GIB) for gib in (used_gib, weights_gib, kv_gib, 5.0)))
    return MemoryLedger(node_id, *parts, reserve_bytes=GIB)


def place_of(nodes: Sequence[str], neighbours: tuple[Neighbour, ...] = ()) -> Place:
    """Nodes of the rack."""
    rooms = tuple(NodeRoom(node, rack.NAMES[int(node[-1])], rack.TOTAL) for node in nodes)
    return Place(rooms, neighbours=neighbours)


def row(rank: int = 1, split: Parallelism | None = None, used_gib: float = 6.2, **changes: object) -> PlanRow:
    """A row on the first nodes that its split needs."""
    split = split or Parallelism(2)
    nodes = [f"node{i}" for i in range(split.world_size)]
    found = tuple(ledger(node, used_gib, 37.8 / split.tensor_parallel_size) for node in nodes)
    made = PlanRow(
        rank=rank,
        setup=Setup(SPEC, WEIGHTS, VLLM, STOCK, split),
        place=place_of(nodes),
        workload=LOAD,
        ledgers=found,
        max_context_tokens=131_072,
        max_concurrency=23,
        alone=prediction(),
        cost=Cost(figure(412.0), figure(0.11), figure(0.38)),
        quality=Quality(3, "noticeable on edge cases"),
        fit=Fit.FITS,
        why="Lowest latency: communication 3 ms instead of 41 ms a token (TP 2 × PP 2)",
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # by name


def shared_row() -> PlanRow:
    """A row beside a busy neighbour."""
    return row(
        place=place_of(("node0", "node1"), (BUSY,)),
        shared=prediction(19.4, 0.104),
        tolls=(Toll("job1", "gpt-oss-120b", 0.82),),
    )


def misfit() -> PlanRow:
    """A row that is too big by 14.4 GiB."""
    problem = Problem(
        Severity.ERROR, "Too big by 14.4 GiB on spark-5c2d", "Take 4 nodes, or a context of 8,192 tokens."
    )
    return row(
        0,
        Parallelism(1),
        ledgers=(ledger("node0", 80.0, 47.5),),
        fit=Fit.TOO_BIG,
        problems=(problem,),
        why="Too big: 14.4 GiB missing on a node",
    )


def rows() -> tuple[PlanRow, ...]:
    """A table: three that fit and one that does not."""
    return (
        row(1),
        row(2, Parallelism(1, 2), alone=prediction(24.0, 0.14), why="1.90 times the time of the first", fit=Fit.TIGHT),
        row(3, Parallelism(1), alone=prediction(34.1, 0.272, leans_on=()), why="3.4 times the time of the first"),
        misfit(),
    )


class Planner:
    """Answers every question with the same rows; `rows` may be changed."""

    def __init__(self, found: tuple[PlanRow, ...]) -> None:
        self.rows = found
        self.asked: list[Question] = []

    def __call__(self, question: Question) -> tuple[PlanRow, ...]:
        self.asked.append(question)
        return self.rows


NOT_KNOWN = Figure(math.nan, math.nan, math.nan)
