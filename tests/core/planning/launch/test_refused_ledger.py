"""A launch that memory forbids has no plan: its arithmetic and what mends it come with the refusal itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from backends import llamacpp, sglang, vllm
from sparkdesk.core.jobs.fix import apply_fix
from sparkdesk.core.jobs.plan import GIB, Problem, Severity
from sparkdesk.core.jobs.request import LaunchRequest
from tests.backends.context import GGUF, context_with, spec_named
from tests.backends.test_golden_plans import LLAMA, SMOL

ENGINES = {each.info.key: each for each in (vllm.backend, sglang.backend, llamacpp.backend)}
PLAIN = LLAMA.model_copy(update={"extra_flags": (), "concurrency": 1})


def request_of(engine: str, **fields: Any) -> LaunchRequest:
    return LaunchRequest.model_validate({**PLAIN.model_dump(), "engine": engine, **fields})


def refused(request: LaunchRequest, available_gib: float, **node: Any) -> list[Problem]:
    context = context_with(spec_named(LLAMA.model), mem_available_bytes=int(available_gib * GIB), **node)
    return [one for one in ENGINES[request.engine].problems(request, context) if one.severity is Severity.ERROR]


CASES = (
    (request_of("vllm", memory_fraction=0.7), 57.9),
    (request_of("vllm", memory_fraction=0.45, context_tokens=131_072, kv_dtype=""), 118.0),
    (request_of("vllm", memory_fraction=0.31, context_tokens=8192), 118.0),
    (request_of("sglang", memory_fraction=0.3, context_tokens=8192), 100.0),
)


@pytest.mark.parametrize(("request_", "available_gib"), CASES)
def test_a_refusal_brings_its_arithmetic_and_a_change_after_which_it_is_none(
    request_: LaunchRequest, available_gib: float
) -> None:
    (problem,) = refused(request_, available_gib)
    (ledger,) = problem.ledgers
    assert None not in (ledger.weights_bytes, ledger.kv_bytes, ledger.runtime_bytes, ledger.free_bytes)
    free = (ledger.total_bytes or 0) - (ledger.others_bytes or 0)
    assert free == pytest.approx(available_gib * GIB, abs=1)
    assert problem.fixes
    for fix in problem.fixes:
        assert refused(apply_fix(request_, fix), available_gib) == []


@pytest.mark.parametrize(("request_", "available_gib"), [CASES[1], CASES[2]])
def test_the_arithmetic_of_a_cache_for_one_request_is_of_one_request_however_many_may_come(
    request_: LaunchRequest, available_gib: float
) -> None:
    crowd = request_.model_copy(update={"concurrency": 64})
    (alone,), (crowded,) = refused(request_, available_gib), refused(crowd, available_gib)
    assert crowded.ledgers == alone.ledgers


def test_a_share_that_is_not_there_is_more_than_what_is_free_by_what_is_missing() -> None:
    (problem,) = refused(request_of("vllm", memory_fraction=0.7), 57.9)
    missing = 0.7 * (problem.ledgers[0].total_bytes or 0) - 57.9 * GIB
    assert problem.ledgers[0].free_bytes == pytest.approx(-missing, abs=2)


def test_what_cannot_be_loaded_says_by_how_much_it_is_too_large() -> None:
    request = SMOL.model_copy(update={"model": "x/y"})
    (problem,) = refused(request, 50.0, weight_files={GGUF: 60 * GIB})
    (ledger,) = problem.ledgers
    assert (ledger.weights_bytes or 0) == 60 * GIB
    assert (ledger.free_bytes or 0) < -10 * GIB


def test_another_node_is_a_change_and_a_stop_is_none() -> None:
    context = context_with(spec_named(LLAMA.model), mem_available_bytes=20 * GIB)
    here = context.nodes[0]
    roomy = replace(here, record=replace(here.record, id="other", name="spark-roomy"), mem_available_bytes=118 * GIB)
    request = request_of("vllm", memory_fraction=0.7)
    problems = vllm.backend.problems(request, replace(context, nodes=(here, roomy)))
    (problem,) = [one for one in problems if one.severity is Severity.ERROR]
    assert "launch it on spark-roomy instead; or stop what runs there" in problem.remedy.lower()
    assert [fix.change for fix in problem.fixes] == [(("nodes", ("other",)),)]
