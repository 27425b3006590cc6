"""Which setups are valid for a question: engine, weights, division, KV type, speculative method, build, nodes.

The one rule: what is fixed is kept as it is, what is free is tried; nothing that an engine or a model's shape refuses
is ever made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations

from sparkdesk.core.jobs.plan import Problem, Severity
from sparkdesk.core.models.spec import ModelSpec, WeightFormat
from sparkdesk.core.planning.launch.division import layer_count, tensor_problem
from sparkdesk.core.planning.link import MOST_GROUPED
from sparkdesk.core.planning.memory.need import VALUE_BYTES
from sparkdesk.core.planning.parallelism import Parallelism
from sparkdesk.core.planning.place import Link, NodeRoom, Place
from sparkdesk.core.planning.reference import Reference
from sparkdesk.core.planning.search.checkpoint import checkpoints_of
from sparkdesk.core.planning.search.question import Limits, Question, fixed_size_problems, load_problems
from sparkdesk.core.planning.setup import Build, EngineProfile, Setup
from sparkdesk.core.planning.speed.cable import DEFAULT_LINK

NO_SPECULATION = "none"
PLAIN_CACHES = ("", "auto", "bf16", "fp16", "f16", "bfloat16", "float16")
"""Words for a cache of 16 bit values."""
FREE_OF_MODEL = ("ngram", "suffix")
"""Methods that need no draft head or model: they guess from the text itself."""
SPECULATING_USERS = 16
"""Up to so many users speculative decoding is tried."""
EVERY_COUNT_TO = 4
"""Up to so many nodes every count is tried; beyond, powers of two and all of them."""
CROWDED_SHARE = 0.5
"""A node with less room than this share of the roomiest comes after all others, whatever its cable."""
EIGHT_BIT_BYTES = (1.0, 1.125)
"""From and to, of one KV value with its scales: the 8 bit types."""


def node_counts(chosen: int) -> tuple[int, ...]:
    """How many of the chosen nodes are tried."""
    return tuple(n for n in range(1, chosen + 1) if n <= EVERY_COUNT_TO or n & (n - 1) == 0 or n == chosen)


def divisions(nodes: int) -> Iterator[Parallelism]:
    """Every tensor x pipeline x data that makes this many nodes, tensor first."""
    for tensor in sorted((size for size in range(1, nodes + 1) if nodes % size == 0), reverse=True):
        rest = nodes // tensor
        for pipeline in sorted((size for size in range(1, rest + 1) if rest % size == 0), reverse=True):
            yield Parallelism(tensor, pipeline, rest // pipeline)


def valid_divisions(question: Question, engine: EngineProfile, count: int) -> list[Parallelism]:
    """The divisions over `count` nodes that engine, model, load and limits allow."""
    spec, users = question.spec, question.workload.users
    layers = layer_count(spec)
    return [
        one
        for one in divisions(count)
        if _is_as_fixed(one, question.limits)
        and _is_known_to(engine, one)
        and one.data_parallel_size <= users
        and (layers is None or one.pipeline_parallel_size <= layers)
        and not tensor_problem(spec, one.tensor_parallel_size)
    ]


def pairs(question: Question, reference: Reference) -> list[tuple[EngineProfile, WeightFormat]]:
    """Engines with the weights that they run, as far as the limits leave them."""
    limits = question.limits
    named = _named_engines(limits, reference)
    engines = [one for one in named if _has_what_is_fixed(one, question.spec, limits)]
    formats = checkpoints_of(question.spec, limits.format, named)
    return [(engine, weights) for engine in engines for weights in formats if engine.can_run(weights)]


def _named_engines(limits: Limits, reference: Reference) -> list[EngineProfile]:
    """The engine that is fixed, else all."""
    return [one for one in reference.engines.values() if limits.engine.lower() in ("", one.key)]


def setups(
    question: Question, engine: EngineProfile, weights: WeightFormat, division: Parallelism
) -> tuple[Setup, list[Setup]]:
    """The plain setup (first build, 16 bit cache, no speculation, or as fixed) and its variants.

    A variant departs in one thing: cache, method or build. Two at once are planned when one of them is fixed.
    """
    limits = question.limits
    builds = builds_of(engine, limits)
    caches = caches_of(engine, limits)
    methods = methods_of(engine, question)
    plain = Setup(question.spec, weights, engine, builds[0], division, caches[0], methods[0])
    others = [replace(plain, kv_dtype=cache) for cache in caches[1:]]
    others += [replace(plain, speculative=method) for method in methods[1:]]
    return plain, [*others, *(replace(plain, build=build) for build in builds[1:])]


def builds_of(engine: EngineProfile, limits: Limits) -> tuple[Build, ...]:
    """The engine's builds: the one that is fixed, else its first and the others."""
    fixed = tuple(build for build in engine.builds if build.key == limits.build.lower())
    return fixed or engine.builds or (Build("stock", "Stock"),)


