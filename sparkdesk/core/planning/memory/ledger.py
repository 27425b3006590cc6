"""What fits: the memory ledger of every node of a plan, the longest context and the most users that it holds.

The one rule: parts sum to the total. `kv_bytes` is what the workload needs; `reserve_bytes` is what nobody else may
have: the system's own where its use was not read, and what the engine's share holds beyond the workload's need (a
share is a multiple of a hundredth). What is left is free, and page cache is part of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from sparkdesk.core.jobs.fix import Fix
from sparkdesk.core.jobs.plan import GIB, Fit, MemoryLedger, Problem, Severity
from sparkdesk.core.planning.launch.division import division_problems, workload_problems
from sparkdesk.core.planning.memory.advice import (
    Change,
    fix_of,
    with_context,
    with_more_nodes,
    with_other_division,
    with_other_nodes,
    with_small_cache,
    with_smaller_weights,
    with_smaller_weights_on_more_nodes,
    with_users,
    without_neighbours,
)
from sparkdesk.core.planning.memory.fraction import (
    MOST_FRACTION,
    base_bytes,
    inside_bytes,
    least_base_bytes,
    outside_bytes,
    smallest_fraction,
    start_problems,
    widest_fraction,
)
from sparkdesk.core.planning.memory.need import (
    MOST_TOKENS,
    MOST_USERS,
    Need,
    Room,
    is_count,
    is_divisible,
    need_of,
    room_of,
    sequences_bytes,
)
from sparkdesk.core.planning.place import Place
from sparkdesk.core.planning.setup import OF_AVAILABLE, Setup
from sparkdesk.core.planning.workload import Workload
from sparkdesk.core.telemetry.free_memory import LOW_BYTES

SAFE_LEFT_BYTES: Final = int(LOW_BYTES)
"""What must be left so that a node cannot freeze: the most users and the longest context keep it free."""
WORST_FIRST: Final = (Fit.TOO_BIG, Fit.RISKY, Fit.UNKNOWN, Fit.TIGHT, Fit.FITS)
WHOLE_WORDS: Final = "weights, KV cache and runtime"
_NOBODY: Final = Workload("", "", 0, 0, 0)
"""The load of a plan without users: what is left is for their cache."""


def ledgers(setup: Setup, workload: Workload, place: Place) -> tuple[MemoryLedger, ...]:
    """One ledger for each of the place's nodes, in their order. Total: what is absurd or not known gives None parts."""
    need = need_of(setup, workload)
    rooms = tuple(room_of(node, place) for node in place.nodes)
    fraction = _fraction(setup, need, rooms)
    held = tuple(_held(setup, need, room, fraction) for room in rooms)
    return tuple(
        _ledger(node.node_id, room, need, spare) for node, room, spare in zip(place.nodes, rooms, held, strict=True)
    )


def need_ledgers(setup: Setup, workload: Workload, place: Place) -> tuple[MemoryLedger, ...]:
    """What the workload needs and nothing beyond it, whatever share was chosen: the arithmetic of a plan that fails."""
    need = need_of(setup, workload)
    return tuple(_ledger(node.node_id, room_of(node, place), need, 0) for node in place.nodes)


def launch_ledgers(setup: Setup, workload: Workload, place: Place) -> tuple[MemoryLedger, ...]:
    """As the engine really takes it when it starts: one that takes a share makes KV cache of all that is left of it.

    What is free is the same as in `ledgers` of the same share, where the share holds the workload. Without a known size
    of the weights they and the cache are known together only.
    """
    share = setup.memory_fraction if setup.memory_fraction is not None else fraction_for(setup, workload, place)
    if setup.engine.memory_fraction is None or share is None:
        return ledgers(setup, workload, place)
    need = need_of(setup, workload)
    return tuple(_taken(setup, node.node_id, room_of(node, place), need, share) for node in place.nodes)


def _taken(setup: Setup, node_id: str, room: Room, need: Need, share: float) -> MemoryLedger:
    weights, _, runtime = _whole(need)
    base = base_bytes(setup.engine, room)
    left = None if base is None else int(base * share) - runtime + round(outside_bytes(setup.engine, runtime))
    return MemoryLedger(
        node_id=node_id,
        total_bytes=room.total_bytes,
        others_bytes=room.others_bytes,
        weights_bytes=weights,
        kv_bytes=None if left is None or weights is None else left - weights,
        runtime_bytes=runtime,
        undivided_bytes=left if weights is None else None,
        reserve_bytes=room.system_bytes,
    )


