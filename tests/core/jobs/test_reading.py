"""An engine's page of metrics is read whatever is in it, and a rate is finite and not negative, or there is none."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.jobs.rate import add_rates
from sparkdesk.core.jobs.reading import (
    COUNTERS,
    GENERATED_TOKENS,
    REQUESTS_RUNNING,
    TTFT_COUNT,
    TTFT_SUM_S,
    read_prometheus,
)

NAMES = {"vllm:generation_tokens_total": GENERATED_TOKENS, "vllm:num_requests_running": REQUESTS_RUNNING}
LINE = "vllm:generation_tokens_total"


@given(st.text(max_size=400) | st.text(alphabet='vllm:_{}", \t\n0123456789.+-eE', max_size=400))
def test_any_page_is_read_and_gives_finite_numbers(text: str) -> None:
    found = read_prometheus(f"{LINE} {text}\n{text}\n", NAMES)
    assert all(math.isfinite(value) for value in found.values())


@pytest.mark.parametrize("word", ["NaN", "+Inf", "-Inf", "1,5", "[N/A]", "", "0x10", "1e999"])
def test_a_value_that_is_no_number_is_nothing_and_not_zero(word: str) -> None:
    assert read_prometheus(f"{LINE} {word}\nvllm:num_requests_running 2.0\n", NAMES) == {REQUESTS_RUNNING: 2.0}


def test_series_of_one_name_are_added_and_a_sum_beyond_numbers_is_none() -> None:
    rows = f'{LINE}{{engine="0"}} 5\n{LINE}{{engine="1"}} 7\n# HELP {LINE} words\n'
    assert read_prometheus(rows, NAMES) == {GENERATED_TOKENS: 12.0}
    assert read_prometheus(f'{LINE}{{engine="0"}} 5\n{LINE}{{engine="1"}} NaN\n', NAMES) == {}
    assert read_prometheus(f"{LINE} 1.7e308\n{LINE} 1.7e308\n", NAMES) == {}


readings = st.dictionaries(
    st.sampled_from([*COUNTERS, REQUESTS_RUNNING]), st.floats(allow_nan=False, allow_infinity=False)
)


@given(readings, readings, st.floats())
def test_a_rate_is_finite_and_never_negative(before: dict[str, float], now: dict[str, float], passed_s: float) -> None:
    found = add_rates(before, now, passed_s)
    made = {key: value for key, value in found.items() if key not in now}
    assert all(math.isfinite(value) and value >= 0 for value in made.values())
    assert now.items() <= found.items()
    if not 0 < passed_s < math.inf:
        assert not made


@pytest.mark.parametrize("passed_s", [math.nan, math.inf, -math.inf, 0.0, -1.0])
def test_over_a_time_that_is_none_there_is_no_rate(passed_s: float) -> None:
    before = {GENERATED_TOKENS: 1.0, TTFT_COUNT: 1.0, TTFT_SUM_S: 1.0}
    now = {key: value + 1.0 for key, value in before.items()}
    assert add_rates(before, now, passed_s) == now


def test_an_engine_that_restarted_has_no_rate_for_that_step_and_the_right_one_after() -> None:
    pages = [{GENERATED_TOKENS: tokens, TTFT_COUNT: 0.0} for tokens in (1000.0, 30.0, 90.0)]
    assert "generated_tokens_per_s" not in add_rates(pages[0], pages[1], 2.0)
    assert add_rates(pages[1], pages[2], 2.0)["generated_tokens_per_s"] == 30.0
