"""What earlier starts of the very same model, engine and build took, in place of what the planner reckons.

The one rule: memory only. A start's log tells what it loaded, not what a step reads, so speed stays the planner's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from sparkdesk.core.jobs.plan import Fit, MemoryLedger
from sparkdesk.core.jobs.truth import Correction
from sparkdesk.core.planning.memory.ledger import kept_bytes, ledgers, max_context_tokens
from sparkdesk.core.planning.memory.need import NCCL_BYTES, is_divisible
from sparkdesk.core.planning.place import Place
from sparkdesk.core.planning.setup import Setup
from sparkdesk.core.planning.workload import Workload

Learned = Callable[[Setup], Correction | None]
"""What starts of this very setup taught, applied or not; None: there was none, or it taught nothing."""


def nothing_learned(_setup: Setup) -> Correction | None:
    """Where nobody keeps what starts taught."""
    return None


def learned_setup(setup: Setup, correction: Correction | None) -> Setup:
    """The setup with the weights and the runtime that starts told; the same where nothing is applied."""
    if correction is None or not correction.is_applied:
        return setup
    weights = replace(setup.weights, weight_bytes=math.ceil(setup.weights.weight_bytes * correction.weights_factor))
    engine = setup.engine
    if engine.memory_fraction is not None and math.isfinite(correction.runtime_bytes):
        # Of an engine that takes what it needs the runtime is not told apart from what the plan left it.
        has_peers = is_divisible(setup.parallelism) and setup.parallelism.replica_size > 1
        own = math.ceil(correction.runtime_bytes) - (NCCL_BYTES if has_peers else 0)
        engine = replace(engine, runtime_bytes=max(0, own))
    return replace(setup, weights=weights, engine=engine)


def learned_ledgers(
    setup: Setup, workload: Workload, place: Place, correction: Correction | None
) -> tuple[MemoryLedger, ...]:
    """One for each of the place's nodes, as `ledgers`, with what is applied of the correction."""
    found = ledgers(learned_setup(setup, correction), workload, place)
    factor = _kv_factor(setup, correction)
    return tuple(
        replace(one, kv_bytes=math.ceil(one.kv_bytes * factor)) if one.kv_bytes is not None and factor != 1.0 else one
        for one in found
    )


def learned_context(
    setup: Setup, workload: Workload, place: Place, correction: Correction | None, fit: Fit
) -> int | None:
    """The longest context, as `max_context_tokens`, with what is applied of the correction."""
    changed, left_bytes, factor = learned_setup(setup, correction), kept_bytes(fit), _kv_factor(setup, correction)
    if factor != 1.0:
        found = ledgers(changed, workload, place)
        rooms = [one.free_bytes + one.kv_bytes for one in found if one.free_bytes is not None and one.kv_bytes]
        if rooms:
            # A cache whose tokens take `factor` times as much has the room of one that is so much smaller.
            budget = min(rooms) - left_bytes
            left_bytes += math.ceil(budget * (1.0 - 1.0 / factor)) if budget > 0 else 0
    return max_context_tokens(changed, workload, place, left_bytes=left_bytes)


def _kv_factor(setup: Setup, correction: Correction | None) -> float:
    """What a token's cache takes over what is planned. An engine that takes a share has the room that is left of it."""
    if correction is None or not correction.is_applied or setup.engine.memory_fraction is not None:
        return 1.0
    return correction.kv_factor
