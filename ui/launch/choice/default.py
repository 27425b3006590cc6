"""What the form says by itself: every field that the person left alone follows the others. Pure.

The one rule: a default never overwrites what was typed, unless the choice that was made is no longer there to make.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from sparkdesk.core.jobs.backend import BackendInfo, NodeContext
from sparkdesk.core.jobs.plan import Fit
from sparkdesk.core.models.catalogue import Match, find_model
from sparkdesk.core.models.spec import ModelSpec, WeightFormat
from sparkdesk.core.planning.launch.gguf_file import seen_bytes
from sparkdesk.core.planning.parallelism import Parallelism
from sparkdesk.core.planning.row import PlanRow
from sparkdesk.core.planning.search.question import Limits
from sparkdesk.core.planning.setup import EngineProfile, Setup
from sparkdesk.core.playbooks.fetch.weights import file_path
from ui.launch.form import DEFAULT_CONTEXT_TOKENS, FIELDS, LOAD_FIELDS, NO_SPECULATION, STOCK, Form, read_workload
from ui.launch.serving.default import serving_defaults
from ui.launch.serving.fields import LLAMACPP, OLLAMA, SERVING_FIELDS

MAX_PORT_TRIES = 200


def choose_node(contexts: Sequence[NodeContext]) -> str:
    """The node with the most free memory, the first when nothing is known; "" when there is none."""
    if not contexts:
        return ""
    return max(contexts, key=lambda node: node.mem_available_bytes or -1).record.id


def fewest_nodes(rows: Sequence[PlanRow]) -> tuple[str, ...]:
    """The nodes of the plan that fits on the fewest, of engines with an adapter where one of them fits; () is none."""
    fitting = [row for row in rows if row.fit in (Fit.FITS, Fit.TIGHT)]
    best = min(fitting, key=lambda row: (not row.setup.engine.is_launchable, len(row.place.nodes)), default=None)
    return ids_of(best) if best is not None else ()


def choose_path(spec: ModelSpec, quantization: str, node: NodeContext | None) -> str:
    """Where the model's file lies on the node: where it was seen, else where a launch puts what it fetches."""
    weights = next((each for each in formats_of(spec) if each.key == quantization), None)
    if weights is None or not weights.file:
        return ""
    name = PurePosixPath(weights.file).name
    seen = [path for path in node.weight_files if PurePosixPath(path).name == name] if node else []
    whole = [path for path in seen if node is not None and seen_bytes(path, node) is not None]
    if whole:
        return min(whole, key=len)
    return file_path(weights.repo, weights.file) if weights.repo else f"~/models/{name}"


def choose_port(info: BackendInfo | None, node: NodeContext | None) -> int:
    """The engine's own port, or the next one that nobody holds there."""
    first = info.default_port if info else 8000
    used = node.used_ports if node else {}
    return next((port for port in range(first, first + MAX_PORT_TRIES) if port not in used), first)


def name_for(model: str) -> str:
    """A name to serve a model under: the last part of its name in small letters."""
    return re.sub(r"[^a-z0-9._-]+", "-", model.rsplit("/", 1)[-1].lower()).strip("-.")[:64]


def formats_of(spec: ModelSpec | None) -> tuple[WeightFormat, ...]:
    """A model's checkpoints; none of a model that nobody knows."""
    return spec.formats if spec is not None else ()


def kv_word(planned: str) -> str:
    """A plan's type of the KV cache as the form has it: "auto" is the engine's own choice."""
    return "" if planned == "auto" else planned


def refuse_format(weights: WeightFormat, engine: str, profile: EngineProfile | None) -> str:
    """Why an engine does not run these weights; "" where it does, or where nobody knows."""
    title = profile.title if profile else engine
    if profile is not None and weights.key and weights.key not in profile.formats:
        return f"{title} does not run {weights.key}"
    runs = {engine, LLAMACPP} if engine == OLLAMA else {engine}  # Ollama's runner reads the files that llama.cpp does
    if weights.engines and not runs & set(weights.engines):
        return f"This checkpoint is not for {title}"
    return ""


def match_model(catalogue: Sequence[ModelSpec], words: str) -> tuple[ModelSpec | None, WeightFormat | None]:
    """The entry that a name on the form means, and the checkpoint where the name is that of one."""
    for spec in catalogue:
        for weights in spec.formats:
            if weights.repo == words:
                return spec, weights
        if words and words == spec.name:
            return spec, None
    return None, None


@dataclass(frozen=True, slots=True)
class Around:
    """What the defaults of a form lean on."""

    spec: ModelSpec | None
    contexts: Sequence[NodeContext]
    backends: Mapping[str, BackendInfo]
    engines: Mapping[str, EngineProfile] = field(default_factory=dict)
    weights: WeightFormat | None = None
    """The checkpoint that the model's name is that of."""
    knows_name: Callable[[str, ModelSpec, str], bool] = lambda _engine, _spec, _key: False
    """Whether an engine that has models under names of its own knows this format's by itself."""


