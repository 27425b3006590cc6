"""Rates, shares and quantiles out of an engine's counters: two readings and the time between them.

The one rule: a counter that went back (the engine was restarted) or is missing gives no rate, never zero or less.
Nor does one that stands still while requests run: llama.cpp counts an answer's tokens when it ends.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

from sparkdesk.core.jobs.reading import (
    ACCEPTED_TOKENS,
    BUCKET,
    COUNTERS,
    DRAFT_TOKENS,
    PREFIX_HITS,
    PREFIX_QUERIES,
    REQUESTS_RUNNING,
    SPECULATION,
    TPOT,
    TTFT,
    TTFT_COUNT,
    TTFT_SUM_S,
)

GENERATED_RATE = "generated_tokens_per_s"
PROMPT_RATE = "prompt_tokens_per_s"
PREEMPTION_RATE = "preemptions_per_s"
TTFT_MEAN_S = "ttft_s"
"""Mean time to first token of the requests that ended between the two readings."""
TTFT_P50_S, TTFT_P95_S = "ttft_p50_s", "ttft_p95_s"
TPOT_P50_S, TPOT_P95_S = "tpot_p50_s", "tpot_p95_s"
PREFIX_SHARE = "prefix_hit_share"
"""Of the tokens that were looked up in the prefix cache, those that were there: 0 to 1."""
ACCEPTANCE = "acceptance_share"
"""Of the tokens that were guessed ahead, those that the model took: 0 to 1."""
ACCEPTED_LENGTH = "accepted_length"
"""Tokens a step makes with its guesses: 1 + accepted / drafts. Source: vLLM's documentation of the counters."""
QUANTILES = ((TTFT, 0.5, TTFT_P50_S), (TTFT, 0.95, TTFT_P95_S), (TPOT, 0.5, TPOT_P50_S), (TPOT, 0.95, TPOT_P95_S))


def add_rates(before: Mapping[str, float], now: Mapping[str, float], passed_s: float) -> dict[str, float]:
    """The readings of now, with x_per_s for each counter x_total that both have, the mean TTFT, and `add_shares`."""
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
    return add_shares(before, found)


def add_shares(before: Mapping[str, float], now: Mapping[str, float]) -> dict[str, float]:
    """The readings of now with what two pages tell without the time between them: quantiles, prefix hits, acceptance.

    The buckets themselves are left out: they are of use in pairs only.
    """
    found = {key: value for key, value in now.items() if BUCKET not in key}
    found |= _shares(before, now)
    for series, share, key in QUANTILES:
        value = quantile(grown_buckets(before, now, series), share)
        if value is not None:
            found[key] = value
    return found


def grown_buckets(
    before: Mapping[str, float], now: Mapping[str, float], series: str
) -> tuple[tuple[float, float], ...]:
    """Upper bounds and how many more values lie up to each, ascending; () where a bucket of either reading is missing.

    `series` is the histogram's key.
    """
    prefix = f"{series}{BUCKET}"
    names = {name for name in (*now, *before) if name.startswith(prefix)}
    if any(name not in now or name not in before for name in names):
        return ()
    return tuple(sorted((float(name.removeprefix(prefix)), now[name] - before[name]) for name in names))


def quantile(buckets: tuple[tuple[float, float], ...], share: float) -> float | None:
    """The value below which this share of the values lies, even within a bucket; None where it cannot be said.

    It cannot where nothing came, a count went back, or the value lies above the last bound that is a number.
    """
    counts = [count for _, count in buckets]
    if not buckets or not math.isinf(buckets[-1][0]) or not 0.0 < counts[-1] < math.inf:
        return None
    if counts[0] < 0.0 or any(later < earlier for earlier, later in pairwise(counts)):
        return None
    wanted, low, below = share * counts[-1], 0.0, 0.0
    for high, count in buckets:
        if count >= wanted:
            within = (wanted - below) / (count - below) if count > below else 1.0
            value = low + (high - low) * within
            return value if math.isfinite(value) else None
        low, below = high, count
    return None


def _shares(before: Mapping[str, float], now: Mapping[str, float]) -> dict[str, float]:
    prefix = _ratio(before, now, PREFIX_HITS, PREFIX_QUERIES)
    accepted = _ratio(before, now, ACCEPTED_TOKENS, DRAFT_TOKENS)
    per_draft = _ratio(before, now, ACCEPTED_TOKENS, SPECULATION)
    told = (
        (PREFIX_SHARE, prefix if prefix is not None and prefix <= 1.0 else None),
        (ACCEPTANCE, accepted if accepted is not None and accepted <= 1.0 else None),
        (ACCEPTED_LENGTH, None if per_draft is None else 1.0 + per_draft),
    )
    return {key: value for key, value in told if value is not None}


def _ratio(before: Mapping[str, float], now: Mapping[str, float], part: str, whole: str) -> float | None:
    """How the growth of one counter stands to another's; None where one is missing or went back, or none grew."""
    if not all(key in page for key in (part, whole) for page in (before, now)):
        return None
    grown, of = now[part] - before[part], now[whole] - before[whole]
    ratio = grown / of if of > 0.0 and grown >= 0.0 else math.nan
    return ratio if math.isfinite(ratio) else None
