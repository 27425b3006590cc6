"""Engine metrics under names that no engine owns, and the reader of the text page that most engines print them on.

The one rule: a counter stays a counter here; services turn two readings and the time between them into a rate.
Source of the text form: the Prometheus exposition format, version 0.0.4.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

GENERATED_TOKENS = "generated_tokens_total"
PROMPT_TOKENS = "prompt_tokens_total"
CACHED_TOKENS = "cached_tokens_total"
REQUESTS_RUNNING = "requests_running"
REQUESTS_WAITING = "requests_waiting"
KV_USED = "kv_used_fraction"
PREEMPTIONS = "preemptions_total"
SPECULATION = "drafts_total"
"""Guesses of tokens ahead (speculative decoding): where it grows a step makes several tokens."""
KV_TOKENS = "kv_tokens"
"""Tokens that the KV cache holds for requests that run."""
MODEL_BYTES = "model_bytes"
"""Memory that the loaded models take, as the server says."""
DRAFT_TOKENS = "draft_tokens_total"
ACCEPTED_TOKENS = "accepted_tokens_total"
PREFIX_QUERIES = "prefix_queries_total"
"""Tokens that were looked up in the prefix cache."""
PREFIX_HITS = "prefix_hits_total"
DECODE_S = "decode_seconds_sum"
"""Seconds in which requests got their tokens, added up over requests: without their prompts and their queue."""
TTFT_SUM_S = "ttft_seconds_sum"
TTFT_COUNT = "ttft_seconds_count"
TTFT = "ttft_seconds"
"""Begins the keys of a histogram: `{TTFT}_le_0.25` counts first tokens that came within 0.25 s."""
TPOT = "tpot_seconds"
BUCKET = "_le_"

# What an engine says of itself once, in its log: the ledger's parts as they turned out.
WEIGHTS_BYTES = "engine_weights_bytes"
KV_CAPACITY_TOKENS = "engine_kv_capacity_tokens"
KV_CAPACITY_BYTES = "engine_kv_capacity_bytes"
GRAPH_BYTES = "engine_graph_bytes"
WEIGHTS_LOAD_S = "engine_weights_load_s"
START_S = "engine_start_s"
ENGINE_KEYS = (WEIGHTS_BYTES, KV_CAPACITY_TOKENS, KV_CAPACITY_BYTES, GRAPH_BYTES, WEIGHTS_LOAD_S, START_S)

COUNTERS = (
    GENERATED_TOKENS,
    PROMPT_TOKENS,
    CACHED_TOKENS,
    PREEMPTIONS,
    DRAFT_TOKENS,
    ACCEPTED_TOKENS,
    PREFIX_QUERIES,
    PREFIX_HITS,
    TTFT_SUM_S,
    TTFT_COUNT,
    SPECULATION,
)

LEVELS = frozenset((KV_USED, KV_TOKENS))
"""Where several series, or an old and a new name, tell the same: the highest counts, and a sum would be none."""

MAX_LINES = 20_000
MAX_LABELS = 200
MAX_BUCKETS = 100
"""Of one histogram; engines have about two dozen."""
_LINE = re.compile(r"^([A-Za-z_:][A-Za-z0-9_:]{0,200})(\{[^}]{0,4000}\})?[ \t]+(\S{1,40})")
_LABEL = re.compile(r'([A-Za-z_][A-Za-z0-9_]{0,100})="([^"\\]{0,200})"')


def read_prometheus(text: str, names: Mapping[str, str]) -> dict[str, float]:
    """Values by our key for the series in `names` (series name -> key); labelled series of one name are added up.

    Of `LEVELS` the highest counts. Total: lines that are not samples are left out, and so is a key of which one value,
    or the sum, is not finite.
    """
    values: dict[str, float] = {}
    for line in text.splitlines()[:MAX_LINES]:
        match = _LINE.match(line)
        if match is None or match[1] not in names:
            continue
        try:
            value = float(match[3])
        except ValueError:
            continue
        key = names[match[1]]
        if key in LEVELS and key in values and not math.isnan(value):
            values[key] = max(values[key], value)
        else:
            values[key] = values.get(key, 0.0) + value
    return {key: value for key, value in values.items() if math.isfinite(value)}


def read_histograms(text: str, series: Mapping[str, str]) -> dict[str, float]:
    """The buckets of the histograms in `series` (its name without `_bucket` -> key), as counters `{key}_le_{bound}`.

    A bound is written as short as it can be ("0.25", "1", "inf"); labelled series of one name are added up, bucket by
    bucket. Total: what is no bucket is left out, and so is a bucket whose count is not finite.
    """
    counts: dict[str, float] = {}
    told: dict[str, set[str]] = {}
    for line in text.splitlines()[:MAX_LINES]:
        match = _LINE.match(line) if "_bucket" in line else None
        key = series.get(match[1].removesuffix("_bucket")) if match is not None else None
        if match is None or key is None or not match[1].endswith("_bucket"):
            continue
        bound, count = _number(dict(_LABEL.findall(match[2] or "")).get("le", "")), _number(match[3])
        if bound is None or math.isnan(bound) or count is None:
            continue
        name = bucket_key(key, bound)
        seen = told.setdefault(key, set())
        if name not in seen and len(seen) >= MAX_BUCKETS:
            continue
        seen.add(name)
        counts[name] = counts.get(name, 0.0) + count
    return {name: count for name, count in counts.items() if math.isfinite(count)}


def bucket_key(key: str, bound: float) -> str:
    """The counter of a histogram's values up to `bound`."""
    return f"{key}{BUCKET}{bound:g}"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def read_labels(text: str, name: str) -> tuple[dict[str, str], ...]:
    """The labels of each series of this name: for those whose value says nothing. Total."""
    found = []
    for line in text.splitlines()[:MAX_LINES]:
        match = _LINE.match(line) if line.startswith(name) else None
        if match is not None and match[1] == name:
            found.append(dict(_LABEL.findall(match[2] or "")[:MAX_LABELS]))
    return tuple(found)
