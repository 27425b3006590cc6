"""A hundred cablings of lab nodes with their truth: ten kinds, each as it should be and with each of nine faults.

The one rule: nothing of the code under test decides what the truth is. Which cages, wires and nodes it hits, and who
else is there (a storage box, a Spark that nobody added), follows from the number alone, so that a failure can be seen
again.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sparkdesk.core.cluster.half import End
from sparkdesk.core.cluster.topology import Shape
from tests.lab.patchbay import Guest, Patchbay, Plug, Wire

COUNT = 300 if os.environ.get("SPARKDESK_DEEP") else 100
KINDS = ("single", "pair", "two", "ring", "crossed", "chain", "switch", "rails", "loop", "apart")
FAULTS = ("", "out", "half-down", "mtu", "wire-mtu", "subnet", "one-way", "slow", "unanswered", "strangers")
STORAGE, SPARK = "00:1b:21:{:02x}:00:01", "4c:bb:47:99:{:02x}:{:02x}"
GUEST_PAIRS = 6
"""So many cablings that stand at the same time may have a storage box and a Spark that nobody added."""
GUESTS = tuple(
    guest
    for number in range(GUEST_PAIRS)
    for guest in (Guest((STORAGE.format(number),)), Guest((SPARK.format(number, 0x20), SPARK.format(number, 0x30))))
)
"""By twos: a storage box, a Spark."""


_LOOKS = {"half-down": "degraded", "slow-line": "degraded", "mtu-mismatch": "wrong", "subnet-mismatch": "wrong"}


@dataclass
class Cabling:
    """What is plugged in, on nodes 0 to count - 1, and what is wrong with it."""

    name: str
    count: int
    wires: list[Wire]
    fault: str = ""
    at: Plug = (0, 0)
    """Where the fault is."""
    problems: set[tuple[str, Plug]] = field(default_factory=set)
    """What the faults lead to."""


@dataclass(frozen=True)
class Truth:
    """What must be recognised."""

    shape: Shape
    keys: frozenset[str]
    problems: frozenset[tuple[str, str, str]]
    strangers: frozenset[tuple[str, str]]
    """Hardware address and kind."""
    one_way: frozenset[str]
    """Keys of cables."""


def make_cabling(number: int) -> Cabling:
    """One of the hundred."""
    rng = random.Random(number)
    kind, fault = KINDS[number % 10], FAULTS[number // 10 % 10]
    made = _make(kind, rng)
    made.name = f"{number}: {kind} {fault or 'as it should be'}"
    joined = [wire for wire in made.wires if len({node for node, _ in wire.plugs}) > 1]
    if fault == "unanswered":
        _add_unanswered(made, rng)
    elif fault == "strangers" or (not fault and rng.random() < 0.5):
        _add_guests(made, rng)
    elif fault and joined:
        wire = rng.choice(joined)
        made.fault, made.at = fault, rng.choice(wire.plugs)
        made.wires[made.wires.index(wire)] = _hurt(made, wire, rng)
        made.wires = [wire for wire in made.wires if wire.plugs]
    return made


def _make(kind: str, rng: random.Random) -> Cabling:
    def cables(count: int, *plugs: tuple[Plug, Plug]) -> Cabling:
        return Cabling("", count, [Wire(pair) for pair in plugs])

    size = rng.randint(3, 4)
    ring = [((one, 0), ((one + 1) % size, 1)) for one in range(size)]
    one, other = rng.choice(((0, 0), (1, 1), (0, 1), (1, 0)))
    everyone = range(rng.randint(4, 5))
    if kind == "switch":
        return Cabling("", len(everyone), [Wire(tuple((node, one) for node in everyone), is_switch=True)])
    if kind == "rails":
        return Cabling("", 4, [Wire(tuple((node, cage) for node in range(4)), is_switch=True) for cage in (0, 1)])
    return {
        "single": cables(1),
        "pair": cables(2, ((0, one), (1, other))),
        "two": cables(2, ((0, 0), (1, one)), ((0, 1), (1, 1 - one))),
        "ring": cables(size, *ring),
        "crossed": cables(3, ((0, 0), (1, 0)), ((1, 1), (2, 0)), ((2, 1), (0, 1))),
        "chain": cables(size, *ring[:-1]),
        "loop": cables(1, ((0, 0), (0, 1))),
        "apart": cables(4, ((0, one), (1, one)), ((2, other), (3, other))),
    }[kind]


def _free(made: Cabling) -> list[Plug]:
    used = {plug for wire in made.wires for plug in wire.plugs}
    return [(node, cage) for node in range(made.count) for cage in (0, 1) if (node, cage) not in used]


def _add_guests(made: Cabling, rng: random.Random) -> None:
    free = _free(made)
    rng.shuffle(free)
    for guest, plug in zip((0, 1), free, strict=False):
        made.wires.append(Wire((plug,), guests=(guest,)))
    if made.wires[0].is_switch:
        made.wires[0] = replace(
            made.wires[0], guests=tuple({0, 1} - {wire.guests[0] for wire in made.wires[1:] if wire.guests})
        )


def _add_unanswered(made: Cabling, rng: random.Random) -> None:
    if free := _free(made):
        plug = rng.choice(free)
        made.wires.append(Wire((plug,)))
        made.problems.add(("no-answer", plug))


def _hurt(made: Cabling, wire: Wire, rng: random.Random) -> Wire:
    """The wire with its fault; what it leads to is noted."""
    first, others = sorted(wire.plugs)[0], [plug for plug in sorted(wire.plugs) if plug != made.at]
    if made.fault == "out":
        return replace(wire, plugs=tuple(others) if wire.is_switch else ())
    if made.fault == "half-down":
        made.problems.add(("half-down", made.at))
        return replace(wire, halves_out=((made.at, rng.choice((0, 1))),))
    if made.fault == "mtu":
        # Whoever is unlike most others is told; of two the smaller one.
        made.problems.add(("mtu-mismatch", made.at if len(wire.plugs) > 2 else others[0]))
    elif made.fault == "wire-mtu":
        made.problems.add(("mtu-mismatch", first))
        return replace(wire, mtu=1500)
    elif made.fault == "subnet":
        told = {made.at, others[0]} if wire.is_switch else {first}
        made.problems |= {("subnet-mismatch", plug) for plug in told}
    elif made.fault == "one-way":
        made.problems |= {("one-way", plug) for plug in others}
        return replace(wire, deaf=made.at)
    elif made.fault == "slow":
        made.problems.add(("slow-line", made.at))
    return wire


# On the lab ----------------------------------------------------------------------------------------------------------


def place(made: Cabling, offset: int, guest_pair: int) -> Cabling:
    """The same on the lab's nodes from `offset` on, with the guests of this number."""

    def move(plug: Plug) -> Plug:
        return plug[0] + offset, plug[1]

    wires = [
        replace(
            wire,
            plugs=tuple(map(move, wire.plugs)),
            guests=tuple(2 * guest_pair + guest for guest in wire.guests),
            halves_out=tuple((move(plug), half) for plug, half in wire.halves_out),
            deaf=move(wire.deaf) if wire.deaf is not None else None,
        )
        for wire in made.wires
    ]
    problems = {(kind, move(plug)) for kind, plug in made.problems}
    return replace(made, wires=wires, at=move(made.at), problems=problems)


