"""Histograms of a real vLLM become quantiles of what came between two pages; a restart or a lack gives none."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.jobs.rate import (
    ACCEPTANCE,
    ACCEPTED_LENGTH,
    PREFIX_SHARE,
    TPOT_P50_S,
    TTFT_P50_S,
    TTFT_P95_S,
    add_rates,
    add_shares,
    quantile,
)
from sparkdesk.core.jobs.reading import (
    ACCEPTED_TOKENS,
    DRAFT_TOKENS,
    PREFIX_HITS,
    PREFIX_QUERIES,
    SPECULATION,
    TPOT,
    TTFT,
    read_histograms,
)

PAGE = Path(__file__).resolve().parents[2] / "data" / "captures" / "vllm_cpu" / "metrics_after.txt"
SERIES = {"vllm:time_to_first_token_seconds": TTFT, "vllm:inter_token_latency_seconds": TPOT}


def real_buckets() -> dict[str, float]:
    return read_histograms(PAGE.read_text("utf-8"), SERIES)


def test_a_real_page_gives_its_buckets_under_our_names() -> None:
    found = real_buckets()
    assert found[f"{TTFT}_le_2.5"] == 9.0
    assert found[f"{TTFT}_le_inf"] == 12.0
    assert found[f"{TPOT}_le_0.1"] == 53.0
    assert len(found) == 23 + 20


def test_the_twelve_real_requests_have_the_quantiles_that_their_buckets_tell() -> None:
    found = add_rates(dict.fromkeys(real_buckets(), 0.0), real_buckets(), 60.0)
    assert found[TTFT_P50_S] == pytest.approx(1.0 + 1.5 * 2 / 5)  # the 6th of 12: the second of five from 1 to 2.5 s
    assert found[TTFT_P95_S] == pytest.approx(2.5 + 2.5 * 2.4 / 3)
    assert found[TPOT_P50_S] == pytest.approx(0.15 + 0.05 * 14 / 36)
    assert not any("_le_" in key for key in found)


def test_an_engine_that_restarted_or_made_nothing_has_no_quantiles() -> None:
    now = real_buckets()
    assert TTFT_P50_S not in add_shares(now, now)
    assert TTFT_P50_S not in add_shares({key: value + 1.0 for key, value in now.items()}, now)
    assert TTFT_P50_S not in add_shares({}, now)
    lacking = {key: value for key, value in now.items() if key != f"{TTFT}_le_5"}
    assert TTFT_P50_S not in add_shares(lacking, now)


def test_a_value_above_the_last_bound_is_not_said_to_be_that_bound() -> None:
    buckets = ((0.5, 1.0), (1.0, 1.0), (math.inf, 10.0))
    assert quantile(buckets, 0.95) is None
    assert quantile(buckets, 0.05) == pytest.approx(0.25)
    assert quantile(((0.5, 5.0), (1.0, 3.0), (math.inf, 6.0)), 0.5) is None  # buckets that do not add up


def test_series_of_two_engines_are_added_bucket_by_bucket() -> None:
    rows = "".join(
        f'vllm:time_to_first_token_seconds_bucket{{engine="{engine}",le="{bound}"}} {count}\n'
        for engine, bound, count in (("0", "0.5", 1), ("0", "+Inf", 2), ("1", "0.50", 3), ("1", "+Inf", 4))
    )
    assert read_histograms(rows, SERIES) == {f"{TTFT}_le_0.5": 4.0, f"{TTFT}_le_inf": 6.0}


def test_a_page_with_endless_bounds_is_read_no_further_than_a_hundred() -> None:
    rows = "".join(f'vllm:time_to_first_token_seconds_bucket{{le="{bound}"}} 1\n' for bound in range(5000))
    assert len(read_histograms(rows, SERIES)) == 100


def test_prefix_hits_and_accepted_guesses_are_those_of_the_time_between() -> None:
    before = {PREFIX_QUERIES: 1000.0, PREFIX_HITS: 0.0, DRAFT_TOKENS: 90.0, ACCEPTED_TOKENS: 10.0, SPECULATION: 30.0}
    now = {PREFIX_QUERIES: 3000.0, PREFIX_HITS: 500.0, DRAFT_TOKENS: 150.0, ACCEPTED_TOKENS: 55.0, SPECULATION: 50.0}
    found = add_shares(before, now)
    assert found[PREFIX_SHARE] == 0.25
    assert found[ACCEPTANCE] == 0.75
    assert found[ACCEPTED_LENGTH] == 1.0 + 45.0 / 20.0
    assert not {PREFIX_SHARE, ACCEPTANCE, ACCEPTED_LENGTH} & set(add_shares(now, before))
    assert not {PREFIX_SHARE, ACCEPTANCE, ACCEPTED_LENGTH} & set(add_shares(now, now))


@given(st.text(alphabet='vllm:time_to_first_token_seconds_bucket{le="0.5+Inf"} \n1', max_size=300))
def test_any_page_gives_finite_counts(text: str) -> None:
    found = read_histograms(f"vllm:time_to_first_token_seconds_bucket{text}\n{text}", SERIES)
    assert all(math.isfinite(value) for value in found.values())


counts = st.floats(min_value=0.0, max_value=1e9)


@given(st.lists(st.tuples(st.floats(min_value=1e-3, max_value=1e3), counts), max_size=8), counts, st.floats(0.01, 0.99))
def test_a_quantile_lies_within_its_bounds(steps: list[tuple[float, float]], rest: float, share: float) -> None:
    total, buckets = 0.0, []
    for bound in sorted({bound for bound, _ in steps}):
        total += dict(steps)[bound]
        buckets.append((bound, total))
    found = quantile((*buckets, (math.inf, total + rest)), share)
    assert found is None or 0.0 <= found <= max(bound for bound, _ in buckets)
