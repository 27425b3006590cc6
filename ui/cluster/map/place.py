"""What a layout of the map is made of: sizes, and the places of cards, ports, cables, labels and switches.

The one rule: places only; what stands there is the scene's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from PySide6.QtCore import QPointF, QRectF

from sparkdesk.core.cluster.half import End

Density = Literal["full", "low", "tight", "compact"]
"""TIGHT has every figure of LOW with less air between its rows; COMPACT has none."""
Side = Literal["left", "right", "top", "bottom"]
Ports = dict[End, tuple[QPointF, Side]]

EDGE: Final = 16.0
LEGEND_HEIGHT: Final = 34.0
PORT_WIDTH: Final = 30.0
PORT_HEIGHT: Final = 15.0
NODE_MAX_WIDTH: Final = 440.0
LABEL_WIDTH: Final = 150.0
LABEL_HEIGHT: Final = 34.0
TIGHT_HEIGHT: Final = 126.0
"""Of a card whose map has hardly any height."""
OPEN_HEIGHT: Final = 16.0
"""Of the words at a cage without a cable."""
CAGE_SHARE: Final = {"P0": 0.38, "P1": 0.58}
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
    box: QRectF | None = None
    """Where the other device at its end stands."""
    hops: tuple[QPointF, ...] = ()
    """Where it runs over another cable that it is not joined with."""


@dataclass(frozen=True, slots=True)
class SwitchPlace:
    """One switch: a bar in every gap between cards where cables end on it, joined by a spine."""

    number: int
    rects: tuple[QRectF, ...]
    text: QRectF
    """Where its words have room, in the first bar."""
    spine: tuple[QPointF, QPointF] | None = None


@dataclass(frozen=True, slots=True)
class Ghost:
    """Where a cable would be as the guides have it; `port` is where that cage would be, if none is drawn there."""

    line: tuple[QPointF, ...]
    port: QPointF | None = None
    cage: str = ""


@dataclass(frozen=True, slots=True)
class MapLayout:
    """All positions for one size and wiring."""

    density: Density
    nodes: dict[str, QRectF] = field(default_factory=dict)
    ports: Ports = field(default_factory=dict)
    cables: dict[str, CablePlace] = field(default_factory=dict)
    switches: tuple[SwitchPlace, ...] = ()
    guests: QRectF | None = None
    """The mark on a switch for devices that are no nodes."""
    ghosts: tuple[Ghost, ...] = ()
    height: float = 0.0
    """What the whole needs; more than there is when it does not fit."""


def area_of(line: tuple[QPointF, ...], *rects: QRectF) -> QRectF:
    """What is painted for a line and its boxes."""
    xs, ys = [point.x() for point in line], [point.y() for point in line]
    whole = QRectF(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)).adjusted(-8, -10, 8, 10)
    for rect in rects:
        whole = whole.united(rect)
    return whole


def menu_rect(card: QRectF, density: Density) -> QRectF:
    """Where the button of a card's menu stands."""
    if density == "compact":
        return QRectF(card.right() - 10 - 14 - 28, card.top() + 4, 24, 24)
    # In the row of what is served.
    down = 27.0 if density == "tight" else 43.0 if card.height() >= 200 else 34.0
    return QRectF(card.right() - 10 - 24, card.top() + down, 24, 24)
