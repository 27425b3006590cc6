"""Where everything on the map lies: cards, ports, cables, labels, switches, other devices. Pure geometry (QtCore only).

The one rule: one place computes positions, for painting, hit-testing and the keyboard alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from PySide6.QtCore import QPointF, QRectF

from sparkdesk.core.cluster.half import End
from ui.cluster.map.grid import lay_rows
from ui.cluster.map.place import (
    CAGE_SHARE,
    EDGE,
    LABEL_HEIGHT,
    LABEL_WIDTH,
    LEGEND_HEIGHT,
    NODE_MAX_WIDTH,
    OPEN_HEIGHT,
    PORT_HEIGHT,
    PORT_WIDTH,
    TIGHT_HEIGHT,
    CablePlace,
    Density,
    Ghost,
    MapLayout,
    Ports,
    Side,
    area_of,
)
from ui.cluster.map.wiring import Link, Wiring

HIT_WIDTH = 12.0
ASIDE = 10_000.0
"""What lies more aside than ahead is taken only when nothing lies ahead."""
_TRIANGLE_GAP = 84.0


def lay_out(wiring: Wiring, width: float, height: float) -> MapLayout:
    """Positions in a widget of this size."""
    if not wiring.node_ids:
        return MapLayout("full")
    if wiring.form == "pair":
        return _lay_pair(wiring, width, height)
    if wiring.form == "triangle":
        return _lay_triangle(wiring, width, height)
    return lay_rows(wiring, width, height)


# A pair -----------------------------------------------------------------------------------------------------------


def _lay_pair(wiring: Wiring, width: float, height: float) -> MapLayout:
    node_width = min(NODE_MAX_WIDTH, (width - 2 * EDGE - LABEL_WIDTH - 30) / 2)
    gap = min(240.0, width - 2 * EDGE - 2 * node_width)
    left = (width - 2 * node_width - gap) / 2
    top = max(LEGEND_HEIGHT + 8, (height - 200.0) / 2)
    ids = wiring.node_ids
    nodes = {node_id: QRectF(left + i * (node_width + gap), top, node_width, 200) for i, node_id in enumerate(ids)}
    ports: Ports = {}
    for node_id, rect in nodes.items():
        for cage, share in (("P0", 0.3), ("P1", 0.72)):
            # A port at the side stands outside: inside it would cover words.
            is_left = node_id == ids[0]
            x = rect.right() + PORT_WIDTH / 2 if is_left else rect.left() - PORT_WIDTH / 2
            ports[node_id, cage] = (QPointF(x, rect.top() + rect.height() * share), "right" if is_left else "left")
    middle = (nodes[ids[0]].right() + nodes[ids[1]].left()) / 2
    cables = {link.key: _pair_cable(link, ports, middle) for link in wiring.links}
    ghosts = tuple(Ghost((ports[a][0], ports[b][0])) for a, b in wiring.ghosts)
    return MapLayout("full", nodes, ports, cables, ghosts=ghosts, height=top + 200 + EDGE)


def _pair_cable(link: Link, ports: Ports, middle: float) -> CablePlace:
    start, side = ports[link.ends[0]]
    if len(link.ends) == 1:
        is_left = side == "right"
        label = QRectF(start.x() - PORT_WIDTH / 2 + 4, start.y() + 9, 62, OPEN_HEIGHT)
        if not is_left:
            label.moveRight(start.x() + PORT_WIDTH / 2 - 4)
        line: tuple[QPointF, ...] = (start, start + QPointF(20 if is_left else -20, 0))
        return CablePlace(link.key, line, label, side, area_of(line, label))
    end = ports[link.ends[1]][0]
    label = QRectF(middle - LABEL_WIDTH / 2, start.y() - LABEL_HEIGHT - 10, LABEL_WIDTH, LABEL_HEIGHT)
    line = (start, end)
    if start.y() != end.y():
        x = middle + (-12 if start.y() < end.y() else 12)
        line = (start, QPointF(x, start.y()), QPointF(x, end.y()), end)
        if start.y() > end.y():
            # Below the words of an open cage opposite.
            label.moveTop(start.y() + 10 + OPEN_HEIGHT)
    return CablePlace(link.key, line, label, "top", area_of(line, label))


# Three in a triangle ----------------------------------------------------------------------------------------------


def _node_height(height: float, gaps: float) -> tuple[float, Density]:
    room = (height - LEGEND_HEIGHT - EDGE - gaps) / 2
    return (168.0, "full") if room >= 168 else (140.0, "low") if room >= 140 else (TIGHT_HEIGHT, "tight")


def _lay_triangle(wiring: Wiring, width: float, height: float) -> MapLayout:
    node_height, density = _node_height(height, _TRIANGLE_GAP)
    node_width = min(NODE_MAX_WIDTH, (width - 2 * EDGE - LABEL_WIDTH) / 2)
    free = height - LEGEND_HEIGHT - EDGE - 2 * node_height
    gap = min(max(free, _TRIANGLE_GAP), 130.0)
    top = LEGEND_HEIGHT + max(0.0, (free - gap) / 2)
    low = top + node_height + gap
    ids = wiring.node_ids
    nodes = {
        ids[0]: QRectF((width - node_width) / 2, top, node_width, node_height),
        ids[1]: QRectF(EDGE, low, node_width, node_height),
        ids[2]: QRectF(width - EDGE - node_width, low, node_width, node_height),
    }
    ports: Ports = {}
    for link in wiring.links:
        for end in link.ends:
            other = next((each[0] for each in link.ends if each != end), "")
            ports[end] = _triangle_port(ids, nodes, end, other)
    lanes = _triangle_lanes(wiring, ports, top + node_height + gap / 2)
    cables = {link.key: _triangle_cable(link, ports, lanes, width) for link in wiring.links}
    ghosts = tuple(_triangle_ghost(ids, nodes, ports, a, b, lanes) for a, b in wiring.ghosts)
    return MapLayout(density, nodes, ports, cables, ghosts=ghosts, height=low + node_height + EDGE)


def _triangle_port(ids: Sequence[str], nodes: dict[str, QRectF], end: End, other: str) -> tuple[QPointF, Side]:
    node_id, cage = end
    rect = nodes[node_id]
    x = rect.left() + rect.width() * CAGE_SHARE[cage]
    # On a low card the port would cover its figures.
    shift = PORT_HEIGHT / 2 if rect.height() < 168 else 0.0
    if node_id == ids[0]:
        return QPointF(x, rect.bottom() + shift), "bottom"
    if other in ids[1:]:
        if node_id == ids[1]:
            return QPointF(rect.right() + PORT_WIDTH / 2, rect.center().y()), "right"
        return QPointF(rect.left() - PORT_WIDTH / 2, rect.center().y()), "left"
    return QPointF(x, rect.top() - shift), "top"


def _triangle_lanes(wiring: Wiring, ports: Ports, middle: float) -> dict[str, float]:
    """The height at which each of the cables to the top node runs aside; they part where they would lie together."""
    upper = wiring.node_ids[0]
    found: dict[str, float] = {}
    slots: list[tuple[float, str]] = []
    for link in wiring.links:
        if link.to == "node" and upper in (end[0] for end in link.ends):
            start = next(ports[end][0].x() for end in link.ends if end[0] == upper)
            slots.append((start, next(end[0] for end in link.ends if end[0] != upper)))
            found[link.key] = middle
    is_crossing = len(slots) == 2 and (slots[0][0] < slots[1][0]) is (slots[0][1] == wiring.node_ids[2])
    if is_crossing:
        for number, key in enumerate(found):
            found[key] = middle + (-7 if number == 0 else 7)
    return found


def _triangle_cable(link: Link, ports: Ports, lanes: dict[str, float], room: float) -> CablePlace:
    start, side = ports[link.ends[0]]
    if len(link.ends) == 1:
        is_below = side == "bottom"
        line: tuple[QPointF, ...] = (start, start + QPointF(0, 18 if is_below else -18))
        label = QRectF(start.x() + 18, start.y() + 4 if is_below else start.y() - 4 - OPEN_HEIGHT, 70, OPEN_HEIGHT)
        return CablePlace(link.key, line, label, "right", area_of(line, label))
    end, end_side = ports[link.ends[1]]
    if side in ("left", "right") and end_side in ("left", "right"):
        line = (start, end)
        middle = (start + end) / 2
        label = QRectF(middle.x() - LABEL_WIDTH / 2, middle.y() - LABEL_HEIGHT - 10, LABEL_WIDTH, LABEL_HEIGHT)
        return CablePlace(link.key, line, label, "top", area_of(line, label))
    y = lanes[link.key]
    line = (start, QPointF(start.x(), y), QPointF(end.x(), y), end)
    low, high = (start, end) if start.y() > end.y() else (end, start)
    # Outside of the triangle there is room for words.
    is_left = low.x() < high.x()
    width = min(LABEL_WIDTH, (low.x() if is_left else room - low.x()) - 18)
    label = QRectF(low.x() + 14, y - LABEL_HEIGHT / 2, width, LABEL_HEIGHT)
    if is_left:
        label.moveRight(low.x() - 14)
    return CablePlace(link.key, line, label, "left" if is_left else "right", area_of(line, label))


def _triangle_ghost(
    ids: Sequence[str], nodes: dict[str, QRectF], ports: Ports, a: End, b: End, lanes: dict[str, float]
) -> Ghost:
    """From the cable's first end to where the guides have its other one, on the side that faces the first."""
    start, side = ports[a]
    spot, _ = _triangle_port(ids, nodes, b, a[0])
    if side in ("left", "right"):
        spot = QPointF(spot.x(), spot.y() + PORT_HEIGHT + 4)
        return Ghost((start, QPointF((start.x() + spot.x()) / 2, start.y()), spot), spot, b[1])
    y = (start.y() + spot.y()) / 2 + (18 if lanes else 0)
    return Ghost((start, QPointF(start.x(), y), QPointF(spot.x(), y), spot), spot, b[1])


