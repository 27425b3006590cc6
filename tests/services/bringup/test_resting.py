"""What rests on a step is found by its id, on the same node only, and by names that plans have."""

from __future__ import annotations

from dataclasses import replace

from sparkdesk.core.bringup.case import Choices
from sparkdesk.core.bringup.make import make_plan
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.services.bringup.resting import RESTS_ON, with_resting
from tests.core.bringup.cases import make_case


def test_what_rests_on_a_step_is_that_of_the_same_node() -> None:
    assert with_resting(frozenset({"docker-toolkit-spark-1", "keys-pair-spark-2"})) == {
        "docker-toolkit-spark-1", "docker-runtime-spark-1", "keys-pair-spark-2",
    }  # fmt: skip
    assert with_resting(frozenset({"guard-install-a-b"})) == {"guard-install-a-b", "guard-on-a-b"}


def test_the_upper_step_is_taken_back_without_the_lower_and_all_stays_all() -> None:
    for upper in RESTS_ON:
        assert with_resting(frozenset({f"{upper}-n1"})) == {f"{upper}-n1"}
    assert with_resting(None) is None


def test_a_plan_names_its_steps_so_and_does_the_lower_one_first() -> None:
    case = make_case(2, Shape.PAIR)
    lacking = {
        one: replace(
            case.reading(one), toolkit="", is_guard_active=False,
            problems={**case.reading(one).problems, "toolkit": "no program"},
            tools={**case.reading(one).tools, "earlyoom": False},
        )
        for one in case.node_ids
    }  # fmt: skip
    plan = make_plan(replace(case, readings=lacking, choices=Choices(wants_guard=True)), 0)
    ids = [step.id for step in plan.playbook.steps()]
    for node_id in case.node_ids:
        for upper, lower in RESTS_ON.items():
            assert ids.index(f"{lower}-{node_id}") < ids.index(f"{upper}-{node_id}")
