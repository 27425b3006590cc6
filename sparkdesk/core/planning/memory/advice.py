"""What could be changed so that a plan fits: candidates, each a whole plan of its own.

The one rule: this module only proposes. Who shows a change has computed its ledgers and seen that they fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sparkdesk.core.jobs.fix import Fix
from sparkdesk.core.jobs.plan import GIB
from sparkdesk.core.models.spec import WeightFormat
from sparkdesk.core.planning.launch.division import division_problems
from sparkdesk.core.planning.memory.need import VALUE_BYTES, room_of
from sparkdesk.core.planning.parallelism import Parallelism
from sparkdesk.core.planning.place import Neighbour, NodeRoom, Place, widen_place
from sparkdesk.core.planning.setup import Setup
from sparkdesk.core.planning.workload import Workload

MOST_NODES = 16
"""More nodes than this are not proposed."""
LEAST_TOKENS = 128
"""A context below this is of no use (and below the least of a launch)."""


@dataclass(frozen=True, slots=True)
class Change:
    """Another plan, and in a clause what is other about it: "2 users instead of 8"."""

    words: str
    field: str
    """Of the launch form: what one would change there."""
    setup: Setup
    workload: Workload
    place: Place


def fix_of(change: Change, setup: Setup, workload: Workload, place: Place) -> Fix | None:
    """The change as fields of the launch request; None for one that is none: stop somebody, other weights, more nodes.

    `setup`, `workload` and `place` are those that the change was proposed for.
    """
    new = change.setup
    if new.weights != setup.weights or new.parallelism != setup.parallelism:
        return None
    here, there = (tuple(node.node_id for node in each.nodes) for each in (place, change.place))
    is_moved = len(here) == len(there) and here != there and all(node.is_owned for node in change.place.nodes)
    if change.place != place and not is_moved:
        return None
    fields: dict[str, tuple[object, object]] = {
        "concurrency": (workload.users, change.workload.users),
        "context_tokens": (workload.context_tokens, change.workload.context_tokens),
        "kv_dtype": (setup.kv_dtype, new.kv_dtype),
        "memory_fraction": (setup.memory_fraction, new.memory_fraction),
        "nodes": (here, there),
    }
    changed = tuple((name, after) for name, (before, after) in fields.items() if before != after)
    return Fix(change.words, changed) if changed and ("memory_fraction", None) not in changed else None


def with_users(setup: Setup, workload: Workload, place: Place, users: int | None) -> Iterator[Change]:
    """Fewer users."""
    if users is not None and 1 <= users < workload.users:
        words = f"{users:,} {'user' if users == 1 else 'users'} instead of {workload.users:,}"
        yield Change(words, "concurrency", setup, replace(workload, users=users), place)


def with_context(setup: Setup, workload: Workload, place: Place, tokens: int | None) -> Iterator[Change]:
    """A shorter context: the answer keeps its length where it can."""
    if tokens is None or not LEAST_TOKENS <= tokens < workload.context_tokens:
        return
    answer = min(workload.answer_tokens, tokens - 1)
    shorter = replace(workload, prompt_tokens=tokens - answer, answer_tokens=answer)
    words = f"a context of {tokens:,} tokens instead of {workload.context_tokens:,}"
    yield Change(words, "context_tokens", setup, shorter, place)


def with_small_cache(setup: Setup, workload: Workload, place: Place) -> Iterator[Change]:
    """A KV cache of about 8 bits a value, where the engine has one."""
    now = VALUE_BYTES.get(setup.kv_dtype, 0.0)
    for kv_dtype in ("fp8", "fp8_e4m3", "q8_0"):
        if kv_dtype in setup.engine.kv_dtypes and VALUE_BYTES[kv_dtype] < now:
            word = "an FP8" if kv_dtype.startswith("fp8") else f"a {kv_dtype}"
            yield Change(f"{word} KV cache", "kv_dtype", replace(setup, kv_dtype=kv_dtype), workload, place)
            return


def with_smaller_weights(setup: Setup, workload: Workload, place: Place) -> Iterator[Change]:
    """Smaller formats of the same model that this engine runs, the largest first."""
    for weights in smaller_formats(setup):
        words = f"{weights.key} weights ({weights.weight_bytes / GIB:.1f} GiB instead of "
        words += f"{setup.weights.weight_bytes / GIB:.1f})"
        yield Change(words, "quantization", replace(setup, weights=weights), workload, place)


def smaller_formats(setup: Setup) -> list[WeightFormat]:
    """Those that this engine runs, the largest first."""
    most = setup.weights.weight_bytes
    fitting = [one for one in setup.spec.formats if 0 < one.weight_bytes < most and setup.engine.can_run(one)]
    return sorted(fitting, key=lambda weights: -weights.weight_bytes)


def with_other_division(setup: Setup, workload: Workload, place: Place) -> Iterator[Change]:
    """The same nodes, with one copy of the model divided over them instead of several copies."""
    if setup.parallelism.data_parallel_size > 1:
        for division in divisions(setup, place, len(place.nodes)):
            words = f"one copy divided over the nodes ({division.label})"
            yield Change(words, "data_parallel_size", replace(setup, parallelism=division), workload, place)


def with_more_nodes(setup: Setup, workload: Workload, place: Place) -> Iterator[Change]:
    """More nodes like the first one, with nobody on them: the fewest first.

    Of so many nodes all take part, else those alone that nobody else uses: one full node holds no more of the model
    than it has room for.
    """
    for count in range(len(place.nodes) + 1, MOST_NODES + 1):
        larger = widen_place(place, count)
        for division in divisions(setup, larger, count):
            words = f"{count} nodes ({division.label})"
            yield Change(words, "nodes", replace(setup, parallelism=division), workload, larger)
        busy = {node_id for neighbour in place.neighbours for node_id in neighbour.node_ids}
        free = _part_of(larger, [node for node in larger.nodes if node.node_id not in busy])
        left = len(free.nodes)
        for division in divisions(setup, free, left) if left < count else ():
            words = f"{count} nodes ({division.label} on the {left} that nobody else uses)"
            if left == 1:
                words = "another node that nobody else uses"
            yield Change(words, "nodes", replace(setup, parallelism=division), workload, free)


def with_other_nodes(setup: Setup, workload: Workload, place: Place, whole: Place | None) -> Iterator[Change]:
    """As many nodes of the whole place, divided in the same way: those that have most room."""
    if whole is None:
        return
    here = {node.node_id for node in place.nodes}
    owned = [node for node in whole.nodes if node.is_owned]
    roomy = sorted(owned, key=lambda node: -(room_of(node, whole).left_bytes or 0))[: len(here)]
    if len(roomy) == len(here) and here != {node.node_id for node in roomy}:
        other = _part_of(whole, [node for node in owned if node in roomy])
        words = f"on {' and '.join(node.name for node in other.nodes)} instead"
        yield Change(words, "nodes", setup, workload, other)


def with_smaller_weights_on_more_nodes(setup: Setup, workload: Workload, place: Place) -> Iterator[Change]:
    """Both at once: the fewest nodes first, and there the largest format."""
    smaller = list(with_smaller_weights(setup, workload, place))
    for more in with_more_nodes(setup, workload, place):
        for less in smaller:
            both = replace(less.setup, parallelism=more.setup.parallelism)
            yield Change(f"{less.setup.weights.key} weights on {more.words}", "nodes", both, workload, more.place)


def without_neighbours(setup: Setup, workload: Workload, place: Place) -> Iterator[Change]:
    """One neighbour less, and then all of them, as far as it is known what they hold."""
    here = {node.node_id for node in place.nodes}
    known = [one for one in place.neighbours if one.bytes_held and here & set(one.node_ids)]
    for neighbour in known:
        yield Change(f"stop {neighbour.title}", "nodes", setup, workload, _without(place, (neighbour,)))
    if len(known) > 1:
        titles = " and ".join(neighbour.title for neighbour in known)
        yield Change(f"stop {titles}", "nodes", setup, workload, _without(place, tuple(known)))


def divisions(setup: Setup, place: Place, count: int) -> Iterator[Parallelism]:
    """How one copy of this model can be divided over so many nodes: TP first, then with fewer ranks, PP last."""
    for tensor in range(count, 0, -1):
        if count % tensor == 0:
            division = Parallelism(tensor, count // tensor, 1)
            if not division_problems(replace(setup, parallelism=division), place):
                yield division


def _part_of(place: Place, nodes: list[NodeRoom]) -> Place:
    """Some nodes of a place, with those who work there. What joins them takes no memory, and is left out."""
    ids = {node.node_id for node in nodes}
    return Place(tuple(nodes), neighbours=tuple(one for one in place.neighbours if ids.intersection(one.node_ids)))


def _without(place: Place, stopped: tuple[Neighbour, ...]) -> Place:
    nodes = []
    for node in place.nodes:
        freed = sum(one.bytes_held or 0 for one in stopped if node.node_id in one.node_ids)
        if node.available_bytes is not None:
            most = node.available_bytes + freed
            node = replace(node, available_bytes=most if node.total_bytes is None else min(most, node.total_bytes))
        nodes.append(node)
    staying = tuple(one for one in place.neighbours if one not in stopped)
    return replace(place, nodes=tuple(nodes), neighbours=staying)