# What lies where ----------------------------------------------------------------------------------------------------


def find_item(layout: MapLayout, at: QPointF) -> tuple[str, str] | None:
    """What lies there: ("node", id), ("cable", key), ("switch", number), ("stranger", key) or None.

    A card is above a cable. A stranger's key is that of its cable, "switch" for those on the switch.
    """
    for kind, key, rect in _boxes(layout):
        if rect.contains(at):
            return kind, key
    for key, place in layout.cables.items():
        if place.label.contains(at) or _is_near(place.line, at):
            return "cable", key
    return None


def _boxes(layout: MapLayout) -> list[tuple[str, str, QRectF]]:
    found = [("node", node_id, rect) for node_id, rect in layout.nodes.items()]
    found += [("stranger", key, place.box) for key, place in layout.cables.items() if place.box is not None]
    if layout.guests is not None:
        found.append(("stranger", "switch", layout.guests))
    return found + [("switch", str(bar.number), rect) for bar in layout.switches for rect in bar.rects]


def _is_near(line: tuple[QPointF, ...], at: QPointF) -> bool:
    half = HIT_WIDTH
    for first, last in pairwise(line):
        box = QRectF(first, last).normalized().adjusted(-half, -half, half, half)
        if box.contains(at):
            return True
    return False


def rect_of(layout: MapLayout, item: tuple[str, str]) -> QRectF | None:
    """The box of an item; a cable's is that of its words. None when it is not there."""
    kind, key = item
    if kind == "cable":
        return layout.cables[key].label if key in layout.cables else None
    return next((rect for each, name, rect in _boxes(layout) if (each, name) == item), None)


