"""Cablings with their truth: plugs are put on wires, and from the wires follows what every node would tell.

The one rule: nothing of the code under test decides what the truth is.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from sparkdesk.core.cluster.half import End, Half, HeardBeacon, NodeView
from sparkdesk.core.cluster.neighbour import SeenHost
from sparkdesk.core.cluster.port import CAGE_NETDEVS, CAGE_RDMA_DEVICES
from sparkdesk.core.cluster.topology import Shape

HEARD = 9
"""So many beacons of one half come in at another in one look."""


@dataclass
class Wire:
    """What is plugged together: a cable (two ends, or one and a stranger) or a switch."""

    ends: list[End]
    strangers: list[str] = field(default_factory=list)
    is_switch: bool = False


@dataclass
class Cabling:
    """Nodes, wires and faults."""

    count: int
    wires: list[Wire]
    down: set[tuple[str, str]] = field(default_factory=set)
    """(node, netdev): a half without a link."""
    mtus: dict[tuple[str, str], int] = field(default_factory=dict)
    shape: Shape = Shape.SINGLE

    @property
    def nodes(self) -> list[str]:
        return [f"n{number + 1}" for number in range(self.count)]

    def keys(self) -> set[str]:
        """The keys of the cables that should be found."""
        found = set()
        switches = sorted((w for w in self.wires if w.is_switch), key=lambda w: sorted(w.ends))
        for wire in self.wires:
            words = [f"{node}:{cage}" for node, cage in sorted(wire.ends)]
            if wire.is_switch:
                number = switches.index(wire)
                found |= {f"{word}-switch{number + 1 if number else ''}" for word in words}
            else:
                found.add("-".join(words) if len(words) == 2 else f"{words[0]}-other")
        return found

    def views(self, rng: random.Random | None = None) -> dict[str, NodeView]:
        """What each node tells. With `rng`, halves hear only one half of the far cage, chosen by it (at least one)."""
        plugged = {end for wire in self.wires for end in wire.ends}
        found = {}
        for node in self.nodes:
            halves = tuple(self._half(node, cage, netdev, (node, cage) in plugged) for cage, netdev in _ports())
            heard, seen = [], []
            for wire in self.wires:
                for mine in (end for end in wire.ends if end[0] == node):
                    for here in self._up(mine):
                        # The other half of the same cage may hear this one: on hardware nobody knows.
                        ends = [other for other in wire.ends if other != mine or rng is None]
                        beacons = [beacon for other in ends for beacon in self._beacons(here, other, rng)]
                        heard += [one for one in beacons if (one.from_node, one.from_netdev) != (node, here)]
                        seen += [SeenHost(here, "fe80::1", mac) for mac in wire.strangers]
            macs = frozenset({half.mac for half in halves} | {f"4c:bb:47:00:{int(node[1:]):02x}:10"})
            sized = frozenset(half.netdev for half in halves if half.carrier)
            found[node] = NodeView(node, halves, macs, tuple(heard), tuple(seen), sized_sent=sized)
        return found

    def _up(self, end: End) -> list[str]:
        return [netdev for netdev in CAGE_NETDEVS[end[1]] if (end[0], netdev) not in self.down]

    def _beacons(self, here: str, other: End, rng: random.Random | None) -> list[HeardBeacon]:
        senders = self._up(other)
        if rng is not None and senders:
            senders = [rng.choice(senders)]
        return [HeardBeacon(here, other[0], netdev, HEARD, HEARD) for netdev in senders]

    def _half(self, node: str, cage: str, netdev: str, is_plugged: bool) -> Half:
        index = CAGE_NETDEVS[cage].index(netdev)
        mac = f"4c:bb:47:{cage[1]:0>2}:{int(node[1:]):02x}:{0x20 + 0x10 * index:02x}"
        is_up = is_plugged and (node, netdev) not in self.down
        device = CAGE_RDMA_DEVICES[cage][index]
        mtu = self.mtus.get((node, netdev), 9000)
        return Half(node, netdev, device, mac, "fe80::1", is_up, 200.0 if is_up else float("nan"), mtu, (), is_up)


def _ports() -> list[tuple[str, str]]:
    return [(cage, netdev) for cage, netdevs in CAGE_NETDEVS.items() for netdev in netdevs]


def pair(cages: str = "11") -> Cabling:
    """Two nodes on a cable between these cages."""
    return Cabling(2, [Wire([("n1", f"P{cages[0]}"), ("n2", f"P{cages[1]}")])], shape=Shape.PAIR)


def two_cables() -> Cabling:
    """Two nodes on two cables."""
    return Cabling(2, [Wire([("n1", cage), ("n2", cage)]) for cage in ("P0", "P1")], shape=Shape.PAIR)


def ring(count: int = 3) -> Cabling:
    """As NVIDIA's guide has it: P0 of each to P1 of the next."""
    wires = [Wire([(f"n{i + 1}", "P0"), (f"n{(i + 1) % count + 1}", "P1")]) for i in range(count)]
    return Cabling(count, wires, shape=Shape.RING)


