"""What could be changed so that a plan fits: candidates, each a whole plan of its own.

The one rule: this module only proposes. Who shows a change has computed its ledgers and seen that they fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sparkdesk.core.jobs.plan import GIB
from sparkdesk.core.models.spec import WeightFormat
from sparkdesk.core.planning.launch.division import division_problems
from sparkdesk.core.planning.memory.need import VALUE_BYTES
from sparkdesk.core.planning.parallelism import Parallelism
from sparkdesk.core.planning.place import Neighbour, Place, widen_place
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
    """More nodes like the first one, with nobody on them: the fewest first."""
    for count in range(len(place.nodes) + 1, MOST_NODES + 1):
        larger = widen_place(place, count)
        for division in divisions(setup, larger, count):
            words = f"{count} nodes ({division.label})"
            yield Change(words, "nodes", replace(setup, parallelism=division), workload, larger)


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
