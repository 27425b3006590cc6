from __future__ import annotations

import math

from ui.charts.measure import measure_of


def test_title_unit_and_limit_come_from_the_metric_table() -> None:
    clock = measure_of("gpu_sm_clock_mhz")
    assert (clock.title, clock.unit, clock.code_unit) == ("SM clock", "MHz", "MHz")
    assert [bound.words for bound in clock.bounds] == ["at least 1,400 MHz, under load"]
    memory = measure_of("mem_available_bytes")
    assert (memory.unit, memory.code_unit, memory.bounds[0].value) == ("GiB", "B", 8.0)


def test_a_fraction_is_shown_in_percent_of_a_fixed_scale() -> None:
    busy = measure_of("gpu_util")
    assert (busy.unit, busy.code_unit, busy.scale, busy.top) == ("%", "fraction", 100.0, 100.0)


def test_a_part_stands_in_the_title_on_one_line() -> None:
    assert measure_of("cage_rx_gbps.P1").title == "Cable received, P1"
    assert "\n" not in measure_of("net_rx_gbps.a\nb").title


def test_what_an_engine_tells_has_a_unit() -> None:
    assert (measure_of("generated_tokens_per_s").unit, measure_of("ttft_s").unit) == ("tok/s", "ms")
    assert measure_of("ttft_s").code_unit == "s"
    assert math.isfinite(measure_of("kv_used_fraction").top)


def test_a_key_that_nobody_described_is_shown_without_a_unit() -> None:
    measure = measure_of("new_figure")
    assert (measure.title, measure.unit, measure.bounds) == ("new_figure", "", ())


def test_what_is_not_known_is_never_written_as_a_number() -> None:
    assert measure_of("gpu_power_w").write(math.nan) == "n/a"
    assert measure_of("gpu_power_w").write_with_unit(44.2) == "44 W"
