"""How fast training goes on so many nodes, and whether it fits: from a measured single node, else from its arithmetic.

A step is computation, and what is not hidden of the exchange of gradients (DDP) or weights (FSDP) over the cable. The
nodes compute at once on their own samples, so the slowest decides. The one rule: a figure names the measured single
node that it scales from; without one it is an estimate by roofline and says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.plan import Fit, Problem, Severity
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.figure import UNKNOWN, Figure, Part, Parts
from sparkdesk.core.planning.place import Device, Place
from sparkdesk.core.planning.prediction import MeasuredCase
from sparkdesk.core.planning.speed.cable import DEFAULT_LINK
from sparkdesk.core.planning.training.case import TrainingCase, find_cases
from sparkdesk.core.planning.training.memory import (
    GRADIENT_BYTES,
    WEIGHT_BYTES,
    TrainedShape,
    TrainingLoad,
    TrainingMemory,
    trained_parameters,
    trained_shape_of,
    training_memory,
)

METHODS = ("full", "ddp", "fsdp", "lora", "qlora", "pretrain", "rl")
"""full: all weights, on several nodes with copies (as ddp); fsdp: all weights, divided over the nodes; lora, qlora:
adapters beside frozen weights in 16 or 4 bit; pretrain, rl: of the measured workloads."""
WHOLE = frozenset(("full", "ddp", "fsdp", "pretrain", "rl"))
"""Methods that train every weight: their computation is the same."""

BUCKET_BYTES = 25e6
"""Gradients go in pieces of this size. Source: PyTorch, DistributedDataParallel, bucket_cap_mb."""
BACKWARD_SHARE = 2.0 / 3.0
"""Of the computation: backward is twice forward."""
OVERLAP = 0.8
"""Of that time in which the exchange goes on beside it; the last bucket has nobody to hide behind. An allowance,
unverified on hardware [training-overlap]."""
UTILISATION = Figure(0.40, 0.22, 0.52)
"""Of a device's 16-bit peak, without a measured row. nanochat's measured row is 0.49; computed."""
OPERATIONS = {"lora": 6.0, "qlora": 6.0}
"""For each parameter and token with gradient checkpoints: forward 2, forward anew 2, backward 2, and 2 more for the
weights' own gradients where they have some."""
WHOLE_OPERATIONS = 8.0
MEASURED_BAND = 0.05
DEFAULT_SEQUENCE_TOKENS = 2048
DEFAULT_BATCH = 4
MOST_BATCH = 1 << 20
MOST_SEQUENCE_TOKENS = 1 << 24