def worst_fit(found: Iterable[MemoryLedger]) -> Fit:
    """The word of the worst node; not known where there is none."""
    fits = {ledger.fit for ledger in found}
    return next((fit for fit in WORST_FIRST if fit in fits), Fit.UNKNOWN)


def fraction_for(setup: Setup, workload: Workload, place: Place) -> float | None:
    """The smallest share, in hundredths, that holds this workload on every node.

    None for an engine that takes no share, where the need is not known, or where no share is large enough.
    """
    if setup.engine.memory_fraction is None:
        return None
    return smallest_fraction(
        setup.engine, need_of(setup, workload), tuple(room_of(node, place) for node in place.nodes)
    )


def kept_bytes(fit: Fit) -> int:
    """What the longest context and the most users of a plan with this word keep free: a risky one keeps nothing."""
    return 0 if fit is Fit.RISKY else SAFE_LEFT_BYTES


def max_context_tokens(
    setup: Setup, workload: Workload, place: Place, *, left_bytes: int = SAFE_LEFT_BYTES
) -> int | None:
    """The longest context (prompt and answer) of each of the workload's users that leaves so much on every node.

    Never longer than the model was trained for; 0 where not even one token fits; None where the need is not known.
    """
    if not is_divisible(setup.parallelism) or not is_count(workload.users, MOST_USERS * 1024):
        return None
    budget = _kv_budget(setup, place, left_bytes)
    most = min(setup.spec.context_tokens or MOST_TOKENS, MOST_TOKENS)
    return None if budget is None else longest_tokens(setup, workload.users, budget, most)


