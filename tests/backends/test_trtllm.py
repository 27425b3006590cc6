"""TensorRT-LLM: its file of options, its words, its traps, and the log lines that its users published."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import pytest

from backends import trtllm
from sparkdesk.core.jobs.backend import Finding, LoadProgress, LogFailure, Reading, Told
from sparkdesk.core.jobs.plan import GIB, Fit, LaunchPlan, Severity
from sparkdesk.core.jobs.reading import (
    ACCEPTED_TOKENS,
    DRAFT_TOKENS,
    KV_CAPACITY_BYTES,
    KV_CAPACITY_TOKENS,
    PREFIX_HITS,
    PREFIX_QUERIES,
    WEIGHTS_BYTES,
    WEIGHTS_LOAD_S,
)
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.models.spec import LayerGroup, LayerKind
from sparkdesk.core.step import PutFile
from tests.backends.context import ROOT, context_with, spec_named
from tests.backends.golden import check_golden

NVFP4 = LaunchRequest(
    engine="trtllm",
    model="nvidia/Llama-3.3-70B-Instruct-NVFP4",
    nodes=("node-1",),
    served_name="nvidia/Llama-3.3-70B-Instruct-NVFP4",
    port=8355,
    context_tokens=32_768,
    concurrency=4,
    kv_dtype="fp8",
)
EAGLE = LaunchRequest(
    engine="trtllm",
    model="openai/gpt-oss-120b",
    nodes=("node-1",),
    served_name="gpt-oss-120b",
    port=8355,
    context_tokens=8192,
    speculative="eagle3",
    speculative_model="nvidia/gpt-oss-120b-Eagle3-long-context",
    moe_backend="cutlass",
    environment=(("TIKTOKEN_ENCODINGS_BASE", "/home/nvidia/encodings"),),
)
PARSERS = NVFP4.model_copy(
    update={"tool_parser": "qwen3", "reasoning_parser": "qwen3", "trust_remote_code": True, "max_batched_tokens": 32768}
)


def changed(request: LaunchRequest, **fields: object) -> LaunchRequest:
    return LaunchRequest.model_validate({**request.model_dump(), **fields})


def plan_of(request: LaunchRequest) -> LaunchPlan:
    return trtllm.backend.plan(request, context_with(spec_named(request.model)))


def options_of(request: LaunchRequest) -> dict[str, str]:
    """The file of options, as its lines: key or section.key -> text."""
    files = [action for step in plan_of(request).playbook.steps() for action in step.apply]
    (content,) = [one.content for one in files if isinstance(one, PutFile) and one.path.endswith("options.yaml")]
    found, section = {}, ""
    for line in content.decode().splitlines():
        key, _, value = line.strip().partition(": ")
        if line.endswith(":"):
            section = line[:-1]
        elif line.startswith("  "):
            found[f"{section}.{key}"] = value
        else:
            found[key] = value
    return found


def errors_at(request: LaunchRequest) -> list[str]:
    problems = trtllm.backend.problems(request, context_with(spec_named(request.model)))
    return [problem.field for problem in problems if problem.severity is Severity.ERROR]


def feed(*lines: str) -> list[Finding | LogFailure]:
    reader = trtllm.backend.log_reader()
    return [found for line in lines for found in reader.feed(line)]


@pytest.mark.parametrize(
    ("name", "request_"), [("trtllm_nvfp4", NVFP4), ("trtllm_eagle", EAGLE), ("trtllm_parsers", PARSERS)]
)
def test_a_plan_of_tensorrt_llm_is_the_reviewed_text(name: str, request_: LaunchRequest) -> None:
    check_golden(name, plan_of(request_))


def test_the_cache_takes_no_more_tokens_than_the_plan_has() -> None:
    options = options_of(NVFP4)
    assert options["kv_cache_config.max_tokens"] == str(4 * 32_768)
    assert options["kv_cache_config.dtype"] == '"fp8"'
    assert options["kv_cache_config.free_gpu_memory_fraction"] == "0.9"
    assert options_of(changed(NVFP4, memory_fraction=0.5))["kv_cache_config.free_gpu_memory_fraction"] == "0.5"
    assert plan_of(NVFP4).ledgers[0].fit is Fit.FITS


def test_a_draft_head_is_named_with_its_tokens_and_without_reuse_of_blocks() -> None:
    options = options_of(EAGLE)
    assert options["speculative_config.decoding_type"] == '"Eagle"'
    assert options["speculative_config.max_draft_len"] == "5"
    assert options["speculative_config.speculative_model_dir"] == '"nvidia/gpt-oss-120b-Eagle3-long-context"'
    assert options["kv_cache_config.enable_block_reuse"] == "false"
    assert "1.3.0rc12" in plan_of(EAGLE).commands[0].text, "the image of NVIDIA's playbook for it"
    assert options_of(changed(NVFP4, speculative="ngram", speculative_tokens=6)) | {} != options_of(NVFP4)


def test_the_options_file_is_mounted_read_only_from_the_jobs_folder() -> None:
    text = plan_of(NVFP4).commands[0].text
    assert "/options.yaml:/sparkdesk/options.yaml:ro" in text
    assert "--extra_llm_api_options /sparkdesk/options.yaml" in text
    assert "--volume /home/nvidia/encodings:/home/nvidia/encodings:ro" in plan_of(EAGLE).commands[0].text


def test_a_model_whose_layers_keep_a_state_reuses_no_blocks() -> None:
    spec = spec_named(NVFP4.model)
    hybrid = replace(spec, layers=(*spec.layers, LayerGroup(LayerKind.LINEAR, 2, state_bytes=4096)))
    context = context_with(hybrid)
    plan = trtllm.backend.plan(NVFP4, context)
    assert any(
        isinstance(action, PutFile) and b"enable_block_reuse: false" in action.content
        for step in plan.playbook.steps()
        for action in step.apply
    )
    asked = trtllm.backend.problems(changed(NVFP4, prefix_caching=True), context)
    assert [one.field for one in asked if one.severity is Severity.ERROR] == ["prefix_caching"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("reach", "lan"), ("purpose", "embed"), ("kv_dtype", "q8_0"), ("speculative", "dflash"), ("build", "tuned")],
)
def test_what_tensorrt_llm_does_not_have_is_refused_at_its_field(field: str, value: str) -> None:
    assert errors_at(changed(NVFP4, **{field: value})) == [field]


def test_the_adapter_and_the_planners_table_say_the_same() -> None:
    table = tomllib.loads((ROOT / "resources/planning/engines.toml").read_text())
    (engine,) = [row for row in table["engine"] if row["key"] == "trtllm"]
    assert trtllm.PROFILE.runtime_bytes == engine["runtime_bytes"]
    assert {build.key for build in trtllm.PROFILE.builds} == {each["key"] for each in engine["build"]}
    assert set(trtllm.PROFILE.speculatives) <= set(engine["speculatives"])
    assert set(trtllm.PROFILE.kv_dtypes) <= set(engine["kv_dtypes"])
    assert engine["is_launchable"] is True


def test_a_draft_without_a_model_is_refused_at_its_field() -> None:
    assert errors_at(changed(EAGLE, speculative_model="")) == ["speculative_model"]


def test_gpt_oss_without_its_encodings_is_warned_of() -> None:
    problems = trtllm.backend.problems(changed(EAGLE, environment=[]), context_with(spec_named(EAGLE.model)))
    (problem,) = [one for one in problems if one.field == "environment"]
    assert "o200k_base.tiktoken" in problem.message
    assert "TIKTOKEN_ENCODINGS_BASE" in problem.remedy


def test_a_hostile_folder_of_encodings_is_not_mounted() -> None:
    bad = changed(EAGLE, environment=[("TIKTOKEN_ENCODINGS_BASE", "/x:/root/.ssh")])
    assert "/x:/root/.ssh:/x" not in plan_of(bad).commands[0].text


def test_requests_name_the_models_id_and_the_plan_says_so() -> None:
    plan = plan_of(EAGLE)
    assert plan.endpoint.model == "openai/gpt-oss-120b"
    assert any("no other name" in note for note in plan.notes)
    assert plan.endpoint.metrics_path == "/prometheus/metrics"


def test_published_log_lines_tell_weights_cache_and_times() -> None:
    found = feed(
        "[TensorRT-LLM] TensorRT LLM version: 1.3.0rc13",
        "Loading weights concurrently: 100% 45/45 [00:01<00:00, 35.06it/s]",
        "Loading safetensors weights in parallel:  50%|#####     | 3/6 [00:00<00:00, 105.78it/s]",
        "Model init total -- 5.18s",
        "[12/20/2025-04:21:50] [TRT-LLM] [I] Memory used after loading model weights (inside torch) in memory usage "
        "profiling: 63.52 GiB",
        "[TensorRT-LLM][INFO] [MemUsageChange] Allocated 1.56 GiB for max tokens in paged KV cache (12800).",
        "INFO:     Application startup complete.",
    )
    readings = {item.key: item.value for item in found if isinstance(item, Reading)}
    assert readings == {
        WEIGHTS_LOAD_S: 5.18,
        WEIGHTS_BYTES: 63.52 * GIB,
        KV_CAPACITY_BYTES: 1.56 * GIB,
        KV_CAPACITY_TOKENS: 12_800,
    }
    assert Told("version", "1.3.0rc13") in found
    progress = [item for item in found if isinstance(item, LoadProgress)]
    assert LoadProgress("load", "Weights 45 of 45 parts", 1.0) in progress
    assert LoadProgress("load", "Weights 3 of 6 parts", 0.5) in progress
    assert progress[-1] == LoadProgress("token", "Server listens")


@pytest.mark.parametrize(
    ("line", "help_"),
    [
        ("Error: No such option: --max_batch_sise Did you mean --max_batch_size?", "flag"),
        ("Error: Invalid value for '--tool_parser': 'qwen9' is not one of 'qwen3'.", "value"),
        ("RuntimeError: Failed to bind socket to 127.0.0.1:8355: [Errno 98] Address already in use", "another port"),
        ("pydantic_core._pydantic_core.ValidationError: Extra inputs are not permitted", "another image"),
        ("openai_harmony.HarmonyError: error downloading or loading vocab file", "TIKTOKEN_ENCODINGS_BASE"),
        ("[TRT-LLM] [E] Failed to initialize executor on rank 0: CUDA out of memory. Tried to", "memory share"),
        ("[TRT-LLM] [E] Failed to initialize executor on rank 0: boom", "lines before"),
    ],
)
def test_a_failure_of_tensorrt_llm_has_its_remedy(line: str, help_: str) -> None:
    (failure,) = feed(line)
    assert isinstance(failure, LogFailure)
    assert help_ in failure.remedy


def test_its_metrics_are_read_by_the_names_of_its_own_collector() -> None:
    page = (
        'trtllm_prompt_tokens_total{model_name="m"} 300\ntrtllm_prompt_cached_tokens_total{model_name="m"} 120\n'
        "trtllm_spec_decode_num_draft_tokens_total 50\ntrtllm_spec_decode_num_accepted_tokens_total 30\n"
    )
    found = trtllm.backend.readings(page)
    assert (found[PREFIX_QUERIES], found[PREFIX_HITS]) == (300, 120)
    assert (found[DRAFT_TOKENS], found[ACCEPTED_TOKENS]) == (50, 30)
    assert trtllm.backend.readings('[{"numActiveRequests": 1}]') == {}


def test_both_shapes_of_an_error_are_read() -> None:
    flat = b'{"object":"error","message":"The prompt is longer than max_seq_len (8192)","type":"BadRequestError"}'
    failure = trtllm.backend.failure(400, flat)
    assert failure is not None
    assert (failure.kind, failure.context_tokens) == ("context_overflow", 8192)
    for body in (b"", b"[]", b'{"detail":"Not Found"}', b"\xff"):
        assert trtllm.backend.failure(404, body) is None
