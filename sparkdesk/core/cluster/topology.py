"""How the Sparks are cabled: cables, shape, order of ranks and what is wrong, from what each node told in one look.

The one rule: only what was heard or answered is a cable; a person's labels name devices, they never make one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from sparkdesk.core.cluster.half import End, Half, NodeView
from sparkdesk.core.cluster.port import CAGES
from sparkdesk.core.cluster.segment import Segment, find_segments
from sparkdesk.core.cluster.topology_problem import (
    Problem,
    find_miscabled,
    find_problems,
    halves_of,
    one_way_pairs,
    sort_problems,
)

NVIDIA_MACS = ("4c:bb:47", "48:b0:2d")
"""Prefixes of hardware addresses as seen on Sparks and on other NVIDIA machines: a likeness, no proof."""

NO_VIEWS: Mapping[str, NodeView] = MappingProxyType({})
DOUBT = "A direct cable, or a switch that tells nothing of itself"


class Shape(StrEnum):
    """How the nodes are joined. SINGLE: no node is joined to another; MIXED: anything else than the pure forms."""

    SINGLE = "single"
    PAIR = "pair"
    RING = "ring"
    SWITCH = "switch"
    CHAIN = "chain"
    LOOP = "loop"
    MIXED = "mixed"
    UNKNOWN = "unknown"


class LookState(StrEnum):
    """Whether the cabling has been looked at."""

    NONE = "none"
    LOOKING = "looking"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Stranger:
    """A device behind a cage that is no node of the cluster. `mac` is "" for one that never said a word."""

    mac: str
    name: str = ""
    """As it names itself by LLDP. Untrusted, bounded."""
    kind: str = "unknown"
    """ "spark" (by its hardware address), "device" (it names itself, or the user labelled it), "unknown"."""
    label: str = ""
    """The user's name for it."""


@dataclass(frozen=True, slots=True)
class Switch:
    """A switch that cages lead to. Its number is its place in `Topology.switches`."""

    name: str = ""
    """As it names itself by LLDP. Untrusted, bounded."""
    label: str = ""
    """The user's name for it, kept with each cage that leads to it: one that stays plugged keeps it."""

    @property
    def title(self) -> str:
        """How to call it; "" when nobody has named it."""
        return self.label or self.name


@dataclass(frozen=True, slots=True)
class HalfPair:
    """One half of a cable: the half at each end, None where the node shows none (or where no node is)."""

    a: Half | None
    b: Half | None

    @property
    def is_up(self) -> bool | None:
        """Whether both ends have a link; None when that is not known."""
        sides = [half.carrier for half in (self.a, self.b) if half is not None]
        if not sides or False in sides:
            return False if sides else None
        return None if None in sides else True


@dataclass(frozen=True, slots=True)
class Cable:
    """One cable. Behind a switch, or to a stranger, `b` is None. `key` is stable: "n1:P0-n2:P1", "n1:P0-switch"."""

    key: str
    a: End
    b: End | None = None
    stranger: Stranger | None = None
    via_switch: bool = False
    is_one_way: bool = False
    halves: tuple[HalfPair, ...] = ()
    switch_number: int = 0
    """Which switch, where there is more than one: 0, 1, ..."""
    is_direct: bool | None = None
    """Between two nodes: whether surely nothing is between them. None: a switch that stays silent looks the same."""


@dataclass(frozen=True, slots=True)
class Topology:
    """The cluster's cabling as of `seen_ms` (Unix ms, 0 before the first look)."""

    shape: Shape = Shape.UNKNOWN
    cables: tuple[Cable, ...] = ()
    rank_order: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    strangers: tuple[Stranger, ...] = ()
    switches: tuple[Switch, ...] = ()
    """By `Cable.switch_number`."""
    seen_ms: int = 0
    state: LookState = LookState.NONE
    message: str = ""
    remedy: str = ""
    away: tuple[str, ...] = ()
    """Nodes that did not answer; the shape counts them by what they told last."""
    apart: tuple[str, ...] = ()
    """Nodes that answered and that no cable joins with the others, which are all on one switch."""

    @property
    def switch_name(self) -> str:
        """What the first switch is called; "" when nobody has named it, and when there is none."""
        return self.switches[0].title if self.switches else ""

    @property
    def is_crossed(self) -> bool:
        """A ring or a pair that works, but is plugged in another way than the guides have it."""
        return any(problem.id == "miscabled" for problem in self.problems)

    @property
    def doubt(self) -> str:
        """What cannot be told, in words; "" when there is nothing. A pair on a silent switch looks like a cable."""
        is_sure = all(cable.is_direct for cable in self.cables if cable.b is not None)
        return "" if self.shape is not Shape.PAIR or is_sure else DOUBT

    def cable_at(self, end: End) -> Cable | None:
        """The cable in this cage."""
        return next((cable for cable in self.cables if end in (cable.a, cable.b)), None)

    def cables_of_switch(self, number: int) -> tuple[Cable, ...]:
        """The cables that lead to the switch of this number."""
        return tuple(cable for cable in self.cables if cable.via_switch and cable.switch_number == number)


