"""Which cables a cluster was set up with, by its declared shape, and which of them a look did not find.

The one rule: where a cable cannot be, or where it goes another way, none is missing; a shape that cannot be declares
nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from sparkdesk.core.cluster.half import End
from sparkdesk.core.cluster.port import CAGES
from sparkdesk.core.cluster.topology import Cable

Declared = Literal["single", "pair", "ring", "switch", "loose"]
"""LOOSE: ports without a claimed other end."""
TRIANGLE = 3


def shape_of(declared: str, node_count: int) -> Declared:
    """The shape before the first look. A recorded one that cannot be is "loose": ports without a claimed other end."""
    fits = {"single": node_count == 1, "pair": node_count == 2, "ring": node_count == TRIANGLE}
    fits["switch"] = node_count >= 2
    for name in ("single", "pair", "ring", "switch"):
        if declared == name and fits[name]:
            return name
    return "single" if node_count == 1 else "loose"


def planned_ends(shape: str, node_ids: Sequence[str]) -> tuple[tuple[End, ...], ...]:
    """The ends of every cable that a shape would have by the guides."""
    if shape == "pair":
        first, second = node_ids
        return tuple(((first, cage), (second, cage)) for cage in CAGES)
    if shape == "ring":
        count = len(node_ids)
        return tuple(((node_ids[i], "P0"), (node_ids[(i + 1) % count], "P1")) for i in range(count))
    return tuple(((node_id, cage),) for node_id in node_ids for cage in CAGES)


def find_missing(cables: Sequence[Cable], declared: str, node_ids: Sequence[str]) -> tuple[tuple[End, ...], ...]:
    """The ends of each cable of the declared shape that nobody sees, where its cages are free; one end at a switch."""
    shape = shape_of(declared, len(node_ids))
    taken = {end for cable in cables for end in (cable.a, cable.b) if end is not None}
    if shape == "switch":
        # Each cage that others have on the switch; a node that uses its other cage instead misses nothing.
        wired = [cable.a for cable in cables if cable.via_switch]
        there = {node for node, _cage in wired}
        cage = min((cage for _node, cage in wired), default="")
        return tuple(((node, cage),) for node in node_ids if cage and node not in there and (node, cage) not in taken)
    if shape not in ("pair", "ring") or any(cable.via_switch for cable in cables):
        return ()
    joined = {frozenset({cable.a[0], cable.b[0]}) for cable in cables if cable.b is not None}
    found: list[tuple[End, ...]] = []
    for ends in planned_ends(shape, node_ids):
        nodes = frozenset(end[0] for end in ends)
        free = _free_cages(nodes, taken, node_ids)
        if nodes not in joined and (free if shape == "ring" else not taken & set(ends)):
            found.append(ends if not taken & set(ends) else free)
            taken |= set(found[-1])
    return tuple(found)


def _free_cages(nodes: Collection[str], taken: Collection[End], order: Sequence[str]) -> tuple[End, ...]:
    """A free cage of each of two nodes; () where one has none."""
    found = [
        next(((node, cage) for cage in CAGES if (node, cage) not in taken), None) for node in order if node in nodes
    ]
    return tuple(end for end in found if end is not None) if None not in found else ()
