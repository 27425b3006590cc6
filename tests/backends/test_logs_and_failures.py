"""The adapters understand what the engines really printed and answered (captured from real servers)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import llamacpp, vllm
from sparkdesk.core.jobs.backend import LoadProgress, LogFailure
from sparkdesk.core.jobs.reading import GENERATED_TOKENS, KV_USED, PROMPT_TOKENS, REQUESTS_RUNNING
from tests.backends.context import ROOT

CAPTURES = ROOT / "tests/data/captures"
BACKENDS = [llamacpp.backend, vllm.backend]


def body_of(path: str) -> bytes:
    return (CAPTURES / path).read_bytes()


def progress_of(backend: object, log: str) -> list[LoadProgress]:
    reader = backend.log_reader()  # type: ignore[attr-defined]
    return [item for line in log.splitlines() for item in reader.feed(line) if isinstance(item, LoadProgress)]


def test_a_real_llama_server_log_tells_loading_slots_and_listening() -> None:
    log = (CAPTURES / "llamacpp_server_stderr.log").read_text()
    texts = [item.text for item in progress_of(llamacpp.backend, log)]
    assert texts[:4] == ["Loading the model", "4 slots of 2,048 tokens", "Model loaded", "Server listens"]


def test_a_real_vllm_log_tells_weights_cache_and_listening() -> None:
    log = (CAPTURES / "vllm_cpu/startup_and_requests.log").read_text()
    found = progress_of(vllm.backend, log)
    assert LoadProgress("load", "Weights 1 of 1 files", 1.0) in found
    assert LoadProgress("load", "KV cache of 46,592 tokens", is_result=True) in found
    assert found[-1] == LoadProgress("token", "Server listens")


@pytest.mark.parametrize(
    ("backend", "line"),
    [
        (llamacpp.backend, "error: invalid argument: --ctx-sise"),
        (llamacpp.backend, "srv    load_model: failed to load model, '/home/nvidia/x.gguf'"),
        (vllm.backend, "vllm: error: unrecognized arguments: --max-modle-len 5"),
        (vllm.backend, "unknown flag: --gpuz"),
        (vllm.backend, "ValueError: Free memory on device cuda:0 (74.9/142.5 GiB) on startup is less than desired GPU "
                       "memory utilization (0.9, 128.25 GiB)."),
    ],
)  # fmt: skip
def test_a_line_that_names_the_cause_becomes_a_failure_with_a_remedy(backend: object, line: str) -> None:
    found = backend.log_reader().feed(line)  # type: ignore[attr-defined]
    assert [type(item) for item in found] == [LogFailure]
    assert found[0].remedy


def test_the_metrics_page_of_a_real_llama_server_is_read() -> None:
    readings = llamacpp.backend.readings(body_of("llamacpp_smollm2/metrics_after.txt").decode())
    assert readings[GENERATED_TOKENS] == 746
    assert readings[PROMPT_TOKENS] == 267
    assert readings[REQUESTS_RUNNING] == 0


def test_the_metrics_page_of_a_real_vllm_is_read() -> None:
    readings = vllm.backend.readings(body_of("vllm_cpu/metrics_after.txt").decode())
    assert readings[PROMPT_TOKENS] == 457
    assert readings[KV_USED] == 0.0


@pytest.mark.parametrize(
    ("backend", "capture", "prompt", "limit"),
    [
        (llamacpp.backend, "llamacpp_smollm2/err_context_overflow.json", 6031, 2048),
        (vllm.backend, "vllm_cpu/err_context_overflow.json", 2049, 2048),
    ],
)
def test_a_prompt_that_is_too_long_is_named_with_both_lengths(
    backend: object, capture: str, prompt: int, limit: int
) -> None:
    failure = backend.failure(400, body_of(capture))  # type: ignore[attr-defined]
    assert failure.kind == "context_overflow"
    assert (failure.prompt_tokens, failure.context_tokens) == (prompt, limit)


@pytest.mark.parametrize("name", ["router_err_model_not_found", "router_err_no_model"])
def test_a_llama_server_of_several_models_that_has_not_this_one_is_understood(name: str) -> None:
    failure = llamacpp.backend.failure(400, body_of(f"llamacpp_router/{name}.json"))
    assert failure is not None
    assert failure.kind == "model_not_found"


def test_the_metrics_of_a_llama_server_of_several_models_are_not_known_without_a_model() -> None:
    assert llamacpp.backend.readings(body_of("llamacpp_router/router_metrics.json").decode()) == {}


@pytest.mark.parametrize("backend", BACKENDS, ids=["llamacpp", "vllm"])
@given(text=st.text(max_size=300), body=st.binary(max_size=300))
def test_any_text_is_read_without_an_exception(backend: object, text: str, body: bytes) -> None:
    backend.log_reader().feed(text)  # type: ignore[attr-defined]
    assert isinstance(backend.readings(text), dict)  # type: ignore[attr-defined]
    backend.failure(500, body)  # type: ignore[attr-defined]


def test_captures_are_in_the_tree() -> None:
    assert Path(CAPTURES / "README.md").is_file()
