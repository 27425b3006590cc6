"""What a cable is called before anybody looked where it leads: only what the carriers tell."""

from __future__ import annotations

import math

import pytest

from sparkdesk.core.cluster.planned_cable import planned_ends, shape_of
from sparkdesk.core.cluster.topology import Topology
from sparkdesk.core.telemetry.cage import ports_of
from tests.ui import rack
from ui.cluster.cable import Cable, CableBuilder, CableFacts
from ui.cluster.map.wiring import Shape, build_wiring

NAMES = {f"node{i}": rack.record(i).name for i in range(8)}


def cables(shape: Shape, values: dict[int, dict[str, float]], count: int) -> dict[str, Cable]:
    ports = {}
    for i, changed in values.items():
        for port in ports_of(rack.sample(i, values=changed)):
            ports[f"node{i}", port.cage] = port
    node_ids = tuple(f"node{i}" for i in range(count))
    wiring = build_wiring(Topology(), shape, node_ids)
    assert not wiring.is_seen
    found = CableBuilder().build(wiring, CableFacts(ports=ports, names=NAMES))
    assert all(cable.is_detecting and cable.to == "none" for cable in found)
    return {cable.key: cable for cable in found}


def test_a_cable_at_full_speed_says_so_with_its_rates() -> None:
    cable = cables("switch", {0: {}}, 2)["node0:P1"]
    assert (cable.look, cable.word, cable.tx, cable.rx) == ("up", "200G", "11.8", "11.6")


def test_a_slow_cable_says_what_was_expected() -> None:
    cable = cables("switch", {0: {"cage_speed_gbps.P1": 100.0}}, 2)["node0:P1"]
    assert (cable.look, cable.word) == ("degraded", "100G, expected 200G")


def test_one_half_up_is_degraded() -> None:
    cable = cables("switch", {0: {"cage_up.P1": 1.0}}, 2)["node0:P1"]
    assert (cable.look, cable.word) == ("degraded", "100G, 1 of 2 halves")


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
    cable = cables("switch", {0: {"cage_speed_gbps.P1": math.nan}}, 2)["node0:P1"]
    assert "200" not in cable.word


def test_a_ring_joins_each_p0_to_the_next_p1() -> None:
    assert planned_ends("ring", ("a", "b", "c")) == (
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
    assert all(len(ends) == 1 for ends in planned_ends("loose", tuple(f"node{i}" for i in range(count))))
