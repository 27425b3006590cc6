"""What is said of a plan before anything was done."""

from __future__ import annotations

from dataclasses import replace

from sparkdesk.core.bringup.make import make_plan
from sparkdesk.core.bringup.matrix import Cell, CellState, Matrix, Row
from sparkdesk.core.bringup.plan import BringUpPlan
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.step import Playbook
from sparkdesk.services.bringup.words import MEND_FIRST, plan_words
from tests.core.bringup.cases import make_case, with_node


def a_plan(second: CellState) -> BringUpPlan:
    """Nothing to change on two nodes, of which the first is as it should be."""
    plan = make_plan(make_case(2, Shape.PAIR), 0)
    cells = {"n1": Cell(CellState.PASS, "ok"), "n2": Cell(second, "?", remedy="Look.")}
    matrix = Matrix(("n1", "n2"), (Row("docker", "docker", "Docker", cells),))
    return replace(plan, matrix=matrix, playbook=Playbook("p", ()), obstacles=())


def test_nothing_to_change_is_success_only_where_all_is_known_and_right() -> None:
    assert plan_words(a_plan(CellState.PASS)) == (
        "Everything is as it should be: there is nothing to change.", "",
    )  # fmt: skip
    for state in (CellState.FAIL, CellState.UNREAD):
        words = "There is nothing to change, but not all is as it should be on spark-2."
        assert plan_words(a_plan(state)) == (words, MEND_FIRST), state


def test_a_node_that_does_not_answer_is_not_said_to_be_as_it_should_be() -> None:
    case = with_node(with_node(make_case(2, Shape.PAIR), "n1", did_answer=False), "n2", did_answer=False)
    plan = make_plan(case, 0)
    assert plan.change_count == 0
    message, remedy = plan_words(plan)
    assert "as it should be:" not in message
    assert message
    assert remedy == MEND_FIRST
