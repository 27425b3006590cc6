"""Rates out of an engine's counters: two readings and the time between them.

The one rule: a counter that went back (the engine was restarted) or is missing gives no rate, never zero or less.
Nor does one that stands still while requests run: llama.cpp counts an answer's tokens when it ends.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from sparkdesk.core.jobs.reading import COUNTERS, REQUESTS_RUNNING, TTFT_COUNT, TTFT_SUM_S

GENERATED_RATE = "generated_tokens_per_s"
PROMPT_RATE = "prompt_tokens_per_s"
TTFT_MEAN_S = "ttft_s"
"""Mean time to first token of the requests that ended between the two readings."""


def add_rates(before: Mapping[str, float], now: Mapping[str, float], passed_s: float) -> dict[str, float]:
    """The readings of now, with x_per_s for each counter x_total that both have, and the mean TTFT."""
    found = dict(now)
    if not 0.0 < passed_s < math.inf:
        return found
    grown = {key: now[key] - before[key] for key in COUNTERS if key in now and key in before}
    least = 0.0 if now.get(REQUESTS_RUNNING, 0.0) <= 0.0 else 1e-9
    for key, growth in grown.items():
        if key.endswith("_total") and growth >= least and math.isfinite(rate := growth / passed_s):
            found[f"{key.removesuffix('_total')}_per_s"] = rate
    count, total_s = grown.get(TTFT_COUNT, 0.0), grown.get(TTFT_SUM_S, -1.0)
    if count > 0.0 and total_s >= 0.0 and math.isfinite(total_s / count):
        found[TTFT_MEAN_S] = total_s / count
    return found
