"""Whether a model can be divided as a setup says, and whether a workload is one at all.

The one rule: what cannot be is a problem at its field of the form, never an exception.
"""

from __future__ import annotations

import math

from sparkdesk.core.jobs.plan import Problem, Severity
from sparkdesk.core.models.spec import LayerKind, ModelSpec
from sparkdesk.core.planning.memory.need import MOST_TOKENS, MOST_USERS, is_count
from sparkdesk.core.planning.parallelism import Parallelism
from sparkdesk.core.planning.place import Place
from sparkdesk.core.planning.setup import Setup
from sparkdesk.core.planning.workload import Workload

_MOST_SIZE = 64
_SIZES = (("tensor_parallel_size", "tensor"), ("pipeline_parallel_size", "pipeline"), ("data_parallel_size", "data"))


def division_problems(setup: Setup, place: Place) -> tuple[Problem, ...]:
    """What forbids this division of this model over these nodes by this engine."""
    sizes = {field: getattr(setup.parallelism, field) for field, _ in _SIZES}
    wrong = [field for field, size in sizes.items() if not is_count(size, _MOST_SIZE)]
    if wrong:
        return tuple(
            _error(f"{field} is not a whole number from 1 to {_MOST_SIZE}", "Write a number of nodes.", field)
            for field in wrong
        )
    problems = [
        _error(
            f"{setup.engine.title} has no {kind} parallel over nodes", "Set it to 1, or choose another engine.", field
        )
        for field, kind in _SIZES
        if sizes[field] > 1 and kind not in setup.engine.parallelisms
    ]
    world, count = setup.parallelism.world_size, len(place.nodes)
    if world != count:
        words = f"{setup.parallelism.label} takes {world} {_nodes(world)}, and {count} {_are(count)} chosen"
        problems.append(_error(words, f"Choose {world} {_nodes(world)}, or sizes whose product is {count}.", "nodes"))
    return (*problems, *_shape_problems(setup.spec, setup.parallelism))


def workload_problems(workload: Workload) -> tuple[Problem, ...]:
    """Counts that are not counts: zero, negative, not whole, or beyond any model."""
    problems = []
    for field, most in (("prompt_tokens", MOST_TOKENS), ("answer_tokens", MOST_TOKENS), ("users", MOST_USERS)):
        if not is_count(getattr(workload, field), most):
            words = f"{field.replace('_', ' ').capitalize()} must be a whole number from 1 to {most:,}"
            problems.append(_error(words, "Write how long requests are, and how many come at once.", field))
    share = workload.cached_share
    if not (math.isfinite(share) and 0.0 <= share < 1.0):
        problems.append(
            _error("The cached share must be from 0 to below 1", "Write 0 where nothing is cached.", "cached_share")
        )
    return tuple(problems)


def tensor_problem(spec: ModelSpec, size: int) -> str:
    """Why this model cannot be divided so by tensor parallelism; "" when it can, as far as its shape is known.

    Engines want a power of two, the attention heads divided evenly, and KV heads either divided evenly or copied
    evenly. Source: vLLM's and SGLang's own checks at start.
    """
    if size == 1:
        return ""
    if size & (size - 1):
        return f"Tensor parallel takes 2, 4 or 8 nodes, not {size}"
    if spec.attention_heads is not None and spec.attention_heads % size:
        return f"{spec.title} has {spec.attention_heads} attention heads, which {size} does not divide"
    for heads in kv_head_counts(spec):
        if heads % size and size % heads:
            return f"{spec.title} has {heads} KV heads, which {size} nodes can neither divide nor copy evenly"
    return ""


def kv_head_counts(spec: ModelSpec) -> tuple[int, ...]:
    """KV heads of the layers that have some; each count once."""
    kinds = (LayerKind.FULL, LayerKind.SLIDING)
    counts = {group.kv_heads for group in spec.layers if group.kind in kinds and group.kv_heads}
    return tuple(sorted(counts))


def layer_count(spec: ModelSpec) -> int | None:
    """All layers of the model; None when its shape is not known."""
    return sum(group.count for group in spec.layers) or None


def _shape_problems(spec: ModelSpec, parallelism: Parallelism) -> list[Problem]:
    problems = []
    size, layers = parallelism.tensor_parallel_size, layer_count(spec)
    if reason := tensor_problem(spec, size):
        remedy = (
            f"Divide it by layers (pipeline parallel size {size}), or run {size} copies (data parallel size {size})."
        )
        problems.append(_error(reason, remedy, "tensor_parallel_size"))
    if layers is not None and parallelism.pipeline_parallel_size > layers:
        words = f"{spec.title} has {layers} layers, too few for {parallelism.pipeline_parallel_size} nodes"
        problems.append(_error(words, f"Take at most {layers} stages.", "pipeline_parallel_size"))
    return problems


def _error(message: str, remedy: str, field: str) -> Problem:
    return Problem(Severity.ERROR, message, remedy, field)


def _nodes(count: int) -> str:
    return "node" if count == 1 else "nodes"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
