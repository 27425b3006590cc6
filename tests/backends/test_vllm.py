"""vLLM: what a request says becomes its own flags, and its own log and metrics tell the truth about it."""

from __future__ import annotations

import pytest

from backends import vllm
from sparkdesk.core.jobs.backend import LoadProgress, LogFailure, Reading, Told
from sparkdesk.core.jobs.plan import GIB, Problem, Severity
from sparkdesk.core.jobs.reading import (
    ACCEPTED_TOKENS,
    DRAFT_TOKENS,
    ENGINE_KEYS,
    GRAPH_BYTES,
    KV_CAPACITY_BYTES,
    KV_CAPACITY_TOKENS,
    PREFIX_HITS,
    PREFIX_QUERIES,
    START_S,
    TPOT,
    TTFT,
    WEIGHTS_BYTES,
    WEIGHTS_LOAD_S,
)
from sparkdesk.core.jobs.request import LaunchRequest
from tests.backends.context import JOB_ID, ROOT, context_with, spec_named
from tests.backends.golden import check_golden
from tests.backends.test_golden_plans import LLAMA, QWEN

LOG = ROOT / "tests/data/captures/vllm_cpu/startup_and_requests.log"


def changed(request: LaunchRequest, **fields: object) -> LaunchRequest:
    return LaunchRequest.model_validate({**request.model_dump(), **fields})


CHAT = changed(
    QWEN,
    build="stock",
    tool_parser="qwen3_xml",
    reasoning_parser="qwen3",
    prefix_caching=True,
    moe_backend="marlin",
    attention_backend="FLASHINFER",
    load_format="fastsafetensors",
    max_batched_tokens=8192,
    stop_after_s=3600,
)
EMBED = LaunchRequest(
    engine="vllm",
    model="Qwen/Qwen3-Embedding-0.6B",
    nodes=("node-1",),
    served_name="qwen3-embed",
    port=8001,
    context_tokens=8192,
    concurrency=8,
    purpose="embed",
    memory_fraction=0.06,
)
EAGLE = changed(
    LLAMA, speculative="eagle3", speculative_model="nvidia/Llama-3.3-70B-Instruct-Eagle3", speculative_tokens=4
)
CASES = {
    "vllm_chat_parsers": CHAT,
    "vllm_embed": EMBED,
    "vllm_eagle3": EAGLE,
    "vllm_dflash": changed(CHAT, speculative="dflash", speculative_model="z-lab/Qwen3.6-35B-A3B-DFlash"),
    "vllm_lan": changed(LLAMA, reach="lan", prefix_caching=False, trust_remote_code=True),
}


def spec_of(request: LaunchRequest) -> object:
    return None if request is EMBED or request.model == EMBED.model else spec_named(request.model)


def problems_of(request: LaunchRequest) -> list[Problem]:
    return vllm.backend.problems(request, context_with(spec_of(request)))  # type: ignore[arg-type]


def errors_at(request: LaunchRequest) -> list[str]:
    return [problem.field for problem in problems_of(request) if problem.severity is Severity.ERROR]


def warned_at(request: LaunchRequest) -> list[str]:
    return [problem.field for problem in problems_of(request) if problem.severity is Severity.WARNING]


def read(text: str) -> list[object]:
    reader = vllm.backend.log_reader()
    return [found for line in text.splitlines() for found in reader.feed(line)]


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_plan_of_vllm_is_the_reviewed_text(name: str) -> None:
    check_golden(name, vllm.backend.plan(CASES[name], context_with(spec_of(CASES[name]))))  # type: ignore[arg-type]


def test_a_server_for_the_network_has_a_key_that_is_nowhere_in_the_plan() -> None:
    plan = vllm.backend.plan(CASES["vllm_lan"], context_with(spec_named(LLAMA.model)))
    text = plan.commands[0].text
    assert "--host 0.0.0.0" in text
    assert "--env VLLM_API_KEY \\" in text
    assert "VLLM_API_KEY=" not in text
    assert "api-key" not in text
    assert plan.endpoint.host == "127.0.0.1", "we come through SSH all the same"
    assert any("its key guards /v1" in note for note in plan.notes)
    quiet = vllm.backend.plan(LLAMA, context_with(spec_named(LLAMA.model))).commands[0].text
    assert "--host 127.0.0.1" in quiet
    assert "VLLM_API_KEY" not in quiet


