"""Cards in rows, two rows to a channel: any cabling can be drawn so. Pure geometry (QtCore only).

The one rule: lines run in channels and at the edges only, each in a lane of its own, so none lies on a card, on words
or on another line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from PySide6.QtCore import QPointF, QRectF

from sparkdesk.core.cluster.half import End
from ui.cluster.map.lane import HOP, LANE, Lane, lies_along, order_lanes, with_hops
from ui.cluster.map.place import (
    CAGE_SHARE,
    EDGE,
    LABEL_HEIGHT,
    LABEL_WIDTH,
    LEGEND_HEIGHT,
    NODE_MAX_WIDTH,
    OPEN_HEIGHT,
    PORT_HEIGHT,
    TIGHT_HEIGHT,
    CablePlace,
    Density,
    Ghost,
    MapLayout,
    Ports,
    Side,
    SwitchPlace,
    area_of,
)
from ui.cluster.map.wiring import Link, Wiring

FULL_NODES = 4
"""More than that are drawn compact."""
COLUMNS_COMPACT = 4
PART = 10.0
"""How far the ports of a lower row stand aside, so that no line from below meets one from above."""
FEW_LANES = 3
MAX_STRETCH = 46.0
GUESTS_WIDTH = 168.0
SIDE = 8.0
"""What words and boxes keep free at the map's own edge."""
LEAST_TEXT = 150.0
"""Of a switch's words about the middle of its bar."""


@dataclass(frozen=True, slots=True)
class _Size:
    """The measures of one density."""

    density: Density
    columns: int
    node_height: float
    gap_x: float
    zone: float
    """For a port's words."""
    bar: float
    box: float
    between: float
    """From one channel's last row to the next channel's first."""


@dataclass(slots=True)
class _Band:
    """Two rows and the channel between them; the last one may have only one row."""

    number: int
    has_lower: bool
    lanes: list[Lane] = field(default_factory=list)
    switches: list[int] = field(default_factory=list)
    has_upper_box: bool = False
    has_lower_box: bool = False
    top: float = 0.0
    """Where the channel begins: the upper row's lower edge."""
    bottom: float = 0.0
    lanes_top: float = 0.0
    bars_top: float = 0.0

    @property
    def lanes_height(self) -> float:
        """How much room the lanes below each other take; above a switch so much that what they cross is seen there."""
        if not self.lanes:
            return 0.0
        return self.lane_step * self._lane_count + (18 if self.switches else 8)

    @property
    def _lane_count(self) -> int:
        return max((lane.number for lane in self.lanes), default=-1) + 1

    @property
    def lane_step(self) -> float:
        """From one lane to the next: a few lie so far apart that a line is seen between two that it meets."""
        return 2 * HOP + 4 if self._lane_count <= FEW_LANES else LANE


def lay_rows(wiring: Wiring, width: float, height: float) -> MapLayout:
    """Positions in rows; higher than the widget where that does not do."""
    return _Rows(wiring, width, height).lay_out()


