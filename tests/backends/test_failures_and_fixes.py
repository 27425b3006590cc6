"""Each documented failure of a start, in the engine's own words: it is understood, and gets a fix or says what helps.

The words are captured ones (llama.cpp's server, vLLM 0.32 on CPU), or those that the strict simulated engines print.
"""

from __future__ import annotations

import pytest

from backends import llamacpp, ollama, sglang, trtllm, vllm
from sparkdesk.core.jobs.backend import Backend, LogFailure
from sparkdesk.core.jobs.fix import FailedLaunch, Fix, Neighbour, apply_fix, find_fixes
from sparkdesk.core.jobs.request import LaunchRequest
from tests.backends.context import ROOT

STARTS = ROOT / "tests/data/captures/llamacpp_starts"
REQUEST = LaunchRequest(
    engine="vllm",
    model="owner/model",
    nodes=("n1",),
    served_name="m",
    context_tokens=99_999,
    concurrency=4,
    memory_fraction=0.5,
)
NEIGHBOUR = Neighbour("abcdefghijklmnop", "Tiny", 20 << 30)
CACHE = (
    "ValueError: Available memory on node 0 (15.0/16.46 GiB) on kv cache allocation is less than requested memory for "
    "kv (4000.0 GiB). Decrease --kv-cache-memory-bytes, VLLM_CPU_KVCACHE_SPACE, or reduce CPU memory used by other "
    "processes"
)
LONG = (
    "  Value error, User-specified max_model_len (99999) is greater than the derived max_model_len "
    "(max_position_embeddings=2048.0 or model_max_length=None in model's config.json). To allow overriding this "
    "maximum, set the env var VLLM_ALLOW_LONG_MAX_MODEL_LEN=1"
)
GATED = "Cannot access gated repo for url https://huggingface.co/owner/model/resolve/main/config.json."
PTXAS = "ptxas fatal   : Value 'sm_121a' is not defined for option 'gpu-name'"
ILLEGAL = "torch.AcceleratorError: CUDA error: an illegal memory access was encountered"
NO_BLOCKS = "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`"


def words_of(log: str) -> str:
    return (STARTS / f"{log}.log").read_text()


CASES: list[tuple[Backend, str, str]] = [
    (vllm.backend, CACHE, ""),
    (vllm.backend, LONG, "context_tokens"),
    (vllm.backend, NO_BLOCKS, "memory_fraction"),
    (vllm.backend, PTXAS, "environment"),
    (vllm.backend, f"OSError: You are trying to access a gated repo.\n401 Client Error.\n{GATED}", "licence"),
    (vllm.backend, "OSError: [Errno 98] Address already in use", "port"),
    (vllm.backend, "vllm serve: error: unrecognized arguments: --disable-access-log-for-endpoints", "extra_flags"),
    (sglang.backend, PTXAS, "environment"),
    (sglang.backend, GATED, "licence"),
    (sglang.backend, "RuntimeError: Not enough memory. Please try to increase --mem-fraction-static. Current value: "
                     "mem_fraction_static=0.5", "memory_fraction"),
    (sglang.backend, "ValueError: Loaded weights leave no GPU memory for the KV cache under --mem-fraction-static=0.2. "
                     "Raise --mem-fraction-static above 0.615 (minimum viable", "memory_fraction"),
    (sglang.backend, "ValueError: User-specified context_length (99999) is greater than the derived context_length "
                     "(32768). To allow overriding, set SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN=1", "context_tokens"),
    (sglang.backend, "launch_server.py: error: unrecognized arguments: --uvicorn-access-log-exclude-prefixes /health",
     "extra_flags"),
    (sglang.backend, "[Errno 98] error while attempting to bind on address ('127.0.0.1', 8000): address already in use",
     "port"),
    (trtllm.backend, PTXAS, "environment"),
    (trtllm.backend, GATED, "licence"),
    (trtllm.backend, "RuntimeError: Insufficient GPU memory for the KV cache: no block fits", "memory_fraction"),
    (trtllm.backend, "RuntimeError: Failed to bind socket to 127.0.0.1:8000: [Errno 98] Address already in use",
     "port"),
    (llamacpp.backend, words_of("port_taken"), "port"),
    (llamacpp.backend, words_of("truncated_file"), "words"),
    (llamacpp.backend, words_of("not_a_gguf"), "words"),
    (llamacpp.backend, words_of("no_file"), "words"),
]  # fmt: skip
"""The engine, its words, and what the likeliest fix changes ("words": it only tells what to do; "": it stops a
neighbour)."""

