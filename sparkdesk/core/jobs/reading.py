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
KV_CAPACITY_TOKENS = "kv_capacity_tokens"
MODEL_BYTES = "model_bytes"
"""Memory that the loaded models take, as the server says."""
TTFT_SUM_S = "ttft_seconds_sum"
TTFT_COUNT = "ttft_seconds_count"

COUNTERS = (GENERATED_TOKENS, PROMPT_TOKENS, CACHED_TOKENS, PREEMPTIONS, TTFT_SUM_S, TTFT_COUNT)

MAX_LINES = 20_000
_LINE = re.compile(r"^([A-Za-z_:][A-Za-z0-9_:]{0,200})(\{[^}]{0,4000}\})?[ \t]+(\S{1,40})")


def read_prometheus(text: str, names: Mapping[str, str]) -> dict[str, float]:
    """Values by our key for the series in `names` (series name -> key); labelled series of one name are added up.

    Total: lines that are not samples are left out, and so is a key of which one value, or the sum, is not finite.
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
        values[key] = values.get(key, 0.0) + value
    return {key: value for key, value in values.items() if math.isfinite(value)}
