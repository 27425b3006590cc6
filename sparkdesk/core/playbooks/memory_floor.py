"""The floor of a plan: below so much available memory the guard on the node ends the newest server of ours.

The one rule: a floor leaves a sound server alone, so it stays well below what its own plan leaves free; and it leaves
the node reachable, so it is never below LEAST_SHARE, even where a plan leaves less than that.
"""

from __future__ import annotations

from sparkdesk.core.jobs.plan import GIB, MemoryLedger

FLOOR_BYTES = 4 * GIB
"""The floor of a plan that leaves plenty, on a node of a Spark's size: our own choice.

Unverified on hardware [guard-pressure]."""
USUAL_SHARE = 1 / 30
"""Of a smaller node: what FLOOR_BYTES is of a Spark's 121 GiB."""
LEAST_SHARE = 0.02
"""Of all memory: with less a node may stop answering. Source: the limit (`-m 2`) at which the Spark's users have
earlyoom end engines. Unverified on hardware [guard-pressure]."""
PART_OF_FREE = 2
"""The floor takes at most so great a part (a half) of what the plan leaves: the other is for what it did not foresee.
Our own choice."""


def floor_bytes(ledger: MemoryLedger) -> int:
    """Of the plan with this ledger, in whole MiB; FLOOR_BYTES where the node's memory is not known."""
    if ledger.total_bytes is None:
        return FLOOR_BYTES
    floor = min(FLOOR_BYTES, int(ledger.total_bytes * USUAL_SHARE))
    if ledger.free_bytes is not None:
        floor = min(floor, ledger.free_bytes // PART_OF_FREE)
    return max(floor, int(ledger.total_bytes * LEAST_SHARE), 1 << 20) >> 20 << 20


def guard_words(ledger: MemoryLedger, restart_limit: int, stop_after_s: int | None) -> str:
    """What the job's guard on the node does, as a note of the plan."""
    words = []
    if ledger.floor_bytes > 0:
        left = ledger.free_bytes
        by_plan = "" if left is None else f" (by plan {say_gib(left)} stay free)"
        words.append(f"ends it below {say_gib(ledger.floor_bytes)} of available memory{by_plan}")
    times = {0: "never starts it again", 1: "starts it again once"}
    words.append(times.get(restart_limit, f"starts it again {restart_limit} times at most"))
    if stop_after_s is not None:
        words.append(f"stops it {_span(stop_after_s)} after its start")
    return f"Its guard on the node {', '.join(words)}"


def say_gib(count: int) -> str:
    """Bytes as a person reads them."""
    return f"{count / GIB:.1f} GiB"


def _span(seconds: int) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
