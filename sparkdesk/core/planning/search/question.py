"""What a person asks the planner: a model, a load, nodes, and what is fixed already.

The one rule: what cannot be answered is a problem at the field that asks for it, never an exception and never an
empty table without a word.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from sparkdesk.core.jobs.plan import Problem, Severity
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.cost import Prices
from sparkdesk.core.planning.launch.division import layer_count, tensor_problem, workload_problems
from sparkdesk.core.planning.place import Place
from sparkdesk.core.planning.workload import Workload

MAX_NODES = 64


class Goal(StrEnum):
    """What ranking is for."""

    BALANCED = "balanced"
    """As fast as it goes, but what costs quality, running users or certainty must earn it."""
    FAST = "fast"
    """The criterion alone."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is fixed; what is empty or None is free. Words are keys, compared without regard to capitals."""

    engine: str = ""
    format: str = ""
    """Key of a `WeightFormat`, or the hub id of one."""
    build: str = ""
    """"" is each engine's first build, and a few rows for the others."""
    tensor: int | None = None
    pipeline: int | None = None
    data: int | None = None
    kv_dtype: str | None = None
    speculative: str | None = None

    @property
    def world_size(self) -> int:
        """Nodes that the fixed sizes take at least."""
        return (self.tensor or 1) * (self.pipeline or 1) * (self.data or 1)


@dataclass(frozen=True, slots=True)
class Question:
    """One question to the planner. Rows use one node up to all of `place.nodes`."""

    spec: ModelSpec
    workload: Workload
    place: Place
    limits: Limits = Limits()
    must_use_all_nodes: bool = False
    goal: Goal = Goal.BALANCED
    prices: Prices = field(default_factory=Prices)
    notes: tuple[Problem, ...] = ()
    """What is to be said of the question itself, beside every row."""
    whole: Place | None = None
    """All nodes that there are, where that is more than `place`: what does not fit may fit on others of them."""


def load_problems(question: Question) -> list[Problem]:
    """What is wrong with the load itself: no tokens, no users, no nodes."""
    problems = list(workload_problems(question.workload))
    if not 1 <= len(question.place.nodes) <= MAX_NODES:
        problems.append(_error(f"A plan takes 1 to {MAX_NODES} nodes", "Choose so many.", "nodes"))
    return problems


def context_problem(spec: ModelSpec, load: Workload) -> Problem | None:
    """A request that is longer than what the model was made for: engines refuse it, whatever the memory."""
    if spec.context_tokens is None or load.context_tokens <= spec.context_tokens:
        return None
    return _error(
        f"{spec.title} was made for {spec.context_tokens:,} tokens; prompt and answer are {load.context_tokens:,}",
        f"Let prompt and answer together be at most {spec.context_tokens:,} tokens.",
        "prompt_tokens",
    )


def fixed_size_problems(question: Question) -> list[Problem]:
    """What speaks against the sizes that are fixed."""
    spec, limits, nodes = question.spec, question.limits, len(question.place.nodes)
    problems = []
    for size, at, name in (
        (limits.tensor, "tensor_parallel_size", "Tensor"),
        (limits.pipeline, "pipeline_parallel_size", "Pipeline"),
        (limits.data, "data_parallel_size", "Data"),
    ):
        if size is not None and not 1 <= size <= MAX_NODES:
            problems.append(_error(f"{name} parallel size must be 1 to {MAX_NODES}", "Give a size in that range.", at))
    if problems:
        return problems
    if limits.tensor is not None and (reason := tensor_problem(spec, limits.tensor)):
        problems.append(_error(reason, "Divide it by pipeline or data parallel.", "tensor_parallel_size"))
    layers = layer_count(spec)
    if limits.pipeline is not None and layers is not None and limits.pipeline > layers:
        problems.append(
            _error(f"{spec.title} has {layers} layers", f"Take at most {layers} stages.", "pipeline_parallel_size")
        )
    if limits.data is not None and limits.data > question.workload.users:
        problems.append(
            _error(
                f"Data parallel {limits.data} leaves nodes idle with {_users(question.workload.users)}",
                f"Take at most {question.workload.users}, or more users.",
                "data_parallel_size",
            )
        )
    if limits.world_size > nodes:
        problems.append(_too_few_nodes(limits, nodes))
    return problems


def _too_few_nodes(limits: Limits, nodes: int) -> Problem:
    """At the largest of the sizes that are fixed."""
    tensor, pipeline, data = limits.tensor or 1, limits.pipeline or 1, limits.data or 1
    fields = {"tensor_parallel_size": tensor, "pipeline_parallel_size": pipeline, "data_parallel_size": data}
    chosen = f"{nodes} {'is' if nodes == 1 else 'are'} chosen"
    return _error(
        f"TP {tensor} × PP {pipeline} × DP {data} takes {limits.world_size} nodes, and {chosen}",
        "Choose more nodes, or divide it less.",
        max(fields, key=lambda field: fields[field]),
    )


def _users(count: int) -> str:
    return "one user" if count == 1 else f"{count} users"


def _error(message: str, remedy: str, field: str) -> Problem:
    return Problem(Severity.ERROR, message, remedy, field)
