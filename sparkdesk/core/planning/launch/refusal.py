"""Launches that their engine refuses at its start, or that cannot be loaded: by its own formula and what is free now.

The one rule: an error only where nothing that moves by itself between now and the start could help; what only may go
wrong is a warning. Each says with numbers what does work.
Source of the formulas: memory/fraction.py (vLLM, SGLang); llama.cpp and Ollama load all weights before they answer,
TensorRT-LLM takes its share of what is free behind them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from sparkdesk.core.jobs.fix import Fix
from sparkdesk.core.jobs.plan import GIB, MemoryLedger, Problem, Severity
from sparkdesk.core.planning.memory.fraction import base_bytes, outside_bytes, smallest_fraction, widest_fraction
from sparkdesk.core.planning.memory.ledger import (
    SAFE_LEFT_BYTES,
    fit_problems,
    launch_ledgers,
    longest_tokens,
    need_ledgers,
    remedy_of,
)
from sparkdesk.core.planning.memory.need import MOST_TOKENS, need_of, room_of, sequences_bytes
from sparkdesk.core.planning.place import Neighbour, NodeRoom, Place
from sparkdesk.core.planning.setup import OF_AVAILABLE, Setup
from sparkdesk.core.planning.workload import Workload

CERTAIN_BYTES: Final = GIB
"""What is available on an idle node moves by less than this between a look and a start. Our own choice."""
CERTAIN_PART: Final = 0.97
"""A checkpoint takes at least so much of its published size. Our own choice."""
LEAST_CONTEXT: Final = 1024
"""A context below this is not proposed."""
FIXED_CACHE: Final = ("llamacpp",)
"""Engines that allocate the whole KV cache that they are told before they answer."""
WHOLE_SEQUENCE: Final = ("vllm",)
"""Engines that refuse when their KV cache does not hold one request of the longest length."""
LARGER_OR_SMALLER: Final = "Raise the memory share or choose a smaller model."
SHARE_FIELD: Final = "memory_fraction"


def start_refusals(setup: Setup, workload: Workload, place: Place, whole: Place | None = None) -> list[Problem]:
    """What this engine would stop at on these nodes, as they are now; errors where that is certain."""
    found = []
    for node in place.nodes:
        if setup.engine.memory_fraction is not None and setup.engine.share_of != OF_AVAILABLE:
            found += _share_refusals(setup, workload, place, node, whole)
        else:
            found += _load_refusals(setup, workload, place, node, whole)
    return found if found else _sequence_refusals(setup, workload, place)


def room_problems(setup: Setup, workload: Workload, place: Place, whole: Place | None = None) -> list[Problem]:
    """Whether an engine that takes no share has room: what cannot be loaded is an error, what is tight a warning."""
    refused = start_refusals(setup, workload, place, whole)
    if any(problem.severity is Severity.ERROR for problem in refused):
        return refused
    return [*refused, *fit_problems(setup, workload, place, launch_ledgers(setup, workload, place), whole)]


def no_cache_problem(setup: Setup, workload: Workload, place: Place) -> Problem:
    """A share that leaves nothing for the KV cache: the smallest that does not helps, where there is one."""
    enough = max((_enough_share(setup, workload, place, node) for node in place.nodes), default=0.0)
    words = f"Raise the memory share to {enough:.2f}"
    remedy, fixes = f"{words}, or choose a smaller model.", (Fix(words, ((SHARE_FIELD, enough),)),)
    needed = need_ledgers(setup, replace(workload, users=1), place)
    advice = (remedy, SHARE_FIELD, fixes) if enough else (LARGER_OR_SMALLER, SHARE_FIELD, ())
    return _error("The memory share leaves no room for the KV cache", advice, needed)


# A share of the whole memory (vLLM) ---------------------------------------------------------------------------------


def _share_refusals(
    setup: Setup, workload: Workload, place: Place, node: NodeRoom, whole: Place | None
) -> list[Problem]:
    share, total, available = setup.memory_fraction, node.total_bytes, node.available_bytes
    if share is None or total is None or available is None:
        return []
    asked, coming = share * total, _loading(place, node)
    words = f"{setup.engine.title} {{}} start on {node.name}: {available / GIB:.1f} GiB are available{{}}, and a share "
    words += f"of {share:.2f} is {asked / GIB:.1f} GiB"
    if asked - available > CERTAIN_BYTES:
        ways = [*_share_ways(setup, workload, place, node), *_other_nodes(place, whole, asked)]
        ways.append(Fix(_stop_words(place, node, asked - available)))
        taken = launch_ledgers(setup, workload, place)
        return [_error(words.format("will not", ""), (_sentence(ways), SHARE_FIELD, _changes(ways)), taken)]
    if coming and asked <= available and asked > available - _bytes_of(coming, available):
        remedy = f"{_wait_words(coming)}. {_sentence(_share_ways(setup, workload, place, node))}".strip()
        return [_warning(words.format("may not", _coming_words(coming)), remedy)]
    return []


def _share_ways(setup: Setup, workload: Workload, place: Place, node: NodeRoom) -> list[Fix]:
    """A share that starts and leaves the node its floor, with what it holds; none where it holds too little."""
    available = (node.available_bytes or 0) - _bytes_of(_loading(place, node), node.available_bytes or 0)
    room = room_of(replace(node, available_bytes=available), place)
    need = need_of(setup, workload)
    share = widest_fraction(setup.engine, room, need.runtime_bytes, SAFE_LEFT_BYTES)
    if need.weights_bytes is None:
        return [Fix(f"use a memory share of at most {share:.2f}", ((SHARE_FIELD, share),))] if share > 0.0 else []
    inside = share * (base_bytes(setup.engine, room) or 0) + outside_bytes(setup.engine, need.runtime_bytes)
    tokens = longest_tokens(setup, 1, inside - need.weights_bytes - need.runtime_bytes, MOST_TOKENS) or 0
    if tokens < min(LEAST_CONTEXT, workload.context_tokens):
        return []
    way = f"use a memory share of {share:.2f}, which leaves {tokens:,} tokens of KV cache"
    if tokens >= workload.context_tokens:
        return [Fix(way, ((SHARE_FIELD, share),))]
    context = tokens // 16 * 16
    return [Fix(f"{way}, and a context of {context:,}", ((SHARE_FIELD, share), ("context_tokens", context)))]


def _other_nodes(place: Place, whole: Place | None, asked_bytes: float) -> list[Fix]:
    """A node that has so much now, where the launch is for one."""
    here = {node.node_id for node in place.nodes}
    others = [one for one in whole.nodes if one.node_id not in here] if whole and len(here) == 1 else []
    roomy = max(others, key=lambda one: one.available_bytes or 0, default=None)
    if roomy is None or (roomy.available_bytes or 0) - SAFE_LEFT_BYTES < asked_bytes:
        return []
    return [Fix(f"launch it on {roomy.name} instead", (("nodes", (roomy.node_id,)),))]


# Weights that do not go in (all others) ----------------------------------------------------------------------------


def _load_refusals(
    setup: Setup, workload: Workload, place: Place, node: NodeRoom, whole: Place | None
) -> list[Problem]:
    need, available, total = need_of(setup, workload), node.available_bytes, node.total_bytes
    if need.weights_bytes is None or available is None or total is None:
        return []
    has_cache = setup.engine.key in FIXED_CACHE and need.kv_bytes is not None
    needed = _least_weights_bytes(setup) + ((need.kv_bytes or 0.0) if has_cache else 0.0)
    share = setup.memory_fraction if setup.engine.memory_fraction is not None else None
    room, of = available * (share or 1.0), f"a share of {share:.2f} of " if share is not None else ""
    parts = "weights and KV cache" if has_cache else "weights"
    words = f"{setup.spec.title} cannot be loaded on {node.name}: its {parts} take {needed / GIB:.1f} GiB, and "
    words += f"{of}{available / GIB:.1f} GiB {'is' if share is not None else 'are'} available"
    words += f": {room / GIB:.1f} GiB" if share is not None else ""
    coming = _loading(place, node)
    if needed > room:
        taken = need_ledgers(setup, workload, place)
        return [_error(words, _load_remedy(setup, workload, place, node, whole), taken)]
    if coming and needed > (available - _bytes_of(coming, available)) * (share or 1.0):
        words = f"{setup.spec.title} may not go into {node.name}: its {parts} take {needed / GIB:.1f} GiB, and "
        words += f"{available / GIB:.1f} GiB are available{_coming_words(coming)}"
        return [_warning(words, f"{_wait_words(coming)}, then look here again.", "nodes")]
    return []


def _load_remedy(
    setup: Setup, workload: Workload, place: Place, node: NodeRoom, whole: Place | None
) -> tuple[str, str, tuple[Fix, ...]]:
    """A larger share where that is enough, else what would fit."""
    if setup.engine.memory_fraction is not None and (enough := _enough_share(setup, workload, place, node)):
        way = Fix(f"use a memory share of {enough:.2f}", ((SHARE_FIELD, enough),))
        return _sentence([way]), SHARE_FIELD, (way,)
    return remedy_of(setup, workload, place, whole)


# One whole request in the cache (vLLM) -----------------------------------------------------------------------------


def _sequence_refusals(setup: Setup, workload: Workload, place: Place) -> list[Problem]:
    """A context whose KV cache the share cannot hold once: the engine stops with that, whatever the load.

    Certain even if nothing but weights and cache lay in the share, and the engine chose 8 bit for its cache.
    """
    share, need = setup.memory_fraction, need_of(setup, replace(workload, users=1))
    if setup.engine.key not in WHOLE_SEQUENCE or share is None or need.weights_bytes is None:
        return []
    least = replace(setup, kv_dtype="fp8") if setup.kv_dtype in ("", "auto") else setup
    one = sequences_bytes(least, tokens=workload.context_tokens, users=1)
    for node in place.nodes:
        if node.total_bytes is None or one is None:
            continue
        left = share * node.total_bytes - _least_weights_bytes(setup)
        if not 0.0 < left < one:
            continue
        words = f"{setup.engine.title} will not start: one request of {workload.context_tokens:,} tokens takes at "
        words += f"least {one / GIB:.1f} GiB of KV cache, and a share of {share:.2f} leaves {left / GIB:.1f} GiB"
        inside = share * node.total_bytes - need.weights_bytes - need.runtime_bytes
        tokens = longest_tokens(setup, 1, inside, MOST_TOKENS) or 0
        shorter = tokens // 16 * 16
        ways = [Fix(f"use a context of {shorter:,} tokens", (("context_tokens", shorter),))]
        ways = ways if tokens >= LEAST_CONTEXT else []
        enough = _enough_share(setup, workload, place, node)
        ways += [Fix(f"use a memory share of {enough:.2f}", ((SHARE_FIELD, enough),))] if enough else []
        remedy = _sentence(ways or [Fix("choose smaller weights")])
        needed = need_ledgers(setup, replace(workload, users=1), place)
        return [_error(words, (remedy, "context_tokens", _changes(ways)), needed)]
    return []


def _enough_share(setup: Setup, workload: Workload, place: Place, node: NodeRoom) -> float:
    """The smallest share that holds one whole request and starts with what is available; 0 is none."""
    need, room = need_of(setup, replace(workload, users=1)), room_of(node, place)
    enough = smallest_fraction(setup.engine, need, (room,)) or 0.0
    return enough if enough <= widest_fraction(setup.engine, room, need.runtime_bytes, SAFE_LEFT_BYTES) else 0.0


def _least_weights_bytes(setup: Setup) -> float:
    """Without a draft's, whose size is an allowance."""
    return CERTAIN_PART * setup.weights.weight_bytes / setup.parallelism.replica_size