def max_concurrency(setup: Setup, workload: Workload, place: Place, *, left_bytes: int = SAFE_LEFT_BYTES) -> int | None:
    """The most requests of the workload's length at once that leave so much on every node: 0 to 4096; None: unknown."""
    if not is_divisible(setup.parallelism) or not is_count(workload.context_tokens, 1 << 40):
        return None
    budget = _kv_budget(setup, place, left_bytes)
    one = sequences_bytes(setup, tokens=workload.context_tokens, users=1)
    if budget is None or one is None or not math.isfinite(one):
        return None
    if budget < 0:
        return 0
    replicas = setup.parallelism.data_parallel_size
    return MOST_USERS if one <= 0 else min(MOST_USERS, int(budget // one) * replicas)


def _held(setup: Setup, need: Need, room: Room, fraction: float | None) -> int:
    """What the engine's share holds beyond the workload's need; 0 where that is not known."""
    weights, kv, runtime = _whole(need)
    base = base_bytes(setup.engine, room)
    if fraction is None or base is None or weights is None or kv is None:
        return 0
    inside = weights + kv + runtime - round(outside_bytes(setup.engine, runtime))
    return max(0, int(fraction * base) - inside)


def _ledger(node_id: str, room: Room, need: Need, spare: int) -> MemoryLedger:
    parts = _whole(need)
    return MemoryLedger(
        node_id=node_id,
        total_bytes=room.total_bytes,
        others_bytes=room.others_bytes,
        weights_bytes=parts[0],
        kv_bytes=parts[1],
        runtime_bytes=parts[2],
        reserve_bytes=room.system_bytes + spare,
    )


def _whole(need: Need) -> tuple[int | None, int | None, int]:
    """Weights, KV cache and runtime in whole bytes, so that parts sum to the byte."""
    weights = None if need.weights_bytes is None else math.ceil(need.weights_bytes)
    return weights, None if need.kv_bytes is None else math.ceil(need.kv_bytes), math.ceil(need.runtime_bytes)


def _fraction(setup: Setup, need: Need, rooms: tuple[Room, ...]) -> float | None:
    """The share that the engine takes: as the setup says, else what the workload needs."""
    if setup.engine.memory_fraction is None:
        return None
    if setup.memory_fraction is not None:
        return setup.memory_fraction if 0.0 < setup.memory_fraction <= 1.0 else None
    return smallest_fraction(setup.engine, need, rooms)


def _kv_budget(setup: Setup, place: Place, left_bytes: int) -> float | None:
    """Bytes that the fullest node can give to KV cache so that this much is left; None where a part is not known."""
    rooms = tuple(room_of(node, place) for node in place.nodes)
    need = need_of(setup, _NOBODY)
    lefts = [room.left_bytes for room in rooms]
    known = [left for left in lefts if left is not None]
    if need.weights_bytes is None or not rooms or len(known) < len(lefts):
        return None
    budget = float(min(known) - left_bytes)
    if setup.engine.memory_fraction is not None:
        fraction = setup.memory_fraction
        if fraction is None or not 0.0 < fraction <= 1.0:
            fraction = min(widest_fraction(setup.engine, room, need.runtime_bytes, left_bytes) for room in rooms)
        budget = fraction * (least_base_bytes(setup.engine, rooms) or 0) + outside_bytes(
            setup.engine, need.runtime_bytes
        )
    return budget - need.weights_bytes - need.runtime_bytes


def longest_tokens(setup: Setup, users: int, budget: float, most: int) -> int | None:
    """The most tokens of each user whose cache is within the budget: beyond all windows it grows in a line."""

    def held(tokens: int) -> float:
        found = sequences_bytes(setup, tokens=tokens, users=users)
        return math.inf if found is None else found

    least = held(1)
    if least > budget:
        return None if math.isinf(least) else 0
    if held(most) <= budget:
        return most
    low, high = 1, most
    bend = max((group.window_tokens for group in setup.spec.layers), default=0)
    if 1 <= bend < most and held(bend) <= budget:
        low = bend
    elif 1 <= bend < most:
        high = bend
    if high == most:
        slope = (held(most) - held(low)) / (most - low)
        guess = low + int((budget - held(low)) / slope) if slope > 0 else most
        low, high = max(low, guess - 1), min(most, guess + 2)
        if held(low) > budget or held(high) <= budget:
            low, high = 1, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if held(middle) <= budget else (low, middle)
    return low


def what_would_fit(setup: Setup, workload: Workload, place: Place, whole: Place | None = None) -> tuple[Change, ...]:
    """Changes after which this plan is safe on every node, each seen to be so: the smallest of each kind.

    `whole`: all nodes that may be chosen, where they are known; others of them may be better than the plan's own.
    Where the share was chosen, it is planned anew for the changed plan. Empty for what cannot be at all.
    """
    if division_problems(setup, place) or workload_problems(workload):
        return ()
    args = (replace(setup, memory_fraction=None), workload, place)
    kinds = (
        _with_planned_share(setup, workload, place),
        with_other_nodes(*args, whole),
        without_neighbours(*args),
        with_users(*args, max_concurrency(*args)),
        with_context(*args, max_context_tokens(*args)),
        with_small_cache(*args),
        with_other_division(*args),
        with_smaller_weights(*args),
        with_more_nodes(*args),
    )
    found = [next((change for change in kind if _is_safe(change)), None) for kind in kinds]
    fitting = tuple(change for change in found if change is not None)
    if not fitting:
        both = next((one for one in with_smaller_weights_on_more_nodes(*args) if _is_safe(one)), None)
        fitting = () if both is None else (both,)
    return fitting if setup.memory_fraction is None else tuple(_with_share_named(change) for change in fitting)


def _with_planned_share(setup: Setup, workload: Workload, place: Place) -> Iterator[Change]:
    """The share that the workload needs, where a larger one was chosen."""
    enough = fraction_for(setup, workload, place)
    if setup.memory_fraction is not None and enough is not None and enough < setup.memory_fraction:
        planned = replace(setup, memory_fraction=enough)
        words = f"a memory share of {enough:.2f} instead of {setup.memory_fraction:.2f}"
        yield Change(words, "memory_fraction", planned, workload, place)


def _with_share_named(change: Change) -> Change:
    """The change with its planned share, in its words too."""
    share = fraction_for(change.setup, change.workload, change.place)
    if change.setup.memory_fraction is not None or share is None:
        return change
    setup = replace(change.setup, memory_fraction=share)
    return replace(change, words=f"{change.words} with a memory share of {share:.2f}", setup=setup)


def memory_problems(
    setup: Setup, workload: Workload, place: Place, found: tuple[MemoryLedger, ...], whole: Place | None = None
) -> tuple[Problem, ...]:
    """What speaks against the plan: sizes that cannot be, an engine's share that is wrong, and what does not fit.

    `found` are its ledgers, `whole` all nodes that may be chosen. The remedy of what does not fit says, with numbers,
    what would.
    """
    problems = workload_problems(workload) + division_problems(setup, place)
    if problems:
        return problems
    return (*share_problems(setup, workload, place), *fit_problems(setup, workload, place, found, whole))


def _is_safe(change: Change) -> bool:
    return worst_fit(ledgers(change.setup, change.workload, change.place)) in (Fit.FITS, Fit.TIGHT)


def fit_problems(
    setup: Setup, workload: Workload, place: Place, found: tuple[MemoryLedger, ...], whole: Place | None = None
) -> tuple[Problem, ...]:
    """What the word of the worst node means, and what would make the plan safe."""
    fit = worst_fit(found)
    names = {node.node_id: node.name for node in place.nodes}
    if fit is Fit.UNKNOWN:
        return (
            Problem(
                Severity.WARNING,
                "How much memory this takes is not known",
                "Watch the nodes' free memory while it loads; the guard stops the job below its floor.",
            ),
        )
    if fit not in (Fit.RISKY, Fit.TOO_BIG):
        return ()
    worst = min((ledger for ledger in found if ledger.free_bytes is not None), key=lambda one: one.free_bytes or 0)
    name, free_gib = names.get(worst.node_id, worst.node_id), (worst.free_bytes or 0) / GIB
    message = f"Too big for {name}: it needs {-free_gib:.1f} GiB more than there is"
    if fit is Fit.RISKY:
        message = f"Only {free_gib:.1f} GiB would be left on {name}: the node may freeze"
    return (Problem(Severity.WARNING, message, *remedy_of(setup, workload, place, whole)),)


def weights_problems(
    setup: Setup, workload: Workload, place: Place, found: tuple[MemoryLedger, ...], whole: Place | None = None
) -> tuple[Problem, ...]:
    """A model that no share of a node's memory holds: its weights alone, beside the runtime, are larger."""
    for node, ledger in zip(place.nodes, found, strict=True):
        weights, total = ledger.weights_bytes, ledger.total_bytes
        if weights is None or total is None or weights + (ledger.runtime_bytes or 0) <= MOST_FRACTION * total:
            continue
        message = f"{setup.spec.title} is too big for {node.name}: its weights take {weights / GIB:.1f} GiB of "
        message += f"{total / GIB:.1f}, and no memory share leaves room for the KV cache"
        advice = remedy_of(setup, workload, place, whole)
        return (Problem(Severity.ERROR, message, *advice, ledgers=need_ledgers(setup, workload, place)),)
    return ()


def remedy_of(setup: Setup, workload: Workload, place: Place, whole: Place | None) -> tuple[str, str, tuple[Fix, ...]]:
    """What would fit in words, the form's field where one would change it first, and the changes of the request."""
    changes = what_would_fit(setup, workload, place, whole)
    if not changes:
        return "No change of it was found that fits: choose a smaller model.", "model", ()
    fixes = tuple(fix for change in changes if (fix := fix_of(change, setup, workload, place)) is not None)
    return f"What would fit: {'; '.join(change.words for change in changes)}.", changes[0].field, fixes


def share_problems(setup: Setup, workload: Workload, place: Place) -> tuple[Problem, ...]:
    """The engine's own check at its start, and whether the share that was chosen holds the workload."""
    share, field = setup.memory_fraction, "memory_fraction"
    if setup.engine.memory_fraction is None or share is None:
        return ()
    if not 0.0 < share <= MOST_FRACTION:
        words = f"A share of memory is above 0 and at most {MOST_FRACTION}"
        return (Problem(Severity.ERROR, words, f"Write {setup.engine.memory_fraction}.", field),)
    problems: list[Problem] = []
    needed = inside_bytes(setup.engine, need_of(setup, workload))
    for node in place.nodes:
        problems += start_problems(setup.engine, node, share)
        base = base_bytes(setup.engine, room_of(node, place))
        if base is not None and needed is not None and needed > share * base + 1:
            enough = fraction_for(setup, workload, place)
            remedy = f"Take {enough:.2f}." if enough else "Take fewer users, a shorter context or smaller weights."
            is_part = setup.engine.share_of == OF_AVAILABLE
            of, parts = ("what is available on ", "weights and KV cache") if is_part else ("", WHOLE_WORDS)
            words = f"A share of {share:.2f} of {of}{node.name} is {share * base / GIB:.1f} GiB; "
            words += f"{parts} need {needed / GIB:.1f} GiB"
            fixes = (Fix(f"take {enough:.2f}", ((field, enough),)),) if enough else ()
            problems.append(Problem(Severity.WARNING, words, remedy, field, fixes))
    return tuple(problems)
