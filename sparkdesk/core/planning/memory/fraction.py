"""A share of memory as each engine means it: of what it is a share, what lies in it, and which one lets it start.

The one rule: the engine's own arithmetic. vLLM's share is of the node's total and holds weights, KV cache and runtime;
it starts only while so much is available. SGLang's is of what is available when it starts and holds weights and KV
cache; graphs, activations and server come on top, out of what the share leaves.
Source: vLLM 0.33.0's and SGLang 0.5.23's own source; on unified memory both read MemAvailable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from sparkdesk.core.jobs.plan import GIB, Problem, Severity
from sparkdesk.core.planning.memory.need import Need, Room
from sparkdesk.core.planning.place import NodeRoom
from sparkdesk.core.planning.setup import OF_AVAILABLE, EngineProfile

MOST_FRACTION: Final = 0.98
"""Of `LaunchRequest.memory_fraction`."""
_STEPS: Final = 100
"""A share is written in hundredths."""


def base_bytes(engine: EngineProfile, room: Room) -> int | None:
    """What the engine's share is a share of, on one node; None: not known."""
    if engine.share_of != OF_AVAILABLE:
        return room.total_bytes
    return None if room.left_bytes is None else max(0, room.left_bytes)


def outside_bytes(engine: EngineProfile, runtime_bytes: float) -> float:
    """What of the runtime comes on top of the share."""
    return runtime_bytes if engine.share_of == OF_AVAILABLE else 0.0


def inside_bytes(engine: EngineProfile, need: Need) -> float | None:
    """What the share must hold; None: not known."""
    total = need.total_bytes
    return None if total is None else total - outside_bytes(engine, need.runtime_bytes)


def least_base_bytes(engine: EngineProfile, rooms: Sequence[Room]) -> int | None:
    """What it is a share of on the node that has least; None where that of one node is not known."""
    bases = [base_bytes(engine, room) for room in rooms]
    known = [base for base in bases if base is not None]
    return min(known) if known and len(known) == len(bases) else None


def smallest_fraction(engine: EngineProfile, need: Need, rooms: Sequence[Room]) -> float | None:
    """The smallest share, in hundredths, that holds this need on every node; None: not known, or there is none."""
    base, needed = least_base_bytes(engine, rooms), inside_bytes(engine, need)
    if not base or needed is None or not math.isfinite(needed):
        return None
    fraction = math.ceil(needed / base * _STEPS - 1e-9) / _STEPS
    return fraction if fraction <= MOST_FRACTION else None


def largest_fraction(total_bytes: float, available_bytes: float) -> float:
    """The largest share, in hundredths, of a total that is not more than this: 0 to 0.98.

    Source: vLLM's own check at start, available >= share x total.
    """
    if not (math.isfinite(total_bytes) and math.isfinite(available_bytes)) or total_bytes <= 0:
        return 0.0
    steps = math.floor(max(0.0, min(available_bytes / total_bytes, 1.0)) * _STEPS + 1e-9)
    return min(steps / _STEPS, MOST_FRACTION)


def widest_fraction(engine: EngineProfile, room: Room, runtime_bytes: float, left_bytes: int) -> float:
    """The largest share that leaves so much on a node, beside what comes on top of it; 0 where it is not known."""
    base, left = base_bytes(engine, room), room.left_bytes
    if base is None or left is None:
        return 0.0
    return largest_fraction(base, left - left_bytes - outside_bytes(engine, runtime_bytes))


def start_problems(engine: EngineProfile, node: NodeRoom, share: float) -> tuple[Problem, ...]:
    """Whether the engine would start at all with this share, by what was read of the node.

    vLLM's words: "Free memory on device ... is less than desired"; SGLang's: "Capture cuda graph failed".
    """
    total, available = node.total_bytes, node.available_bytes
    if total is None or available is None or share <= _largest(engine, total, available) + 1e-9:
        return ()
    if engine.share_of != OF_AVAILABLE and available >= share * total:
        return ()
    largest, free = _largest(engine, total, available), available / GIB
    if engine.share_of == OF_AVAILABLE:
        words = f"{engine.title} may not start on {node.name}: a share of {share:.2f} of the {free:.1f} GiB that are "
        words += f"available leaves {(1.0 - share) * free:.1f} GiB, and graphs and server need about "
        words += f"{engine.runtime_bytes / GIB:.1f} GiB beside it"
    else:
        words = f"{engine.title} will not start on {node.name}: {free:.1f} GiB are available, and a "
        words += f"share of {share:.2f} is {share * total / GIB:.1f} GiB"
    remedy = f"The largest share that passes is {largest:.2f}; or stop what runs there."
    return (Problem(Severity.WARNING, words, remedy if largest > 0.0 else "Stop what runs there.", "memory_fraction"),)


def start_note(engine: EngineProfile, node: NodeRoom, share: float) -> str:
    """What the engine takes at its start, with its numbers, where it passes; "" where not, or where not known."""
    total, available = node.total_bytes, node.available_bytes
    if total is None or available is None or start_problems(engine, node, share):
        return ""
    largest, free = _largest(engine, total, available), available / GIB
    if engine.share_of == OF_AVAILABLE:
        words = f"{engine.title} takes {share:.2f} of what is available on {node.name} when it starts, for weights and "
        words += f"KV cache: {share * free:.1f} of {free:.1f} GiB now"
        return f"{words}; graphs and server come on top, so up to {largest:.2f}"
    words = f"{engine.title} takes {share:.2f} of {node.name}'s memory, {share * total / GIB:.1f} GiB, and checks at "
    return f"{words}its start that so much is available: {free:.1f} GiB are, so up to {largest:.2f}"


def _largest(engine: EngineProfile, total: int, available: int) -> float:
    if engine.share_of == OF_AVAILABLE:
        return largest_fraction(available, available - engine.runtime_bytes)
    return largest_fraction(total, available)
