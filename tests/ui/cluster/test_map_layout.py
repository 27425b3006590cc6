"""Where everything on the map lies: nothing on a card, no words on words, every line in a way of its own."""

from __future__ import annotations

import random
from functools import cache
from itertools import combinations, pairwise, takewhile

import pytest
from PySide6.QtCore import QPointF, QRectF

from tests.core.cluster.cabling import random_cabling
from tests.ui.cluster.cabled import CASES, Cabled, placed
from ui.cluster.map.layout import find_item, rect_of, step_from
from ui.cluster.map.place import MapLayout, Side
from ui.cluster.scene import Scene

SIZES = ((688, 470), (848, 570), (1012, 470), (1400, 800))
NAMES = [name for name in CASES if name != "switch-of-64"]
SMALL = ((688, 470), (848, 570))
"""The narrowest, and the usual one."""


@cache
def scene_of(name: str) -> Scene:
    return CASES[name]().scene()


def spans(line: tuple[QPointF, ...]) -> list[QRectF]:
    """The straight parts of a line as boxes one pixel wide at least."""
    return [QRectF(a, b).normalized().adjusted(-0.5, -0.5, 0.5, 0.5) for a, b in pairwise(line)]


def boxes_of(layout: MapLayout) -> dict[str, QRectF]:
    found = {f"card {key}": rect for key, rect in layout.nodes.items()}
    found |= {f"words {key}": place.label for key, place in layout.cables.items()}
    found |= {f"device {key}": place.box for key, place in layout.cables.items() if place.box is not None}
    return found | {f"bar {bar.number} {i}": rect for bar in layout.switches for i, rect in enumerate(bar.rects)}


def check_boxes(layout: MapLayout, width: float, height: float) -> None:
    """Nothing lies on anything else, and all is inside."""
    boxes = boxes_of(layout)
    for one, rect in boxes.items():
        assert rect.width() > 20, one
        assert QRectF(0, 0, width, max(layout.height, height)).contains(rect), one
    # From the top down: what begins below the end of one cannot lie on it, nor can all that follows.
    order = sorted(boxes.items(), key=lambda item: item[1].top())
    for i, (one, rect) in enumerate(order):
        for other, against in takewhile(lambda item: item[1].top() < rect.bottom(), order[i + 1 :]):  # noqa: B023
            assert not rect.intersects(against), f"{one} lies on {other}"


def check_lines(layout: MapLayout) -> None:
    """No line runs over a card, through words or another device, or along another line."""
    for key, place in layout.cables.items():
        for part in spans(place.line):
            for node_id, rect in layout.nodes.items():
                assert not part.intersects(rect.adjusted(1, 8, -1, -8)), f"{key} runs over {node_id}"
            for other, against in layout.cables.items():
                assert not part.intersects(against.label), f"{key} runs through the words of {other}"
                is_through = other != key and against.box is not None and part.intersects(against.box)
                assert not is_through, f"{key} runs through the device of {other}"
    for (one, first), (other, second) in combinations(layout.cables.items(), 2):
        for part in spans(first.line):
            for beside in spans(second.line):
                met = part.intersected(beside)
                assert max(met.width(), met.height()) < 4, f"{one} lies on {other}"


@pytest.mark.parametrize("name", [*NAMES, "switch-of-64"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_nothing_lies_on_anything_else_and_all_is_inside(name: str, width: int, height: int) -> None:
    scene = scene_of(name)
    layout = placed(scene, width, height)
    assert set(layout.nodes) == set(scene.node_ids)
    check_boxes(layout, width, height)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("width", "height"), SMALL)
def test_no_line_runs_over_a_card_through_words_or_along_another(name: str, width: int, height: int) -> None:
    check_lines(placed(scene_of(name), width, height))


@pytest.mark.parametrize("seed", range(80, 120))
def test_any_cabling_whatsoever_is_drawn_whole_and_legibly(seed: int) -> None:
    rng = random.Random(seed)
    case = Cabled(random_cabling(rng), rng.choice(("", "pair", "ring", "switch")))
    scene = case.scene()
    drawn = {cable.key for cable in scene.cables if cable.to != "none" and cable.word != "No cable"}
    assert drawn == case.cabling.keys()
    layout = placed(scene, *SMALL[0])
    check_boxes(layout, *SMALL[0])
    check_lines(layout)


@pytest.mark.parametrize("name", NAMES)
def test_words_stand_clear_of_ports(name: str) -> None:
    layout = placed(scene_of(name), 848, 470)
    for key, place in layout.cables.items():
        for end, (at, _) in layout.ports.items():
            port = QRectF(at.x() - 15, at.y() - 7.5, 30, 15)
            assert not port.adjusted(1, 1, -1, -1).intersects(place.label), f"the words of {key} lie on {end}"


@pytest.mark.parametrize("name", NAMES)
def test_p0_lies_left_of_p1_as_on_the_box(name: str) -> None:
    layout = placed(scene_of(name))
    for node_id in layout.nodes:
        first, second = layout.ports[node_id, "P0"], layout.ports[node_id, "P1"]
        if first[1] == second[1] and first[1] in ("top", "bottom"):
            assert first[0].x() < second[0].x()


@pytest.mark.parametrize("name", NAMES)
def test_every_card_and_cable_is_hit_at_its_middle(name: str) -> None:
    layout = placed(scene_of(name))
    for node_id, rect in layout.nodes.items():
        assert find_item(layout, rect.center()) == ("node", node_id)
    for key, place in layout.cables.items():
        assert find_item(layout, place.label.center()) == ("cable", key)
        if place.box is not None:
            assert find_item(layout, place.box.center()) == ("stranger", key)
    for bar in layout.switches:
        assert find_item(layout, bar.text.center()) == ("switch", str(bar.number))
    assert find_item(layout, QPointF(424, 2)) is None


@pytest.mark.parametrize("name", NAMES)
def test_arrow_keys_reach_everything(name: str) -> None:
    layout = placed(scene_of(name))
    every = {("node", key) for key in layout.nodes} | {("cable", key) for key in layout.cables}
    every |= {("stranger", key) for key, place in layout.cables.items() if place.box is not None}
    every |= {("switch", str(bar.number)) for bar in layout.switches}
    every |= {("stranger", "switch")} if layout.guests is not None else set()
    first = step_from(layout, None, "right")
    assert first is not None
    seen, waiting = {first}, [first]
    ways: tuple[Side, ...] = ("left", "right", "top", "bottom")
    while waiting:
        here = waiting.pop()
        for way in ways:
            there = step_from(layout, here, way)
            if there is not None and there not in seen:
                seen.add(there)
                waiting.append(there)
    assert seen == every
    assert all(rect_of(layout, item) is not None for item in every)


def test_neighbours_in_a_ring_lie_side_by_side() -> None:
    layout = placed(scene_of("ring-of-eight"))
    order = list(layout.nodes)
    for one, other in pairwise([*order, order[0]]):
        away = layout.nodes[one].center() - layout.nodes[other].center()
        assert min(abs(away.x()), abs(away.y())) < 1
        assert abs(away.x()) < layout.nodes[one].width() * 1.3


def test_where_a_crossed_cable_should_be_is_drawn_too() -> None:
    assert len(placed(scene_of("crossed-ring")).ghosts) == 2
    (ghost,) = placed(scene_of("pair-crossed")).ghosts
    layout = placed(scene_of("pair-crossed"))
    assert [ghost.line[0], ghost.line[-1]] == [layout.ports["n1", "P0"][0], layout.ports["n2", "P0"][0]]
    assert not placed(scene_of("ring")).ghosts
