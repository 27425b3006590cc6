"""The order of plans: the criterion of the load, and the stated rules over it, each with its constant."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from sparkdesk.core.planning.figure import Figure
from sparkdesk.core.planning.place import Neighbour
from sparkdesk.core.planning.prediction import Prediction
from sparkdesk.core.planning.row import PlanRow, Toll
from sparkdesk.core.planning.search.question import Goal
from sparkdesk.core.planning.search.ranking import (
    FOUR_BIT_LEVEL,
    NEIGHBOUR_GAIN,
    READABLE_TOK_S,
    TIE,
    criterion_of,
    is_fitting,
    is_harming,
    order,
    rank,
)
from sparkdesk.core.planning.search.rows import plan_rows
from sparkdesk.core.planning.workload import BATCH, CHAT, CODING
from tests.core.planning.planner import ask, first, load_of, place_of, reference, words_of


def timed(row: PlanRow, seconds: float, tok_s: float = 50.0) -> PlanRow:
    """The row with other speeds, so that a rule is seen alone."""
    e2e, tpot = Figure(seconds, seconds * 0.9, seconds * 1.1), Figure(1 / tok_s, 1 / tok_s, 1 / tok_s)
    alone: Prediction = replace(row.alone, e2e_s=e2e, tpot_s=tpot)
    return replace(row, alone=alone, shared=None)


def row_of(model: str = "llama-3.3-70b", nodes: int = 1, **limits: object) -> PlanRow:
    question = replace(ask(model, nodes, **limits), must_use_all_nodes=True)
    return plan_rows(question, reference())[0]


def placed(*rows: PlanRow, goal: Goal = Goal.BALANCED) -> list[int]:
    """Which of the given rows stands first, second, ..."""
    found = order(rows, goal, is_build_fixed=True)
    return [next(at for at, row in enumerate(rows) if row is one) for one in found]


def test_one_user_is_served_by_the_lowest_time_per_answer() -> None:
    assert criterion_of(CHAT).words == "Lowest time per answer"
    assert criterion_of(BATCH).words == "Highest total for 128 users, prompts included"
    assert not re.search(r"best|optimal", " ".join(criterion_of(load).words for load in (CHAT, CODING, BATCH)).lower())
    slow, fast = timed(row_of(), 9.0), timed(row_of(), 8.0)
    assert placed(slow, fast) == [1, 0]


def test_tensor_parallel_stands_first_for_one_user_as_measured() -> None:
    rows = plan_rows(ask("llama-3.3-70b", 4, load_of(32_768, 1024, 1), format="NVFP4"), reference())
    assert words_of(rows[0])["split"] == "TP 4"
    two = plan_rows(ask("gpt-oss-120b", 2), reference())
    assert words_of(two[0])["split"] == "TP 2"


def test_pipeline_parallel_stands_before_tensor_for_a_large_batch_as_measured() -> None:
    rows = plan_rows(ask("gpt-oss-120b", 2, BATCH, engine="vllm"), reference())
    assert first(rows, split="PP 2").rank < first(rows, split="TP 2").rank


def test_eight_bits_that_are_fast_enough_stand_before_four() -> None:
    eight, four = row_of(format="FP8"), row_of(format="NVFP4")
    enough, short = READABLE_TOK_S + 1, READABLE_TOK_S - 1
    assert placed(timed(four, 5.0, 60.0), timed(eight, 9.0, enough)) == [1, 0]
    assert placed(timed(four, 5.0, 60.0), timed(eight, 9.0, short)) == [0, 1]
    assert placed(timed(four, 5.0, 60.0), timed(eight, 9.0, enough), goal=Goal.FAST) == [0, 1]


def test_balanced_takes_eight_bit_weights_of_a_model_that_is_fast_in_them() -> None:
    balanced = plan_rows(ask("qwen3.6-35b-a3b", 1), reference())
    assert balanced[0].quality.level < FOUR_BIT_LEVEL
    fast = plan_rows(replace(ask("qwen3.6-35b-a3b", 1), goal=Goal.FAST), reference())
    assert fast[0].quality.level >= FOUR_BIT_LEVEL
    assert fast[0].shown.e2e_s.value < balanced[0].shown.e2e_s.value


def test_a_running_deployment_is_left_alone_unless_the_gain_exceeds_the_factor() -> None:
    calm = row_of()
    harming = replace(row_of(), tolls=(Toll("j1", "gpt-oss", 0.6),))
    assert placed(timed(harming, 10.0), timed(calm, 10.0 * NEIGHBOUR_GAIN * 0.9)) == [1, 0]
    assert placed(timed(harming, 10.0), timed(calm, 10.0 * NEIGHBOUR_GAIN * 1.2)) == [0, 1]
    assert is_harming(replace(calm, tolls=(Toll("j1", "gpt-oss", float("nan")),)))
    assert not is_harming(replace(calm, tolls=(Toll("j1", "gpt-oss", 1.0),)))


def test_a_busy_neighbour_sends_the_first_plan_to_the_other_nodes() -> None:
    busy = Neighbour("j1", "gpt-oss-120b", ("n1",), gb_per_s=170.0, tokens_per_s=50.0, bytes_held=70 << 30)
    place = place_of(2, neighbours=(busy,), free_gib=(45.0, 115.0))
    rows = plan_rows(replace(ask("qwen3-8b", 2), place=place), reference())
    assert [node.node_id for node in rows[0].place.nodes] == ["n2"]
    assert not rows[0].tolls
    shared = first(rows, split="TP 2")
    assert shared.shared is not None
    assert shared.shown.e2e_s.value > shared.alone.e2e_s.value
    assert shared.tolls[0].slowdown < 1.0
    assert "slows gpt-oss-120b" in shared.why


def test_many_users_each_get_a_bearable_speed_before_the_total_counts() -> None:
    base = replace(row_of(), workload=load_of(1024, 512, 8))
    assert placed(timed(base, 10.0, READABLE_TOK_S - 5), timed(base, 12.0, READABLE_TOK_S + 5)) == [1, 0]


def test_plans_that_are_nearly_equal_are_told_apart_by_what_can_be_launched_and_then_by_nodes() -> None:
    ours, other = row_of(engine="vllm", format="NVFP4"), row_of(engine="trtllm", format="NVFP4")
    without = replace(other.setup.engine, is_launchable=False)
    theirs = replace(other, setup=replace(other.setup, engine=without))
    assert placed(timed(theirs, 10.0), timed(ours, 10.0 * (TIE - 0.01))) == [1, 0]
    assert placed(timed(theirs, 10.0), timed(ours, 10.0 * (TIE + 0.01))) == [0, 1]
    two = row_of(nodes=2, engine="vllm", format="NVFP4", tensor=2)
    assert placed(timed(two, 10.0), timed(ours, 10.1)) == [1, 0]


def test_what_departs_from_the_plain_plan_never_stands_before_it() -> None:
    plain = row_of(engine="vllm", format="NVFP4", kv_dtype="auto", speculative="none")
    guessing = row_of(engine="vllm", format="NVFP4", kv_dtype="auto", speculative="eagle3")
    small = row_of(engine="vllm", format="NVFP4", kv_dtype="fp8", speculative="none")
    rows = (timed(guessing, 4.0, 90.0), timed(small, 8.0), timed(plain, 10.0, 12.0))
    assert placed(*rows) == [2, 0, 1]
    assert placed(*rows, goal=Goal.FAST) == [0, 1, 2]


def test_another_build_stands_behind_unless_the_build_is_fixed() -> None:
    stock, tuned = row_of("gpt-oss-120b", engine="vllm"), row_of("gpt-oss-120b", engine="vllm", build="tuned")
    rows = (timed(tuned, 5.0), timed(stock, 9.0))
    assert placed(*rows) == [0, 1]
    assert [row.setup.build.key for row in rank(rows, Goal.BALANCED, is_build_fixed=False)] == ["stock", "tuned"]


def test_the_same_question_gets_the_same_answer_twice() -> None:
    question = ask("qwen3-coder-next", 4, CODING)
    assert repr(plan_rows(question, reference())) == repr(plan_rows(question, reference()))


def test_the_first_row_says_the_largest_difference_in_its_own_parts() -> None:
    rows = plan_rows(ask("gpt-oss-120b", 2, engine="vllm", kv_dtype="auto", speculative="none"), reference())
    told = re.fullmatch(r"Lowest time per answer: (\w+) (\S+) ms instead of (\S+) ms a token with (.+)", rows[0].why)
    assert told is not None, rows[0].why
    other = first(rows, split={"one node": "One node"}.get(told[4], told[4]))
    for row, words in ((rows[0], told[2]), (other, told[3])):
        part = next(part for part in row.shown.tpot_parts if part.key == told[1])
        assert float(words) == pytest.approx(part.seconds * 1000, rel=0.06)


def test_a_plain_plan_before_its_faster_variants_says_that_it_is_plain() -> None:
    rows = plan_rows(ask("qwen3-coder-next", 1, CODING, engine="vllm", format="FP8"), reference())
    assert min(row.shown.e2e_s.value for row in rows[1:]) < rows[0].shown.e2e_s.value
    assert rows[0].why == "Highest total for 4 users, prompts included, without speculation or a smaller cache"


def test_a_slower_first_row_says_what_it_is_first_for() -> None:
    rows = plan_rows(ask("qwen3.6-35b-a3b", 1, engine="vllm"), reference())
    assert is_fitting(rows[0])
    assert "quality loss" in rows[0].why


def test_a_reason_calls_the_cache_as_people_do() -> None:
    said = [row.why for row in plan_rows(ask("llama-3.3-70b", 2, CODING), reference())]
    assert any(": KV " in why for why in said)
    assert not any(re.search(r"\bkv\b", why) for why in said)