def fill_defaults(form: Form, around: Around) -> Form:
    """The form with every field that the person left alone set to what fits the others."""
    form = _fill_nodes(form, around.contexts)
    form = _fill_plan(form, around)
    form = _fill_split(form)
    form = _fill_server(_fill_load(form, around.spec), around)
    own = serving_defaults(form, around.spec)
    values = {name: value for name, value in own.items() if name not in form.touched}
    return replace(form, **values)  # type: ignore[arg-type]  # by name


def _fill_nodes(form: Form, contexts: Sequence[NodeContext]) -> Form:
    known = {node.record.id for node in contexts}
    nodes = form.nodes
    if "nodes" not in form.touched and not (nodes and set(nodes) <= known):
        best = choose_node(contexts)
        nodes = (best,) if best else ()
    pool = form.pool if set(nodes) <= set(form.pool) else nodes
    return replace(form, nodes=nodes, pool=pool)


def _fill_plan(form: Form, around: Around) -> Form:
    best = form.best.setup if form.best else None
    if best is not None and "engine" not in form.touched:
        form = replace(form, engine=best.engine.key)
    profile = around.engines.get(form.engine)
    is_bests = best is not None and best.engine.key == form.engine
    form = _fill_format(form, around, best.weights.key if best is not None and is_bests else None)
    offers = {
        "build": tuple(build.key for build in profile.builds) if profile else (STOCK,),
        "kv_dtype": ("", *profile.kv_dtypes) if profile else ("",),
        "speculative": profile.speculatives if profile else (NO_SPECULATION,),
    }
    own = {"build": STOCK, "kv_dtype": "", "speculative": NO_SPECULATION}
    if best is not None and is_bests:
        own = {"build": best.build.key, "kv_dtype": kv_word(best.kv_dtype), "speculative": best.speculative}
    values: dict[str, object] = {}
    for name, offered in offers.items():
        if name not in form.touched or (profile is not None and getattr(form, name) not in offered):
            values[name] = own[name]
    return replace(form, **values)  # type: ignore[arg-type]  # by name


def _fill_format(form: Form, around: Around, best_key: str | None) -> Form:
    formats = formats_of(around.spec)
    profile = around.engines.get(form.engine)
    usable = [each for each in formats if not refuse_format(each, form.engine, profile)] or list(formats)
    keys = [each.key for each in usable]
    # A word that is none of the model's formats is the engine's own, for quantizing while it loads.
    is_possible = form.quantization in keys or form.quantization not in [each.key for each in formats]
    if "quantization" in form.touched and is_possible:
        chosen = form.quantization
    elif not formats:
        chosen = ""
    elif around.weights is not None and "model" in form.touched:
        chosen = around.weights.key
    elif best_key in keys:
        chosen = best_key or ""
    else:
        chosen = keys[0]
    repo = next((each.repo for each in formats if each.key == chosen), "")
    model = repo or (around.spec.name if around.spec else "")
    return replace(form, quantization=chosen, model=form.model if "model" in form.touched or not model else model)


def _fill_split(form: Form) -> Form:
    """Sizes that do not make the chosen nodes are no choice any more."""
    count = max(1, len(form.nodes))
    best = form.best.setup.parallelism if form.best else None
    if "parallelism" in form.touched and form.parallelism.world_size == count:
        return form
    chosen = best if best is not None and best.world_size == count else Parallelism(count)
    return replace(form, parallelism=chosen)