HELPLESS: list[tuple[Backend, str]] = [
    (vllm.backend, ILLEGAL),
    (sglang.backend, ILLEGAL),
    (trtllm.backend, "RuntimeError: CUDA error: an illegal memory access was encountered"),
    (vllm.backend, "  Value error, Model architectures ['X'] are not supported for now. Supported architectures: y"),
    (sglang.backend, "ValueError: Model architectures ['X'] are not supported for now."),
    (trtllm.backend, "ValueError: Unknown architecture for AutoModelForCausalLM: X"),
    (vllm.backend, "RuntimeError: Failed to infer device type, please set the environment variable"),
    (sglang.backend, "RuntimeError: No accelerator (CUDA, XPU, HPU, NPU, MUSA, MPS) is available."),
    (vllm.backend, "OSError: We couldn't connect to 'https://huggingface.co' to load the files, and couldn't find them "
                   "in the cached files."),
    (llamacpp.backend, words_of("unknown_architecture")),
    (vllm.backend, "Error response from daemon: could not select device driver \"\" with capabilities: [[gpu]]"),
]  # fmt: skip


def understood(backend: Backend, words: str) -> LogFailure:
    """What the adapter makes of the log: its first failure."""
    reader = backend.log_reader()
    return next(found for line in words.splitlines() for found in reader.feed(line) if isinstance(found, LogFailure))


def fixes_of(backend: Backend, words: str, request: LaunchRequest = REQUEST) -> tuple[Fix, ...]:
    request = request.model_copy(update={"engine": backend.info.key})
    return find_fixes(FailedLaunch(request, words, used_ports={8000: "x"}, neighbours=(NEIGHBOUR,)))


@pytest.mark.parametrize(("backend", "words", "changed"), CASES)
def test_a_documented_failure_is_understood_and_gets_a_fix(backend: Backend, words: str, changed: str) -> None:
    failure = understood(backend, words)
    assert failure.remedy
    (fix, *_) = fixes_of(backend, f"{failure.message}\n{words}")
    if fix.opens or changed in ("", "words"):
        assert (fix.opens or ("words" if not fix.stop_job_id else "")) == changed
        assert fix.change == ()
    else:
        assert [name for name, _ in fix.change] == [changed]
        assert apply_fix(REQUEST, fix) != REQUEST


@pytest.mark.parametrize(("backend", "words"), HELPLESS)
def test_a_failure_that_no_field_mends_has_no_fix_and_says_what_helps(backend: Backend, words: str) -> None:
    failure = understood(backend, words)
    assert failure.remedy
    assert fixes_of(backend, f"{failure.message}\n{words}") == ()


@pytest.mark.parametrize(
    ("words", "helps"),
    [
        ("[ollama] error: pull failed: pull model manifest: file does not exist", "name"),
        ("[ollama] error: no Ollama service answers on port 11434", "systemctl start"),
        ("[ollama] error: pull failed: connection reset", "goes on where it was"),
    ],
)
def test_a_failure_at_ollamas_service_says_what_to_do(words: str, helps: str) -> None:
    (fix, *_) = fixes_of(ollama.backend, words)
    assert helps in fix.words
    assert fixes_of(vllm.backend, words) == ()


def test_a_cache_that_was_asked_for_is_not_asked_for_any_more() -> None:
    flagged = REQUEST.model_copy(update={"extra_flags": ("--kv-cache-memory-bytes", "4000G", "--async-scheduling")})
    (fix, *_) = fixes_of(vllm.backend, CACHE, flagged)
    assert dict(fix.change) == {"extra_flags": ("--async-scheduling",)}
    spaced = REQUEST.model_copy(update={"environment": (("VLLM_CPU_KVCACHE_SPACE", "4000"), ("A", "1"))})
    (fix, *_) = fixes_of(vllm.backend, CACHE, spaced)
    assert dict(fix.change) == {"environment": (("A", "1"),)}


def test_a_context_is_lowered_to_what_the_model_was_trained_for() -> None:
    assert dict(fixes_of(vllm.backend, LONG)[0].change) == {"context_tokens": 2048}


@pytest.mark.parametrize("engine", [vllm, sglang], ids=["vllm", "sglang"])
def test_an_older_build_is_launched_again_without_the_flag_that_quiets_its_log(engine: object) -> None:
    quiet, older = engine.QUIET_FLAGS  # type: ignore[attr-defined]
    request = REQUEST.model_copy(update={"engine": engine.backend.info.key})  # type: ignore[attr-defined]
    assert quiet in engine._words(request, None)  # type: ignore[attr-defined]
    (fix, *_) = fixes_of(engine.backend, f"error: unrecognized arguments: {quiet}", request)  # type: ignore[attr-defined]
    words = engine._words(apply_fix(request, fix), None)  # type: ignore[attr-defined]
    assert quiet not in words
    assert older in words
