"""What the proof measures between: pairs of nodes on one cable or switch, with the addresses of their halves.

The one rule: at any moment a node takes part in one measurement of bandwidth, so that nothing measures against itself;
and no name that a node gave stands in a command unless it is a name.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.proof.measurement import ProofEnd
from sparkdesk.core.bringup.scheme import HalfAddress, Scheme

NETDEV = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.]{0,14}", re.ASCII)
DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]{0,63}", re.ASCII)
IMAGE = re.compile(r"[a-z0-9][A-Za-z0-9._/:@-]{0,254}", re.ASCII)
HOME = re.compile(r"/[A-Za-z0-9_./@+-]{0,200}", re.ASCII)


@dataclass(frozen=True, slots=True)
class WireHalf:
    """One half: the ends that share a subnet there."""

    half: int
    a: ProofEnd
    b: ProofEnd


@dataclass(frozen=True, slots=True)
class Wire:
    """Two nodes that one cable, or one switch, joins. `number` is its place among all wires of the proof."""

    number: int
    cable: str
    halves: tuple[WireHalf, ...]
    """Those that are measured; without any link, all of them."""
    unlinked: tuple[WireHalf, ...] = ()
    """Those of which an end is known to have no link: only that is looked at, again."""

    @property
    def nodes(self) -> tuple[str, str]:
        """The two node ids."""
        return self.halves[0].a.node_id, self.halves[0].b.node_id

    @property
    def title(self) -> str:
        """ "spark-1 ↔ spark-2"."""
        return f"{self.halves[0].a.name} ↔ {self.halves[0].b.name}"

    @property
    def has_rdma(self) -> bool:
        """Whether every end is an RDMA device too."""
        return all(end.rdma_device for half in self.halves for end in (half.a, half.b))


def is_address(text: str) -> bool:
    """Whether this is an IPv4 address and nothing else."""
    try:
        return str(ipaddress.IPv4Address(text)) == text
    except ValueError:
        return False


def make_end(case: Case, address: HalfAddress) -> ProofEnd | None:
    """The end of a lane as it takes part; None when its names are none that may stand in a command."""
    if NETDEV.fullmatch(address.netdev) is None or not is_address(address.host):
        return None
    reading = case.reading(address.node_id)
    interface = reading.interfaces.get(address.netdev)
    device = interface.rdma_device if interface is not None else ""
    return ProofEnd(
        address.node_id,
        reading.name,
        address.netdev,
        address.host,
        interface.mac.lower() if interface is not None else "",
        device if DEVICE.fullmatch(device) else "",
        address.mtu,
    )


def find_wires(case: Case, scheme: Scheme) -> tuple[Wire, ...]:
    """Every pair of nodes of every cable: a switch gives as many as its nodes have pairs."""
    cables: dict[str, list[tuple[int, tuple[ProofEnd, ...]]]] = {}
    for lane in scheme.lanes:
        ends = tuple(end for one in lane.ends if (end := make_end(case, one)) is not None)
        cables.setdefault(lane.cable, []).append((lane.half, ends))
    order = {node_id: number for number, node_id in enumerate(case.node_ids)}
    found: list[tuple[str, tuple[WireHalf, ...]]] = []
    for cable, lanes in cables.items():
        nodes = sorted({end.node_id for _, ends in lanes for end in ends}, key=lambda node: order.get(node, len(order)))
        for pair in combinations(nodes, 2):
            halves = tuple(half for number, ends in lanes for half in _half_of(number, ends, pair))
            if halves:
                found.append((cable, halves))
    return tuple(_make_wire(case, number, cable, halves) for number, (cable, halves) in enumerate(found))


def _make_wire(case: Case, number: int, cable: str, halves: tuple[WireHalf, ...]) -> Wire:
    linked = tuple(half for half in halves if _has_link(case, half.a) and _has_link(case, half.b))
    return Wire(number, cable, linked or halves, tuple(half for half in halves if linked and half not in linked))


def _has_link(case: Case, end: ProofEnd) -> bool:
    """Whether it may have one: what is not known is measured."""
    port = case.reading(end.node_id).interfaces.get(end.netdev)
    return port is None or port.carrier is not False


def _half_of(number: int, ends: Iterable[ProofEnd], pair: tuple[str, str]) -> Iterable[WireHalf]:
    by_node: dict[str, ProofEnd] = {}
    for end in ends:
        by_node.setdefault(end.node_id, end)
    if pair[0] in by_node and pair[1] in by_node:
        yield WireHalf(number, by_node[pair[0]], by_node[pair[1]])


def make_rounds(wires: Iterable[Wire]) -> tuple[tuple[Wire, ...], ...]:
    """The wires in rounds in which no node stands twice: four nodes on a switch, six pairs, are three rounds."""
    rounds: list[list[Wire]] = []
    for wire in wires:
        place = next((each for each in rounds if not any(set(wire.nodes) & set(one.nodes) for one in each)), None)
        if place is None:
            rounds.append([wire])
        else:
            place.append(wire)
    return tuple(tuple(each) for each in rounds)