def crossed_ring() -> Cabling:
    """A ring where one cable joins like cages."""
    wires = [Wire([("n1", "P0"), ("n2", "P0")]), Wire([("n2", "P1"), ("n3", "P0")]), Wire([("n3", "P1"), ("n1", "P1")])]
    return Cabling(3, wires, shape=Shape.RING)


def chain(count: int = 3) -> Cabling:
    """A ring with its last cable out."""
    whole = ring(count)
    return Cabling(count, whole.wires[:-1], shape=Shape.CHAIN)


def switch(count: int = 4, cages: tuple[str, ...] = ("P0",)) -> Cabling:
    """All nodes on one switch; with two cages, both are on it."""
    ends = [(f"n{i + 1}", cage) for i in range(count) for cage in cages]
    return Cabling(count, [Wire(ends, is_switch=True)], shape=Shape.SWITCH)


def random_cabling(rng: random.Random) -> Cabling:
    """Any of the shapes, with plugs out, halves down, storage and strangers."""
    kind = rng.choice(("pair", "two", "ring", "crossed", "chain", "switch", "rails", "two switches", "free", "loop"))
    made = _make(kind, rng)
    for wire in made.wires:
        if rng.random() < 0.2:
            node, cage = rng.choice(wire.ends)
            made.down.add((node, rng.choice(CAGE_NETDEVS[cage])))
    used = {end for wire in made.wires for end in wire.ends}
    free = [(node, cage) for node in made.nodes for cage in ("P0", "P1") if (node, cage) not in used]
    for number, end in enumerate(free):
        if rng.random() < 0.3:
            maker = rng.choice(("4c:bb:47", "00:1b:21"))
            macs = [f"{maker}:99:{number:02x}:{half:02x}" for half in (1, 2)]
            made.wires.append(Wire([end], macs[: rng.randint(0, 2)]))
    return made


def _make(kind: str, rng: random.Random) -> Cabling:
    simple = {
        "pair": lambda: pair(rng.choice(("00", "01", "10", "11"))), "two": two_cables, "crossed": crossed_ring,
        "ring": lambda: ring(rng.randint(3, 8)), "chain": lambda: chain(rng.randint(3, 8)),
        "switch": lambda: switch(rng.randint(3, 16), rng.choice((("P0",), ("P1",), ("P0", "P1")))),
    }  # fmt: skip
    if kind in simple:
        return simple[kind]()
    if kind == "rails":
        count = rng.randint(3, 8)
        wires = [Wire([(f"n{i + 1}", cage) for i in range(count)], is_switch=True) for cage in ("P0", "P1")]
        return Cabling(count, wires, shape=Shape.SWITCH)
    if kind == "two switches":
        ends = [[(f"n{i + 1}", "P0") for i in part] for part in (range(3), range(3, 6))]
        wires = [Wire(part, is_switch=True) for part in ends]
        return Cabling(6, [*wires, Wire([("n1", "P1"), ("n4", "P1")])], shape=Shape.MIXED)
    if kind == "loop":
        return Cabling(1, [Wire([("n1", "P0"), ("n1", "P1")])], shape=Shape.LOOP)
    # Any plugs in any others: the shape follows from a count of who is joined with whom.
    count = rng.randint(1, 6)
    plugs = [(f"n{i + 1}", cage) for i in range(count) for cage in ("P0", "P1")]
    rng.shuffle(plugs)
    cables = [Wire(plugs[i : i + 2]) for i in range(0, 2 * rng.randint(0, count), 2)]
    return Cabling(count, cables, shape=_shape_of_cables(count, cables))


def _shape_of_cables(count: int, wires: list[Wire]) -> Shape:
    joins = {frozenset(node for node, _ in wire.ends) for wire in wires}
    links = {join for join in joins if len(join) == 2}
    if not links:
        return Shape.LOOP if wires else Shape.SINGLE
    met = {"n1"}
    for _ in range(count):
        met |= {node for link in links if link & met for node in link}
    if len(met) < count:
        return Shape.MIXED
    if count == 2:
        return Shape.PAIR
    return Shape.RING if len(links) == count else Shape.CHAIN