def build_topology(
    views: Mapping[str, NodeView], labels: Mapping[str, str], past: Mapping[str, NodeView] = NO_VIEWS
) -> Topology:
    """The cabling of these nodes; `labels` are the user's words by a stranger's hardware address, or,
    for a switch and for one that never said a word, by the cage that it is in ("n1:P0"). `past` is what nodes told
    when they answered last: a node that is away counts for the shape as it was then, and draws no cable.

    The nodes' order decides among equals. Pure and total: whatever nodes tell, the answer is a Topology.
    """
    segments = find_segments(views)
    switches = [segment for segment in segments if segment.is_switch]
    cables = tuple(
        cable
        for segment in segments
        for cable in _cables_of(segment, views, labels, switches.index(segment) if segment.is_switch else 0)
    )
    strangers = [cable.stranger for cable in cables if cable.stranger is not None]
    strangers += [_stranger(segment, labels, mac) for segment in switches for mac in segment.strangers]
    away = tuple(node for node, view in views.items() if not view.did_answer)
    kept = {node: past[node] for node in away if node in past}
    shape = Shape.UNKNOWN
    if len(away) < len(views):
        shape = _shape_of(tuple(views), find_segments({**views, **kept}) if kept else segments)
    problems = find_problems(views, segments)
    if shape in (Shape.RING, Shape.PAIR):
        problems = sort_problems([*problems, *find_miscabled(segments, views, shape is Shape.RING)])
    return Topology(
        shape=shape,
        cables=cables,
        rank_order=_rank_order(tuple(views), segments),
        problems=problems,
        strangers=tuple(dict.fromkeys(strangers)),
        switches=tuple(_switch(segment, labels) for segment in switches),
        state=LookState.DONE,
        away=away,
        apart=tuple(_apart(views, segments)) if shape is Shape.SWITCH else (),
    )


def _apart(views: Mapping[str, NodeView], segments: Iterable[Segment]) -> Iterator[str]:
    """The nodes that answered and are on no switch."""
    joined = {end[0] for segment in segments if segment.is_switch for end in segment.ends}
    return (node for node, view in views.items() if view.did_answer and node not in joined)


# Cables --------------------------------------------------------------------------------------------------------------


def _cables_of(
    segment: Segment, views: Mapping[str, NodeView], labels: Mapping[str, str], number: int
) -> Iterator[Cable]:
    one_way = one_way_pairs(segment, views)
    if segment.is_switch:
        suffix = f"switch{number + 1}" if number else "switch"
        for end in segment.ends:
            pairs = tuple(HalfPair(half, None) for half in halves_of(end, views))
            is_lame = _is_lame(end, segment, one_way)
            key = f"{cage_key(end)}-{suffix}"
            yield Cable(key, end, via_switch=True, is_one_way=is_lame, halves=pairs, switch_number=number)
    elif len(segment.ends) == 2:
        a, b = segment.ends
        key, pairs = f"{cage_key(a)}-{cage_key(b)}", _pair_halves(a, b, views)
        yield Cable(key, a, b, is_one_way=bool(one_way), halves=pairs, is_direct=segment.is_direct)
    elif segment.ends:
        end = segment.ends[0]
        mac = segment.strangers[0] if segment.strangers else ""
        pairs = tuple(HalfPair(half, None) for half in halves_of(end, views))
        stranger = _stranger(segment, labels, mac, where=cage_key(end))
        yield Cable(f"{cage_key(end)}-other", end, stranger=stranger, halves=pairs)


def _is_lame(end: End, segment: Segment, one_way: Iterable[tuple[End, End]]) -> bool:
    """Whether this end of a switch's wire hears nobody, or nobody hears it; the others are not to blame for it."""
    silent = {other for pair in one_way if end in pair for other in pair if other != end}
    return bool(silent) and silent >= {other for other in segment.ends if other[0] != end[0]}


