"""What the adapters make of a request's words: formats, speculative methods, builds, shares, sizes."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace

import pytest

from backends import llamacpp, sglang, trtllm, vllm
from sparkdesk.app.plugin import BUILT_IN
from sparkdesk.core.jobs.plan import GIB, Fit, Problem, Severity
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.planning.launch.request import place_of, setup_of, workload_of
from sparkdesk.core.planning.memory.ledger import fraction_for, launch_ledgers, ledgers
from tests.backends.context import ROOT, context_with, spec_named
from tests.backends.test_golden_plans import GPT_OSS, LLAMA, MTP, ON_LINE, QWEN, SMOL


def problems_of(request: LaunchRequest, backend: object = vllm.backend, **node: object) -> list[Problem]:
    context = context_with(spec_named(request.model), **node)
    return backend.problems(request, context)  # type: ignore[attr-defined, no-any-return]


def errors_at(problems: list[Problem]) -> list[str]:
    return [problem.field for problem in problems if problem.severity is Severity.ERROR]


def changed(request: LaunchRequest, **fields: object) -> LaunchRequest:
    return LaunchRequest.model_validate({**request.model_dump(), **fields})


def text_of(request: LaunchRequest) -> str:
    return vllm.backend.plan(request, context_with(spec_named(request.model))).commands[0].text


def test_a_checkpoints_own_format_needs_no_word_and_on_line_quantization_has_one() -> None:
    assert "--quantization" not in text_of(QWEN)
    assert "--quantization fp8" in text_of(ON_LINE)


def test_another_format_than_vllms_is_refused_at_its_field() -> None:
    assert errors_at(problems_of(changed(QWEN, quantization="Q4_K_M"))) == ["quantization"]


def test_a_method_that_needs_a_draft_model_says_what_is_missing() -> None:
    (problem,) = [p for p in problems_of(changed(LLAMA, speculative="eagle3")) if p.severity is Severity.ERROR]
    assert problem.field == "speculative_model"
    assert "draft model" in problem.message
    (other,) = [
        p for p in problems_of(changed(MTP, speculative="draft"), llamacpp.backend) if p.severity is Severity.ERROR
    ]
    assert (other.field, "draft model" in other.message) == ("speculative_model", True)


def test_a_model_without_an_mtp_head_is_not_launched_with_one() -> None:
    assert errors_at(problems_of(changed(LLAMA, speculative="mtp"))) == ["speculative"]
    assert errors_at(problems_of(changed(SMOL, speculative="mtp"), llamacpp.backend)) == ["speculative"]


def test_a_model_without_a_known_tuned_build_is_launched_as_the_stock_one_and_says_so() -> None:
    tuned = changed(LLAMA, build="tuned")
    plan = vllm.backend.plan(tuned, context_with(spec_named(tuned.model)))
    assert "No tuned build" in plan.notes[-1]
    stock, words = text_of(LLAMA).splitlines(), plan.commands[0].text.splitlines()
    assert [line for line in words if "plan=" not in line] == [line for line in stock if "plan=" not in line]


def test_a_build_that_nobody_knows_is_refused_at_its_field() -> None:
    assert errors_at(problems_of(changed(LLAMA, build="turbo"))) == ["build"]
    assert errors_at(problems_of(changed(SMOL, build="tuned"), llamacpp.backend)) == ["build"]


def test_what_the_request_says_itself_comes_after_what_the_build_brings() -> None:
    words = text_of(changed(GPT_OSS, extra_flags=("--attention-backend", "TRITON_ATTN"))).split()
    assert words[-2:] == ["--attention-backend", "TRITON_ATTN"]


def test_a_tensor_parallel_size_that_does_not_divide_the_heads_is_refused_at_its_field() -> None:
    fields = errors_at(problems_of(changed(LLAMA, tensor_parallel_size=3)))
    assert "tensor_parallel_size" in fields
    assert "nodes" in fields  # over several nodes nothing is launched yet


def test_the_default_share_stays_where_nothing_was_planned() -> None:
    assert "--gpu-memory-utilization 0.70" in text_of(LLAMA)


def test_a_planned_share_holds_its_workload_and_leaves_what_the_plan_said() -> None:
    context = context_with(spec_named(LLAMA.model))
    setup = replace(setup_of(LLAMA, context.spec, vllm.PROFILE), memory_fraction=None)
    load, place = workload_of(LLAMA), place_of(LLAMA, context)
    (planned,) = ledgers(setup, load, place)
    share = fraction_for(setup, load, place)
    assert share is not None
    launched = vllm.backend.plan(changed(LLAMA, memory_fraction=share), context).ledgers[0]
    more = (launched.kv_bytes or 0) - (planned.kv_bytes or 0)
    assert 0 <= more < 0.0101 * (place.nodes[0].total_bytes or 0)
    assert launched.free_bytes == pytest.approx(planned.free_bytes, abs=4)


def test_a_share_that_is_not_available_is_said_with_both_numbers_and_one_that_leaves_the_floor() -> None:
    problems = problems_of(changed(LLAMA, memory_fraction=0.8), mem_available_bytes=80 * GIB)
    (problem,) = [problem for problem in problems if "will not start" in problem.message]
    assert problem.field == "memory_fraction"
    assert "80.0 GiB are available" in problem.message
    assert "0.80 is 97.3 GiB" in problem.message
    assert "0.59" in problem.remedy  # of 121.6 GiB, with 8 GiB left


def test_a_share_that_passes_the_engines_check_is_said_with_its_numbers() -> None:
    plan = vllm.backend.plan(LLAMA, context_with(spec_named(LLAMA.model), mem_available_bytes=100 * GIB))
    (note,) = [note for note in plan.notes if "checks at its start" in note]
    for words in ("0.70 of spark-5c2d", "85.1 GiB", "100.0 GiB are", "up to 0.82"):
        assert words in note


def test_a_share_that_is_too_small_for_the_load_names_the_one_that_is_enough() -> None:
    problems = problems_of(changed(LLAMA, memory_fraction=0.4, kv_dtype=""))
    (problem,) = [problem for problem in problems if problem.field == "memory_fraction"]
    enough = float(problem.remedy.removeprefix("Take ").removesuffix("."))
    assert not [p for p in problems_of(changed(LLAMA, memory_fraction=enough, kv_dtype="")) if p.field]


def test_a_smaller_share_is_proposed_where_the_default_one_leaves_too_little() -> None:
    request = changed(LLAMA, concurrency=1, memory_fraction=0.95)
    (problem,) = [p for p in problems_of(request) if "freeze" in p.message or "Too big" in p.message]
    share = float(problem.remedy.partition("a memory share of ")[2].partition(" ")[0])
    plan = vllm.backend.plan(changed(request, memory_fraction=share), context_with(spec_named(request.model)))
    assert plan.ledgers[0].fit is Fit.FITS


def test_weights_larger_than_the_node_are_answered_with_what_would_fit_and_no_larger_share() -> None:
    request = changed(LLAMA, model="meta-llama/Llama-3.3-70B-Instruct")
    context = context_with(spec_named(LLAMA.model))
    (problem,) = [one for one in vllm.backend.problems(request, context) if one.severity is Severity.ERROR]
    assert "is too big for spark-5c2d: its weights take 131.4 GiB of 121.6" in problem.message
    assert "Raise the memory share" not in problem.remedy
    assert "FP8 weights" in problem.remedy
    assert problem.field == "quantization"


def test_a_share_smaller_than_the_weights_is_to_be_raised() -> None:
    (problem,) = [one for one in problems_of(changed(LLAMA, memory_fraction=0.2)) if one.severity is Severity.ERROR]
    assert problem.remedy.startswith("Raise the memory share")


def test_a_launch_on_a_full_node_names_the_free_one() -> None:
    context = context_with(spec_named(LLAMA.model), mem_available_bytes=20 * GIB)
    free = replace(context.nodes[0], record=replace(context.nodes[0].record, id="node-2", name="spark-9f01"))
    both = replace(context, nodes=(*context.nodes, replace(free, mem_available_bytes=118 * GIB)))
    remedies = [problem.remedy for problem in vllm.backend.problems(LLAMA, both)]
    assert any("on spark-9f01 instead" in remedy for remedy in remedies)


def test_a_node_whose_memory_was_not_read_gives_no_word() -> None:
    request = changed(LLAMA, nodes=("node-1",))
    context = context_with(spec_named(request.model), mem_available_bytes=None)
    assert vllm.backend.plan(request, context).ledgers[0].fit is Fit.UNKNOWN
    unread = context_with(spec_named(request.model), mem_total_bytes=None, mem_available_bytes=None)
    assert vllm.backend.plan(request, unread).ledgers[0].total_bytes is None


def test_a_model_of_unknown_shape_has_its_share_and_no_parts() -> None:
    (ledger,) = vllm.backend.plan(changed(LLAMA, model="someone/unheard-of"), context_with(None)).ledgers
    assert (ledger.weights_bytes, ledger.kv_bytes) == (None, None)
    assert ledger.undivided_bytes is not None
    assert ledger.fit is Fit.UNKNOWN, "what the share leaves is known, and not whether the model fits into it"
    setup = setup_of(LLAMA, None, llamacpp.PROFILE)
    assert [one.fit for one in launch_ledgers(setup, workload_of(LLAMA), place_of(LLAMA, context_with(None)))] == [
        Fit.UNKNOWN
    ]


def table_of_engines() -> Mapping[str, dict[str, object]]:
    table = tomllib.loads((ROOT / "resources/planning/engines.toml").read_text())
    return {engine["key"]: engine for engine in table["engine"]}


PROFILES = [vllm.PROFILE, llamacpp.PROFILE, sglang.PROFILE, trtllm.PROFILE]


@pytest.mark.parametrize("profile", PROFILES, ids=[profile.key for profile in PROFILES])
def test_an_adapter_and_the_planners_table_say_the_same_of_an_engine(profile: object) -> None:
    engine = table_of_engines()[profile.key]  # type: ignore[attr-defined]
    assert profile.runtime_bytes == engine["runtime_bytes"]  # type: ignore[attr-defined]
    assert profile.share_of == engine.get("share_of", "total")  # type: ignore[attr-defined]
    assert {build.key for build in profile.builds} == {each["key"] for each in engine["build"]}  # type: ignore[attr-defined]
    for field in ("speculatives", "kv_dtypes"):
        assert set(getattr(profile, field)) <= set(engine[field])  # type: ignore[call-overload]


def test_the_planner_offers_to_launch_what_has_an_adapter_and_nothing_else() -> None:
    launchable = {key for key, engine in table_of_engines().items() if engine["is_launchable"]}
    assert launchable == {profile.key for profile in PROFILES}
    assert launchable <= {backend.info.key for backend in BUILT_IN}