def set_ports(made: Cabling, bay: Patchbay) -> None:
    """What of the fault is set on the nodes themselves; after `Patchbay.patch`."""
    wire = next((wire for wire in made.wires if made.at in wire.plugs), None)
    if wire is None or not made.fault:
        return
    if made.fault == "mtu":
        bay.set_mtu(made.at, 9000)
    elif made.fault == "wire-mtu":
        for plug in wire.plugs:
            bay.set_mtu(plug, 9000)
    elif made.fault == "slow":
        bay.set_speed(made.at, 100_000)
    elif made.fault == "subnet":
        other = next(plug for plug in sorted(wire.plugs) if plug != made.at)
        bay.add_address(made.at, 0, "192.168.100.10/24")
        bay.add_address(other, 0, "192.168.200.11/24")


def split(cablings: Sequence[Cabling], nodes: int) -> list[list[Cabling]]:
    """Rounds of cablings that stand side by side on so many nodes."""
    rounds: list[list[Cabling]] = [[]]
    used = 0
    for made in cablings:
        if used + made.count > nodes or len(rounds[-1]) == GUEST_PAIRS:
            rounds.append([])
            used = 0
        rounds[-1].append(place(made, used, len(rounds[-1])))
        used += made.count
    return rounds


# Truth ---------------------------------------------------------------------------------------------------------------


