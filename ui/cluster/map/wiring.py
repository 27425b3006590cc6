"""Which lines the map draws: the real cabling once it was looked at, before that what carriers and the record tell.

Pure structure, no states: two equal wirings lie alike. The one rule: a cable whose other end was not seen claims none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sparkdesk.core.cluster.half import End
from sparkdesk.core.cluster.planned_cable import TRIANGLE, find_missing, planned_ends, shape_of
from sparkdesk.core.cluster.port import CAGES
from sparkdesk.core.cluster.topology import Cable, LookState, Topology
from sparkdesk.core.cluster.topology import Shape as Seen

Shape = Literal["single", "pair", "ring", "switch", "chain", "loop", "mixed", "loose"]
"""LOOSE: ports without a claimed other end."""
Form = Literal["pair", "triangle", "rows"]
"""How cards and cables are placed. Rows can show anything; the other two are for the plain cases."""
FarKind = Literal["node", "switch", "stranger", "none"]
_SHAPES: dict[Seen, Shape] = {
    Seen.SINGLE: "single",
    Seen.PAIR: "pair",
    Seen.RING: "ring",
    Seen.SWITCH: "switch",
    Seen.CHAIN: "chain",
    Seen.LOOP: "loop",
    Seen.MIXED: "mixed",
}


@dataclass(frozen=True, slots=True)
class Link:
    """One line of the map: between two cages, from a cage to a switch or another device, or a cage with no cable."""

    key: str
    ends: tuple[End, ...]
    to: FarKind = "none"
    switch: int = 0
    is_missing: bool = False
    """Not there, although the cluster was set up with it."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """All lines. `node_ids` are in the order in which the cards are placed."""

    shape: Shape = "loose"
    form: Form = "rows"
    node_ids: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    ghosts: tuple[tuple[End, End], ...] = ()
    """Where a cable would be as the guides have it."""
    is_seen: bool = False
    """Whether it comes from a look; else nobody knows yet where the cables lead."""
    has_switch_guests: bool = False

    @property
    def switch_count(self) -> int:
        """How many switches there are."""
        numbers = [link.switch for link in self.links if link.to == "switch"]
        return max(numbers) + 1 if numbers else 0

    @property
    def is_round(self) -> bool:
        """Whether neighbours in `node_ids` are joined, so that cards go round and not line by line."""
        return self.shape in ("ring", "chain")


def has_look(topology: Topology) -> bool:
    """Whether the cables were ever seen."""
    was_seen = topology.state is LookState.DONE or topology.seen_ms > 0
    return was_seen and topology.shape is not Seen.UNKNOWN


def build_wiring(topology: Topology, declared: str, node_ids: Sequence[str]) -> Wiring:
    """The lines of this moment. `declared` is the shape that the cluster was set up with, "" when not known."""
    if not node_ids:
        return Wiring()
    if not has_look(topology):
        return _guess(declared, tuple(node_ids))
    known = set(node_ids)
    cables = [cable for cable in topology.cables if all(end[0] in known for end in _ends(cable))]
    links = [_link(cable) for cable in cables]
    links += [_missing(ends) for ends in find_missing(cables, declared, node_ids)]
    taken = {end for link in links for end in link.ends}
    links += [_open((node, cage)) for node in node_ids for cage in CAGES if (node, cage) not in taken]
    shape = _shape_of(topology.shape)
    order = _round_order(topology, links, tuple(node_ids)) if shape in ("ring", "chain") else tuple(node_ids)
    named = {cable.stranger for cable in topology.cables if cable.stranger is not None}
    return Wiring(
        shape=shape,
        form=_form_of(links, len(node_ids), declared),
        node_ids=order,
        links=tuple(links),
        ghosts=tuple(_ghosts(topology, known)),
        is_seen=True,
        has_switch_guests=any(stranger not in named for stranger in topology.strangers),
    )


def _guess(declared: str, node_ids: tuple[str, ...]) -> Wiring:
    shape = shape_of(declared, len(node_ids))
    to: FarKind = "node" if shape in ("pair", "ring") else "switch" if shape == "switch" else "none"
    links = tuple(
        Link("|".join(f"{node_id}:{cage}" for node_id, cage in ends), ends, to)
        for ends in planned_ends(shape, node_ids)
    )
    return Wiring(shape, _form_of(links, len(node_ids), declared), node_ids, links)


def _shape_of(seen: Seen) -> Shape:
    return _SHAPES.get(seen, "loose")


def _ends(cable: Cable) -> tuple[End, ...]:
    return (cable.a,) if cable.b is None else (cable.a, cable.b)


def _link(cable: Cable) -> Link:
    to: FarKind = "node" if cable.b is not None else "switch" if cable.via_switch else "stranger"
    return Link(cable.key, _ends(cable), to, cable.switch_number)


def _open(end: End) -> Link:
    return Link(f"{end[0]}:{end[1]}", (end,))


def _missing(ends: tuple[End, ...]) -> Link:
    if len(ends) == 1:
        return Link(f"{ends[0][0]}:{ends[0][1]}-switch", ends, "switch", is_missing=True)
    return Link("-".join(f"{node}:{cage}" for node, cage in ends), ends, "node", is_missing=True)


def _form_of(links: Iterable[Link], count: int, declared: str) -> Form:
    lines = list(links)
    joins = [frozenset(end[0] for end in link.ends) for link in lines if link.to == "node"]
    has_others = any(link.to in ("switch", "stranger") for link in lines) or any(len(join) == 1 for join in joins)
    if has_others or (not joins and declared not in ("pair", "ring")):
        return "rows"
    if count == 2:
        return "pair"
    return "triangle" if count == TRIANGLE and len(joins) == len(set(joins)) else "rows"


def _round_order(topology: Topology, links: Iterable[Link], node_ids: tuple[str, ...]) -> tuple[str, ...]:
    """Round from the first node, in the direction that most cables go from P0 to P1: a cable pulled moves no card."""
    if len(node_ids) <= TRIANGLE:
        return node_ids
    known = set(node_ids)
    order = [node for node in topology.rank_order if node in known]
    order += [node for node in node_ids if node not in set(order)]
    start = order.index(node_ids[0])
    order = order[start:] + order[:start]
    after = {node: order[(i + 1) % len(order)] for i, node in enumerate(order)}
    votes = 0
    for link in links:
        if link.to == "node" and link.ends[0][1] != link.ends[1][1]:
            first, second = (end[0] for end in sorted(link.ends, key=lambda end: end[1]))
            votes += (after[first] == second) - (after[second] == first)
    return tuple(order if votes >= 0 else [order[0], *reversed(order[1:])])


def _ghosts(topology: Topology, known: Collection[str]) -> Iterator[tuple[End, End]]:
    """For each cable that is plugged in another way: the same cable as the guides have it."""
    odd = {(problem.node_id, problem.cage) for problem in topology.problems if problem.id == "miscabled"}
    for cable in topology.cables:
        if cable.b is None or cable.a not in odd or not {cable.a[0], cable.b[0]} <= set(known):
            continue
        other = CAGES[1] if cable.b[1] == CAGES[0] else CAGES[0]
        yield cable.a, (cable.b[0], other)
