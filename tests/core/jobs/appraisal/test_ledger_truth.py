"""What an engine told stands beside its plan, and corrects the next one visibly, never quietly."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.jobs.appraisal.ledger_truth import (
    StartFigures,
    correct_plan,
    correction_problems,
    figures_of,
    is_corrected,
    learn,
    truth_rows,
)
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.plan import GIB, Fit, LaunchPlan, MemoryLedger, Severity
from sparkdesk.core.jobs.reading import (
    GRAPH_BYTES,
    KV_CAPACITY_BYTES,
    KV_CAPACITY_TOKENS,
    WEIGHTS_BYTES,
    WEIGHTS_LOAD_S,
)
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.jobs.truth import Correction
from sparkdesk.core.step import Playbook

KEY = ("m", "vllm", "stock")
LEDGER = MemoryLedger("spark-a", 120 * GIB, 8 * GIB, 60 * GIB, 20 * GIB, 4 * GIB)
TOLD = {WEIGHTS_BYTES: 63.0 * GIB, KV_CAPACITY_TOKENS: 93_000.0, WEIGHTS_LOAD_S: 95.0}
TOKEN_BYTES = 20 * GIB / 100_000


def plan_with(ledger: MemoryLedger = LEDGER) -> LaunchPlan:
    request = LaunchRequest(engine="vllm", model="m", nodes=("spark-a",), served_name="m")
    endpoint = Endpoint("spark-a", "127.0.0.1", 8000, "m")
    return LaunchPlan("j" * 16, request, "m", Playbook("m", ()), Playbook("m", ()), endpoint, (ledger,), ())


def test_only_what_was_told_has_a_row_and_it_stands_beside_the_plan() -> None:
    rows = truth_rows(plan_with(), TOLD, token_bytes=TOKEN_BYTES)
    found = {row.key: (row.planned, row.told, row.unit) for row in rows}
    assert found[WEIGHTS_BYTES] == (60.0 * GIB, 63.0 * GIB, "bytes")
    assert found[KV_CAPACITY_TOKENS] == (100_000, 93_000.0, "tokens")
    assert math.isnan(found[WEIGHTS_LOAD_S][0])
    assert set(found) == set(TOLD)
    assert truth_rows(plan_with(), {}) == ()
    assert truth_rows(plan_with(), {GRAPH_BYTES: math.nan}) == ()


def test_the_seconds_of_a_plan_are_those_of_earlier_starts() -> None:
    earlier = Correction(*KEY, starts=2, load_s=80.0)
    rows = {row.key: row for row in truth_rows(plan_with(), TOLD, earlier=earlier)}
    assert rows[WEIGHTS_LOAD_S].planned == 80.0


def test_several_starts_teach_their_median() -> None:
    starts = [StartFigures(str(at), 1.0 + at / 100, 0.9 + at / 100) for at in range(3)]
    found = learn(KEY, starts)
    assert found is not None
    assert (found.starts, found.weights_factor, found.kv_factor) == (3, 1.01, 0.91)
    assert learn(KEY, ()) is None
    assert learn(KEY, [StartFigures("a")]) is None


def test_a_figure_that_cannot_be_of_this_model_teaches_nothing() -> None:
    told = {WEIGHTS_BYTES: 600.0 * GIB, KV_CAPACITY_TOKENS: 1.0}
    figures = figures_of(plan_with(), told, takes_share=True, token_bytes=TOKEN_BYTES)
    assert math.isnan(figures.weights_factor)
    assert math.isnan(figures.kv_factor)


def test_the_runtime_is_what_weights_and_cache_left_of_the_share() -> None:
    told = {WEIGHTS_BYTES: 60.0 * GIB, KV_CAPACITY_BYTES: 18.0 * GIB}
    assert figures_of(plan_with(), told, takes_share=True).runtime_bytes == 6.0 * GIB
    assert math.isnan(figures_of(plan_with(), told, takes_share=False).runtime_bytes), "nothing bounds what it takes"


@pytest.mark.parametrize(("takes_share", "told"), [(True, "runtime 6.0 GiB"), (False, "KV tokens x0.50")])
def test_a_plan_tells_of_no_correction_that_its_ledger_has_not(takes_share: bool, told: str) -> None:
    correction = Correction(*KEY, starts=1, kv_factor=0.5, runtime_bytes=6.0 * GIB)
    plan = correct_plan(plan_with(), correction, takes_share=takes_share)
    others = {"runtime 6.0 GiB", "KV tokens x0.50"} - {told}
    assert plan.ledgers[0] != LEDGER
    assert told.split()[-1] in plan.notes[0]
    assert not any(word.split()[0] in plan.notes[0] for word in others)


def test_a_corrected_plan_says_by_how_many_starts_and_by_how_much() -> None:
    correction = Correction(*KEY, starts=2, kv_factor=0.93)
    plan = correct_plan(plan_with(), correction, takes_share=False)
    assert plan.notes == ("KV tokens corrected by 2 starts: x0.93",)
    assert plan.ledgers[0].kv_bytes == math.ceil(20 * GIB * 0.93)
    assert is_corrected(plan)
    assert not is_corrected(plan_with())


def test_a_correction_that_was_taken_back_changes_nothing() -> None:
    correction = Correction(*KEY, starts=2, kv_factor=0.5, is_applied=False)
    assert correct_plan(plan_with(), correction, takes_share=False) == plan_with()


def test_of_a_share_larger_weights_leave_less_cache_and_the_same_free() -> None:
    correction = Correction(*KEY, starts=1, weights_factor=1.05, runtime_bytes=6.0 * GIB)
    plan = correct_plan(plan_with(), correction, takes_share=True)
    (ledger,) = plan.ledgers
    assert ledger.free_bytes == LEDGER.free_bytes
    assert ledger.kv_bytes == 20 * GIB - 3 * GIB - 2 * GIB
    assert "weights x1.05, runtime 6.0 GIB".casefold() in plan.notes[0].casefold()


def test_a_plan_that_is_too_big_never_fits_without_a_word() -> None:
    big = plan_with(replace(LEDGER, weights_bytes=90 * GIB))
    assert big.ledgers[0].fit is Fit.TOO_BIG
    smaller = correct_plan(big, Correction(*KEY, starts=3, weights_factor=0.75), takes_share=False)
    assert smaller.ledgers[0].fit is Fit.FITS
    assert any("by the planner alone it is too big" in note for note in smaller.notes)
    (problem,) = correction_problems(big, smaller)
    assert problem.severity is Severity.NOTE


def test_a_plan_that_takes_more_than_it_says_is_warned_of() -> None:
    learned = correct_plan(plan_with(), Correction(*KEY, starts=3, weights_factor=1.5), takes_share=False)
    assert learned.ledgers[0].fit is Fit.TOO_BIG
    (problem,) = correction_problems(plan_with(), learned)
    assert problem.severity is Severity.WARNING
    assert correction_problems(plan_with(), plan_with()) == ()


factors = st.floats(0.25, 4.0)


@given(factors, factors, st.booleans())
def test_whatever_was_learned_parts_sum_and_a_changed_word_is_told(weights: float, kv: float, takes: bool) -> None:
    correction = Correction(*KEY, starts=1, weights_factor=weights, kv_factor=kv)
    plan = correct_plan(plan_with(), correction, takes_share=takes)
    (ledger,) = plan.ledgers
    assert ledger.kv_bytes is not None
    assert ledger.kv_bytes >= 0
    if ledger.fit is not LEDGER.fit:
        assert any("by the planner alone" in note for note in plan.notes)


@pytest.mark.parametrize("ledger", [MemoryLedger("spark-a", None, None, None, None, None)])
def test_a_plan_of_unknown_memory_stays_unknown(ledger: MemoryLedger) -> None:
    correction = Correction(*KEY, starts=1, weights_factor=1.1)
    assert correct_plan(plan_with(ledger), correction, takes_share=False).ledgers == (ledger,)
    assert truth_rows(plan_with(ledger), TOLD)[0].planned != 0
