"""Find and trust: what is pinned, who signed in, what sudo wants, and that no node is in the plan twice."""

from __future__ import annotations

import pytest

from sparkdesk.core.bringup.chapters.trust import find_twins, plan_trust
from sparkdesk.core.bringup.matrix import CellState
from sparkdesk.core.cluster.details import SudoMode
from sparkdesk.core.cluster.topology import Shape
from tests.core.bringup.cases import HOST_KEYS, cell, make_case, with_node


def test_a_pair_out_of_the_box_is_trusted_and_nothing_is_to_be_done() -> None:
    plan = plan_trust(make_case(2, Shape.PAIR))
    assert {one.state for row in plan.rows for one in row.cells.values()} == {CellState.PASS}
    assert (plan.stages, plan.diffs) == ((), ())
    assert [row.id for row in plan.rows] == ["trust-host-key", "trust-identity", "trust-sign-in", "trust-sudo"]
    assert "SHA256:" in cell(plan, "trust-host-key", "n1").evidence
    assert plan.notes == ()


@pytest.mark.parametrize(
    ("mode", "state"),
    [
        (SudoMode.NO_PASSWORD, CellState.PASS),
        (SudoMode.NOT_ALLOWED, CellState.FAIL),
        (SudoMode.ABSENT, CellState.FAIL),
        (SudoMode.UNKNOWN, CellState.UNREAD),
    ],
)
def test_what_sudo_wants_is_judged(mode: SudoMode, state: CellState) -> None:
    found = cell(plan_trust(with_node(make_case(2, Shape.PAIR), "n2", sudo=mode)), "trust-sudo", "n2")
    assert found.state is state
    assert bool(found.remedy) == (state is not CellState.PASS)


@pytest.mark.parametrize("key", ["", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-rsa " + HOST_KEYS[0].split()[1]])
def test_a_host_key_that_is_none_is_not_trusted(key: str) -> None:
    found = cell(plan_trust(with_node(make_case(2, Shape.PAIR), "n1", host_key=key)), "trust-host-key", "n1")
    assert (found.state, bool(found.remedy)) == (CellState.FAIL, True)


def test_two_nodes_with_the_same_hardware_are_one_machine() -> None:
    case = make_case(2, Shape.PAIR)
    case = with_node(case, "n2", interfaces=case.reading("n1").interfaces)
    assert find_twins(case) == {"n2": "spark-1"}
    found = cell(plan_trust(case), "trust-identity", "n2")
    assert (found.state, found.text) == (CellState.FAIL, "is spark-1")


def test_nodes_whose_hardware_nobody_read_are_not_told_apart_and_not_joined() -> None:
    case = make_case(2, Shape.PAIR)
    for node_id in case.node_ids:
        case = with_node(case, node_id, interfaces={})
    assert find_twins(case) == {}
    assert cell(plan_trust(case), "trust-identity", "n1").state is CellState.UNREAD


def test_accounts_that_differ_are_told() -> None:
    plan = plan_trust(with_node(make_case(2, Shape.PAIR), "n2", user="anna"))
    assert any("anna, nvidia" in note for note in plan.notes)


def test_an_account_without_a_home_is_not_ready() -> None:
    case = with_node(make_case(2, Shape.PAIR), "n1", home="", problems={"home": "the account has no home"})
    found = cell(plan_trust(case), "trust-sign-in", "n1")
    assert (found.state, found.evidence) == (CellState.UNREAD, "the account has no home")


def test_a_node_that_did_not_answer_passes_nothing() -> None:
    case = with_node(make_case(2, Shape.PAIR), "n2", did_answer=False, message="It is asleep", remedy="Wake it.")
    cells = [row.cells["n2"] for row in plan_trust(case).rows]
    assert {(one.state, one.evidence, one.remedy) for one in cells} == {(CellState.UNREAD, "It is asleep", "Wake it.")}