def _pair_halves(a: End, b: End, views: Mapping[str, NodeView]) -> tuple[HalfPair, ...]:
    """The halves at both ends, joined by their PCIe domain, which the names begin with ("enp1", "enP2p1")."""
    left = {half.netdev[:4]: half for half in halves_of(a, views)}
    right = {half.netdev[:4]: half for half in halves_of(b, views)}
    keys = sorted({*left, *right}, key=lambda key: (key.startswith("enP"), key))
    return tuple(HalfPair(left.get(key), right.get(key)) for key in keys)


def _stranger(segment: Segment, labels: Mapping[str, str], mac: str, *, where: str = "") -> Stranger:
    name = next((one.name for one in segment.lldp if one.name), "") if not segment.is_switch else ""
    mac = mac or next((one.mac for one in segment.lldp if one.mac), "")
    label = labels.get(mac or where, "")
    kind = "device" if name or label else "unknown"
    return Stranger(mac, name, "spark" if mac.startswith(NVIDIA_MACS) and not label else kind, label)


def _switch(segment: Segment, labels: Mapping[str, str]) -> Switch:
    label = next((label for end in segment.ends if (label := labels.get(cage_key(end), ""))), "")
    return Switch(next((one.name for one in segment.lldp if one.name), ""), label)


def cage_key(end: End) -> str:
    """Under what the user's words for what is in this cage are kept: "n1:P0"."""
    return f"{end[0]}:{end[1]}"


# Shape and order -----------------------------------------------------------------------------------------------------


def _shape_of(nodes: tuple[str, ...], segments: Iterable[Segment]) -> Shape:
    wires = list(segments)
    links = [segment for segment in wires if len({end[0] for end in segment.ends}) > 1]
    if not links:
        return Shape.LOOP if any(segment.is_loop for segment in wires) else Shape.SINGLE
    reach = _neighbours(nodes, links)
    joined = [node for node in nodes if reach[node]]
    if any(segment.is_switch for segment in links):
        # One that is not joined at all has its cable out: the others are on a switch no less.
        has_all = any({end[0] for end in segment.ends} == set(joined) for segment in links)
        return Shape.SWITCH if has_all and all(segment.is_switch for segment in links) else Shape.MIXED
    if len(_walk(nodes[0], reach)) < len(nodes):
        return Shape.MIXED
    if len(nodes) == 2:
        return Shape.PAIR
    return Shape.RING if all(len(reach[node]) == 2 for node in nodes) else Shape.CHAIN


def _neighbours(nodes: tuple[str, ...], segments: Iterable[Segment]) -> dict[str, list[str]]:
    """Per node whom it reaches by one wire, those at its P0 first, then in the nodes' order."""
    order = {node: number for number, node in enumerate(nodes)}
    found: dict[str, dict[str, tuple[int, int]]] = {node: {} for node in nodes}
    for segment in segments:
        for node, cage in segment.ends:
            for other, _cage in segment.ends:
                if other != node:
                    place = (CAGES.index(cage) if cage in CAGES else len(CAGES), order[other])
                    found[node][other] = min(place, found[node].get(other, place))
    return {node: sorted(places, key=places.__getitem__) for node, places in found.items()}


def _walk(start: str, reach: Mapping[str, list[str]]) -> list[str]:
    """The nodes that can be reached, each next to one before it where that is possible."""
    done: dict[str, None] = {}
    waiting = [start]
    while waiting:
        node = waiting.pop()
        if node not in done:
            done[node] = None
            waiting += [other for other in reversed(reach[node]) if other not in done]
    return list(done)


def _rank_order(nodes: tuple[str, ...], segments: Iterable[Segment]) -> tuple[str, ...]:
    """All known nodes: round the ring from the first by its P0, along a chain from its end, the largest group first."""
    reach = _neighbours(nodes, segments)
    groups, left = [], list(nodes)
    while left:
        group = _walk(left[0], reach)
        ends = [node for node in nodes if node in set(group) and len(reach[node]) == 1]
        is_line = len(ends) == 2 and all(len(reach[node]) <= 2 for node in group)
        groups.append(_walk(ends[0], reach) if is_line else group)
        left = [node for node in left if node not in set(group)]
    return tuple(node for group in sorted(groups, key=len, reverse=True) for node in group)
