"""RDMA bandwidth is measured both ways: a port that only receives badly is found, and the weaker way is what counts."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from sparkdesk.core.bringup.proof.judge import judge_all
from sparkdesk.core.bringup.proof.measurement import Grade, Measurement, ProofKind
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.step import Serve
from tests.core.bringup.proof.proofs import BANDWIDTH, Proof, make_proof

PAIR = make_proof(2, Shape.PAIR)
FROM_1, FROM_2 = "n1", "n2"


def judged(proof: Proof, gbps: Mapping[str, tuple[float | None, float | None]]) -> Measurement:
    """The proof's first cable where each node sends so much, half by half; None: nothing that can be read."""
    told = proof.printing(
        ProofKind.RDMA_BANDWIDTH,
        lambda part: (
            BANDWIDTH.format(gbps=f"{gbps[part.source.node_id][part.half]:.2f}")
            if gbps[part.source.node_id][part.half] is not None
            else "Couldn't listen to port"
        ),
    )
    found = judge_all(told.items, told.outputs, told.results, False)
    return next(one for one in found if one.item.kind is ProofKind.RDMA_BANDWIDTH)


@pytest.mark.parametrize(("count", "shape"), [(2, Shape.PAIR), (3, Shape.RING), (4, Shape.SWITCH)])
def test_a_way_of_a_cable_is_over_before_the_other_one_begins(count: int, shape: Shape) -> None:
    ways: dict[frozenset[str], list[tuple[str, str]]] = {}
    for stage in make_proof(count, shape).playbook.stages:
        senders: dict[str, set[str]] = {}
        for step in stage.steps:
            if step.id.startswith("proof-bandwidth"):
                (serve,) = step.apply
                assert isinstance(serve, Serve)
                senders.setdefault(step.node, set()).add(serve.node)
        assert not set(senders) & {node for nodes in senders.values() for node in nodes}, "one way at a time"
        for source, targets in senders.items():
            (target,) = targets
            ways.setdefault(frozenset({source, target}), []).append((source, target))
    assert ways
    for told in ways.values():
        there, back = told
        assert there == back[::-1]


def test_what_one_way_lacks_is_not_made_up_by_the_other() -> None:
    found = judged(PAIR, {FROM_1: (40.0, 42.5), FROM_2: (92.57, 97.28)})
    assert (found.grade, found.value) == (Grade.FAIL, pytest.approx(82.5))
    assert found.message == "92.6 + 97.3 to spark-1, 40.0 + 42.5 to spark-2, both halves · passes at 185"
    assert found.causes[0].startswith("One way only is slow (enp1s0f1np1 of spark-1 to spark-2: 40.0 Gb/s, back 92.6)")
    assert "it is a port" in found.remedy


def test_a_cable_that_is_weak_both_ways_is_not_called_slow_one_way_only() -> None:
    found = judged(PAIR, {FROM_1: (40.0, 97.0), FROM_2: (45.0, 97.0)})
    assert found.value == pytest.approx(137.0)
    assert "One half gives far less" in found.causes[0]
    assert not any("One way only" in cause for cause in found.causes)


def test_a_degraded_port_is_named_first_though_only_one_way_shows_it() -> None:
    found = judged(PAIR, {FROM_1: (92.5, 97.2), FROM_2: (12.86, 97.2)})
    assert found.grade is Grade.FAIL
    assert "came up degraded" in found.causes[0]
    assert "enp1s0f1np1 of spark-2 to spark-1: 12.9" in found.causes[0]


def test_a_way_that_was_not_measured_leaves_the_cable_unproved_and_names_what_is_known() -> None:
    found = judged(PAIR, {FROM_1: (None, 97.2), FROM_2: (92.5, 97.2)})
    assert (found.grade is Grade.PASS, found.value) == (False, None)
    assert "92.5 Gb/s on half 1 to spark-1, 97.2 Gb/s on half 2 to spark-1, 97.2 Gb/s on half 2 to spark-2" in (
        found.message
    )