class _Rows:
    """One layout while it is made: first across, then down, then the lines."""

    def __init__(self, wiring: Wiring, width: float, height: float) -> None:
        self._wiring, self._width, self._height = wiring, width, height
        self._cells = _cells_of(wiring)
        count = len(wiring.node_ids)
        self._size = _size_of(count, max((column for _, column in self._cells.values()), default=0) + 1)
        self._bands = [_Band(number, False) for number in range(max(row for row, _ in self._cells.values()) // 2 + 1)]
        for row, _ in self._cells.values():
            if row % 2:
                self._bands[row // 2].has_lower = True
        joins = [link for link in wiring.links if link.to == "node"]
        self._part = PART if joins or wiring.ghosts or wiring.switch_count > 1 else 0.0
        self._paths = [(link.key, link.ends[0], link.ends[1]) for link in joins]
        self._paths += [(_ghost_key(number), a, b) for number, (a, b) in enumerate(wiring.ghosts)]
        self._spines = self._choose_spines()
        self._spans = self._find_spans()
        self._stretch = 0.0
        self._x: dict[str, tuple[float, float]] = {}
        self._node_width = 0.0

    def lay_out(self) -> MapLayout:
        """The whole layout."""
        self._place_across()
        self._take_lanes()
        bottom = self._place_down()
        nodes = {
            node: QRectF(self._x[node][0], self._top_of(row), self._node_width, self._size.node_height)
            for node, (row, _) in self._cells.items()
        }
        ports: Ports = {end: self._port(nodes, end) for link in self._wiring.links for end in link.ends}
        switches = tuple(self._bars(ports))
        cables = {link.key: self._cable(link, ports, nodes, switches) for link in self._wiring.links}
        ghosts = tuple(
            Ghost(self._path(_ghost_key(number), ports[a][0], ports[b][0], a, b))
            for number, (a, b) in enumerate(self._wiring.ghosts)
        )
        guests = None
        if self._wiring.has_switch_guests and switches:
            bar = switches[0].rects[0]
            guests = QRectF(bar.right() - GUESTS_WIDTH - 12, bar.center().y() - 11, GUESTS_WIDTH, 22)
            switches[0].text.setRight(guests.left() - 8)
        height = bottom + self._margins()[1]
        return MapLayout(self._size.density, nodes, ports, with_hops(cables), switches, guests, ghosts, height)

    # Across ---------------------------------------------------------------------------------------------------------

    def _choose_spines(self) -> dict[str, tuple[str, int]]:
        """For cables between two channels: at which edge they run, and the how manieth they are there."""
        found: dict[str, tuple[str, int]] = {}
        counts = {"left": 0, "right": 0}
        for key, a, b in self._paths:
            (row_a, column_a), (row_b, column_b) = self._cells[a[0]], self._cells[b[0]]
            if row_a // 2 != row_b // 2:
                side = "left" if column_a + column_b <= self._size.columns - 1 else "right"
                found[key] = (side, counts[side])
                counts[side] += 1
        return found

    def _find_spans(self) -> dict[int, list[int]]:
        """Per switch the channels that cables end on it in."""
        spans: dict[int, set[int]] = {}
        for link in self._wiring.links:
            if link.to == "switch":
                spans.setdefault(link.switch, set()).add(self._cells[link.ends[0][0]][0] // 2)
        for number, bands in spans.items():
            for band in bands:
                self._bands[band].switches.append(number)
        for each in self._bands:
            each.switches.sort()
        return {number: sorted(bands) for number, bands in spans.items()}

    def _place_across(self) -> None:
        size = self._size
        counts = {"left": 0, "right": 0}
        for side, _ in self._spines.values():
            counts[side] += 1
        tall = sum(len(bands) > 1 for bands in self._spans.values())
        left = EDGE + LANE * counts["left"]
        right = EDGE + LANE * counts["right"] + 14 * tall
        room = self._width - left - right
        columns = size.columns
        self._node_width = min(NODE_MAX_WIDTH, (room - (columns - 1) * size.gap_x) / columns)
        gap = size.gap_x
        if self._node_width == NODE_MAX_WIDTH and columns > 1:
            gap = min(160.0, (room - columns * self._node_width) / (columns - 1))
        used = columns * self._node_width + (columns - 1) * gap
        first = left + (room - used) / 2
        for node, (row, column) in self._cells.items():
            in_row = sum(each == row for each, _ in self._cells.values())
            is_free = not self._paths and len(self._spans) <= 1
            shift = (columns - in_row) * (self._node_width + gap) / 2 if is_free else 0.0
            x = first + column * (self._node_width + gap) + shift
            self._x[node] = (x, gap)

    def _port_x(self, end: End) -> float:
        part = self._part if self._cells[end[0]][0] % 2 else 0.0
        return self._x[end[0]][0] + self._node_width * CAGE_SHARE[end[1]] + part

    def _spine_x(self, key: str) -> float:
        side, number = self._spines[key]
        if side == "left":
            return min(x for x, _ in self._x.values()) - LANE * (number + 1)
        return max(x for x, _ in self._x.values()) + self._node_width + LANE * (number + 1)

    def _take_lanes(self) -> None:
        """Every line between two cages gets a lane in each channel that it passes.

        Ports of two rows stand above each other; aside only where a line from below would run along one from above.
        """
        for part in (0.0, self._part):
            self._part = part
            for band in self._bands:
                band.lanes = []
            for key, a, b in self._paths:
                self._take(key, a, b)
            for band in self._bands:
                order_lanes(band.lanes)
            if not any(self._runs_along(band) for band in self._bands):
                return

    def _take(self, key: str, a: End, b: End) -> None:
        bands = [self._bands[self._cells[end[0]][0] // 2] for end in (a, b)]
        ways = [(self._port_x(end), self._is_lower(end)) for end in (a, b)]
        if bands[0] is bands[1]:
            bands[0].lanes.append(Lane(key, (ways[0], ways[1])))
            return
        for band, way, other in zip(bands, ways, reversed(bands), strict=True):
            band.lanes.append(Lane(key, (way, (self._spine_x(key), other.number > band.number))))

    def _is_lower(self, end: End) -> bool:
        return bool(self._cells[end[0]][0] % 2)

    def _runs_along(self, band: _Band) -> bool:
        """Whether a line from below lies on one from above."""
        to_bar = (link.ends[0] for link in self._wiring.links if link.to == "switch")
        here = (end for end in to_bar if self._cells[end[0]][0] == 2 * band.number)
        return lies_along(band.lanes, {round(self._port_x(end)) for end in here})

    # Down -----------------------------------------------------------------------------------------------------------

    def _place_down(self) -> float:
        """Set the height of every channel; returns where the last thing ends."""
        for link in self._wiring.links:
            if link.to == "stranger":
                row = self._cells[link.ends[0][0]][0]
                band = self._bands[row // 2]
                band.has_lower_box |= bool(row % 2)
                band.has_upper_box |= not row % 2
        need = self._needed_height()
        for smaller in (_low, _tight, _compact):
            if need > self._height and self._size.density != "compact" and len(self._cells) > 2:
                self._size = smaller(self._size)
                need = self._needed_height()
        zones = sum(2 if band.has_lower else 1 for band in self._bands)
        stretch = min(MAX_STRETCH, max(0.0, self._height - need) / zones) if self._spans else 0.0
        self._stretch = stretch
        total = need + stretch * zones
        y = self._margins()[0] + max(0.0, (self._height - total) / 2)
        for band in self._bands:
            band.top = y + self._size.node_height
            upper = self._size.zone + stretch + (self._size.box + 8 if band.has_upper_box else 0.0)
            band.lanes_top = band.top + upper
            band.bars_top = band.lanes_top + band.lanes_height
            y += self._height_of(band, stretch)
            band.bottom = y - self._size.between - (self._size.node_height if band.has_lower else 0.0)
        return y - self._size.between

    def _needed_height(self) -> float:
        above, below = self._margins()
        return above + below - self._size.between + sum(self._height_of(band, 0.0) for band in self._bands)

    def _margins(self) -> tuple[float, float]:
        """What stays free above and below all."""
        return (LEGEND_HEIGHT - 4, 8.0) if self._size.density == "tight" else (LEGEND_HEIGHT, EDGE)

    def _height_of(self, band: _Band, stretch: float) -> float:
        size = self._size
        zone = size.zone + stretch
        found = size.node_height + zone + size.between
        found += size.box + 8 if band.has_upper_box else 0.0
        found += band.lanes_height
        found += len(band.switches) * (size.bar + 10) - 10 if band.switches else 0.0
        if band.has_lower:
            found += zone + size.node_height + (size.box + 8 if band.has_lower_box else 0.0)
        return found

    def _top_of(self, row: int) -> float:
        band = self._bands[row // 2]
        return band.bottom if row % 2 else band.top - self._size.node_height

    # Lines ----------------------------------------------------------------------------------------------------------

    def _port(self, nodes: dict[str, QRectF], end: End) -> tuple[QPointF, Side]:
        rect = nodes[end[0]]
        # On a low card the port would cover its figures.
        shift = PORT_HEIGHT / 2 if rect.height() < 168 else 0.0
        x = self._port_x(end)
        if self._cells[end[0]][0] % 2:
            return QPointF(x, rect.top() - shift), "top"
        return QPointF(x, rect.bottom() + shift), "bottom"

    def _bars(self, ports: Ports) -> Iterable[SwitchPlace]:
        spine_count = 0
        for number, bands in sorted(self._spans.items()):
            spine = None
            if len(bands) > 1:
                right = max(x for x, _ in self._x.values()) + self._node_width
                spine_x = right + LANE * sum(side == "right" for side, _ in self._spines.values()) + 10
                spine = spine_x + 14 * spine_count
                spine_count += 1
            rects = tuple(self._bar(number, self._bands[band], ports, spine) for band in bands)
            line = None
            if spine is not None:
                line = (QPointF(spine, rects[0].center().y()), QPointF(spine, rects[-1].center().y()))
            yield SwitchPlace(number, rects, self._bar_text(rects[0], bands[0]), line)

    def _bar(self, number: int, band: _Band, ports: Ports, spine: float | None) -> QRectF:
        xs = [
            ports[link.ends[0]][0].x()
            for link in self._wiring.links
            if link.to == "switch" and link.switch == number and self._cells[link.ends[0][0]][0] // 2 == band.number
        ]
        left, right = min(xs) - 44, max(xs) + 44
        least = 320.0 + (GUESTS_WIDTH if self._wiring.has_switch_guests and number == 0 else 0.0)
        if right - left < least:
            left = max(EDGE, (left + right - least) / 2)
            right = min(self._width - EDGE, left + least)
        top = band.bars_top + band.switches.index(number) * (self._size.bar + 10)
        return QRectF(left, top, (right if spine is None else spine + 4) - left, self._size.bar)

    def _bar_text(self, rect: QRectF, number: int) -> QRectF:
        """Where no line passes: about the bar's middle if there is room, else the widest free part."""
        band = self._bands[number]
        passing = [x for lane in band.lanes for x, is_lower in lane.ways if is_lower]
        for link in self._wiring.links:
            # Of several bars lines to one may pass another.
            is_here = link.to == "switch" and self._cells[link.ends[0][0]][0] // 2 == number
            if is_here and len(band.switches) > 1:
                passing.append(self._port_x(link.ends[0]))
        edges = sorted([rect.left() - 10, rect.right() + 10, *(x for x in passing if rect.left() < x < rect.right())])
        middle = rect.center().x()
        free = [(left + 12, right - 12) for left, right in pairwise(edges)]
        reach = max((min(middle - left, right - middle) for left, right in free), default=0.0)
        if reach >= LEAST_TEXT / 2:
            return QRectF(middle - reach, rect.top(), 2 * reach, rect.height())
        left, right = max(free, key=lambda part: part[1] - part[0])
        return QRectF(left, rect.top(), right - left, rect.height())

    def _cable(self, link: Link, ports: Ports, nodes: dict[str, QRectF], switches: Sequence[SwitchPlace]) -> CablePlace:
        end = link.ends[0]
        start, side = ports[end]
        way = 1 if side == "bottom" else -1
        label, label_side = self._label(link, start, side, nodes[end[0]])
        band = self._bands[self._cells[end[0]][0] // 2]
        if link.to == "node":
            line = self._path(link.key, start, ports[link.ends[1]][0], end, link.ends[1])
            return CablePlace(link.key, line, label, label_side, area_of(line, label))
        if link.to == "switch":
            place = next(each for each in switches if each.number == link.switch)
            rect = place.rects[self._spans[link.switch].index(band.number)]
            line = (start, QPointF(start.x(), rect.top() if way > 0 else rect.bottom()))
            return CablePlace(link.key, line, label, label_side, area_of(line, label))
        if link.to == "stranger":
            zone = self._size.zone
            box = self._box(
                end, start, band.top + zone if way > 0 else band.bottom - zone - self._size.box, nodes[end[0]]
            )
            line = (start, QPointF(start.x(), box.top() if way > 0 else box.bottom()))
            return CablePlace(link.key, line, label, label_side, area_of(line, label, box), box)
        line = (start, QPointF(start.x(), start.y() + 18 * way))
        return CablePlace(link.key, line, label, label_side, area_of(line, label))

    def _label(self, link: Link, start: QPointF, side: Side, card: QRectF) -> tuple[QRectF, Side]:
        """Words beside the port: those of P0 left of it, those of P1 right."""
        is_compact = self._size.density == "compact"
        # On a low card the port stands outside, where the words of an open cage are.
        aside = 14.0 if self._size.density == "full" and link.to != "none" else 18.0
        height = OPEN_HEIGHT if is_compact or link.to == "none" else LABEL_HEIGHT
        gap = self._x[link.ends[0][0]][1] / 2
        # Beside the middle of a straight cable; else close to the port, where no lane is.
        zone = self._size.zone + (self._stretch if link.to == "switch" else 0.0)
        away = 4.0 if link.to == "none" else max(2.0, (zone - height) / 2)
        top = card.bottom() + away if side == "bottom" else card.top() - away - height
        if link.ends[0][1] == "P0":
            left = max(card.left() - gap + 3, start.x() - aside - LABEL_WIDTH, SIDE)
            return QRectF(left, top, start.x() - aside - left, height), "left"
        right = min(card.right() + gap - 3, start.x() + aside + LABEL_WIDTH, self._width - SIDE)
        return QRectF(start.x() + aside, top, right - start.x() - aside, height), "right"

    def _box(self, end: End, start: QPointF, top: float, card: QRectF) -> QRectF:
        """Where the other device stands, at the outer side of its port."""
        gap = self._x[end[0]][1] / 2
        if end[1] == "P0":
            left = max(card.left() - gap + 3, start.x() + 15 - 220, SIDE)
            return QRectF(left, top, start.x() + 15 - left, self._size.box)
        right = min(card.right() + gap - 3, start.x() - 15 + 220, self._width - SIDE)
        return QRectF(start.x() - 15, top, right - start.x() + 15, self._size.box)

    def _path(self, key: str, start: QPointF, end: QPointF, a: End, b: End) -> tuple[QPointF, ...]:
        first, last = (self._lane_y(key, self._bands[self._cells[each[0]][0] // 2]) for each in (a, b))
        if key in self._spines:
            x = self._spine_x(key)
            corners = (QPointF(start.x(), first), QPointF(x, first), QPointF(x, last), QPointF(end.x(), last))
            return (start, *corners, end)
        return (start, QPointF(start.x(), first), QPointF(end.x(), first), end)

    @staticmethod
    def _lane_y(key: str, band: _Band) -> float:
        number = next(lane.number for lane in band.lanes if lane.key == key)
        return band.lanes_top + band.lane_step * (number + 0.5)


def _ghost_key(number: int) -> str:
    return f"ghost {number}"


def _size_of(count: int, columns: int) -> _Size:
    if count > FULL_NODES:
        return _compact(_Size("full", columns, 168.0, 12.0, 50.0, 52.0, 36.0, 16.0))
    node_height = 200.0 if count == 1 else 168.0
    return _Size("full", columns, node_height, 48.0, 50.0, 52.0, 36.0, 16.0)


def _low(size: _Size) -> _Size:
    return _Size("low", size.columns, 140.0, size.gap_x, 38.0, 40.0, 36.0, 10.0)


def _tight(size: _Size) -> _Size:
    """With every figure still: rows closer together, a switch in one line."""
    return _Size("tight", size.columns, TIGHT_HEIGHT, size.gap_x, 36.0, 22.0, 36.0, 10.0)


def _compact(size: _Size) -> _Size:
    return _Size("compact", size.columns, 72.0, size.gap_x, 30.0, 34.0, 20.0, 16.0)


def _cells_of(wiring: Wiring) -> dict[str, tuple[int, int]]:
    """The row and column of every node. What is joined round is placed round, so that neighbours lie side by side."""
    ids = wiring.node_ids
    count = len(ids)
    columns = min(count, COLUMNS_COMPACT if count > FULL_NODES else 2)
    if wiring.is_round and FULL_NODES <= count <= 2 * COLUMNS_COMPACT:
        columns = -(-count // 2)
    found = {}
    for i, node in enumerate(ids):
        row, column = divmod(i, columns)
        if wiring.is_round and row % 2:
            column = columns - 1 - column
        found[node] = (row, column)
    return found
