"""Watts at the wall and money for a million tokens: a wide band, and no cost without a price."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from sparkdesk.core.planning.cost import Prices, cost_of
from sparkdesk.core.planning.figure import UNKNOWN, Figure
from sparkdesk.core.planning.place import Device, NodeRoom, Place
from sparkdesk.core.planning.prediction import Prediction
from sparkdesk.core.planning.workload import Workload
from sparkdesk.core.telemetry.energy_rate import EnergyRates

GB10 = Device("gb10", "DGX Spark", 1 << 37, 273.0, {16: 125.0}, 175.0, is_fitted=True)
H100 = Device("h100", "H100", 80 << 30, 3350.0, {16: 990.0}, 1275.0)
DEVICES = {"gb10": GB10, "h100": H100}
LOAD = Workload("chat", "Chat", 2048, 500, 2)
PRICES = Prices(EnergyRates(price_per_kwh=0.40, currency="EUR"))


def place(count: int = 1, device: str = "gb10") -> Place:
    return Place(tuple(NodeRoom(f"n{i}", f"n{i}", device=device) for i in range(count)))


def decoding(gb_per_s: float, compute: float = 0.0, *, link: float = 0.0, e2e_s: float = 10.0) -> Prediction:
    zero, e2e = Figure(0.0, 0.0, 0.0), Figure(e2e_s, e2e_s * 0.8, e2e_s * 1.2)
    return Prediction(
        zero, zero, e2e, zero, zero, (), (), memory_gb_per_s=gb_per_s, compute_share=compute, link_gb_per_s=link
    )


def test_a_published_small_model_and_full_load_come_out_in_their_reported_ranges() -> None:
    small = cost_of(decoding(110.0), LOAD, place(), DEVICES, PRICES).power_w
    rail = (small.value - 35.9) / 1.9
    assert rail == pytest.approx(25.0, abs=2.0)  # Source: 3B in 16 bit at 14 to 20 tok/s, about 25 W of GPU
    full = cost_of(decoding(190.0, 1.0), LOAD, place(), DEVICES, PRICES).power_w
    assert 150.0 <= full.value <= 201.5
    assert small.low < small.value < small.high
    assert full.low < full.value <= full.high


def test_nodes_that_wait_for_each_other_draw_as_under_load() -> None:
    alone = cost_of(decoding(60.0), LOAD, place(), DEVICES, PRICES).power_w
    polling = cost_of(decoding(60.0, link=0.3), LOAD, place(2), DEVICES, PRICES).power_w
    copies = cost_of(decoding(60.0), LOAD, place(2), DEVICES, PRICES).power_w
    assert polling.value > 2.0 * alone.value
    assert copies.value == pytest.approx(2.0 * alone.value)


def test_a_prompt_draws_more_than_an_answer() -> None:
    answer = decoding(110.0)
    prompt = replace(answer, ttft_s=answer.e2e_s)
    assert (
        cost_of(prompt, LOAD, place(), DEVICES, PRICES).power_w.value
        > cost_of(answer, LOAD, place(), DEVICES, PRICES).power_w.value
    )


def test_energy_of_a_million_tokens_is_power_times_time_times_price() -> None:
    cost = cost_of(decoding(110.0), LOAD, place(), DEVICES, PRICES)
    seconds = 10.0 / (2 * 500) * 1e6
    assert cost.energy_per_million.value == pytest.approx(cost.power_w.value * seconds / 3.6e6 * 0.40)
    assert cost.energy_per_million.low < cost.energy_per_million.value < cost.energy_per_million.high
    assert not cost.total_per_million.is_known  # nobody said what the machine cost


def test_the_machine_is_paid_over_its_years_of_use() -> None:
    prices = replace(PRICES, machine_price=4000.0, years=4.0, busy_share=0.25)
    cost = cost_of(decoding(110.0), LOAD, place(2), DEVICES, prices)
    machine = cost.total_per_million.value - cost.energy_per_million.value
    assert machine == pytest.approx(2 * 4000.0 / (4.0 * 8766.0 * 3600.0 * 0.25) * 10_000.0)
    own = cost_of(decoding(110.0), LOAD, place(), {"gb10": replace(GB10, price=1000.0)}, PRICES)
    assert own.total_per_million.value > own.energy_per_million.value


def test_without_a_price_there_is_power_and_no_cost() -> None:
    for price in (math.nan, -1.0, math.inf):
        cost = cost_of(decoding(110.0), LOAD, place(), DEVICES, Prices(EnergyRates(price_per_kwh=price)))
        assert cost.power_w.is_known
        assert not cost.energy_per_million.is_known
        assert not cost.total_per_million.is_known
    assert "No price" in Prices().words


def test_what_is_not_known_costs_nothing_known() -> None:
    unknown = Prediction(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, (), (), memory_gb_per_s=math.nan)
    cost = cost_of(unknown, LOAD, place(), DEVICES, PRICES)
    assert not cost.power_w.is_known
    assert not cost.energy_per_million.is_known
    assert not cost_of(decoding(110.0), LOAD, place(device="?"), DEVICES, PRICES).power_w.is_known


def test_a_device_that_is_not_fitted_has_its_published_power_and_half_of_it() -> None:
    power = cost_of(decoding(2000.0), LOAD, place(device="h100"), DEVICES, PRICES).power_w
    assert (power.low, power.value, power.high) == (637.5, 1275.0, 1275.0)