@dataclass(frozen=True, slots=True)
class TrainingQuestion:
    """What to train and where. `method` "" asks for all. `model` is a catalogue name or key, or a measured workload.

    `batch`: samples a node and step; `sequence_tokens`: of a sample; None takes the measured row's, else 4 of 2,048.
    """

    method: str
    model: str
    place: Place
    spec: ModelSpec | None = None
    batch: int | None = None
    sequence_tokens: int | None = None
    rank: int = 8
    """Of LoRA's adapters."""


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """One method on its nodes. Rates are of all nodes together."""

    method: str
    title: str
    nodes: int
    batch: int
    """Samples of all nodes a step."""
    samples_s: Figure
    """Samples a second (of reinforcement learning: frames)."""
    tok_s: Figure
    """Tokens a second; not known where the length of a sample is not."""
    step_s: Figure
    """Seconds of one step: all nodes' samples once."""
    parts: Parts
    """compute, communication (what is not hidden of it); sums to step_s.value."""
    is_sharded: bool
    """Whether weights and optimizer are divided over the nodes."""
    memory: tuple[TrainingMemory, ...]
    fit: Fit
    leans_on: MeasuredCase | None
    """The measured single node that it scales from."""
    is_fitted: bool
    """False: roofline, "estimate, not fitted"."""
    problems: tuple[Problem, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Step:
    """One node's step before anything goes over the cable."""

    compute: Figure
    """Seconds."""
    accumulation: int
    """Passes before the weights change."""
    syncs: int
    """Exchanges of gradients."""
    samples: int
    units_per_sample: float
    """Tokens of a sample; NaN: not known."""


def plan_training(
    question: TrainingQuestion, cases: tuple[TrainingCase, ...], devices: Mapping[str, Device]
) -> tuple[TrainingRow, ...]:
    """Rows for the asked method, or for all that suit the model; on all nodes of the place first, then on fewer.

    Raises PlanError: an unknown method, a model that is neither measured nor of a known size, absurd numbers.
    """
    _refuse_absurd(question)
    names = (question.model, *((question.spec.name, question.spec.key) if question.spec is not None else ()))
    known = next((few for name in names if name and (few := find_cases(cases, name))), ())
    if not known and (question.spec is None or question.spec.parameters is None):
        measured = ", ".join(dict.fromkeys(case.key for case in cases))
        raise PlanError(
            "What this model takes to train is not known",
            remedy=f"Choose a model whose number of parameters is known, or a measured workload: {measured}.",
        )
    methods = (question.method,) if question.method else _methods_of(known, question.spec)
    rows = []
    for count in range(len(question.place.nodes), 0, -1):
        part = replace(question, place=replace(question.place, nodes=question.place.nodes[:count]))
        found = [_row(replace(part, method=method), known, devices) for method in methods]
        rows += sorted(found, key=_rank)
    return tuple(rows)


def _refuse_absurd(question: TrainingQuestion) -> None:
    if question.method and question.method not in METHODS:
        raise PlanError("There is no such training method", remedy=f"Choose one of: {', '.join(METHODS)}.")
    if not question.place.nodes:
        raise PlanError("No node is chosen", remedy="Choose one node or more.")
    wrong = [
        name
        for name, value, most in (
            ("batch", question.batch, MOST_BATCH),
            ("sequence length", question.sequence_tokens, MOST_SEQUENCE_TOKENS),
            ("rank", question.rank, 1 << 16),
        )
        if value is not None and not 1 <= value <= most
    ]
    if wrong:
        raise PlanError(f"The {wrong[0]} is out of range", remedy="Give a whole number of 1 or more.")


def _methods_of(cases: tuple[TrainingCase, ...], spec: ModelSpec | None) -> tuple[str, ...]:
    measured = {case.method for case in cases}
    usual = ("ddp", "fsdp", "lora", "qlora") if spec is not None else ()
    return tuple(method for method in METHODS if method in measured or method in usual)


def _rank(row: TrainingRow) -> tuple[int, float]:
    order = (Fit.FITS, Fit.TIGHT, Fit.RISKY, Fit.UNKNOWN, Fit.TOO_BIG)
    speed = row.samples_s.value
    return order.index(row.fit), -speed if math.isfinite(speed) else math.inf


# One row -------------------------------------------------------------------------------------------------------------


def _row(question: TrainingQuestion, cases: tuple[TrainingCase, ...], devices: Mapping[str, Device]) -> TrainingRow:
    method, place = question.method, question.place
    case = _case_for(method, cases)
    shape = trained_shape_of(question.spec) if question.spec is not None else TrainedShape(None)
    if shape.parameters is None and cases:
        one = cases[0]
        shape = TrainedShape(one.parameters, one.layers, one.hidden_size, one.working_bytes)
    step = _measured_step(question, case) if case is not None else _roofline_step(question, shape, devices)
    step = replace(step, compute=step.compute.scaled(1.0 / _slowest_clock(place)))
    is_sharded = _is_sharded(question, shape, step)
    memory = _memory(question, shape, step, is_sharded=is_sharded)
    fit = max((one.fit for one in memory), key=(Fit.FITS, Fit.TIGHT, Fit.UNKNOWN, Fit.RISKY, Fit.TOO_BIG).index)
    exchange_s = _exchange_s(question, shape, step, is_sharded=is_sharded)
    exposed_s = _exposed_s(exchange_s, step, is_sharded=is_sharded)
    figure = _with_exchange(step.compute, exposed_s, exchange_s)
    nodes = len(place.nodes)
    samples_s = figure.inverse(step.samples * nodes)
    return TrainingRow(
        method=method,
        title=case.title if case is not None else f"{question.model}, {method}",
        nodes=nodes,
        batch=step.samples * nodes,
        samples_s=samples_s,
        tok_s=samples_s.scaled(step.units_per_sample) if math.isfinite(step.units_per_sample) else UNKNOWN,
        step_s=figure,
        parts=(Part("compute", step.compute.value), Part("communication", exposed_s)) if figure.is_known else (),
        is_sharded=is_sharded,
        memory=memory,
        fit=fit,
        leans_on=_leans_on(case, method, nodes) if case is not None else None,
        is_fitted=case is not None,
        problems=_problems(place, fit, method, is_sharded=is_sharded),
        why=_why(case, nodes, figure, exposed_s),
    )


def _case_for(method: str, cases: tuple[TrainingCase, ...]) -> TrainingCase | None:
    """The row of this method; else of one that computes the same."""
    exact = next((case for case in cases if case.method == method), None)
    same = next((case for case in cases if {case.method, method} <= WHOLE), None)
    return exact or same


def _measured_step(question: TrainingQuestion, case: TrainingCase) -> _Step:
    """One node's step as measured; more samples take in proportion longer, and so do longer ones."""
    factor = (question.batch or case.batch) / case.batch
    length = float(case.sequence_tokens) if case.sequence_tokens is not None else math.nan
    if question.sequence_tokens is not None and case.sequence_tokens is not None:
        factor *= question.sequence_tokens / case.sequence_tokens
        length = float(question.sequence_tokens)
    seconds = case.compute_s * factor
    compute = Figure(seconds, seconds * (1.0 - MEASURED_BAND), seconds * (1.0 + MEASURED_BAND))
    return _Step(compute, case.accumulation, case.syncs, question.batch or case.batch, length)


def _roofline_step(question: TrainingQuestion, shape: TrainedShape, devices: Mapping[str, Device]) -> _Step:
    """From the operations of a step and the devices' peak; active parameters of a mixture."""
    batch = question.batch or DEFAULT_BATCH
    length = question.sequence_tokens or DEFAULT_SEQUENCE_TOKENS
    spec = question.spec
    active = spec.active_parameters if spec is not None and spec.active_parameters else shape.parameters
    peaks = [devices[node.device].peak_tflops.get(16) for node in question.place.nodes if node.device in devices]
    known = [peak for peak in peaks if peak]
    if active is None or len(known) < len(question.place.nodes):
        return _Step(UNKNOWN, 1, 1, batch, float(length))
    operations = OPERATIONS.get(question.method, WHOLE_OPERATIONS) * active * batch * length
    return _Step(UTILISATION.inverse(operations / (min(known) * 1e12)), 1, 1, batch, float(length))


def _slowest_clock(place: Place) -> float:
    shares = [node.sm_clock_share for node in place.nodes]
    return min((share for share in shares if 0.0 < share <= 1.0), default=1.0)


def _is_sharded(question: TrainingQuestion, shape: TrainedShape, step: _Step) -> bool:
    """FSDP always; adapters only where the frozen weights do not fit on each node."""
    if len(question.place.nodes) == 1 or question.method not in ("fsdp", "lora", "qlora"):
        return False
    if question.method == "fsdp":
        return True
    return any(one.fit is Fit.TOO_BIG for one in _memory(question, shape, step, is_sharded=False))


def _memory(
    question: TrainingQuestion, shape: TrainedShape, step: _Step, *, is_sharded: bool
) -> tuple[TrainingMemory, ...]:
    # Where the length of a sample was not published the usual one is supposed: it is rather too long than too short.
    length = step.units_per_sample if math.isfinite(step.units_per_sample) else DEFAULT_SEQUENCE_TOKENS
    tokens = math.ceil(length * step.samples / step.accumulation)
    place = question.place
    load = TrainingLoad(
        method=question.method,
        shards=len(place.nodes) if is_sharded else 1,
        tokens=tokens,
        rank=question.rank,
    )
    return tuple(training_memory(node, place, shape, load) for node in place.nodes)


# What goes over the cable ---------------------------------------------------------------------------------------------


def _exchange_s(question: TrainingQuestion, shape: TrainedShape, step: _Step, *, is_sharded: bool) -> float:
    """Seconds that a step's exchanges take by themselves; 0 on one node.

    All-reduce of n nodes sends 2 (n - 1) / n of its bytes over each cable, all-gather and reduce-scatter half of that.
    """
    nodes, link = len(question.place.nodes), question.place.link or DEFAULT_LINK
    trained = trained_parameters(question.method, shape, question.rank)
    if nodes == 1:
        return 0.0
    if trained is None or shape.parameters is None:
        return math.nan
    ring = (nodes - 1) / nodes
    reduced, times = trained * GRADIENT_BYTES, step.syncs
    sent = 2.0 * ring * reduced * times
    if is_sharded:  # each pass gathers the weights twice and scatters the gradients of those that have some
        times = step.accumulation
        sent = ring * (2.0 * shape.parameters * WEIGHT_BYTES + reduced) * times
    pieces = math.ceil(sent / (2.0 * ring * BUCKET_BYTES)) + times
    return sent / (link.gb_per_s * 1e9) + pieces * 2.0 * (nodes - 1) * link.latency_s


def _exposed_s(exchange_s: float, step: _Step, *, is_sharded: bool) -> float:
    """What the computation beside it does not hide: all of it hides FSDP's, the last pass's backward hides DDP's."""
    beside_s = step.compute.value if is_sharded else step.compute.value * BACKWARD_SHARE / step.accumulation
    return max(0.0, exchange_s - OVERLAP * beside_s) if math.isfinite(exchange_s) else exchange_s


def _with_exchange(compute: Figure, exposed_s: float, exchange_s: float) -> Figure:
    """The step; the upper end supposes that a tenth of what is hidden is not."""
    if not compute.is_known or not math.isfinite(exposed_s):
        return UNKNOWN
    hidden_s = exchange_s - exposed_s
    return Figure(compute.value + exposed_s, compute.low + exposed_s, compute.high + exposed_s + 0.1 * hidden_s)


# Words ----------------------------------------------------------------------------------------------------------------


def _leans_on(case: TrainingCase, method: str, nodes: int) -> MeasuredCase:
    figures = ", ".join(
        f"{run.unit_per_s:,g} {case.unit}/s on {run.nodes} node{'s' if run.nodes > 1 else ''}" for run in case.measured
    )
    distance = [] if case.method == method else [f"measured with {case.method}"]
    distance += [] if any(run.nodes == nodes for run in case.measured) else [f"not measured on {nodes} nodes"]
    return MeasuredCase(case.key, f"{case.source}: {case.conditions}", figures, ", ".join(distance))


def _why(case: TrainingCase | None, nodes: int, step: Figure, exposed_s: float) -> str:
    if not step.is_known:
        return "How long a step takes is not known"
    scale = f"{nodes * (step.value - exposed_s) / step.value:.2f} times one node"
    hidden = (
        "the exchange hides behind the computation" if exposed_s == 0.0 else f"{exposed_s:.2f} s a step wait for it"
    )
    basis = "measured on one node" if case is not None else "estimate, not fitted"
    return f"{basis}; {scale}, {hidden}" if nodes > 1 else basis


def _problems(place: Place, fit: Fit, method: str, *, is_sharded: bool) -> tuple[Problem, ...]:
    found = []
    if len(place.nodes) > 1 and place.link is None:
        found.append(
            Problem(Severity.NOTE, "The cables are not known: a 200G cable is assumed", "Look at the cables.", "nodes")
        )
    if fit is Fit.TOO_BIG:
        ways = {
            "lora": "QLoRA keeps the weights in 4 bit.", "qlora": "Take a smaller model, or more nodes.",
            "fsdp": "Take more nodes, or LoRA.",
        }  # fmt: skip
        words = ways.get(method, "FSDP divides weights and optimizer over the nodes; LoRA trains adapters only.")
        found.append(Problem(Severity.ERROR, "Too big: a node may freeze and need its power cut", words, "method"))
    return tuple(found)