def test_what_a_request_says_takes_the_place_of_what_a_build_brings() -> None:
    tuned = changed(QWEN, moe_backend="flashinfer_cutlass", prefix_caching=False)
    words = vllm.backend.plan(tuned, context_with(spec_named(QWEN.model))).commands[0].text.replace("\\\n", " ").split()
    assert words.count("--moe-backend") == 1
    assert words[words.index("--moe-backend") + 1] == "flashinfer_cutlass"
    assert "--enable-prefix-caching" not in words
    assert "--no-enable-prefix-caching" in words
    assert "--async-scheduling" in words


def test_a_method_with_a_draft_needs_its_hub_id() -> None:
    assert errors_at(changed(EAGLE, speculative_model="")) == ["speculative_model"]
    assert errors_at(changed(EAGLE, speculative_model="-o/evil")) == ["speculative_model"]
    assert errors_at(changed(EAGLE, speculative="medusa")) == ["speculative"]
    assert errors_at(EAGLE) == []


def test_a_server_for_vectors_has_no_parsers_and_guesses_nothing() -> None:
    assert errors_at(EMBED) == []
    assert errors_at(changed(EMBED, tool_parser="hermes", reasoning_parser="qwen3")) == [
        "tool_parser",
        "reasoning_parser",
    ]
    assert errors_at(changed(EMBED, speculative="ngram")) == ["speculative"]


def test_a_server_for_vectors_takes_a_small_share_where_nobody_chose_one() -> None:
    words = vllm.backend.plan(changed(EMBED, memory_fraction=None), context_with(None)).commands[0].text
    assert "--gpu-memory-utilization 0.20" in words


def test_traps_of_the_gpu_are_said_at_their_fields() -> None:
    assert "moe_backend" in warned_at(changed(QWEN, build="stock"))
    assert "moe_backend" not in warned_at(CHAT)
    assert "moe_backend" not in warned_at(LLAMA), "no mixture of experts"
    assert "attention_backend" in warned_at(changed(LLAMA, attention_backend="FLASH_ATTN"))
    assert "attention_backend" in warned_at(changed(LLAMA, attention_backend="FLASH_INFER"))
    assert "environment" in warned_at(changed(LLAMA, environment=(("TORCH_CUDA_ARCH_LIST", "9.0"),)))
    assert "environment" not in warned_at(changed(LLAMA, environment=(("TORCH_CUDA_ARCH_LIST", "12.1a"),)))
    assert "environment" in warned_at(changed(LLAMA, environment=(("VLLM_NVFP4_GEMM_BACKEND", "marlin"),)))


def test_a_text_model_that_is_asked_to_see_is_warned_of() -> None:
    assert warned_at(changed(LLAMA, purpose="vision")) == ["purpose"]
    assert "purpose" not in warned_at(changed(CHAT, purpose="vision"))


def test_the_log_of_a_real_start_tells_release_cache_and_seconds() -> None:
    found = read(LOG.read_text())
    assert Told("version", "0.32.0") in found
    assert Told("eager", "yes") in found
    assert Reading(KV_CAPACITY_TOKENS, 46_592) in found
    assert Reading(WEIGHTS_LOAD_S, 0.68) in found
    assert Reading(START_S, 1.91) in found
    assert not [item for item in found if isinstance(item, LogFailure)]


GPU_LINES = """\
(EngineCore pid=7) INFO 11-21 08:37:50 [gpu_model_runner.py:4979] Starting to load model nvidia/X...
(EngineCore pid=7) INFO 11-21 08:37:50 [cuda.py:508] Using FLASHINFER attention backend out of potential backends: [].
(EngineCore pid=7) INFO 11-21 08:37:51 [nvfp4.py:242] Using 'MARLIN' NvFp4 MoE backend out of potential backends: [].
Loading safetensors checkpoint shards:  40% Completed | 2/5 [00:10<00:15,  5.00s/it]
(EngineCore pid=7) INFO 11-21 08:38:50 [gpu_model_runner.py:5089] Model loading took 21.34 GiB memory and 61.5 seconds
(EngineCore pid=7) INFO 11-21 08:38:51 [monitor.py:40] Starting torch.compile
(EngineCore pid=7) INFO 11-21 08:39:20 [gpu_worker.py:773] Available KV cache memory: 20.5 GiB
(EngineCore pid=7) INFO 11-21 08:39:20 [kv_cache_utils.py:1149] GPU KV cache size: 1,234,560 tokens, Maximum ...
Capturing CUDA graphs (mixed prefill-decode, PIECEWISE):  50%|#####     | 3/6 [00:01<00:01,  2.00it/s]
(EngineCore pid=7) INFO 11-21 08:39:30 [gpu_model_runner.py:6517] Graph capturing finished in 12 secs, took 0.75 GiB
(EngineCore pid=7) INFO 11-21 08:39:31 [core.py:396] init engine (profile, create kv cache, warmup model) took 40.12 s
"""
"""Not run by us: wording of vLLM 0.33.0's own source, with numbers put in."""


