"""Which cages are on one wire: the cages and strangers that reach each other, put together from what each node heard.

The one rule: a beacon or a frame is proof of one direction only; an answered ping is proof of both. Both halves of a
cage count as one, because behind one plug they may or may not hear each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sparkdesk.core.cluster.half import End, HeardBeacon, HeardFrame, LldpName, NodeView, cage_of

SURE = 3
"""A beacon heard so often means that both programs ran side by side: then silence the other way is no late start."""
_ANSWERED = 1000
_STRANGER = "\0stranger"
MAX_STRANGER_HALVES = 2
"""A stranger on a cable of its own shows at most the hardware addresses of two halves; more are behind a switch."""
_Spot = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Segment:
    """Cages of known nodes, and strangers, that share one wire."""

    ends: tuple[End, ...]
    strangers: tuple[str, ...] = ()
    """Hardware addresses that no known node owns."""
    reach: frozenset[tuple[End, End]] = frozenset()
    """(from, to): what the first sends is known to reach the second."""
    sure: frozenset[tuple[End, End]] = frozenset()
    """Of `reach`, where the two are known to have listened side by side."""
    lldp: tuple[LldpName, ...] = ()
    """Who of the unknown names itself here."""
    is_direct: bool | None = None
    """Of two plugs: whether nothing is between them. None: nothing that was heard tells."""

    @property
    def is_switch(self) -> bool:
        """Whether more than two plugs are on this wire. Two nodes on a switch that stays silent look like a cable."""
        if len(self.ends) >= 3 or len(self.strangers) > MAX_STRANGER_HALVES:
            return True
        if len(self.ends) == 2:
            return bool(self.strangers or self.lldp) or self.is_direct is False
        return not self.strangers and any(name.is_bridge for name in self.lldp)

    @property
    def is_loop(self) -> bool:
        """Whether a cable joins the two cages of one node."""
        return len(self.ends) == 2 and not self.is_switch and self.ends[0][0] == self.ends[1][0]


class _Groups:
    """Union-find over spots: cages, and strangers' hardware addresses under a name that no node has."""

    def __init__(self) -> None:
        self._parent: dict[_Spot, _Spot] = {}

    def find(self, spot: _Spot) -> _Spot:
        """The group's representative; a new spot is a group of its own."""
        self._parent.setdefault(spot, spot)
        while self._parent[spot] != spot:
            self._parent[spot] = self._parent[self._parent[spot]]
            spot = self._parent[spot]
        return spot

    def join(self, one: _Spot, other: _Spot) -> None:
        """Put the groups of both together."""
        self._parent[self.find(one)] = self.find(other)

    def all(self) -> dict[_Spot, list[_Spot]]:
        """Every group by its representative."""
        found: dict[_Spot, list[_Spot]] = {}
        for spot in list(self._parent):
            found.setdefault(self.find(spot), []).append(spot)
        return found


def find_segments(views: Mapping[str, NodeView]) -> tuple[Segment, ...]:
    """Every wire that a cage with a carrier, or one that was heard, is on; in the order of the nodes. Never raises."""
    owners = own_macs(views)
    groups, reach = _Groups(), dict[tuple[End, End], int]()
    for node_id, view in views.items():
        for half in view.halves:
            if half.carrier and half.cage:
                groups.find((node_id, half.cage))
        for row in view.heard:
            link = heard_link(node_id, row, views)
            if link is not None:
                groups.join(*link)
                reach[link] = reach.get(link, 0) + row.plain + row.sized
        for frame in view.frames:
            link = frame_link(node_id, frame, views)
            if link is not None:
                groups.join(*link)
                reach[link] = reach.get(link, 0) + frame.everybody + frame.nearest
        for end, other in _answers(node_id, view, owners):
            groups.join(end, other)
            if other[0] != _STRANGER:
                reach[end, other] = reach[other, end] = _ANSWERED
    _join_askers(groups, views, owners)
    order = {node_id: number for number, node_id in enumerate(views)}
    segments = [_make_segment(spots, reach, views, order, owners) for spots in groups.all().values()]
    return tuple(sorted(segments, key=lambda segment: [(order[node], cage) for node, cage in segment.ends]))


