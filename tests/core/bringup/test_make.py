"""The plan: one value, the same for the same case, empty where nothing is to be done, and honest about what hinders."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparkdesk.core.bringup.case import Case, Choices
from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.bringup.make import make_plan
from sparkdesk.core.bringup.matrix import CellState
from sparkdesk.core.cluster.details import SudoMode
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.step_json import from_json, to_json
from tests.core.bringup.cases import make_case, make_crossed_case, with_node

CASES = {
    "pair": make_case(2, Shape.PAIR),
    "ring": make_case(3, Shape.RING),
    "crossed ring": make_crossed_case(),
    "switch": make_case(4, Shape.SWITCH),
    "chain": make_case(3, Shape.CHAIN),
    "one node": make_case(1, Shape.SINGLE),
    "ready pair": make_case(2, Shape.PAIR, is_ready=True),
    "ready switch": make_case(4, Shape.SWITCH, is_ready=True),
}
NOW_MS = 1_780_000_000_000


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_same_case_gives_the_same_bytes_which_can_be_read_back(case: Case) -> None:
    one, other = make_plan(case, NOW_MS), make_plan(replace(case, readings=dict(case.readings)), NOW_MS)
    assert one == other
    assert to_json(one.playbook) == to_json(other.playbook)
    assert to_json(one.proof) == to_json(other.proof)
    assert from_json(to_json(one.playbook)) == one.playbook
    assert from_json(to_json(one.proof)) == one.proof


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_matrix_is_whole_and_names_only_steps_of_the_plan(case: Case) -> None:
    plan = make_plan(case, NOW_MS)
    steps = {step.id: step for step in plan.playbook.steps()}
    assert len(steps) == plan.change_count
    assert len({row.id for row in plan.matrix.rows}) == len(plan.matrix.rows)
    named = set()
    for row in plan.matrix.rows:
        assert row.id.startswith(f"{Chapter(row.chapter).value}-")
        assert tuple(row.cells) == plan.matrix.node_ids == case.node_ids
        for node_id, cell in row.cells.items():
            assert (cell.state is CellState.PLANNED) == bool(cell.step_ids), (row.id, node_id)
            assert set(cell.step_ids) <= set(steps), (row.id, node_id)
            named |= set(cell.step_ids)
            if cell.state in (CellState.WARN, CellState.FAIL, CellState.UNREAD):
                assert cell.remedy, (row.id, node_id)
    order = [Chapter(row.chapter) for row in plan.matrix.rows]
    assert order == sorted(order, key=list(Chapter).index)
    for step in steps.values():
        assert step.node in case.node_ids
        assert step.id.startswith(f"{Chapter(step.phase).value}-")
        assert step.apply or step.verify


def test_the_chapters_of_the_steps_come_in_their_order() -> None:
    phases = [Chapter(step.phase) for step in make_plan(CASES["switch"], NOW_MS).playbook.steps()]
    assert phases == sorted(phases, key=list(Chapter).index)


def test_only_the_chosen_chapters_are_planned() -> None:
    plan = make_plan(replace(CASES["pair"], choices=Choices(chapters=frozenset({"trust"}))), NOW_MS)
    assert {row.chapter for row in plan.matrix.rows} == {"trust"}
    assert (plan.change_count, plan.proof_items) == (0, ())


def test_a_node_that_did_not_answer_is_in_the_matrix_and_in_no_step() -> None:
    case = with_node(CASES["switch"], "n3", did_answer=False, message="It is asleep", remedy="Wake it.")
    plan = make_plan(case, NOW_MS)
    assert plan.matrix.node_ids == ("n1", "n2", "n3", "n4")
    assert {row.cells["n3"].state for row in plan.matrix.rows} == {CellState.UNREAD}
    assert "n3" not in {step.node for step in plan.playbook.steps()}
    assert "n3" not in {end.node_id for lane in plan.scheme.lanes for end in lane.ends}
    assert "n3" not in {node_id for item in plan.proof_items for node_id in item.node_ids}
    assert plan.playbook.title == "Bring up 3 nodes"
    assert any("spark-3" in note for note in plan.notes["trust"])
    assert plan.obstacles == ()


def test_what_stands_against_it_is_told() -> None:
    pair = CASES["pair"]
    silent = with_node(with_node(pair, "n1", did_answer=False), "n2", did_answer=False)
    assert "No node answered" in make_plan(silent, NOW_MS).obstacles[0]
    assert "No node was chosen" in make_plan(replace(pair, node_ids=()), NOW_MS).obstacles[0]
    twins = with_node(pair, "n2", interfaces=pair.reading("n1").interfaces)
    assert "one machine" in make_plan(twins, NOW_MS).obstacles[0]
    told = replace(pair, obstacles=("Simulated nodes can only be read here.",))
    assert make_plan(told, NOW_MS).obstacles == ("Simulated nodes can only be read here.",)
    assert make_plan(pair, NOW_MS).obstacles == ()


def test_a_node_of_which_nobody_heard_is_one_that_did_not_answer() -> None:
    plan = make_plan(replace(CASES["pair"], node_ids=("n1", "n2", "gone")), NOW_MS)
    assert {row.cells["gone"].state for row in plan.matrix.rows} == {CellState.UNREAD}


def test_an_account_without_rights_hinders_only_where_root_is_needed() -> None:
    case = with_node(CASES["pair"], "n2", sudo=SudoMode.NOT_ALLOWED)
    plan = make_plan(case, NOW_MS)
    needs_root = any(step.node == "n2" and "as_root" in repr(step) for step in plan.playbook.steps())
    assert any("spark-2" in one for one in plan.obstacles) == ("as_root=True" in repr(plan.playbook) and needs_root)
    ready = with_node(CASES["ready pair"], "n2", sudo=SudoMode.NOT_ALLOWED)
    if not make_plan(ready, NOW_MS).change_count:
        assert make_plan(ready, NOW_MS).obstacles == ()
