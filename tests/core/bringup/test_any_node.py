"""Whatever nodes answer, there is a plan: bounded, readable, the same for the same answers, and it raises nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.fold import follow
from sparkdesk.core.bringup.make import make_plan
from sparkdesk.core.bringup.reading_table import READS, read_node
from sparkdesk.core.bringup.report import plan_json, plan_markdown, report_json, report_markdown
from sparkdesk.core.bringup.state import BringUpState, Phase
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.playbooks.run_view import RunView, StepView
from sparkdesk.core.probes.read import Answers
from sparkdesk.core.step_json import from_json, to_json
from tests.core.bringup.cases import HOST_KEYS, make_case
from tests.core.probes.any_answers import any_answers

NOW_MS = 1_780_000_000_000
CASES = {"pair": make_case(2, Shape.PAIR), "ring": make_case(3, Shape.RING), "switch": make_case(4, Shape.SWITCH)}


def with_answers(case: Case, answers: Answers, index: int) -> Case:
    """The case in which one node answered so; all others are as they come out of the box."""
    node_id = case.node_ids[index % len(case.node_ids)]
    reading = read_node(answers, node_id=node_id, name=f"spark-{node_id[1:]}", host_key=HOST_KEYS[index])
    return replace(case, readings={**case.readings, node_id: reading})


@pytest.mark.parametrize("name", CASES)
@given(answers=any_answers(READS), index=st.integers(0, 3))
@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_any_answers_give_a_plan_and_a_report(name: str, answers: Answers, index: int) -> None:
    case = with_answers(CASES[name], answers, index)
    plan = make_plan(case, NOW_MS)
    assert plan == make_plan(replace(case, readings=dict(case.readings)), NOW_MS)
    assert from_json(to_json(plan.playbook)) == plan.playbook
    assert from_json(to_json(plan.proof)) == plan.proof
    views = {step.id: StepView("done") for step in plan.playbook.steps()}
    run = RunView("r1", plan.playbook, steps=views, result="done")
    state = BringUpState(Phase.DONE, plan.node_ids, follow(plan.matrix, run), plan, run)
    assert report_markdown(state, "rack")
    assert report_json(state, "rack")
    assert plan_markdown(plan)
    assert plan_json(plan)
    for row in plan.matrix.rows:
        assert all(len(cell.text) <= 60 and "\n" not in cell.text for cell in row.cells.values()), row.id
