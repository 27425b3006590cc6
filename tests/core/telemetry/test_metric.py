"""The metric table: every row has a range that its readings can lie in, and a limit names its source."""

from __future__ import annotations

import math

import pytest

from sparkdesk.core.telemetry.metric import METRICS, find_metric


def test_a_reading_that_cannot_be_is_none_and_nan_never_is_one() -> None:
    for key, value in {
        "gpu_util": 1.01,
        "mem_used_bytes": -1.0,
        "gpu_temp_c": 4_294_967_295.0,
        "cpu_temp_c": -273.0,
        "rdma_rx_gbps.P0": 900.0,
        "net_speed_gbps.enP7s7": 4_294_967.295,
        "load1": math.inf,
    }.items():
        assert not find_metric(key).can_be(value)
    assert find_metric("clock_offset_s").can_be(-3600.0)
    assert find_metric("rdma_rx_gbps.P0").can_be(196.0)
    assert not any(row.can_be(math.nan) or row.can_be(math.inf) or row.can_be(-math.inf) for row in METRICS.values())


def test_the_whole_scale_of_a_row_can_be_read_and_its_limit_lies_within() -> None:
    for row in METRICS.values():
        for end in (row.low, row.high):
            assert row.can_be(end) or math.isnan(end)
        if row.limit is not None:
            assert row.limit.source
            assert all(math.isnan(end) or row.can_be(end) for end in (row.limit.low, row.limit.high))
            assert not (math.isnan(row.limit.low) and math.isnan(row.limit.high))


@pytest.mark.parametrize(
    ("key", "bad", "good"),
    [
        ("gpu_sm_clock_mhz", 950.0, 1400.0),
        ("gpu_temp_c", 87.0, 86.0),
        ("mem_available_bytes", 7 * 2.0**30, 8 * 2.0**30),
        ("cage_speed_gbps.P1", 100.0, 200.0),
    ],
)
def test_published_limits_part_good_from_bad(key: str, bad: float, good: float) -> None:
    row = find_metric(key)
    assert row.is_good(bad) is False
    assert row.is_good(good) is True
    assert row.is_good(math.nan) is None


def test_where_nobody_published_a_limit_nothing_is_called_bad() -> None:
    assert find_metric("gpu_util").is_good(0.96) is None
    assert find_metric("gpu_power_w").is_good(130.0) is None


def test_the_slow_clock_is_bad_under_load_only_and_the_table_says_so() -> None:
    limit = find_metric("gpu_sm_clock_mhz").limit
    assert limit is not None
    assert limit.when == "under load"
    assert "GPU rail" in find_metric("gpu_power_w").source