def step_from(layout: MapLayout, item: tuple[str, str] | None, direction: Side) -> tuple[str, str] | None:
    """The next thing in a direction: nearest by distance, with what lies off the axis counted double."""
    rects = {(kind, key): rect for kind, key, rect in reversed(_boxes(layout))}
    spots = {each: rect.center() for each, rect in rects.items()}
    items = [("node", key) for key in layout.nodes] + [("cable", key) for key in layout.cables]
    items += [each for each in spots if each[0] != "node"]
    if not items:
        return None
    if item is None or item not in items:
        return items[0]
    spots |= {("cable", key): place.label.center() for key, place in layout.cables.items()}
    here = spots[item]
    best, best_cost = item, float("inf")
    for other in items:
        if other == item:
            continue
        away = spots[other] - here
        if direction in ("top", "bottom"):
            # What is wide is as near as its nearest point.
            wide = layout.cables[other[1]].label if other[0] == "cable" else rects[other]
            away.setX(min(max(here.x(), wide.left()), wide.right()) - here.x())
        along, across = {
            "left": (-away.x(), abs(away.y())),
            "right": (away.x(), abs(away.y())),
            "top": (-away.y(), abs(away.x())),
            "bottom": (away.y(), abs(away.x())),
        }[direction]
        # From a card its cables come first, and the switch from there.
        is_far = across > along or (other[0] == "switch" and item[0] == "node")
        cost = along + 2 * across + (ASIDE if is_far else 0.0)
        if along > 1 and cost < best_cost:
            best, best_cost = other, cost
    return best