def caches_of(engine: EngineProfile, limits: Limits) -> tuple[str, ...]:
    """KV types: 16 bit and the engine's first of 8 bit. One of 4 bit, or another of the same size, only when fixed."""
    if limits.kv_dtype is not None:
        return (plain_cache(limits.kv_dtype),)
    least, most = EIGHT_BIT_BYTES
    eight = [key for key in engine.kv_dtypes if least <= VALUE_BYTES.get(key, 0.0) <= most]
    return ("", *eight[:1])


def plain_cache(kv_dtype: str) -> str:
    """The KV type in lower case; 16 bit, every engine's own choice, is ""."""
    word = kv_dtype.lower()
    return "" if word in PLAIN_CACHES else word


def methods_of(engine: EngineProfile, question: Question) -> tuple[str, ...]:
    """Speculative methods that engine and model have together; "none" first.

    With many users only when fixed: the guesses of all must be checked, and what was measured is of few users.
    """
    limits, known = question.limits, question.spec.speculatives
    if limits.speculative is not None:
        return (limits.speculative.lower() or NO_SPECULATION,)
    if question.workload.users > SPECULATING_USERS:
        return (NO_SPECULATION,)
    return (NO_SPECULATION, *(key for key in engine.speculatives if key in known and key != NO_SPECULATION))


def choose_nodes(place: Place, count: int, repo: str = "") -> Place:
    """The best `count` nodes, as they stand in rank order, with the cable and the neighbours that they have.

    Owned nodes first; then such as have room; then the group with the fastest cable; then most room (what is
    available, else the total), those that hold the files, and rank.
    """
    if count == len(place.nodes):
        return place
    order = sorted(range(len(place.nodes)), key=lambda at: (*_preference(place.nodes[at], repo), at))
    picked: Iterable[int] = order[:count]
    if place.links and len(order) <= MOST_GROUPED:
        # Combinations keep the order, so of groups that are equal the one with most room comes first.
        picked = min(combinations(order, count), key=lambda group: _group_preference(place, group))
    nodes = tuple(place.nodes[at] for at in sorted(picked))
    ids = frozenset(node.node_id for node in nodes)
    beside = tuple(one for one in place.neighbours if ids.intersection(one.node_ids))
    within = {group: link for group, link in place.links.items() if group < ids}
    return Place(nodes, _link_of(place, ids), beside, within)


def _group_preference(place: Place, group: Iterable[int]) -> tuple[int, int, float]:
    """Less is better: nodes to lend, nodes that are crowded beside the roomiest, the cable's rate."""
    nodes = [place.nodes[at] for at in group]
    most = max(_room_bytes(node) for node in place.nodes)
    link = _link_of(place, frozenset(node.node_id for node in nodes)) or DEFAULT_LINK
    return (
        sum(not node.is_owned for node in nodes),
        sum(_room_bytes(node) < CROWDED_SHARE * most for node in nodes),
        -link.gb_per_s,
    )


def _link_of(place: Place, ids: frozenset[str]) -> Link | None:
    return place.links.get(ids, place.link)


def _preference(node: NodeRoom, repo: str) -> tuple[bool, float, bool]:
    return (not node.is_owned, -_room_bytes(node), bool(repo) and repo not in node.held_repos)


def _room_bytes(node: NodeRoom) -> float:
    room = node.available_bytes if node.available_bytes is not None else node.total_bytes
    return float(room or 0)


def question_problems(question: Question, reference: Reference) -> tuple[Problem, ...]:
    """Everything that is wrong with a question, at its field; none: there is at least one row."""
    found = [*load_problems(question), *_choice_problems(question, reference), *fixed_size_problems(question)]
    if not found and not has_setups(question, reference):
        found.append(_impossible(question, reference))
    return tuple(found)


def _impossible(question: Question, reference: Reference) -> Problem:
    """Why nothing is left although each thing that is fixed is possible by itself."""
    limits, engines = question.limits, {engine.key: engine for engine, _ in pairs(question, reference)}
    names = _join(dict.fromkeys(engine.title for engine in engines.values())) or "No engine"
    for size, kind in ((limits.tensor, "tensor"), (limits.pipeline, "pipeline"), (limits.data, "data")):
        if engines and (size or 1) > 1 and not any(kind in engine.parallelisms for engine in engines.values()):
            verb = "has" if len(engines) == 1 else "have"
            return _error(f"{names} {verb} no {kind} parallel over nodes", "Set it to 1.", f"{kind}_parallel_size")
    if not engines:
        return _error(
            f"No engine has all that is fixed for {question.spec.title}",
            "Leave build, KV type or speculative decoding open.",
            "engine",
        )
    count = len(question.place.nodes)
    return _error(
        f"{names} cannot divide {question.spec.title} so over {'one node' if count == 1 else f'{count} nodes'}",
        "Leave tensor, pipeline and data parallel open, or choose another number of nodes.",
        "nodes",
    )


def has_setups(question: Question, reference: Reference) -> bool:
    """Whether there is one valid setup."""
    return any(
        valid_divisions(question, engine, count)
        for engine, _ in pairs(question, reference)
        for count in counts_of(question)
    )


