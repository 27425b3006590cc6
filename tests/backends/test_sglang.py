"""SGLang: plans in its own flags, its log's truth, its metrics and its errors, all from its own source."""

from __future__ import annotations

import json
import tomllib

import pytest

from backends import sglang
from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.backend import LoadProgress, LogFailure, Reading, Told
from sparkdesk.core.jobs.plan import GIB, Problem, Severity
from sparkdesk.core.jobs.reading import (
    GENERATED_TOKENS,
    GRAPH_BYTES,
    KV_CAPACITY_BYTES,
    KV_CAPACITY_TOKENS,
    KV_TOKENS,
    KV_USED,
    PREEMPTIONS,
    PREFIX_HITS,
    PREFIX_QUERIES,
    REQUESTS_RUNNING,
    REQUESTS_WAITING,
    TPOT,
    TTFT,
    WEIGHTS_BYTES,
    WEIGHTS_LOAD_S,
)
from sparkdesk.core.jobs.request import LaunchRequest
from tests.backends.context import ROOT, context_with, spec_named
from tests.backends.golden import check_golden

TABLE = tomllib.loads((ROOT / "resources/flags/sglang-0.5.23.toml").read_text())


def changed(request: LaunchRequest, **fields: object) -> LaunchRequest:
    return LaunchRequest.model_validate({**request.model_dump(), **fields})


LLAMA = LaunchRequest(
    engine="sglang",
    model="nvidia/Llama-3.3-70B-Instruct-NVFP4",
    nodes=("node-1",),
    served_name="llama-3.3-70b",
    port=30000,
    context_tokens=32_768,
    concurrency=4,
    kv_dtype="fp8",
)
EAGLE = changed(
    LLAMA,
    model="meta-llama/Llama-3.1-8B-Instruct",
    served_name="llama-3.1-8b",
    kv_dtype="",
    memory_fraction=0.5,
    speculative="eagle3",
    speculative_model="yuhuili/EAGLE3-LLaMA3.1-Instruct-8B",
    speculative_tokens=5,
    tool_parser="llama3",
    prefix_caching=False,
)
GPT_OSS = changed(
    LLAMA,
    model="openai/gpt-oss-20b",
    served_name="gpt-oss-20b",
    kv_dtype="",
    memory_fraction=0.4,
    tool_parser="gpt-oss",
    reasoning_parser="gpt-oss",
    moe_backend="flashinfer_mxfp4",
    attention_backend="triton",
    load_format="fastsafetensors",
    max_batched_tokens=8192,
    trust_remote_code=True,
)
EMBED = changed(LLAMA, model="Qwen/Qwen3-Embedding-0.6B", served_name="embed", purpose="embed", memory_fraction=0.06)
CASES = {
    "sglang_llama_nvfp4": LLAMA,
    "sglang_eagle3": EAGLE,
    "sglang_gpt_oss": GPT_OSS,
    "sglang_embed": EMBED,
    "sglang_mtp": changed(LLAMA, model="nvidia/Qwen3.6-35B-A3B-NVFP4", speculative="mtp", memory_fraction=0.4),
}


def spec_of(request: LaunchRequest) -> object:
    return None if request.model == EMBED.model else spec_named(request.model)


def problems_of(request: LaunchRequest, **node: object) -> list[Problem]:
    return sglang.backend.problems(request, context_with(spec_of(request), **node))  # type: ignore[arg-type]


def errors_at(request: LaunchRequest) -> list[str]:
    return [problem.field for problem in problems_of(request) if problem.severity is Severity.ERROR]


def read(text: str) -> list[object]:
    reader = sglang.backend.log_reader()
    return [found for line in text.splitlines() for found in reader.feed(line)]


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_plan_of_sglang_is_the_reviewed_text(name: str) -> None:
    check_golden(name, sglang.backend.plan(CASES[name], context_with(spec_of(CASES[name]))))  # type: ignore[arg-type]


def test_the_words_for_kernels_formats_and_loaders_are_sglangs_own() -> None:
    flags = {flag["name"]: set(flag.get("choices", ())) for flag in TABLE["flag"]}
    assert set(sglang.MOE_BACKENDS) <= flags["--moe-runner-backend"]
    assert set(sglang.ATTENTION_BACKENDS) <= flags["--attention-backend"]
    assert set(sglang.LOAD_FORMATS) <= flags["--load-format"]
    assert set(sglang.QUANTIZATIONS) - {""} <= flags["--quantization"]
    assert set(sglang.KV_TYPES.values()) - {""} <= flags["--kv-cache-dtype"]