def end_at(plug: Plug) -> End:
    """As SparkDesk calls this cage."""
    return f"spark-{plug[0] + 1}", f"P{plug[1]}"


def truth_of(made: Cabling, nodes: Sequence[str]) -> Truth:
    """What must be recognised of these nodes."""
    shape = _shape_of(made, nodes)
    problems = {(kind, *end_at(plug)) for kind, plug in made.problems}
    keys, one_way = set[str](), set[str]()
    switches = 0
    for wire in sorted(made.wires, key=lambda wire: sorted(wire.plugs)):
        words = [":".join(end_at(plug)) for plug in sorted(wire.plugs)]
        if wire.is_switch:
            switches += 1
            found = [f"{word}-switch{switches if switches > 1 else ''}" for word in words]
            one_way |= {key for key, plug in zip(found, sorted(wire.plugs), strict=True) if plug == wire.deaf}
        else:
            found = ["-".join(words) if len(words) == 2 else f"{words[0]}-other"]
            one_way |= set(found) if wire.deaf is not None else set()
            problems |= _plug_notes(wire, shape)
        keys |= set(found)
    return Truth(shape, frozenset(keys), frozenset(problems), _strangers(made), frozenset(one_way))


def looks_of(made: Cabling, truth: Truth) -> dict[str, str]:
    """How each cable must be drawn."""
    hurt = {":".join(end_at(plug)): _LOOKS[kind] for kind, plug in made.problems if kind in _LOOKS}
    looks = {}
    for key in truth.keys:
        ends = [end for end in hurt if end in key.split("-switch")[0].replace("-spark", " spark").split()]
        looks[key] = hurt[ends[0]] if ends else "up"
        if key in truth.one_way:
            looks[key] = "one_way"
        if any((":".join(end), kind) == (key.split("-spark")[0], "loop") for kind, *end in truth.problems):
            looks[key] = "wrong"
    return looks


def _plug_notes(wire: Wire, shape: Shape) -> set[tuple[str, str, str]]:
    """A loop, and a cable that works but not as in the guides: a ring goes from P0 to P1, a pair joins like cages."""
    if len(wire.plugs) != 2:
        return set()
    one, other = sorted(wire.plugs)
    if one[0] == other[0]:
        return {("loop", *end_at(one))}
    is_alike = one[1] == other[1]
    is_other_way = is_alike if shape is Shape.RING else not is_alike and shape is Shape.PAIR
    return {("miscabled", *end_at(one))} if is_other_way else set()


def _strangers(made: Cabling) -> frozenset[tuple[str, str]]:
    found = set()
    for wire in made.wires:
        macs = [mac for number in wire.guests for mac in GUESTS[number].macs]
        shown = macs if wire.is_switch else macs[:1]
        found |= {(mac, "spark" if mac.startswith("4c:bb:47") else "unknown") for mac in shown}
        if len(wire.plugs) == 1 and not wire.guests:
            found.add(("", "unknown"))
    return frozenset(found)


def _shape_of(made: Cabling, nodes: Sequence[str]) -> Shape:
    reach = [({end_at(plug)[0] for plug in wire.plugs}, wire.is_switch) for wire in made.wires]
    links = [(members, is_switch) for members, is_switch in reach if len(members) > 1]
    if not links:
        return Shape.LOOP if any(len(wire.plugs) == 2 for wire in made.wires) else Shape.SINGLE
    if any(is_switch for _, is_switch in links):
        joined = {node for members, _ in links for node in members}
        is_one = all(is_switch for _, is_switch in links) and any(members == joined for members, _ in links)
        return Shape.SWITCH if is_one else Shape.MIXED
    met = {nodes[0]}
    for _ in nodes:
        met |= {node for members, _ in links if members & met for node in members}
    if len(met) < len(nodes):
        return Shape.MIXED
    if len(nodes) == 2:
        return Shape.PAIR
    return Shape.RING if len({frozenset(members) for members, _ in links}) == len(nodes) else Shape.CHAIN
