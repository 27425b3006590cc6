"""What a cable is called, and where it lies."""

from __future__ import annotations

import math

import pytest
from PySide6.QtCore import QPointF, QRectF

from sparkdesk.core.telemetry.cage import ports_of
from tests.ui import rack
from ui.cluster.cable import Cable, End, Shape, build_cables, plan_ends, shape_of
from ui.cluster.layout import Side, find_item, lay_out, step_from

NAMES = {f"node{i}": rack.record(i).name for i in range(8)}


def cables(shape: Shape, values: dict[int, dict[str, float]], count: int) -> dict[str, Cable]:
    ports = {}
    for i, changed in values.items():
        for port in ports_of(rack.sample(i, values=changed)):
            ports[f"node{i}", port.cage] = port
    node_ids = tuple(f"node{i}" for i in range(count))
    return {cable.key: cable for cable in build_cables(shape, node_ids, ports, NAMES)}


def test_a_cable_at_full_speed_says_so_with_its_rates() -> None:
    cable = cables("switch", {0: {}}, 1)["node0:P1"]
    assert (cable.look, cable.word, cable.tx, cable.rx) == ("up", "200G", "11.8", "11.6")


def test_a_slow_cable_says_what_was_expected() -> None:
    cable = cables("switch", {0: {"cage_speed_gbps.P1": 100.0}}, 1)["node0:P1"]
    assert (cable.look, cable.word) == ("degraded", "100G, expected 200G")


def test_one_half_up_is_degraded() -> None:
    cable = cables("switch", {0: {"cage_up.P1": 1.0}}, 1)["node0:P1"]
    assert (cable.look, cable.word) == ("degraded", "One half up, expected two")


def test_without_data_a_cable_is_not_known_and_has_no_tick() -> None:
    cable = cables("switch", {}, 2)["node1:P1"]
    assert (cable.look, cable.word, cable.tx) == ("unknown", "not known", "")


def test_a_cage_that_no_node_uses_is_no_fault_but_one_that_others_use_is() -> None:
    found = cables("switch", {0: {}, 1: {"cage_up.P1": 0.0}}, 2)
    assert found["node0:P0"].look == "unused"
    assert (found["node1:P1"].look, found["node1:P1"].word) == ("down", "Down")


def test_a_cable_between_nodes_is_as_good_as_its_worse_end() -> None:
    found = cables("pair", {0: {}, 1: {"cage_speed_gbps.P1": 100.0}}, 2)
    assert found["node0:P1|node1:P1"].look == "degraded"
    assert found["node0:P0|node1:P0"].look == "unused", "one cable is enough for a pair"
    none = cables("pair", {0: {"cage_up.P1": 0.0}, 1: {"cage_up.P1": 0.0}}, 2)
    assert {cable.look for cable in none.values()} == {"down"}
    alone = cables("pair", {0: {}}, 2)
    assert alone["node0:P1|node1:P1"].look == "unknown"


def test_a_speed_that_is_not_known_is_not_called_200g() -> None:
    cable = cables("switch", {0: {"cage_speed_gbps.P1": math.nan}}, 1)["node0:P1"]
    assert "200" not in cable.word


def test_a_ring_joins_each_p0_to_the_next_p1() -> None:
    assert plan_ends("ring", ("a", "b", "c")) == (
        (("a", "P0"), ("b", "P1")),
        (("b", "P0"), ("c", "P1")),
        (("c", "P0"), ("a", "P1")),
    )


@pytest.mark.parametrize(
    ("recorded", "count", "drawn"),
    [("single", 1, "single"), ("pair", 2, "pair"), ("ring", 3, "ring"), ("switch", 4, "switch")],
)
def test_a_recorded_shape_is_drawn(recorded: str, count: int, drawn: str) -> None:
    assert shape_of(recorded, count) == drawn


@pytest.mark.parametrize(("recorded", "count"), [("", 2), ("ring", 4), ("pair", 3), ("mesh", 4)])
def test_a_shape_that_is_not_known_claims_no_cable(recorded: str, count: int) -> None:
    assert shape_of(recorded, count) == "loose"
    assert all(len(ends) == 1 for ends in plan_ends("loose", tuple(f"node{i}" for i in range(count))))


# Where things lie -------------------------------------------------------------------------------------------------

LAYOUTS: list[tuple[Shape, int]] = [("single", 1), ("pair", 2), ("ring", 3), ("switch", 4), ("switch", 8), ("loose", 3)]
SIZES = ((688, 520), (848, 570), (1012, 470), (1400, 800))


@pytest.mark.parametrize(("shape", "count"), LAYOUTS)
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_cards_lie_inside_the_map_and_never_on_each_other(shape: Shape, count: int, width: int, height: int) -> None:
    layout = lay_out(shape, tuple(f"node{i}" for i in range(count)), width, height)
    rects = list(layout.nodes.values()) + ([layout.switch] if layout.switch else [])
    assert len(layout.nodes) == count
    for i, rect in enumerate(rects):
        assert QRectF(0, 0, width, height).contains(rect)
        assert all(not rect.intersects(other) for other in rects[i + 1 :])


@pytest.mark.parametrize(("shape", "count"), LAYOUTS)
def test_a_cables_words_lie_on_no_card(shape: Shape, count: int) -> None:
    layout = lay_out(shape, tuple(f"node{i}" for i in range(count)), 848, 570)
    for place in layout.cables.values():
        middle = place.label.center()
        assert all(not rect.contains(middle) for rect in layout.nodes.values())


def test_every_card_and_cable_is_hit_at_its_middle() -> None:
    layout = lay_out("switch", ("a", "b", "c", "d"), 848, 570)
    for node_id, rect in layout.nodes.items():
        assert find_item(layout, rect.center()) == ("node", node_id)
    for key, place in layout.cables.items():
        assert find_item(layout, (place.line[0] + place.line[1]) / 2) == ("cable", key)
    assert find_item(layout, QPointF(424, 2)) is None


@pytest.mark.parametrize(("shape", "count"), LAYOUTS)
def test_arrow_keys_reach_every_node_and_cable(shape: Shape, count: int) -> None:
    layout = lay_out(shape, tuple(f"node{i}" for i in range(count)), 848, 570)
    every: set[tuple[str, str]] = {("node", key) for key in layout.nodes} | {("cable", key) for key in layout.cables}
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


def end_of(node_id: str, cage: str) -> End:
    return node_id, cage


def test_p0_lies_left_of_p1_as_on_the_box() -> None:
    layout = lay_out("switch", ("a", "b", "c", "d"), 848, 570)
    for node_id in "abcd":
        assert layout.ports[end_of(node_id, "P0")][0].x() < layout.ports[end_of(node_id, "P1")][0].x()