def test_a_network_is_refused_because_the_key_would_be_on_the_command_line() -> None:
    assert errors_at(changed(LLAMA, reach="lan")) == ["reach"]
    with pytest.raises(PlanError, match="command line"):
        sglang.backend.plan(changed(LLAMA, reach="lan"), context_with(spec_named(LLAMA.model)))
    flags = {flag["name"] for flag in TABLE["flag"]}
    assert "--api-key" in flags, "the one way that it has"


def test_what_is_not_sglangs_is_refused_at_its_field() -> None:
    assert errors_at(changed(LLAMA, purpose="rerank")) == ["purpose"]
    assert errors_at(changed(LLAMA, kv_dtype="q8_0")) == ["kv_dtype"]
    assert errors_at(changed(LLAMA, build="tuned")) == ["build"]
    assert errors_at(changed(EAGLE, speculative_model="")) == ["speculative_model"]
    assert errors_at(changed(LLAMA, speculative="mtp")) == ["speculative"], "it has no such head"
    assert errors_at(changed(LLAMA, quantization="Q4_K_M")) == ["quantization"]


def test_a_port_that_is_held_is_an_error_with_the_next_free_one() -> None:
    (problem,) = [one for one in problems_of(LLAMA, used_ports={30000: "python3"}) if one.field == "port"]
    assert "30001" in problem.remedy


def test_a_parser_in_another_engines_spelling_is_warned_of_with_the_right_ones() -> None:
    (problem,) = [one for one in problems_of(changed(GPT_OSS, tool_parser="openai")) if one.field == "tool_parser"]
    assert problem.severity is Severity.WARNING
    assert "gpt-oss" in problem.remedy
    assert "tool_parser" not in [one.field for one in problems_of(GPT_OSS)]


def test_docker_that_is_down_and_an_image_for_another_processor_forbid_the_launch() -> None:
    down = [one for one in problems_of(LLAMA, docker_problem="down") if one.severity is Severity.ERROR]
    assert [one.field for one in down] == ["engine"]
    image = sglang.DEFAULT_IMAGE
    wrong = problems_of(LLAMA, images=(image,), image_architectures={image: "amd64"})
    assert [one.field for one in wrong if one.severity is Severity.ERROR] == ["image"]


def test_flash_attention_is_warned_of_on_this_gpu() -> None:
    assert [one.field for one in problems_of(changed(GPT_OSS, attention_backend="fa3"))].count("attention_backend") == 1
    assert "attention_backend" not in [one.field for one in problems_of(GPT_OSS)]


LINES = """\
[2026-11-22 01:00:00] server_args={'model_path': 'x/y', 'quantization': 'modelopt_fp4', 'kv_cache_dtype': 'fp8_e4m3', \
'attention_backend': 'flashinfer', 'decode_attention_backend': None, 'moe_runner_backend': 'flashinfer_cutlass'}
[2026-11-22 01:00:05] Load weight begin. avail mem=110.20 GB
Loading safetensors checkpoint shards:  50% Completed | 2/4 [00:10<00:10,  5.00s/it]
[2026-11-22 01:01:00] Load weight end. elapsed=55.10 s, type=LlamaForCausalLM, quant=modelopt_fp4, avail mem=70.00 GB, \
mem usage=40.20 GB.
[2026-11-22 01:01:01] KV Cache is allocated. dtype: torch.float8_e4m3fn, #tokens: 262144, K size: 10.00 GB, \
V size: 10.50 GB
[2026-11-22 01:01:02] Memory pool end. avail mem=30.00 GB
[2026-11-22 01:01:03] Capture target decode CUDA graph begin. backend=full, num_tokens_per_req=1, avail mem=30.00 GB
Capturing batches (bs=8 avail_mem=29.50 GB):  25%|##5       | 1/4 [00:01<00:03,  1.00s/it]
[2026-11-22 01:01:20] Capture target decode CUDA graph end. bs=[1, 2, 4, 8], elapsed=17.00 s, mem usage=0.80 GB, \
avail mem=29.20 GB.
[2026-11-22 01:01:21] max_total_num_tokens=262144, chunked_prefill_size=8192, max_prefill_tokens=16384
[2026-11-22 01:01:25] The server is fired up and ready to roll!
"""
"""Not run by us: wording of SGLang 0.5.23's own source, with numbers put in."""


def test_the_engines_own_truth_is_read_in_bytes_tokens_and_seconds() -> None:
    found = read(LINES)
    readings = {item.key: item.value for item in found if isinstance(item, Reading)}
    assert readings == {
        WEIGHTS_BYTES: pytest.approx(40.2 * GIB),
        WEIGHTS_LOAD_S: 55.1,
        KV_CAPACITY_TOKENS: 262_144,
        KV_CAPACITY_BYTES: pytest.approx(20.5 * GIB),
        GRAPH_BYTES: pytest.approx(0.8 * GIB),
    }
    told = {item.key: item.text for item in found if isinstance(item, Told)}
    assert told == {
        "attention_backend": "flashinfer",
        "moe_backend": "flashinfer_cutlass",
        "kv_dtype": "fp8_e4m3",
        "quantization": "modelopt_fp4",
    }