# Who is there ----------------------------------------------------------------------------------------------------


def _loading(place: Place, node: NodeRoom) -> list[Neighbour]:
    return [one for one in place.neighbours if one.is_loading and node.node_id in one.node_ids]


def _bytes_of(loading: list[Neighbour], most: int) -> int:
    """What they may still take; everything where that of one is not known."""
    if any(one.coming_bytes is None for one in loading):
        return most
    return min(most, sum(one.coming_bytes or 0 for one in loading))


def _coming_words(loading: list[Neighbour]) -> str:
    names = " and ".join(one.title for one in loading)
    known = all(one.coming_bytes is not None for one in loading)
    size = f"up to {sum(one.coming_bytes or 0 for one in loading) / GIB:.1f} GiB" if known else "more"
    does = "takes {} while it loads" if len(loading) == 1 else "take {} while they load"
    return f", of which {names} {does.format(size)}"


def _wait_words(loading: list[Neighbour]) -> str:
    return f"Wait until {'it is' if len(loading) == 1 else 'they are'} ready"


def _stop_words(place: Place, node: NodeRoom, missing_bytes: float) -> str:
    """The one server of ours that frees enough with the least, else all of them, else whoever runs there."""
    here = [one for one in place.neighbours if node.node_id in one.node_ids and one.bytes_held]
    enough = [one for one in here if (one.bytes_held or 0) >= missing_bytes]
    if enough:
        one = min(enough, key=lambda each: each.bytes_held or 0)
        return f"stop {one.title} first, which frees about {(one.bytes_held or 0) / GIB:.0f} GiB"
    if here and sum(one.bytes_held or 0 for one in here) >= missing_bytes:
        return f"stop {' and '.join(one.title for one in here)} first"
    return "stop what runs there"


def _sentence(ways: list[Fix]) -> str:
    text = "; or ".join(way.words for way in ways)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _changes(ways: list[Fix]) -> tuple[Fix, ...]:
    """Those that change the request."""
    return tuple(way for way in ways if way.change)


def _error(message: str, advice: tuple[str, str, tuple[Fix, ...]], taken: tuple[MemoryLedger, ...]) -> Problem:
    """`advice` is remedy, field and fixes."""
    return Problem(Severity.ERROR, message, *advice, ledgers=taken)


def _warning(message: str, remedy: str, field: str = SHARE_FIELD) -> Problem:
    return Problem(Severity.WARNING, message, remedy, field)
