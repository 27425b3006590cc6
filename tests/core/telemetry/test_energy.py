"""Energy is what samples cover: gaps add none and are counted, and what is estimated says so."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.telemetry.energy import SPARK_WALL, Energy, EnergyMeter
from sparkdesk.core.telemetry.sample import GAP_PERIODS

T_MS = 1_700_000_000_000


def metered(powers: list[float], *, step_ms: int = 1000, meter: EnergyMeter | None = None) -> Energy:
    meter = meter or EnergyMeter()
    for at, power_w in enumerate(powers):
        meter.add(T_MS + at * step_ms, power_w)
    return meter.read()


def test_an_hour_at_100_watts_is_a_tenth_of_a_kwh_and_costs_as_much() -> None:
    found = metered([100.0] * 3601)
    assert found.joule == pytest.approx(360_000.0)
    assert [found.covered_s, found.gap_s, found.coverage] == pytest.approx([3600.0, 0.0, 1.0])
    assert found.cost(0.30) == pytest.approx(0.03)
    assert found.co2_g(380.0) == pytest.approx(38.0)


def test_a_ramp_is_counted_by_its_mean() -> None:
    assert metered([0.0, 10.0, 20.0]).joule == pytest.approx(20.0)


def test_a_gap_adds_no_energy_and_is_counted() -> None:
    meter = EnergyMeter()
    metered([50.0] * 11, meter=meter)
    meter.add(T_MS + 70_000, 50.0)
    meter.add(T_MS + 71_000, 50.0)
    found = meter.read()
    assert found.joule == pytest.approx(11 * 50.0)
    assert [found.covered_s, found.gap_s] == pytest.approx([11.0, 60.0])
    assert found.coverage == pytest.approx(11 / 71)


@pytest.mark.parametrize("unread", [math.nan, -5.0, math.inf, 4e9])
def test_a_power_that_was_not_told_is_a_gap_and_not_zero(unread: float) -> None:
    found = metered([60.0, 60.0, unread, 60.0, 60.0])
    assert found.joule == pytest.approx(120.0)
    assert (found.covered_s, found.gap_s) == (2.0, 2.0)


def test_before_two_samples_nothing_is_known() -> None:
    for found in (metered([]), metered([50.0]), metered([math.nan] * 9)):
        assert math.isnan(found.joule)
        assert math.isnan(found.cost(0.3))


def test_a_step_of_a_seldom_asked_node_is_no_gap() -> None:
    slow = EnergyMeter(period_s=10.0)
    assert metered([50.0] * 3, step_ms=20_000, meter=slow).gap_s == 0.0


def test_a_clock_that_went_back_costs_no_energy_and_the_next_step_counts_again() -> None:
    meter = EnergyMeter()
    for t_ms in (T_MS, T_MS + 1000, T_MS - 3_600_000, T_MS - 3_599_000, T_MS - 3_599_000):
        meter.add(t_ms, 50.0)
    found = meter.read()
    assert found.joule == pytest.approx(100.0)
    assert (found.covered_s, found.gap_s) == (2.0, 0.0)


@given(
    st.lists(
        st.tuples(st.integers(-(10**13), 10**13), st.floats() | st.floats(0, 200)),
        max_size=40,
    )
)
def test_energy_is_never_negative_nor_more_than_the_highest_power_over_the_time_covered(
    samples: list[tuple[int, float]],
) -> None:
    meter = EnergyMeter()
    for t_ms, power_w in samples:
        meter.add(t_ms, power_w)
    found = meter.read()
    good = [power for _, power in samples if 0 <= power <= 10_000]
    assert found.covered_s >= 0
    assert found.gap_s >= 0
    if found.covered_s > 0:
        assert 0 <= found.joule <= max(good) * found.covered_s * (1 + 1e-9)
        assert found.covered_s <= (len(samples) - 1) * GAP_PERIODS
    else:
        assert math.isnan(found.joule)


def test_the_walls_estimate_meets_the_published_ranges() -> None:
    found = metered([87.0] * 11, meter=EnergyMeter(wall=SPARK_WALL))
    assert found.joule == pytest.approx(10 * SPARK_WALL.estimate_w(87.0))
    assert 40 <= SPARK_WALL.estimate_w(3.5) <= 45
    assert 170 <= SPARK_WALL.estimate_w((60 + 87) / 2) <= 180
    assert SPARK_WALL.estimate_w(500.0) == 240.0
    assert metered([math.nan] * 5, meter=EnergyMeter(wall=SPARK_WALL)).covered_s == 0.0


@pytest.mark.parametrize("factor", [math.nan, -0.1, math.inf])
def test_a_price_that_is_none_gives_no_cost(factor: float) -> None:
    found = metered([50.0] * 3)
    assert math.isnan(found.cost(factor))
    assert math.isnan(found.co2_g(factor))