def counts_of(question: Question) -> tuple[int, ...]:
    """The node counts of a question's rows."""
    chosen = len(question.place.nodes)
    return (chosen,) if question.must_use_all_nodes else node_counts(chosen)


def _choice_problems(question: Question, reference: Reference) -> list[Problem]:
    limits, spec = question.limits, question.spec
    engines = _named_engines(limits, reference)
    if not engines:
        return [_unknown("engine", limits.engine, reference.engines, "engine")]
    if not spec.formats:
        return [
            _error(f"The weights of {spec.title} are not known", "Name a model of the catalogue, or its file.", "model")
        ]
    formats = checkpoints_of(spec, limits.format, engines)
    if not formats:
        keys = dict.fromkeys(one.key for one in spec.formats)
        words = f"{spec.title} has no {limits.format[:80]} weights, and their size cannot be computed"
        return [_error(words, f"It has {_join(keys)}.", "quantization")]
    able = [engine for engine in engines if any(engine.can_run(one) for one in formats)]
    if not able:
        keys = dict.fromkeys(one.key for one in formats)
        who = engines[0].title if len(engines) == 1 else "No engine that SparkDesk knows"
        verb = "does not run" if len(engines) == 1 else "runs"
        field = "engine" if limits.engine else "quantization"
        return [_error(f"{who} {verb} {spec.title} in {_join(keys)}", "Choose other weights or engine.", field)]
    return _detail_problems(limits, spec, able)


def _detail_problems(limits: Limits, spec: ModelSpec, engines: list[EngineProfile]) -> list[Problem]:
    problems = []
    builds = dict.fromkeys(build.key for engine in engines for build in engine.builds)
    if limits.build and limits.build.lower() not in builds:
        problems.append(_unknown("build", limits.build, builds, "build", engines))
    caches = dict.fromkeys(key for engine in engines for key in engine.kv_dtypes)
    if limits.kv_dtype is not None and plain_cache(limits.kv_dtype) not in ("", *caches):
        known = ("auto", *(key for key in caches if key))
        problems.append(_unknown("KV type", limits.kv_dtype, known, "kv_dtype", engines))
    methods = dict.fromkeys(key for engine in engines for key in engine.speculatives)
    if limits.speculative is not None:
        method = limits.speculative.lower() or NO_SPECULATION
        usable = [NO_SPECULATION, *(key for key in methods if key in spec.speculatives or key in FREE_OF_MODEL)]
        if method not in (NO_SPECULATION, *methods):
            problems.append(_unknown("speculative method", limits.speculative, usable, "speculative", engines))
        elif method not in usable:
            words = f"{spec.title} has nothing for speculative decoding by {method}, as far as is known"
            problems.append(_error(words, f"Choose {_join(dict.fromkeys(usable), last='or')}.", "speculative"))
    return problems


def _has_what_is_fixed(engine: EngineProfile, spec: ModelSpec, limits: Limits) -> bool:
    """Whether this engine is the one that is fixed, or has the build, KV type and method that are."""
    if limits.engine.lower() not in ("", engine.key):
        return False
    if limits.build and limits.build.lower() not in {build.key for build in engine.builds}:
        return False
    if limits.kv_dtype is not None and plain_cache(limits.kv_dtype) not in ("", *engine.kv_dtypes):
        return False
    method = (limits.speculative or NO_SPECULATION).lower()
    usable = (*spec.speculatives, *FREE_OF_MODEL)
    return method == NO_SPECULATION or (method in engine.speculatives and method in usable)


def _is_as_fixed(one: Parallelism, limits: Limits) -> bool:
    wanted = (limits.tensor, limits.pipeline, limits.data)
    sizes = (one.tensor_parallel_size, one.pipeline_parallel_size, one.data_parallel_size)
    return all(want is None or want == size for want, size in zip(wanted, sizes, strict=True))


def _is_known_to(engine: EngineProfile, one: Parallelism) -> bool:
    return (
        (one.tensor_parallel_size == 1 or "tensor" in engine.parallelisms)
        and (one.pipeline_parallel_size == 1 or "pipeline" in engine.parallelisms)
        and (one.data_parallel_size == 1 or "data" in engine.parallelisms)
    )


def _unknown(noun: str, word: str, known: Iterable[str], field: str, engines: Sequence[EngineProfile] = ()) -> Problem:
    """A word that nobody knows, or that the only engine left does not."""
    who, verb = (engines[0].title, "has") if len(engines) == 1 else ("SparkDesk", "knows")
    return _error(f"{who} {verb} no {noun} {word[:80]!r}", f"It {verb} {_join(dict.fromkeys(known))}.", field)


def _join(words: Iterable[str], last: str = "and") -> str:
    found = list(words)
    return " ".join(found) if len(found) < 2 else f"{', '.join(found[:-1])} {last} {found[-1]}"


def _error(message: str, remedy: str, field: str) -> Problem:
    return Problem(Severity.ERROR, message, remedy, field)
