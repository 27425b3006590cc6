"""What an engine would refuse at its start is an error whose remedy works; what only may go wrong is a warning."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends import llamacpp, ollama, sglang, trtllm, vllm
from sparkdesk.core.jobs.backend import Resident
from sparkdesk.core.jobs.plan import GIB, Fit, Problem, Severity
from sparkdesk.core.jobs.request import LaunchRequest
from tests.backends.context import GGUF, context_with, spec_named
from tests.backends.test_golden_plans import LLAMA, SMOL

ENGINES = {each.info.key: each for each in (vllm.backend, sglang.backend, trtllm.backend, llamacpp.backend)}
PLAIN = LLAMA.model_copy(update={"extra_flags": (), "concurrency": 1})


def changed(request: LaunchRequest, **fields: Any) -> LaunchRequest:
    return LaunchRequest.model_validate({**request.model_dump(), **fields})


def found(request: LaunchRequest, available_gib: float, **node: Any) -> list[Problem]:
    context = context_with(spec_named(LLAMA.model), mem_available_bytes=int(available_gib * GIB), **node)
    return ENGINES[request.engine].problems(request, context)


def errors(request: LaunchRequest, available_gib: float, **node: Any) -> list[Problem]:
    return [one for one in found(request, available_gib, **node) if one.severity is Severity.ERROR]


def follow(request: LaunchRequest, remedy: str) -> LaunchRequest | None:
    """The request with what the remedy names first; None where it names neither share nor context."""
    if remedy.startswith("What would fit"):
        return None  # other weights or nodes: other tests follow these
    first = remedy.partition("; or ")[0]
    share, tokens = re.search(r"share (?:of|to) (0\.\d\d)", first), re.search(r"a context of ([\d,]+)", first)
    changes: dict[str, Any] = {"memory_fraction": float(share[1])} if share else {}
    changes |= {"context_tokens": int(tokens[1].replace(",", ""))} if tokens else {}
    return changed(request, **changes) if changes else None


def test_a_second_vllm_that_would_not_start_is_an_error_with_a_share_that_starts() -> None:
    request = changed(PLAIN, memory_fraction=0.7)
    (problem,) = errors(request, 57.9)
    assert "57.9 GiB are available, and a share of 0.70 is 85.1 GiB" in problem.message
    assert re.match(r"Use a memory share of 0\.\d\d, which leaves [\d,]+ tokens of KV cache", problem.remedy)
    mended = follow(request, problem.remedy)
    assert mended is not None
    assert errors(mended, 57.9) == []


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["vllm", "sglang"]),
    st.floats(30.0, 119.0),
    st.integers(5, 98),
    st.sampled_from([2048, 32_768, 131_072]),
)
def test_what_the_remedy_of_a_refused_share_says_is_never_refused(
    engine: str, available_gib: float, percent: int, tokens: int
) -> None:
    request = changed(PLAIN, engine=engine, memory_fraction=percent / 100, context_tokens=tokens)
    for problem in errors(request, available_gib):
        mended = follow(request, problem.remedy)
        if mended is not None:
            assert errors(mended, available_gib) == []


@pytest.mark.parametrize(
    ("available_gib", "severity"), [(83.0, Severity.ERROR), (84.6, Severity.WARNING), (86.0, None)]
)
def test_what_moves_by_itself_before_the_start_makes_no_error(available_gib: float, severity: Severity | None) -> None:
    problems = found(changed(PLAIN, memory_fraction=0.7), available_gib)
    said = [one.severity for one in problems if "start on spark-5c2d" in one.message]
    assert said == ([severity] if severity else [])


def test_the_server_that_would_have_to_stop_is_named_with_what_it_frees() -> None:
    residents = (
        Resident("a", "Tiny", 2 * GIB),
        Resident("b", "Large chat", 70 * GIB),
        Resident("c", "Whole", 90 * GIB),
    )
    (problem,) = errors(changed(PLAIN, memory_fraction=0.7), 30.0, residents=residents)
    assert "top Large chat first, which frees about 70 GiB" in problem.remedy
    assert errors(changed(PLAIN, memory_fraction=0.7), 100.0, residents=residents) == []


def test_a_server_that_still_loads_counts_with_what_it_will_take() -> None:
    loading = (Resident("a", "Tiny", 40 * GIB, is_loading=True),)
    request = changed(PLAIN, memory_fraction=0.7)
    (problem,) = [one for one in found(request, 110.0, residents=loading) if one.field == "memory_fraction"]
    assert problem.severity is Severity.WARNING
    assert "of which Tiny takes up to 40.0 GiB while it loads" in problem.message
    mended = follow(request, problem.remedy.removeprefix("Wait until it is ready. "))
    assert mended is not None
    assert not [one for one in found(mended, 70.0) if one.field == "memory_fraction"]
    ready = (Resident("a", "Tiny", 40 * GIB),)
    assert not [one for one in found(request, 110.0, residents=ready) if one.field == "memory_fraction"]


def test_two_servers_that_still_load_are_spoken_of_as_two() -> None:
    loading = tuple(Resident(one, one, 20 * GIB, is_loading=True) for one in ("Tiny", "Chat"))
    for request in (changed(PLAIN, memory_fraction=0.7), changed(SMOL, model="x/y")):
        problems = found(request, 110.0, residents=loading, weight_files={GGUF: 80 * GIB})
        (problem,) = [one for one in problems if "of which" in one.message]
        assert "of which Tiny and Chat take up to 40.0 GiB while they load" in problem.message
        assert problem.remedy.startswith("Wait until they are ready")


def test_what_a_loading_server_has_by_now_is_not_counted_again() -> None:
    request = changed(PLAIN, memory_fraction=0.7)
    half = (Resident("a", "Tiny", 40 * GIB, is_loading=True, coming_bytes=25 * GIB),)
    (problem,) = [one for one in found(request, 100.0, residents=half) if one.field == "memory_fraction"]
    assert "of which Tiny takes up to 25.0 GiB while it loads" in problem.message
    late = (replace(half[0], coming_bytes=2 * GIB),)
    assert not [one for one in found(request, 100.0, residents=late) if one.field == "memory_fraction"]
    (short,) = errors(request, 50.0, residents=late)
    assert "stop Tiny first, which frees about 38 GiB" in short.remedy.replace("Stop", "stop")


def test_where_no_share_helps_none_is_named() -> None:
    (problem,) = errors(changed(PLAIN, memory_fraction=0.7), 20.0)
    assert problem.remedy == "Stop what runs there."


def test_a_context_that_no_share_of_that_size_holds_is_an_error_with_one_that_it_holds() -> None:
    request = changed(PLAIN, memory_fraction=0.45, context_tokens=131_072, kv_dtype="")
    (problem,) = errors(request, 118.0)
    assert problem.field == "context_tokens"
    assert "at least 20.0 GiB of KV cache" in problem.message
    mended = follow(request, problem.remedy)
    assert mended is not None
    assert mended.context_tokens < 131_072
    assert errors(mended, 118.0) == []


@pytest.mark.parametrize("engine", ["sglang", "trtllm"])
def test_weights_that_do_not_go_into_what_is_available_are_an_error(engine: str) -> None:
    request = changed(PLAIN, engine=engine, memory_fraction=None, context_tokens=8192)
    (problem,) = errors(request, 30.0)
    assert "cannot be loaded on spark-5c2d: its weights take" in problem.message
    assert errors(request, 110.0) == []


def test_a_share_of_what_is_available_that_does_not_hold_the_weights_names_one_that_does() -> None:
    request = changed(PLAIN, engine="sglang", memory_fraction=0.3, context_tokens=8192)
    (problem,) = errors(request, 100.0)
    mended = follow(request, problem.remedy)
    assert mended is not None
    assert errors(mended, 100.0) == []


def test_a_gguf_and_its_cache_that_do_not_go_in_are_an_error() -> None:
    request = changed(SMOL, model="x/y")
    big = {"weight_files": {GGUF: 60 * GIB}}
    assert "cannot be loaded" in errors(request, 50.0, **big)[0].message
    assert errors(request, 100.0, **big) == []


def test_a_model_of_ollamas_that_does_not_go_in_is_an_error() -> None:
    request = changed(
        SMOL, engine="ollama", model="nvidia/Qwen3.6-35B-A3B-NVFP4", quantization="Q4_K_M", weights_path="", port=11434,
        served_name="qwen3.6:35b",
    )  # fmt: skip
    spec = spec_named("nvidia/Qwen3.6-35B-A3B-NVFP4")
    problems = ollama.backend.problems(request, context_with(spec, mem_available_bytes=8 * GIB))
    assert [one.severity for one in problems if "cannot be loaded" in one.message] == [Severity.ERROR]
    assert not [one for one in ollama.backend.problems(request, context_with(spec)) if one.severity is Severity.ERROR]


def test_a_server_of_ours_makes_no_known_plan_unknown() -> None:
    context = context_with(spec_named(LLAMA.model), residents=(Resident("a", "Tiny"),))
    assert vllm.backend.plan(changed(PLAIN, memory_fraction=0.6), context).ledgers[0].fit is Fit.FITS