def _fill_load(form: Form, spec: ModelSpec | None) -> Form:
    workload, _ = read_workload(form)
    values: dict[str, object] = {}
    if workload is not None and "context_tokens" not in form.touched:
        rounded = -(-workload.context_tokens // DEFAULT_CONTEXT_TOKENS) * DEFAULT_CONTEXT_TOKENS
        limit = spec.context_tokens if spec and spec.context_tokens else rounded
        values["context_tokens"] = f"{min(rounded, limit):,}"
    if workload is not None and "concurrency" not in form.touched:
        values["concurrency"] = form.users
    return replace(form, **values)  # type: ignore[arg-type]  # by name


def _fill_server(form: Form, around: Around) -> Form:
    node = next((each for each in around.contexts if each.record.id in form.nodes), None)
    values: dict[str, object] = {}
    if "weights_path" not in form.touched:
        # A file that was found for another model would start that one.
        spec = around.spec if form.engine != OLLAMA else None  # it has the file in a store of its own
        values["weights_path"] = choose_path(spec, form.quantization, node) if spec is not None else ""
    if "port" not in form.touched:
        info = around.backends.get(form.engine)
        # Ollama's service holds its port already, and that is the one.
        is_service = info is not None and form.engine == OLLAMA
        values["port"] = str(info.default_port if info and is_service else choose_port(info, node))
    if "served_name" not in form.touched:
        spec = around.spec
        is_named = spec is not None and around.knows_name(form.engine, spec, form.quantization)
        # Nobody knows how another library calls a model that its engine cannot name.
        values["served_name"] = name_for(form.model) if is_named or form.engine != OLLAMA else ""
    return replace(form, **values)  # type: ignore[arg-type]  # by name


_KEPT = frozenset((*LOAD_FIELDS, "nodes", "concurrency", "extra_flags", "environment")) | {
    "reach", "weights_from", "restart_limit", "stop_after_s", *(n for n in SERVING_FIELDS if n.startswith("custom_"))
}  # fmt: skip
"""What a person set that another model does not undo."""


def leave_model(form: Form) -> Form:
    """The form without what was chosen for the model before; its engine stays."""
    touched = form.touched & (_KEPT | {"model", "engine"})
    return replace(form, quantization="", weights_path="", best=None, touched=touched)


def pick_model(form: Form, spec: ModelSpec, backends: Mapping[str, BackendInfo]) -> Form:
    """The form after a model was chosen from the catalogue: what belonged to the one before is let go."""
    engine = form.engine
    if spec.engines and engine not in spec.engines:
        engine = next((key for key in spec.engines if key in backends), engine)
    return replace(
        form,
        model=spec.name,
        engine=engine,
        quantization="",
        best=None,
        touched=form.touched & _KEPT,
    )


def pick_format(form: Form, weights: WeightFormat, around: Around) -> Form:
    """The form after a checkpoint was named: an engine that nobody fixed yields to it, one that was fixed stays."""
    engines = [form.engine] if "engine" in form.touched else [form.engine, *around.backends]
    able = [key for key in engines if not refuse_format(weights, key, around.engines.get(key))]
    return replace(form, engine=able[0]).typed("quantization", weights.key) if able else form


def pick_found(form: Form, found: Match, around: Around) -> Form:
    """The form after a name was found in the catalogue; the name may be that of one checkpoint."""
    # A name is that of the model's main checkpoint; in 16 bit it is that of the whole family.
    main = find_model((found.spec,), found.spec.name)
    weights = found.weights or (main.weights if main is not None else None)
    return pick_format(form, weights, around) if weights is not None else form


def take_row(form: Form, row: PlanRow) -> Form:
    """The form after a row of the table was chosen: its setup on its nodes, all else as it is."""
    setup = row.setup
    return replace(
        form,
        engine=setup.engine.key,
        model=setup.weights.repo or setup.spec.name,
        quantization=setup.weights.key,
        build=setup.build.key,
        parallelism=setup.parallelism,
        kv_dtype=kv_word(setup.kv_dtype),
        speculative=setup.speculative,
        nodes=tuple(node.node_id for node in row.place.nodes),
        touched=(form.touched - {"model", "weights_path", "memory_fraction"}) | set(PLAN_FIELDS) | {"nodes"},
    )


PLAN_FIELDS = ("engine", "quantization", "build", "parallelism", "kv_dtype", "speculative")
"""What the best plan sets where the person did not."""


def ids_of(row: PlanRow) -> tuple[str, ...]:
    """The nodes that a row uses."""
    return tuple(node.node_id for node in row.place.nodes)


def is_within(setup: Setup, form: Form, names: frozenset[str]) -> bool:
    """Whether a setup is what the form says in these fields."""
    has = {
        "engine": setup.engine.key,
        "quantization": setup.weights.key,
        "build": setup.build.key,
        "parallelism": setup.parallelism,
        "kv_dtype": kv_word(setup.kv_dtype),
        "speculative": setup.speculative,
    }
    return all(has[name] == getattr(form, name) for name in names)


def limits_of(form: Form, names: frozenset[str]) -> Limits:
    """What the form fixes of a plan, of these fields."""
    split = form.parallelism if "parallelism" in names else None
    return Limits(
        engine=form.engine if "engine" in names else "",
        format=form.quantization if "quantization" in names else "",
        build=form.build if "build" in names else "",
        tensor=split.tensor_parallel_size if split else None,
        pipeline=split.pipeline_parallel_size if split else None,
        data=split.data_parallel_size if split else None,
        kv_dtype=form.kv_dtype if "kv_dtype" in names else None,
        speculative=form.speculative if "speculative" in names else None,
    )


_MARKED = frozenset(FIELDS) - {*LOAD_FIELDS, "nodes", "model"}
"""Fields whose own value is worth telling apart from the person's."""
_EMPTY = frozenset(("extra_flags", "environment"))
"""Fields that say nothing by themselves."""


def changed_fields(form: Form, around: Around) -> frozenset[str]:
    """What the person set to something else than it would be by itself."""
    return frozenset(
        name
        for name in form.touched
        if name in _MARKED and getattr(reset_field(form, name, around), name) != getattr(form, name)
    )


def reset_field(form: Form, name: str, around: Around) -> Form:
    """The form with one field as it would be by itself."""
    form = replace(form, touched=form.touched - {name})
    return fill_defaults(replace(form, **{name: ""}) if name in _EMPTY else form, around)  # type: ignore[arg-type]  # by name


def reset_fields(form: Form, around: Around) -> Form:
    """The form with all that was changed as it would be by itself; the plan follows the best one again."""
    changed = changed_fields(form, around)
    # A row that was chosen fixes the whole plan, also what it has in common with the one on its own nodes.
    touched = form.touched - changed - set(PLAN_FIELDS)
    values = dict.fromkeys(changed & _EMPTY, "")
    return fill_defaults(replace(form, **values, touched=touched), around)  # type: ignore[arg-type]  # by name
