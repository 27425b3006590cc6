"""The shapes in which nodes can be cabled: which cages share a wire, and which addresses its halves get.

The one rule: pure. These wires are the truth of a simulated cluster; what packets do, or what a node says where there
are no packets, follows from them. Source of the shapes: NVIDIA/dgx-spark-playbooks, connect-two-sparks,
connect-three-sparks, multi-sparks-through-switch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MAX_NODES = 64
_FIRST_SUBNET = 100
"""Each half of each wire has a subnet of its own: 192.168.100, .101 for the first wire, and so on."""
_WRONG_SUBNET = 250


@dataclass(frozen=True, slots=True, order=True)
class End:
    """One cage of one node, which are counted from 1 and from 0."""

    node: int
    cage: int


@dataclass(frozen=True, slots=True)
class Wire:
    """A cable with two ends, or a switch with any number of them. `number` counts from 0."""

    number: int
    ends: tuple[End, ...]
    is_switch: bool = False

    @property
    def is_loop(self) -> bool:
        """Whether both ends are in one node."""
        return not self.is_switch and len({end.node for end in self.ends}) == 1


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape that can be asked for. `kind` is what it is called when it is seen; `least` and `most` count nodes."""

    name: str
    kind: str
    words: str
    usual: int
    least: int
    most: int = MAX_NODES


_ALL = (
    Shape("single", "single", "no cables", 1, 1),
    Shape("pair", "pair", "two nodes, a cable from P1 to P1", 2, 2, 2),
    Shape("pair-two-cables", "pair", "two nodes, a cable from P1 to P1 and one from P0 to P0", 2, 2, 2),
    Shape("ring", "ring", "each node's P0 to the next one's P1", 3, 3),
    Shape("crossed-ring", "ring", "a ring whose cables join cages as they come", 3, 3),
    Shape("switch", "switch", "all nodes' P1 in one switch", 4, 2),
    Shape("chain", "chain", "a ring that lacks its last cable", 3, 3),
    Shape("loop", "loop", "one node, a cable from P0 to its own P1", 1, 1, 1),
    Shape("mixed", "mixed", "all nodes' P1 in one switch, and a cable between the first two nodes' P0", 4, 3),
)
SHAPES = {shape.name: shape for shape in _ALL}


def choose_shape(name: str, count: int | None) -> tuple[Shape, int]:
    """The shape and the number of nodes that were asked for, each with what is usual where nothing was said.

    Raises ValueError for a shape that nobody knows or that cannot be had with so many nodes.
    """
    if not name:
        name = "single" if count == 1 else "switch"
    if name not in SHAPES:
        raise ValueError(f"no shape is called {name!r}; there are: {', '.join(SHAPES)}")
    shape = SHAPES[name]
    count = shape.usual if count is None else count
    if not shape.least <= count <= shape.most:
        wanted = f"{shape.least}" if shape.least == shape.most else f"{shape.least} to {shape.most}"
        raise ValueError(f"the shape {name} takes {wanted} nodes, not {count}")
    return shape, count


def make_wires(name: str, count: int) -> tuple[Wire, ...]:
    """The wires of `count` nodes in this shape. Raises KeyError for a shape that nobody knows."""
    nodes = range(1, count + 1)
    joined: Sequence[tuple[End, ...]]
    if name in ("pair", "pair-two-cables"):
        cages = (1, 0) if name == "pair-two-cables" else (1,)
        joined = [(End(1, cage), End(2, cage)) for cage in cages]
    elif name in ("ring", "chain"):
        joined = [(End(node, 0), End(node % count + 1, 1)) for node in nodes][: count if name == "ring" else count - 1]
    elif name == "crossed-ring":  # the first and the last cable join like cages
        joined = [(End(node, int(node > 1)), End(node % count + 1, int(node == count))) for node in nodes]
    elif name == "loop":
        joined = [(End(1, 0), End(1, 1))]
    elif name in ("switch", "mixed"):
        direct = [(End(1, 0), End(2, 0))] if name == "mixed" else []
        joined = [tuple(End(node, 1) for node in nodes), *direct]
    else:
        SHAPES[name]
        joined = []
    is_switched = name in ("switch", "mixed")
    return tuple(Wire(number, ends, is_switched and number == 0) for number, ends in enumerate(joined))


def address_of(wire: Wire, end: End, half: int) -> str:
    """The address with its prefix length that a half has on this wire; "" on a loop, where nobody would give one."""
    return "" if wire.is_loop else f"192.168.{_FIRST_SUBNET + 2 * wire.number + half}.{end.node}/24"


def wrong_address(end: End, half: int) -> str:
    """An address in a subnet that no wire has."""
    return f"192.168.{_WRONG_SUBNET + half}.{end.node}/24"
