"""Why a chart has nothing to show: which flag of the engine, or which engine, would tell.

The one rule: what is said here comes from the engines' own documentation; for another engine there is no advice.
Source: each engine's page of flags and metrics; TensorRT-LLM's from its documentation only.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sparkdesk.core.jobs.rate import (
    ACCEPTANCE,
    GENERATED_RATE,
    PREFIX_SHARE,
    PROMPT_RATE,
    TPOT_P50_S,
    TTFT_MEAN_S,
    TTFT_P50_S,
)
from sparkdesk.core.jobs.reading import KV_USED, REQUESTS_RUNNING
from sparkdesk.core.jobs.record import JobState, JobStatus
from ui.jobs.mark import is_coming_up

_SERIES: Final = "vLLM, SGLang and TensorRT-LLM tell it"
_ENGINES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "llamacpp": {
            KV_USED: f"llama.cpp tells no share of its KV cache; {_SERIES}",
            TTFT_P50_S: f"llama.cpp has no series for it; {_SERIES}",
            TPOT_P50_S: f"llama.cpp has no series for it; {_SERIES}",
            PREFIX_SHARE: "llama.cpp has no series for it; vLLM and SGLang tell it",
            ACCEPTANCE: "llama.cpp has no series for it; vLLM and SGLang tell it",
            "": "llama-server tells it with --metrics",
        },
        "sglang": {"": "SGLang tells it with --enable-metrics"},
        "trtllm": {"": "TensorRT-LLM tells it with return_perf_metrics: true"},
        "ollama": {"": f"Ollama has no metrics; {_SERIES}"},
        "custom": {"": "This server has no metrics page that SparkDesk reads"},
    }
)
SPECULATIVE: Final = "No speculative decoding in this launch"
NO_PREFIX_CACHE: Final = "Prefix caching is off in this launch"
NOTHING_YET: Final = {
    GENERATED_RATE: "Nothing is generated now",
    PROMPT_RATE: "No prompt is read now",
    TTFT_P50_S: "No request began in the last 15 min",
    TTFT_MEAN_S: "No request began in the last 15 min",
    TPOT_P50_S: "No request ended in the last 15 min",
    PREFIX_SHARE: "No prompt was looked up yet",
    ACCEPTANCE: "Nothing was guessed yet",
}


def why_silent(engine: str) -> str:
    """Why a server that serves tells nothing of itself at all."""
    return _ENGINES.get(engine, {}).get("", "Its server told no figures of itself")


def why_empty(job: JobStatus, key: str, *, was_seen: bool, is_off: str = "") -> str:
    """Why there is nothing to draw of a series. `was_seen`: there are old values; `is_off`: the launch left it out."""
    if is_coming_up(job):
        return "Starts when it is ready"
    if job.state.is_over:
        return "It no longer runs"
    if is_off:
        return is_off
    if job.state is JobState.DEGRADED:
        return "It tells nothing now"
    if was_seen:
        return "Nothing in the time shown"
    told = _ENGINES.get(job.engine, {})
    has_page = bool(job.readings) and job.reading(REQUESTS_RUNNING) == job.reading(REQUESTS_RUNNING)
    if key in told:
        return told[key]
    if has_page:  # its page is read, so this series waits for its first request, or is none of the engine's
        return NOTHING_YET.get(key, "The engine does not report this")
    return told.get("", "The engine does not report this")
