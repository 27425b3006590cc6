"""The guard's floor: it leaves a sound server alone and its node reachable, and a person reads it in the plan."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.jobs import plan_json
from sparkdesk.core.jobs.plan import GIB, MemoryLedger
from sparkdesk.core.playbooks.job import build_plan
from sparkdesk.core.playbooks.memory_floor import FLOOR_BYTES, LEAST_SHARE, floor_bytes
from tests.core.playbooks.test_job import CONTEXT, REQUEST, SPEC, plan_of, written_spec

SPARK = MemoryLedger("n1", 121 * GIB, 4 * GIB, 61 * GIB, 20 * GIB, 4 * GIB)


def test_a_plan_that_leaves_plenty_has_the_usual_floor_and_a_smaller_node_its_share() -> None:
    assert floor_bytes(SPARK) == FLOOR_BYTES
    small = floor_bytes(replace(SPARK, total_bytes=15 * GIB, others_bytes=GIB, weights_bytes=GIB, kv_bytes=GIB))
    assert small == GIB // 2, "a computer with 15 GiB is not to keep a quarter of it free"
    assert floor_bytes(replace(SPARK, weights_bytes=None)) == FLOOR_BYTES, "what it leaves is not known"
    assert floor_bytes(replace(SPARK, total_bytes=None)) == FLOOR_BYTES


def test_a_plan_that_leaves_little_has_a_lower_floor_and_never_one_that_the_node_cannot_live_with() -> None:
    tight = replace(SPARK, weights_bytes=87 * GIB)
    assert tight.free_bytes == 6 * GIB
    assert floor_bytes(tight) == 3 * GIB
    for weights in (92, 93, 120):
        floor = floor_bytes(replace(SPARK, weights_bytes=weights * GIB))
        assert floor == int(121 * GIB * LEAST_SHARE) >> 20 << 20


@given(total=st.integers(GIB, 400 * GIB), weights=st.integers(0, 400 * GIB), kv=st.integers(0, 100 * GIB))
def test_no_floor_is_reached_by_a_server_that_keeps_to_its_plan(total: int, weights: int, kv: int) -> None:
    ledger = MemoryLedger("n1", total, 0, weights, kv, 0)
    floor, least = floor_bytes(ledger), int(total * LEAST_SHARE)
    assert (least >> 20 << 20) <= floor <= FLOOR_BYTES + least
    assert floor <= max((ledger.free_bytes or 0) // 2, least, 1 << 20)


def test_the_floor_stands_in_the_plan_its_step_its_note_and_what_the_node_gets() -> None:
    spec = replace(SPEC, stop_after_s=7200)
    plan = build_plan(REQUEST, CONTEXT, spec, ledger=SPARK, command_title="docker run")
    assert written_spec(plan)["memory_floor_bytes"] == plan.ledgers[0].floor_bytes == FLOOR_BYTES
    start = next(step for step in plan.playbook.steps() if step.id == "start")
    assert start.title == "Start vLLM; its guard ends it below 4.0 GiB of available memory"
    assert plan.notes == (
        "Its guard on the node ends it below 4.0 GiB of available memory (by plan 32.0 GiB stay free), "
        "starts it again 2 times at most, stops it 2 h after its start",
    )
    assert plan_json.from_json(plan_json.to_json(plan)) == plan


def test_a_plan_without_a_floor_says_none() -> None:
    plan = plan_of(replace(SPEC, memory_floor_bytes=0))
    assert written_spec(plan)["memory_floor_bytes"] == 0
    assert plan.notes == ("Its guard on the node starts it again 2 times at most",)
    assert "guard" not in next(step for step in plan.playbook.steps() if step.id == "start").title
