"""The cabling as a bring-up tells it: cages, speed, halves, peers, and what is wrong, with what a person does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.chapters.cabling import NAME_IT, plan_cabling
from sparkdesk.core.bringup.matrix import CellState
from sparkdesk.core.cluster.topology import LookState, Shape, Topology, build_topology
from tests.core.bringup.cases import case_of, cell, make_case, make_crossed_case, with_node
from tests.core.cluster.cabling import Cabling, Wire, pair, two_cables


def with_port(case: Case, node_id: str, netdev: str, **changes: object) -> Case:
    ports = dict(case.reading(node_id).interfaces)
    ports[netdev] = replace(ports[netdev], **changes)  # type: ignore[arg-type]
    return with_node(case, node_id, interfaces=ports)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (make_case(2, Shape.PAIR), ["P1", "spark-2 P1", "200G", "2 of 2", "as it should be"]),
        (case_of(two_cables()), ["P0 + P1", "spark-2 P0, spark-2 P1", "200G", "4 of 4", "as it should be"]),
        (make_case(3, Shape.RING), ["P0 + P1", "spark-2 P1, spark-3 P0", "200G", "4 of 4", "as it should be"]),
        (make_case(4, Shape.SWITCH), ["P0", "switch", "200G", "2 of 2", "as it should be"]),
    ],
    ids=["pair", "two cables", "ring", "switch"],
)
def test_a_cabling_as_the_guides_have_it_passes(case: Case, words: list[str]) -> None:
    plan = plan_cabling(case)
    assert [row.cells["n1"].text for row in plan.rows] == words
    assert {one.state for row in plan.rows for one in row.cells.values()} == {CellState.PASS}
    assert plan.stages == ()


def test_another_cage_that_works_at_full_speed_is_a_note() -> None:
    plan = plan_cabling(case_of(pair("01")))
    assert cell(plan, "cabling-cage", "n2").text == "P1, others use P0"
    assert {one.state for row in plan.rows for one in row.cells.values()} == {CellState.PASS}
    assert any("the guide has the same cage" in note for note in plan.notes)


def test_a_crossed_ring_works_and_is_told_at_both_ends_of_each_cable_that_is() -> None:
    case = make_crossed_case()
    plan = plan_cabling(case)
    cables = [
        case.topology.cable_at((one.node_id, one.cage)) for one in case.topology.problems if one.id == "miscabled"
    ]
    ends = {end[0] for cable in cables if cable is not None for end in (cable.a, cable.b) if end is not None}
    told = {one for one in case.node_ids if cell(plan, "cabling-wiring", one).text == "crossed, and works"}
    assert (told, len(told) > 1) == (ends, True)
    assert {one.state for row in plan.rows for one in row.cells.values()} == {CellState.PASS}


def test_a_slow_line_a_half_without_a_link_and_a_silent_rdma_device_are_warned_of() -> None:
    case = make_case(2, Shape.PAIR)
    slow = plan_cabling(with_port(case, "n1", "enp1s0f1np1", speed_gbps=100.0))
    assert (cell(slow, "cabling-speed", "n1").text, cell(slow, "cabling-speed", "n1").state) == ("100G", CellState.WARN)
    down = plan_cabling(with_port(case, "n1", "enP2p1s0f1np1", carrier=False))
    assert cell(down, "cabling-halves", "n1").text == "1 of 2"
    silent = plan_cabling(with_port(case, "n1", "enP2p1s0f1np1", is_rdma_active=False))
    found = cell(silent, "cabling-halves", "n1")
    assert (found.text, found.state, "NCCL" in found.remedy) == ("2 of 2, RDMA 1", CellState.WARN, True)


def test_what_is_not_told_is_never_a_pass() -> None:
    case = make_case(2, Shape.PAIR)
    unknown = plan_cabling(with_port(case, "n1", "enP2p1s0f1np1", carrier=None, speed_gbps=float("nan")))
    assert cell(unknown, "cabling-halves", "n1").state is CellState.UNREAD
    mute = plan_cabling(with_port(case, "n1", "enp1s0f1np1", speed_gbps=float("nan")))
    assert cell(mute, "cabling-speed", "n1").state is CellState.UNREAD
    blind = plan_cabling(with_node(case, "n1", interfaces={}))
    assert cell(blind, "cabling-cage", "n1").state is CellState.UNREAD
    unseen = plan_cabling(replace(case, topology=Topology(state=LookState.FAILED, message="No", remedy="Again.")))
    assert (cell(unseen, "cabling-peer", "n1").state, cell(unseen, "cabling-wiring", "n1").remedy) == (
        CellState.UNREAD, "Again.",
    )  # fmt: skip


def test_a_node_without_a_cable_is_told_to_get_one() -> None:
    found = cell(plan_cabling(make_case(2, Shape.SINGLE)), "cabling-cage", "n1")
    assert (found.state, found.text, bool(found.remedy)) == (CellState.FAIL, "no cable", True)


def test_a_single_node_needs_no_cable() -> None:
    plan = plan_cabling(make_case(1, Shape.SINGLE))
    assert {one.state for row in plan.rows for one in row.cells.values()} == {CellState.SKIPPED}


def test_a_strange_spark_behind_a_cage_is_offered() -> None:
    plan = plan_cabling(case_of(Cabling(1, [Wire([("n1", "P1")], ["4c:bb:47:99:00:01", "4c:bb:47:99:00:02"])])))
    assert "Found on spark-1 P1: another Spark. Add it?" in plan.notes
    found = cell(plan, "cabling-peer", "n1")
    assert (found.state, found.text) == (CellState.WARN, "another Spark")


@pytest.mark.parametrize("macs", [[], ["00:11:22:33:44:55"]], ids=["nobody answers", "a device without a name"])
def test_what_nobody_knows_is_no_success_until_a_person_has_named_it(macs: list[str]) -> None:
    cabling = Cabling(1, [Wire([("n1", "P1")], macs)])
    plan = plan_cabling(case_of(cabling))
    found = cell(plan, "cabling-peer", "n1")
    assert (found.state, found.text, found.remedy) == (CellState.UNREAD, "unknown device", NAME_IT)
    wiring = cell(plan, "cabling-wiring", "n1")
    assert wiring.state is (CellState.PASS if macs else CellState.UNREAD), "a word was heard, so the wire is whole"
    case = case_of(cabling)
    named = plan_cabling(replace(case, topology=build_topology(cabling.views(), {macs[0] if macs else "n1:P1": "NAS"})))
    told = [cell(named, row_id, "n1") for row_id in ("cabling-peer", "cabling-wiring")]
    assert [(one.state, one.text) for one in told] == [
        (CellState.PASS, "NAS"), (CellState.PASS, "as it should be"),
    ]  # fmt: skip


def test_problems_of_addresses_are_not_the_cablings() -> None:
    cabling = pair()
    cabling.mtus[("n1", "enp1s0f1np1")] = 4200
    case = case_of(cabling)
    assert {problem.id for problem in case.topology.problems} == {"mtu-mismatch"}
    assert {row.cells["n1"].state for row in plan_cabling(case).rows} == {CellState.PASS}
