"""What each choice of the launch form offers, and why an offer cannot be taken. Pure.

The one rule: an offer that is off says why; nothing that can be chosen is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sparkdesk.core.jobs.backend import BackendInfo
from sparkdesk.core.jobs.plan import Fit, Severity
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.parallelism import Parallelism
from sparkdesk.core.planning.place import Place
from sparkdesk.core.planning.row import PlanRow
from sparkdesk.core.planning.search.question import Limits, Question, fixed_size_problems
from sparkdesk.core.planning.setup import EngineProfile
from sparkdesk.core.planning.workload import Workload
from ui.launch.choice.default import formats_of, refuse_format
from ui.launch.form import NO_SPECULATION, STOCK, Form

MAX_MIXED_NODES = 4
"""Above it only splits that are possible are offered beside the plain three: there are too many."""
_KV_TITLES = {"": "Automatic", "auto": "Automatic", "fp8": "FP8", "bf16": "BF16", "fp16": "FP16", "f16": "F16"}
_SPECULATION_TITLES = {
    NO_SPECULATION: "Off",
    "draft": "Draft model",
    "eagle3": "EAGLE-3",
    "mtp": "Multi-token prediction",
    "ngram": "N-gram",
    "dflash": "DFlash",
}


@dataclass(frozen=True, slots=True)
class Offer:
    """One choice; `reason` says why it cannot be taken."""

    key: str
    title: str
    reason: str = ""


def engine_offers(backends: Mapping[str, BackendInfo], engines: Mapping[str, EngineProfile]) -> list[Offer]:
    """All engines; those without an adapter can be looked at."""
    found = [Offer(key, info.title) for key, info in backends.items()]
    return found + [Offer(key, one.title) for key, one in engines.items() if key not in backends]


def format_offers(form: Form, spec: ModelSpec | None, engines: Mapping[str, EngineProfile]) -> list[Offer]:
    """The model's checkpoints by format, and the form's own word where it is none of them."""
    found: dict[str, Offer] = {}
    for weights in formats_of(spec):
        reason = refuse_format(weights, form.engine, engines.get(form.engine))
        said = f"{reason}. Choose another engine first." if reason else ""
        if weights.key not in found or not reason:
            found[weights.key] = Offer(weights.key, weights.key or "As released", said)
    if form.quantization not in found:
        found[form.quantization] = Offer(form.quantization, form.quantization or "As released")
    return list(found.values())


def kv_offers(form: Form, profile: EngineProfile | None) -> list[Offer]:
    """KV cache types of the engine."""
    words = ["", *(profile.kv_dtypes if profile else ()), form.kv_dtype]
    keys = [key for key in dict.fromkeys(words) if key != "auto"]
    return [Offer(key, _KV_TITLES.get(key, key.upper())) for key in keys]


def speculation_offers(form: Form, spec: ModelSpec | None, profile: EngineProfile | None) -> list[Offer]:
    """Methods of the engine; one that needs heads that the model lacks says so."""
    offers = []
    for key in dict.fromkeys((NO_SPECULATION, *(profile.speculatives if profile else ()), form.speculative)):
        has_heads = spec is None or key in (NO_SPECULATION, "ngram") or key in spec.speculatives
        reason = "" if has_heads else "Nobody published what it needs for this model"
        offers.append(Offer(key, _SPECULATION_TITLES.get(key, key), reason))
    return offers


def build_offers(form: Form, profile: EngineProfile | None) -> list[Offer]:
    """Builds of the engine."""
    found = {build.key: Offer(build.key, build.title) for build in profile.builds} if profile else {}
    found.setdefault(form.build, Offer(form.build, "Stock" if form.build == STOCK else form.build))
    return list(found.values())


def hints_of(form: Form, backends: Mapping[str, BackendInfo], engines: Mapping[str, EngineProfile]) -> dict[str, str]:
    """Some words beside the choices, by field."""
    hints = {"engine": "", "kv_dtype": ""}
    if form.engine in engines and form.engine not in backends:
        hints["engine"] = "plan only"
    if form.kv_dtype in ("fp8", "q8_0"):
        hints["kv_dtype"] = "halves KV"
    return hints


def splits_of(count: int) -> list[Parallelism]:
    """Every way to divide so many nodes: TP, TP x PP, PP, DP, then what mixes DP in."""
    found = [
        Parallelism(tensor, count // tensor // data, data)
        for tensor in range(count, 0, -1)
        if count % tensor == 0
        for data in range(1, count // tensor + 1)
        if count // tensor % data == 0
    ]
    return sorted(found, key=lambda one: (_is_mixed_data(one), one.data_parallel_size > 1))


def _is_mixed_data(split: Parallelism) -> bool:
    return split.data_parallel_size > 1 and split.replica_size > 1


def key_of(split: Parallelism) -> str:
    """A split as the key of a choice."""
    return f"{split.tensor_parallel_size}x{split.pipeline_parallel_size}x{split.data_parallel_size}"


def split_of(key: str) -> Parallelism:
    """The split of a key."""
    tensor, pipeline, data = (int(part) for part in key.split("x"))
    return Parallelism(tensor, pipeline, data)


@dataclass(frozen=True, slots=True)
class Split:
    """What decides whether a split can be taken."""

    form: Form
    profile: EngineProfile | None
    spec: ModelSpec | None
    workload: Workload
    place: Place
    rows: Sequence[PlanRow] = ()


def split_offers(around: Split) -> list[Offer]:
    """Ways to divide the model over the chosen nodes."""
    count = len(around.form.nodes)
    offers = [Offer(key_of(split), split.label, _refuse_split(split, around)) for split in splits_of(max(1, count))]
    if count <= MAX_MIXED_NODES:
        return offers
    own = key_of(around.form.parallelism)
    plain = {key_of(split) for split in splits_of(count) if max(_sizes(split)) == count}
    return [offer for offer in offers if not offer.reason or offer.key in plain or offer.key == own]


def _sizes(split: Parallelism) -> tuple[int, int, int]:
    return split.tensor_parallel_size, split.pipeline_parallel_size, split.data_parallel_size


def _refuse_split(split: Parallelism, around: Split) -> str:
    tensor, pipeline, data = _sizes(split)
    if around.profile is not None:
        words = (("tensor", tensor), ("pipeline", pipeline), ("data", data))
        missing = [word for word, size in words if size > 1 and word not in around.profile.parallelisms]
        if missing:
            return f"{around.profile.title} has no {missing[0]} parallelism"
    if around.spec is None:
        return ""
    limits = Limits(tensor=tensor, pipeline=pipeline, data=data)
    problems = fixed_size_problems(Question(around.spec, around.workload, around.place, limits))
    if problems:
        return problems[0].message
    form = around.form
    for row in around.rows:
        setup, ids = row.setup, tuple(node.node_id for node in row.place.nodes)
        is_alike = (setup.engine.key, setup.weights.key) == (form.engine, form.quantization)
        if is_alike and setup.parallelism == split and ids == form.nodes and row.fit is Fit.TOO_BIG:
            errors = [problem.message for problem in row.problems if problem.severity is Severity.ERROR]
            return errors[0] if errors else "It does not fit"
    return ""
