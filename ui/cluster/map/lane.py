"""Which lane of a channel each line takes, and where lines that are not joined run over each other. Pure geometry.

The one rule: as few crossings as can be; one that must be is a hop of the level line over the upright one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, permutations

from PySide6.QtCore import QPointF

from ui.cluster.map.place import CablePlace

LANE = 10.0
"""From one lane to the next, where there are many."""
HOP = 7.0
"""Half of the gap in what a line runs over."""
_MOST_TRIED = 5
"""So many lanes are tried in every order: 120 of them."""
_CLEAR = 3.0
Way = tuple[float, bool]
"""Where a line leaves its lane, and whether it goes down there."""


@dataclass(slots=True)
class Lane:
    """A line's way through a channel."""

    key: str
    ways: tuple[Way, Way]
    number: int = 0

    @property
    def left(self) -> float:
        """Where it begins."""
        return min(x for x, _ in self.ways)

    @property
    def right(self) -> float:
        """Where it ends."""
        return max(x for x, _ in self.ways)


def order_lanes(lanes: Sequence[Lane]) -> None:
    """Number the lanes of a channel from the top: none on another, with the fewest crossings."""
    for i, lane in enumerate(lanes):
        before = lanes[:i]
        taken = {one.number for one in before if one.left < lane.right + 16 and lane.left < one.right + 16}
        lane.number = next(number for number in range(len(taken) + 1) if number not in taken)
    numbers = [lane.number for lane in lanes]
    count = max(numbers, default=-1) + 1
    if not 1 < count <= _MOST_TRIED:
        return
    best = min(permutations(range(count)), key=lambda order: _cost(lanes, [order[number] for number in numbers]))
    for lane, number in zip(lanes, numbers, strict=True):
        lane.number = best[number]


def _cost(lanes: Sequence[Lane], numbers: Sequence[int]) -> int:
    """Crossings, and ten for each part of a line that lies on another."""
    found = 0
    for one, number in zip(lanes, numbers, strict=True):
        for other, against in zip(lanes, numbers, strict=True):
            if one is other:
                continue
            for x, is_down in other.ways:
                is_met = number > against if is_down else number < against
                found += is_met and one.left - _CLEAR < x < one.right + _CLEAR
            found += 10 * _shared(one, number, other, against)
    return found


def _shared(upper: Lane, number: int, lower: Lane, against: int) -> int:
    """How many uprights of the one, from above, lie on uprights of the other, from below."""
    if number < against:
        return 0
    ups = [x for x, is_down in upper.ways if not is_down]
    return sum(is_down and any(abs(x - up) < _CLEAR for up in ups) for x, is_down in lower.ways)


def lies_along(lanes: Sequence[Lane], from_above: Collection[int]) -> bool:
    """Whether an upright lies on another. `from_above`: where lines come down to a switch."""
    for one in lanes:
        if any(is_down and round(x) in from_above for x, is_down in one.ways):
            return True
        if any(_shared(one, one.number, other, other.number) for other in lanes if other is not one):
            return True
    return False


def with_hops(cables: dict[str, CablePlace]) -> dict[str, CablePlace]:
    """The same cables, each with the points where its level parts run over another."""
    uprights = {key: _parts(place, is_level=False) for key, place in cables.items()}
    found = {}
    for key, place in cables.items():
        hops = []
        for first, last in _parts(place, is_level=True):
            left, right = sorted((first.x(), last.x()))
            for other, parts in uprights.items():
                for top, bottom in parts if other != key else ():
                    low, high = sorted((top.y(), bottom.y()))
                    if left < top.x() < right and low < first.y() < high:
                        hops.append(QPointF(top.x(), first.y()))
        found[key] = replace(place, hops=tuple(hops)) if hops else place
    return found


def _parts(place: CablePlace, *, is_level: bool) -> list[tuple[QPointF, QPointF]]:
    parts = pairwise(place.line)
    return [(a, b) for a, b in parts if (a.y() == b.y() if is_level else a.x() == b.x())]
