"""Pages on which engines tell of themselves beside what their adapters read, for servers that anybody started.

The one rule: total. Every byte is a stranger's: what is not a number that can be is left out, and nothing flies.
Source of the names: SGLang's and TensorRT-LLM's collectors of metrics, Ollama's and llama-server's documentation;
llama-server's /slots: build b11549, run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sparkdesk.core.jobs.reading import (
    CACHED_TOKENS,
    GENERATED_TOKENS,
    KV_TOKENS,
    KV_USED,
    MODEL_BYTES,
    PROMPT_TOKENS,
    REQUESTS_RUNNING,
    REQUESTS_WAITING,
    TPOT,
    TTFT,
    TTFT_COUNT,
    TTFT_SUM_S,
    read_histograms,
    read_prometheus,
)

NAN = float("nan")
MAX_ROWS = 4096
_ANSWERING = "answering_tokens"
"""Tokens of the answers that are being made; some engines count an answer only when it ends."""
_BUSY = "busy_slots"
MOST = 1e15

SGLANG_NAMES = {
    "sglang:generation_tokens_total": GENERATED_TOKENS,
    "sglang:prompt_tokens_total": PROMPT_TOKENS,
    "sglang:cached_tokens_total": CACHED_TOKENS,
    "sglang:num_running_reqs": REQUESTS_RUNNING,
    "sglang:num_queue_reqs": REQUESTS_WAITING,
    "sglang:token_usage": KV_USED,
    "sglang:num_used_tokens": KV_TOKENS,
    "sglang:kv_used_tokens": KV_TOKENS,
    "sglang:time_to_first_token_seconds_sum": TTFT_SUM_S,
    "sglang:time_to_first_token_seconds_count": TTFT_COUNT,
}
TRTLLM_NAMES = {
    "trtllm_generation_tokens_total": GENERATED_TOKENS,
    "trtllm_prompt_tokens_total": PROMPT_TOKENS,
    "trtllm_prompt_cached_tokens_total": CACHED_TOKENS,
    "trtllm_num_requests_running": REQUESTS_RUNNING,
    "trtllm_num_requests_waiting": REQUESTS_WAITING,
    "trtllm_kv_cache_utilization": KV_USED,
    "trtllm_time_to_first_token_seconds_sum": TTFT_SUM_S,
    "trtllm_time_to_first_token_seconds_count": TTFT_COUNT,
}
SGLANG_HISTOGRAMS = {"sglang:time_to_first_token_seconds": TTFT, "sglang:inter_token_latency_seconds": TPOT}
TRTLLM_HISTOGRAMS = {"trtllm_time_to_first_token_seconds": TTFT, "trtllm_time_per_output_token_seconds": TPOT}


@dataclass(frozen=True, slots=True)
class EnginePage:
    """A path on the server, and what reads the text that is there."""

    path: str
    read: Callable[[str], dict[str, float]]


def read_slots(text: str) -> dict[str, float]:
    """llama-server's /slots: tokens of the requests that run, and their share of all slots' context.

    Nothing when a slot does not tell what it holds. For `merge_page`: what the answers under way have so far.
    """
    held = context = answering = busy = 0.0
    for row in _rows(_parse(text)):
        context += _amount(row.get("n_ctx"))
        if row.get("is_processing") is True:
            busy, held, answering = busy + 1, held + _held(row), answering + _decoded(row)
    if not context > 0 or held != held:
        return {}
    told = {KV_TOKENS: held, KV_USED: min(held / context, 1.0), _BUSY: busy}
    return told | {_ANSWERING: answering} if answering == answering else told


def merge_page(found: Mapping[str, float], more: Mapping[str, float]) -> dict[str, float]:
    """What an engine's page told, with what a further one adds.

    llama-server counts an answer when it ends; what the slots made so far is added, so that its rate is live. The two
    pages are of two moments: when they do not agree on what runs, an answer has just ended or begun, and how many
    tokens were made is not known.
    """
    merged = {key: value for key, value in (*found.items(), *more.items()) if key not in (_ANSWERING, _BUSY)}
    if GENERATED_TOKENS in merged and _ANSWERING in more:
        if found.get(REQUESTS_RUNNING) == more[_BUSY]:
            merged[GENERATED_TOKENS] += more[_ANSWERING]
        else:
            del merged[GENERATED_TOKENS]
    return merged


def read_loaded(text: str) -> dict[str, float]:
    """Ollama's /api/ps: the memory that the loaded models take; none are loaded: 0."""
    data = _parse(text)
    models = data.get("models") if isinstance(data, Mapping) else None
    if not isinstance(models, list):
        return {}
    taken = sum(_amount(row.get("size_vram")) for row in _rows(models))
    return {MODEL_BYTES: taken} if taken == taken else {}


def read_sglang(text: str) -> dict[str, float]:
    """SGLang's /metrics."""
    return read_prometheus(text, SGLANG_NAMES) | read_histograms(text, SGLANG_HISTOGRAMS)


def read_trtllm(text: str) -> dict[str, float]:
    """TensorRT-LLM's metrics in Prometheus' form."""
    return read_prometheus(text, TRTLLM_NAMES) | read_histograms(text, TRTLLM_HISTOGRAMS)


SLOTS = EnginePage("/slots", read_slots)
PAGES: Mapping[str, tuple[EnginePage, ...]] = {
    "sglang": (EnginePage("/metrics", read_sglang),),
    "trtllm": (EnginePage("/metrics", read_trtllm),),
    "ollama": (EnginePage("/api/ps", read_loaded),),
}
"""By engine, for those that have no adapter here."""
MORE_PAGES: Mapping[str, tuple[EnginePage, ...]] = {"llamacpp": (SLOTS,)}
"""What is read beside the page that an engine's adapter reads."""


def _parse(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _rows(value: object) -> list[Mapping[str, object]]:
    return [row for row in value[:MAX_ROWS] if isinstance(row, Mapping)] if isinstance(value, list) else []


def _held(slot: Mapping[str, object]) -> float:
    """Tokens of a slot that works. Some builds count the answer in `n_prompt_tokens`, some the question alone."""
    parts = [slot.get("n_prompt_tokens_processed"), slot.get("n_prompt_tokens_cache")]
    told, counted = _amount(slot.get("n_prompt_tokens")), sum(map(_amount, parts)) + _decoded(slot)
    return counted if counted > told or told != told else told


def _decoded(slot: Mapping[str, object]) -> float:
    """Tokens of the answer that a slot has made so far."""
    steps = slot.get("next_token")
    rows = _rows(steps if isinstance(steps, list) else [steps])
    return sum(_amount(step.get("n_decoded")) for step in rows) if rows else NAN


def _amount(value: object) -> float:
    """A number that an amount can be, else NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return NAN
    return float(value) if 0 <= value <= MOST else NAN
