"""A cable of the declared shape that was never there is a concern once a whole look says so, and only then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparkdesk.core.cluster.topology import LookState, Topology, build_topology
from sparkdesk.core.findings.concern import Concern, Judgement, Severity
from sparkdesk.core.findings.judge_missing import judge_missing
from sparkdesk.core.findings.table import judge_cluster, judge_one
from sparkdesk.core.findings.view import CageRecord, NodeNow
from tests.core.cluster.cabling import Cabling, pair, ring, switch
from tests.core.findings.nodes import make_node

UP, OPEN = CageRecord(2, 200.0), CageRecord(0, 0.0)
NONE = Cabling(2, [])


def without(cabling: Cabling, number: int) -> Cabling:
    """One of its cables was never put in."""
    return replace(cabling, wires=[wire for i, wire in enumerate(cabling.wires) if i != number])


def nodes_of(cabling: Cabling) -> tuple[NodeNow, ...]:
    """What the samples tell of these cables."""
    used = {end for wire in cabling.wires for end in wire.ends}
    return tuple(
        make_node(node, cages={cage: UP if (node, cage) in used else OPEN for cage in ("P0", "P1")})
        for node in cabling.nodes
    )


def look(cabling: Cabling) -> Topology:
    return build_topology(cabling.views(), {})


def judged(
    cabling: Cabling, declared: str, topology: Topology | None = None, views: tuple[NodeNow, ...] = ()
) -> dict[str, Judgement]:
    views = views or nodes_of(cabling)
    found = judge_cluster(views, topology or look(cabling), declared)
    return {one.id: one for one in found if one.id.startswith("missing-cable/")}


def told(judgements: dict[str, Judgement]) -> dict[str, Concern]:
    return {key: one.concern for key, one in judgements.items() if one.concern is not None}


def test_a_cable_of_a_ring_that_was_never_there_is_told_once_with_both_its_ends() -> None:
    (concern,) = told(judged(without(ring(), 1), "ring")).values()
    assert (concern.id, concern.severity) == ("missing-cable/n2/P0", Severity.WARN)
    assert "spark-n2 P0 and spark-n3 P1" in concern.evidence
    assert concern.remedy


def test_two_nodes_without_any_cable_miss_one_and_with_one_none() -> None:
    assert set(told(judged(NONE, "pair"))) == {"missing-cable/n1/P0"}
    assert told(judged(pair(), "pair")) == {}


@pytest.mark.parametrize(
    ("cabling", "declared"),
    [(ring(), "ring"), (without(ring(), 1), ""), (without(ring(), 1), "single"), (NONE, ""), (switch(3), "ring")],
)
def test_nothing_is_missing_where_all_is_there_or_no_such_shape_was_declared(cabling: Cabling, declared: str) -> None:
    assert told(judged(cabling, declared)) == {}


def test_what_a_cages_own_judge_tells_is_not_told_twice() -> None:
    cut = without(ring(), 1)
    views = nodes_of(cut)
    views = (views[0], replace(views[1], best_cages={"P0": UP}), views[2])
    assert [one.id for one in judge_one(views[1], views) if one.concern is not None] == ["link/n2/P0"]
    assert told(judged(cut, "ring", views=views)) == {}
    both = tuple(replace(view, best_cages={"P1": UP}) for view in nodes_of(NONE))
    assert told(judged(NONE, "pair", views=both)) == {}
    on_switch = switch(4)
    on_switch.wires[0].ends = on_switch.wires[0].ends[:3]
    assert told(judged(on_switch, "switch")) == {}, "most others have a link in this cage"


def test_a_cable_that_came_after_the_look_is_not_missing() -> None:
    assert told(judged(without(ring(), 1), "ring", views=nodes_of(ring()))) == {}


def test_it_cannot_be_told_without_a_whole_look_at_these_nodes_that_all_answered() -> None:
    cut = without(ring(), 1)
    seen, views = look(cut), nodes_of(cut)
    for topology in (
        *(replace(seen, state=state) for state in (LookState.NONE, LookState.LOOKING, LookState.FAILED)),
        replace(seen, away=("n1",)),
        replace(seen, rank_order=("n1", "n2")),
    ):
        assert not any(one.is_known for one in judged(cut, "ring", topology).values())
    silent = (views[0], replace(views[1], cages={}), views[2])
    found = {one.id: one for one in judge_missing(silent, seen, "ring")}
    assert found["missing-cable/n2/P0"].is_known is False