def test_the_engines_own_truth_is_read_in_bytes_tokens_and_seconds() -> None:
    found = read(GPU_LINES)
    readings = {item.key: item.value for item in found if isinstance(item, Reading)}
    assert set(readings) == set(ENGINE_KEYS)
    assert readings[WEIGHTS_BYTES] == pytest.approx(21.34 * GIB)
    assert readings[WEIGHTS_LOAD_S] == 61.5
    assert readings[KV_CAPACITY_BYTES] == pytest.approx(20.5 * GIB)
    assert readings[KV_CAPACITY_TOKENS] == 1_234_560
    assert readings[GRAPH_BYTES] == pytest.approx(0.75 * GIB)
    assert readings[START_S] == 40.12
    told = {item.key: item.text for item in found if isinstance(item, Told)}
    assert told == {"attention_backend": "FLASHINFER", "moe_backend": "MARLIN"}


def test_loading_and_warming_up_are_phases_with_their_progress() -> None:
    found = [item for item in read(GPU_LINES) if isinstance(item, LoadProgress)]
    assert LoadProgress("load", "Weights 2 of 5 files", 0.4) in found
    assert LoadProgress("warmup", "Capturing CUDA graphs", 0.5) in found
    assert [item.phase for item in found] == ["load", "load", "warmup", "load", "warmup", "warmup"]


@pytest.mark.parametrize(
    ("line", "help_"),
    [
        ("ValueError: To serve at least one request with the model's max seq len (262144), (9.8 GiB KV cache is "
         "needed, which is larger than the available KV cache memory (4.1 GiB). Based on the available memory, the "
         "estimated maximum model length is 109520. Try increasing `gpu_memory_utilization`",
         "Lower the context to 109520"),
        ("ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`", "share"),
        ("ImportError: libcudart.so.12: cannot open shared object file: No such file or directory", "CUDA 13"),
        ("RuntimeError: CUDA error: no kernel image is available for execution on the device", "sm_121"),
        ("ptxas fatal   : Value 'sm_121a' is not defined for option 'gpu-name'", "TRITON_PTXAS_PATH"),
        ("OSError: You are trying to access a gated repo.", "licence"),
        ("huggingface_hub.errors.HfHubHTTPError: 401 Client Error: Unauthorized for url", "token"),
        ("[Errno 98] error while attempting to bind on address ('127.0.0.1', 8000): address already in use", "port"),
        ("KeyError: \"invalid tool call parser: qwen9 (chose from { hermes })\"", "parser"),
        ("docker: Error response from daemon: could not select device driver \"\" with capabilities: [[gpu]].",
         "toolkit"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", "memory share"),
    ],
)  # fmt: skip
def test_a_line_that_ends_a_start_says_what_helps(line: str, help_: str) -> None:
    (failure,) = read(f"(EngineCore pid=9) ERROR 11-21 08:37:50 [core.py:999] {line}")
    assert isinstance(failure, LogFailure)
    assert help_ in failure.remedy
    assert "estimated" not in line or "109520" in failure.message, "who proposes a fix reads the number there"


def test_prefix_hits_drafts_and_quantiles_are_read_from_old_and_new_names() -> None:
    page = (ROOT / "tests/data/captures/vllm_cpu/metrics_after.txt").read_text()
    readings = vllm.backend.readings(page)
    assert readings[PREFIX_QUERIES] >= readings[PREFIX_HITS] >= 0
    assert readings[f"{TTFT}_le_inf"] > 0
    assert readings[f"{TPOT}_le_inf"] > 0
    old = vllm.backend.readings(
        'vllm:time_per_output_token_seconds_bucket{le="0.05"} 3\n'
        "vllm:spec_decode_num_draft_tokens_total 30\nvllm:spec_decode_num_accepted_tokens_total 21\n"
    )
    assert old == {f"{TPOT}_le_0.05": 3, DRAFT_TOKENS: 30, ACCEPTED_TOKENS: 21}


def test_the_job_is_found_again_by_its_containers_name_and_label() -> None:
    text = vllm.backend.plan(LLAMA, context_with(spec_named(LLAMA.model))).commands[0].text
    assert f"--name sparkdesk-{JOB_ID}" in text
    assert f"--label sparkdesk.job={JOB_ID}" in text
    assert "--rm" not in text
