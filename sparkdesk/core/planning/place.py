"""Where a model would run: devices, nodes with their memory and their neighbours, and the cables between them.

The one rule: what was read from a node stands here as it was read; what nobody read is `None` and the planner says
what it assumes instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU with its memory, as data (resources/planning/devices.toml)."""

    key: str
    title: str
    memory_bytes: int
    """What its operating system reports, or its published size."""
    peak_gb_per_s: float
    """10^9 bytes a second from memory."""
    peak_tflops: dict[int, float]
    """Bits of a number (16, 8, 4) -> 10^12 dense operations a second."""
    power_w: float
    """The whole machine's power under load, at the wall."""
    price: float | None = None
    """In the settings' currency; None: not known."""
    is_unified: bool = True
    is_fitted: bool = False
    """False: roofline only, "estimate, not fitted"."""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """The path between two nodes of a group: the slowest of those that a collective crosses."""

    gb_per_s: float
    """10^9 bytes a second, one direction, as a collective reaches it."""
    latency_s: float
    """Of one small message."""
    is_measured: bool = False
    title: str = ""
    """As a person calls it: "200G cable"."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A deployment that runs on a chosen node already and shares its memory bandwidth, compute and cable."""

    job_id: str
    title: str
    node_ids: tuple[str, ...]
    gb_per_s: float
    """What it reads from memory on each of its nodes now; NaN: not known, so how busy it is cannot be said."""
    tokens_per_s: float
    """What its users get now, all together; NaN: not known."""
    bytes_held: int | None = None
    """Of memory, on each of its nodes; None: not known."""
    compute_share: float = 0.0
    """Of a node's compute, 0 to 1."""
    link_gb_per_s: float = 0.0
    is_loading: bool = False
    """It is starting: what is available still holds some of what it will have."""
    coming_bytes: int | None = None
    """That some, at most; None: not known."""


@dataclass(frozen=True, slots=True)
class NodeRoom:
    """One node as the planner sees it. `None` is not read: the planner takes the device's own figures and says so."""

    node_id: str
    name: str
    total_bytes: int | None = None
    available_bytes: int | None = None
    """Free and page cache."""
    device: str = "gb10"
    is_owned: bool = True
    """False: a node that the person does not have, to see what it would bring."""
    held_repos: frozenset[str] = field(default_factory=frozenset)
    """Hub ids whose files lie on the node."""
    sm_clock_share: float = 1.0
    """The GPU's clock cap over its full clock: below 1 where power or heat hold it down."""


@dataclass(frozen=True, slots=True)
class Place:
    """Nodes in rank order, what joins them, and who works there already."""

    nodes: tuple[NodeRoom, ...]
    link: Link | None = None
    """None: one node, or the cables are not known (then a 200G cable is assumed and said)."""
    neighbours: tuple[Neighbour, ...] = ()
    links: Mapping[frozenset[str], Link] = field(default_factory=dict, hash=False)
    """Ids of some of the nodes -> what joins just these, where that is not `link` (a pair's own cable in a ring)."""


def widen_place(place: Place, count: int) -> Place:
    """The place with nodes like its first one added until it has `count`; those are not owned, and empty."""
    like = place.nodes[0] if place.nodes else NodeRoom("", "")
    more = tuple(
        NodeRoom(f"more-{at}", f"one more ({at})", like.total_bytes, device=like.device, is_owned=False)
        for at in range(len(place.nodes) + 1, count + 1)
    )
    return replace(place, nodes=place.nodes + more)
