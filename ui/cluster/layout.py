"""Where everything on the map lies: cards, ports, cables, labels, the switch. Pure geometry (QtCore only).

The one rule: one place computes positions, for painting, hit-testing and the keyboard alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from PySide6.QtCore import QPointF, QRectF

from ui.cluster.cable import End, Shape, plan_ends

Density = Literal["full", "low", "compact"]
Side = Literal["left", "right", "top", "bottom"]

EDGE = 16.0
LEGEND_HEIGHT = 34.0
PORT_WIDTH, PORT_HEIGHT = 30.0, 15.0
SWITCH_HEIGHT = 52.0
NODE_MAX_WIDTH = 440.0
LABEL_WIDTH, LABEL_HEIGHT = 150.0, 34.0
COMPACT_COLUMNS = 4
HIT_WIDTH = 12.0
ASIDE = 10_000.0
"""What lies more aside than ahead is taken only when nothing lies ahead."""
_CAGE_SHARE = {"P0": 0.38, "P1": 0.58}
"""P0 lies nearer the RJ45, which is left on the box."""


@dataclass(frozen=True, slots=True)
class CablePlace:
    """One cable: its line, the box of its words and which way they are aligned."""

    key: str
    line: tuple[QPointF, ...]
    label: QRectF
    label_side: Side
    area: QRectF
    """Everything that is painted for it."""


@dataclass(frozen=True, slots=True)
class MapLayout:
    """All positions for one size and shape."""

    density: Density
    nodes: dict[str, QRectF] = field(default_factory=dict)
    ports: dict[End, tuple[QPointF, Side]] = field(default_factory=dict)
    cables: dict[str, CablePlace] = field(default_factory=dict)
    switch: QRectF | None = None
    height: float = 0.0
    """What the whole needs; more than there is when it does not fit."""


def lay_out(shape: Shape, node_ids: Sequence[str], width: float, height: float) -> MapLayout:
    """Positions in a widget of this size."""
    if not node_ids:
        return MapLayout("full")
    if shape == "single":
        result = _lay_single(node_ids, width, height)
    elif shape == "pair":
        result = _lay_pair(node_ids, width, height)
    elif shape == "ring":
        result = _lay_ring(node_ids, width, height)
    else:
        result = _lay_rows(shape, node_ids, width, height)
    for place in result.cables.values():
        # Words stay inside the widget; what does not fit then is said shorter.
        place.label.setLeft(max(place.label.left(), 4.0))
        place.label.setRight(min(place.label.right(), width - 4.0))
    return result


def _lay_single(node_ids: Sequence[str], width: float, height: float) -> MapLayout:
    size = (min(NODE_MAX_WIDTH, width - 2 * EDGE), 200.0)
    top = max(LEGEND_HEIGHT + 8, (height - size[1] - 60) / 2)
    nodes = {node_ids[0]: QRectF((width - size[0]) / 2, top, *size)}
    return _finish("single", node_ids, nodes, None, "full")


def _lay_pair(node_ids: Sequence[str], width: float, height: float) -> MapLayout:
    node_width = min(NODE_MAX_WIDTH, (width - 2 * EDGE - LABEL_WIDTH - 30) / 2)
    gap = min(240.0, width - 2 * EDGE - 2 * node_width)
    left = (width - 2 * node_width - gap) / 2
    top = max(LEGEND_HEIGHT + 8, (height - 200.0) / 2)
    nodes = {node_id: QRectF(left + i * (node_width + gap), top, node_width, 200) for i, node_id in enumerate(node_ids)}
    return _finish("pair", node_ids, nodes, None, "full")


def _node_height(height: float, gaps: float) -> tuple[float, Density]:
    return (168.0, "full") if height - LEGEND_HEIGHT - EDGE - gaps >= 2 * 168 else (140.0, "low")


def _lay_ring(node_ids: Sequence[str], width: float, height: float) -> MapLayout:
    node_height, density = _node_height(height, 96)
    node_width = min(NODE_MAX_WIDTH, (width - 2 * EDGE - LABEL_WIDTH) / 2)
    free = height - LEGEND_HEIGHT - EDGE - 2 * node_height
    gap = min(max(free, 72.0), 130.0)
    top = LEGEND_HEIGHT + max(0.0, (free - gap) / 2)
    low = top + node_height + gap
    nodes = {
        node_ids[0]: QRectF((width - node_width) / 2, top, node_width, node_height),
        node_ids[1]: QRectF(EDGE, low, node_width, node_height),
        node_ids[2]: QRectF(width - EDGE - node_width, low, node_width, node_height),
    }
    return _finish("ring", node_ids, nodes, None, density)


def _lay_rows(shape: Shape, node_ids: Sequence[str], width: float, height: float) -> MapLayout:
    count = len(node_ids)
    is_compact = count > 4
    columns = COMPACT_COLUMNS if is_compact else 2
    rows = -(-count // columns)
    density: Density
    if is_compact:
        node_height, density, gap_x = 72.0, "compact", 12.0
    else:
        node_height, density = _node_height(height, 2 * 64 + SWITCH_HEIGHT)
        gap_x = 48.0
    node_width = min(NODE_MAX_WIDTH, (width - 2 * EDGE - (columns - 1) * gap_x) / columns)
    if node_width == NODE_MAX_WIDTH:
        gap_x = min(160.0, (width - 2 * EDGE - columns * node_width) / max(1, columns - 1))
    middle = SWITCH_HEIGHT if shape == "switch" else 0.0
    free = height - LEGEND_HEIGHT - EDGE - rows * node_height - middle
    cable = min(max(free / max(2, rows), 50.0), 96.0 if shape == "switch" else 64.0)
    gaps = [cable * 2 + middle if row == 0 and shape == "switch" else cable for row in range(rows - 1)]
    after = cable + middle if rows == 1 or shape != "switch" else 0.0
    total = rows * node_height + sum(gaps) + after
    top = LEGEND_HEIGHT + max(0.0, (height - LEGEND_HEIGHT - EDGE - total) / 2)
    left = (width - columns * node_width - (columns - 1) * gap_x) / 2
    nodes = {}
    for i, node_id in enumerate(node_ids):
        row, column = divmod(i, columns)
        y = top + row * node_height + sum(gaps[:row])
        in_row = min(columns, count - row * columns)
        shift = (columns - in_row) * (node_width + gap_x) / 2
        nodes[node_id] = QRectF(left + shift + column * (node_width + gap_x), y, node_width, node_height)
    switch = None
    if shape == "switch":
        first = next(iter(nodes.values()))
        low, high = _CAGE_SHARE["P0"] * node_width - 44, (1 - _CAGE_SHARE["P1"]) * node_width - 44
        wide = min(columns, count) * (node_width + gap_x) - gap_x - low - high
        switch = QRectF(first.left() + low, first.bottom() + cable, wide, SWITCH_HEIGHT)
    return _finish(shape, node_ids, nodes, switch, density)


def _finish(
    shape: Shape, node_ids: Sequence[str], nodes: dict[str, QRectF], switch: QRectF | None, density: Density
) -> MapLayout:
    ports: dict[End, tuple[QPointF, Side]] = {}
    cables: dict[str, CablePlace] = {}
    for ends in plan_ends(shape, node_ids):
        for end in ends:
            ports[end] = _port(shape, node_ids, nodes, switch, end)
        key = "|".join(f"{node_id}:{cage}" for node_id, cage in ends)
        cables[key] = _cable(key, ends, ports, switch, density)
    bottom = max(rect.bottom() for rect in nodes.values())
    bottom = max([bottom, *(place.area.bottom() for place in cables.values())])
    return MapLayout(density, nodes, ports, cables, switch, bottom + EDGE)


def _port(
    shape: Shape, node_ids: Sequence[str], nodes: dict[str, QRectF], switch: QRectF | None, end: End
) -> tuple[QPointF, Side]:
    node_id, cage = end
    rect = nodes[node_id]
    x = rect.left() + rect.width() * _CAGE_SHARE[cage]
    # A port at the side stands outside: inside it would cover words.
    out = PORT_WIDTH / 2
    if shape == "pair":
        y = rect.top() + rect.height() * (0.3 if cage == "P0" else 0.72)
        is_left = node_id == node_ids[0]
        return (QPointF(rect.right() + out, y), "right") if is_left else (QPointF(rect.left() - out, y), "left")
    if shape == "ring" and node_id != node_ids[0]:
        is_left = node_id == node_ids[1]
        if (is_left and cage == "P0") or (not is_left and cage == "P1"):
            side: Side = "right" if is_left else "left"
            return QPointF(rect.right() + out if is_left else rect.left() - out, rect.center().y()), side
        return QPointF(x, rect.top()), "top"
    # On a low card the port would cover its figures.
    shift = PORT_HEIGHT / 2 if rect.height() < 168 else 0.0
    if switch is not None and rect.top() > switch.center().y():
        return QPointF(x, rect.top() - shift), "top"
    return QPointF(x, rect.bottom() + shift), "bottom"


def _cable(
    key: str,
    ends: tuple[End, ...],
    ports: dict[End, tuple[QPointF, Side]],
    switch: QRectF | None,
    density: Density,
) -> CablePlace:
    start, side = ports[ends[0]]
    if len(ends) == 2:
        return _between(key, start, side, *ports[ends[1]])
    end_y = start.y() + (24 if side == "bottom" else -24)
    if switch is not None:
        end_y = switch.top() if side == "bottom" else switch.bottom()
    line = (start, QPointF(start.x(), end_y))
    is_left = ends[0][1] == "P0"
    if density == "compact":
        label = QRectF(start.x() - 36 if is_left else start.x() + 6, min(start.y(), end_y) + 10, 30, 16)
        label_side: Side = "left" if is_left else "right"
        return CablePlace(key, line, label, label_side, _area(line, label))
    middle = (start.y() + end_y) / 2 + (3 if side == "bottom" else -3)
    if switch is None:
        middle = end_y + 4
    label = QRectF(start.x() + 12, middle - LABEL_HEIGHT / 2, LABEL_WIDTH, LABEL_HEIGHT)
    if is_left:
        label.moveRight(start.x() - 12)
    return CablePlace(key, line, label, "left" if is_left else "right", _area(line, label))


def _between(key: str, start: QPointF, side: Side, end: QPointF, end_side: Side) -> CablePlace:
    if side in ("left", "right") and end_side in ("left", "right"):
        line: tuple[QPointF, ...] = (start, end)
        middle = (start + end) / 2
        label = QRectF(middle.x() - LABEL_WIDTH / 2, middle.y() - LABEL_HEIGHT - 4, LABEL_WIDTH, LABEL_HEIGHT)
        return CablePlace(key, line, label, "top", _area(line, label))
    y = (start.y() + end.y()) / 2
    line = (start, QPointF(start.x(), y), QPointF(end.x(), y), end)
    low = start if start.y() > end.y() else end
    # Outside of the triangle there is room for words.
    is_left = low.x() < (start.x() + end.x()) / 2
    label = QRectF(low.x() + 14, y + 4, LABEL_WIDTH, LABEL_HEIGHT)
    if is_left:
        label.moveRight(low.x() - 14)
    return CablePlace(key, line, label, "left" if is_left else "right", _area(line, label))


def _area(line: tuple[QPointF, ...], label: QRectF) -> QRectF:
    xs, ys = [point.x() for point in line], [point.y() for point in line]
    box = QRectF(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)).adjusted(-8, -10, 8, 10)
    return box.united(label)


def find_item(layout: MapLayout, at: QPointF) -> tuple[str, str] | None:
    """What lies there: ("node", id), ("cable", key) or None. A card is above a cable."""
    for node_id, rect in layout.nodes.items():
        if rect.contains(at):
            return "node", node_id
    for key, place in layout.cables.items():
        if place.label.contains(at) or _is_near(place.line, at):
            return "cable", key
    return None


def _is_near(line: tuple[QPointF, ...], at: QPointF) -> bool:
    half = HIT_WIDTH
    for first, last in pairwise(line):
        box = QRectF(first, last).normalized().adjusted(-half, -half, half, half)
        if box.contains(at):
            return True
    return False


def centre_of(layout: MapLayout, item: tuple[str, str]) -> QPointF:
    """The middle of a node or of a cable's line. Raises KeyError."""
    kind, key = item
    if kind == "node":
        return layout.nodes[key].center()
    line = layout.cables[key].line
    return (line[0] + line[-1]) / 2


def step_from(layout: MapLayout, item: tuple[str, str] | None, direction: Side) -> tuple[str, str] | None:
    """The next node or cable in a direction: nearest by distance, with what lies off the axis counted double."""
    items = [("node", key) for key in layout.nodes] + [("cable", key) for key in layout.cables]
    if not items:
        return None
    if item is None or item not in items:
        return items[0]
    here = centre_of(layout, item)
    best, best_cost = item, float("inf")
    for other in items:
        if other == item:
            continue
        away = centre_of(layout, other) - here
        along, across = {
            "left": (-away.x(), abs(away.y())),
            "right": (away.x(), abs(away.y())),
            "top": (-away.y(), abs(away.x())),
            "bottom": (away.y(), abs(away.x())),
        }[direction]
        cost = along + 2 * across + (ASIDE if across > along else 0.0)
        if along > 1 and cost < best_cost:
            best, best_cost = other, cost
    return best