def heard_link(node_id: str, row: HeardBeacon, views: Mapping[str, NodeView]) -> tuple[End, End] | None:
    """(from, to) of a heard beacon; None when it is of no known node, or of the cage's own other half."""
    sender, here = (row.from_node, cage_of(row.from_netdev)), (node_id, cage_of(row.netdev))
    is_known = row.from_node in views and row.plain + row.sized > 0 and row.plain >= 0 and row.sized >= 0
    return (sender, here) if is_known and sender[1] and here[1] and sender != here else None


def frame_link(node_id: str, row: HeardFrame, views: Mapping[str, NodeView]) -> tuple[End, End] | None:
    """(from, to) of a heard frame, as `heard_link` of a beacon."""
    return heard_link(
        node_id, HeardBeacon(row.netdev, row.from_node, row.from_netdev, row.everybody, row.nearest), views
    )


def own_macs(views: Mapping[str, NodeView]) -> dict[str, End]:
    """Who owns a hardware address; the cage is "" where it is no QSFP port's."""
    owners: dict[str, End] = {}
    for node_id, view in views.items():
        for half in view.halves:
            if half.mac:
                owners.setdefault(half.mac, (node_id, half.cage))
        for mac in view.macs:
            owners.setdefault(mac, (node_id, ""))
    return owners


def _answers(node_id: str, view: NodeView, owners: Mapping[str, End]) -> Iterator[tuple[End, _Spot]]:
    for host in view.seen:
        here = (node_id, cage_of(host.port))
        owner = owners.get(host.mac)
        if not here[1] or owner == here or (owner is not None and not owner[1]):
            continue
        yield here, owner if owner is not None else (_STRANGER, host.mac)


def _join_askers(groups: _Groups, views: Mapping[str, NodeView], owners: Mapping[str, End]) -> None:
    """Who asks for an IPv4 address is a stranger where nobody else is; beside a node it may be a program on that."""
    alone = {spots[0] for spots in groups.all().values() if len(spots) == 1}
    for node_id, view in views.items():
        for netdev, mac in view.askers:
            end = (node_id, cage_of(netdev))
            if end in alone and mac not in owners:
                groups.join(end, (_STRANGER, mac))


def _is_direct(ends: list[End], views: Mapping[str, NodeView], owners: Mapping[str, End]) -> bool | None:
    """Whether two plugs are joined by nothing but a cable: what no bridge passes on gets through, or does not."""
    everybody = nearest = 0
    for node_id in {end[0] for end in ends}:
        for row in views[node_id].frames:
            link = frame_link(node_id, row, views)
            if link is not None and set(link) == set(ends):
                everybody, nearest = everybody + row.everybody, nearest + row.nearest
    is_named = any(
        cage_of(name.netdev) == here[1] and owners.get(name.mac, ("", ""))[0] == there[0]
        for here, there in (ends, reversed(ends))
        for name in views[here[0]].lldp
    )
    if nearest or is_named:
        return True
    return False if everybody >= SURE else None


def _make_segment(
    spots: list[_Spot],
    reach: Mapping[tuple[End, End], int],
    views: Mapping[str, NodeView],
    order: Mapping[str, int],
    owners: Mapping[str, End],
) -> Segment:
    ends = sorted((spot for spot in spots if spot[0] != _STRANGER), key=lambda end: (order[end[0]], end[1]))
    strangers = sorted(mac for node, mac in spots if node == _STRANGER)
    members = set(ends)
    links = {link: count for link, count in reach.items() if link[0] in members}
    names = [
        name
        for node_id, cage in ends
        for name in views[node_id].lldp
        if cage_of(name.netdev) == cage and name.mac not in owners
    ]
    return Segment(
        tuple(ends),
        tuple(strangers),
        frozenset(links),
        frozenset(link for link, count in links.items() if count >= SURE),
        tuple(dict.fromkeys(names)),
        _is_direct(ends, views, owners) if len(ends) == 2 else None,
    )


def has_late_starter(views: Mapping[str, NodeView]) -> bool:
    """Whether somebody was heard too seldom to tell a late start from a link that works one way: look once more."""
    return any(
        (receiver, sender) not in segment.reach and (sender, receiver) not in segment.sure
        for segment in find_segments(views)
        for sender, receiver in segment.reach
    )
