"""Reads the answer of remote/frames.py, and adds what was heard below all addresses to later looks.

The one rule: it holds for as long as a link has neither come nor gone at either end; then it is forgotten, not trusted.
The text is a stranger's: bounded, plain, wrong rows left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from sparkdesk.core.cluster.beacon import (
    MAC,
    MAX_COUNT,
    MAX_PORTS,
    read_lldp,
    read_match,
    read_netdev,
    read_rows,
    read_whole,
)
from sparkdesk.core.cluster.half import HeardFrame, LldpName, NodeView

MAX_FRAMES = 4096
MAX_ASKERS = 64


@dataclass(frozen=True, slots=True)
class FrameView:
    """What one node heard in one look below all addresses."""

    frames: tuple[HeardFrame, ...] = ()
    lldp: tuple[LldpName, ...] = ()
    """Who named itself, and who sent what only a switch sends (without a name)."""
    askers: tuple[tuple[str, str], ...] = ()
    link_changes: Mapping[str, int] = field(default_factory=dict)
    """By netdev, as it was then."""


def read_frames(answer: Mapping[str, object]) -> FrameView:
    """What the node told. Never raises."""
    names = list(read_lldp(answer.get("lldp")))
    for netdev, mac in _pairs(answer.get("bridges")):
        if not any(name.netdev == netdev and name.is_bridge for name in names):
            names.append(LldpName(netdev, "", mac, is_bridge=True))
    changes = answer.get("changes")
    return FrameView(
        tuple(_frames(answer.get("frames"))),
        tuple(names),
        tuple(_askers(answer.get("askers"))),
        {
            read_netdev(netdev): number
            for netdev, value in list(changes.items() if isinstance(changes, dict) else ())[:MAX_PORTS]
            if read_netdev(netdev) and (number := read_whole(value, 0, 1_000_000_000)) is not None
        },
    )


def _pairs(value: object) -> Iterator[tuple[str, str]]:
    for netdev, mac in list(value.items())[:MAX_PORTS] if isinstance(value, dict) else ():
        if read_netdev(netdev) and read_match(mac, MAC):
            yield netdev, mac


def _frames(value: object) -> Iterator[HeardFrame]:
    for row in read_rows(value, MAX_FRAMES):
        if not isinstance(row, list) or len(row) != 5 or not isinstance(row[1], str) or len(row[1]) > 128:
            continue
        netdev, far = read_netdev(row[0]), read_netdev(row[2])
        everybody, nearest = read_whole(row[3], 0, MAX_COUNT), read_whole(row[4], 0, MAX_COUNT)
        if netdev and far and everybody is not None and nearest is not None:
            yield HeardFrame(netdev, row[1], far, everybody, nearest)


def _askers(value: object) -> Iterator[tuple[str, str]]:
    for row in read_rows(value, MAX_ASKERS):
        if isinstance(row, list) and len(row) == 2 and read_netdev(row[0]) and read_match(row[1], MAC):
            yield read_netdev(row[0]), read_match(row[1], MAC)


def add_frames(views: Mapping[str, NodeView], heard: Mapping[str, FrameView]) -> dict[str, NodeView]:
    """The views with what was heard below all addresses, as far as it still holds."""
    return {
        node_id: _add(node_id, view, views, heard) if node_id in heard and view.did_answer else view
        for node_id, view in views.items()
    }


def _add(node_id: str, view: NodeView, views: Mapping[str, NodeView], heard: Mapping[str, FrameView]) -> NodeView:
    told = heard[node_id]

    def holds(node: str, netdev: str) -> bool:
        if node not in views or node not in heard:
            return False
        half = next((half for half in views[node].halves if half.netdev == netdev), None)
        before = heard[node].link_changes.get(netdev)
        if half is None or not views[node].did_answer:
            return half is not None  # nobody can tell: a node that is away takes nothing back
        return half.carrier is True and (half.link_changes is None or half.link_changes == before)

    return replace(
        view,
        frames=tuple(
            row for row in told.frames if holds(node_id, row.netdev) and holds(row.from_node, row.from_netdev)
        ),
        lldp=(*view.lldp, *(name for name in told.lldp if holds(node_id, name.netdev) and name not in view.lldp)),
        askers=tuple(row for row in told.askers if holds(node_id, row[0])),
    )