def test_the_phases_of_a_start_come_in_their_order() -> None:
    found = [item for item in read(LINES) if isinstance(item, LoadProgress)]
    phases = [item.phase for item in found]
    assert phases == sorted(phases, key=["load", "warmup", "token"].index)
    assert LoadProgress("load", "Weights 2 of 4 files", 0.5) in found
    assert LoadProgress("warmup", "Capturing CUDA graphs", 0.25) in found
    assert found[-1] == LoadProgress("token", "Server answers")


@pytest.mark.parametrize(
    ("line", "help_"),
    [
        ("launch_server.py: error: unrecognized arguments: --mem-fracton-static 0.7", "does not know"),
        ("launch_server.py: error: argument --attention-backend: invalid choice: 'flash'", "SGLang names"),
        ("RuntimeError: Not enough memory. Please try to increase --mem-fraction-static. Current value: "
         "mem_fraction_static=0.2", "Raise the memory share"),
        ("ValueError: Loaded weights leave no GPU memory for the KV cache under --mem-fraction-static=0.2. Raise "
         "--mem-fraction-static above 0.415 (minimum viable", "above 0.415"),
        ("Exception: Capture cuda graph failed: out of memory", "Lower the memory share"),
        ("ValueError: Warning: User-specified context_length (99999) is greater than the derived context_length "
         "(32768). This may lead to incorrect model outputs or CUDA errors. Note that it may differ. To allow "
         "overriding this maximum, set the env var SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN=1",
         "Lower the context to 32768"),
        ("ImportError: libcudart.so.12: cannot open shared object file", "CUDA 13"),
    ],
)  # fmt: skip
def test_a_line_that_ends_a_start_says_what_helps(line: str, help_: str) -> None:
    (failure,) = read(line)
    assert isinstance(failure, LogFailure)
    assert help_ in failure.remedy


METRICS = """\
# TYPE sglang:num_running_reqs gauge
sglang:num_running_reqs{model_name="m",tp_rank="0"} 2.0
sglang:num_queue_reqs{model_name="m",tp_rank="0"} 1.0
sglang:token_usage{model_name="m"} 0.25
sglang:num_used_tokens{model_name="m"} 65536.0
sglang:prompt_tokens_total{model_name="m",is_streaming="true"} 600.0
sglang:prompt_tokens_total{model_name="m",is_streaming="false"} 400.0
sglang:generation_tokens_total{model_name="m",is_streaming="true"} 128.0
sglang:cached_tokens_total{model_name="m",cache_source="device"} 250.0
sglang:num_retracted_requests_total{model_name="m"} 3.0
sglang:time_to_first_token_seconds_bucket{le="0.5",model_name="m"} 4.0
sglang:time_to_first_token_seconds_bucket{le="+Inf",model_name="m"} 5.0
sglang:inter_token_latency_seconds_bucket{le="0.02",model_name="m"} 100.0
"""


def test_the_metrics_page_is_read_by_sglangs_own_names() -> None:
    readings = sglang.backend.readings(METRICS)
    assert (readings[REQUESTS_RUNNING], readings[REQUESTS_WAITING]) == (2, 1)
    assert (readings[KV_USED], readings[KV_TOKENS]) == (0.25, 65_536)
    assert readings[GENERATED_TOKENS] == 128
    assert (readings[PREFIX_HITS], readings[PREFIX_QUERIES]) == (250, 1000)
    assert readings[PREEMPTIONS] == 3
    assert (readings[f"{TTFT}_le_0.5"], readings[f"{TTFT}_le_inf"]) == (4, 5)
    assert readings[f"{TPOT}_le_0.02"] == 100


def test_an_error_is_understood_alone_and_inside_a_stream() -> None:
    words = "The input (6031 tokens) is longer than the model's context length (2048 tokens)."
    answer = {"object": "error", "message": words, "type": "BadRequestError", "param": None, "code": 400}
    for body in (json.dumps(answer).encode(), json.dumps({"error": answer}).encode()):
        failure = sglang.backend.failure(400, body)
        assert failure is not None
        assert (failure.kind, failure.prompt_tokens, failure.context_tokens) == ("context_overflow", 6031, 2048)
    asked = "Requested token count exceeds the model's maximum context length of 2048 tokens. You requested a total of "
    asked += "2100 tokens: 2000 tokens from the input messages and 100 tokens for the completion."
    other = sglang.backend.failure(400, json.dumps({**answer, "message": asked}).encode())
    assert other is not None
    assert (other.prompt_tokens, other.context_tokens) == (2000, 2048)
    assert sglang.backend.failure(400, b'{"detail":"no"}') is None
