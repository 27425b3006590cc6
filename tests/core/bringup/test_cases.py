"""The cases that the tests of the bring-up rest on hold together."""

from __future__ import annotations

import pytest

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.cluster.topology import Shape
from tests.core.bringup.cases import make_case, make_crossed_case

SHAPES = [(2, Shape.PAIR), (3, Shape.RING), (4, Shape.SWITCH), (3, Shape.SWITCH), (4, Shape.RING), (3, Shape.CHAIN)]


@pytest.mark.parametrize("is_ready", [False, True])
@pytest.mark.parametrize(("count", "shape"), SHAPES)
def test_a_case_has_the_shape_that_was_asked_for_and_no_problem(count: int, shape: Shape, is_ready: bool) -> None:
    case = make_case(count, shape, is_ready=is_ready)
    assert (len(case.node_ids), case.topology.shape, case.topology.problems) == (count, shape, ())
    assert_interfaces_are_those_of_the_cables(case)


def test_a_crossed_ring_is_a_ring_with_a_note() -> None:
    case = make_crossed_case()
    assert (case.topology.shape, case.topology.is_crossed) == (Shape.RING, True)


def assert_interfaces_are_those_of_the_cables(case: Case) -> None:
    for cable in case.topology.cables:
        for pair in cable.halves:
            for half in (pair.a, pair.b):
                if half is not None:
                    known = case.reading(half.node_id).interfaces[half.netdev]
                    assert (known.mac, known.mtu, known.addresses) == (half.mac, half.mtu, half.addresses)
                    assert (known.carrier, known.speed_gbps, known.is_rdma_active) == (True, 200.0, True)
