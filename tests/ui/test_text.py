from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui import text

GIB = text.GIB


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        (text.memory(93.8 * GIB), "93.8 GiB"),
        (text.memory(1234 * GIB), "1,234 GiB"),
        (text.memory(999.96 * GIB), "1,000 GiB"),
        (text.memory(-14.4 * GIB), "\u221214.4 GiB"),
        (text.disk(40.6e9), "40.6 GB"),
        (text.disk(612_000), "0.6 MB"),
        (text.disk(999.96e9), "1.00 TB"),
        (text.line_rate(189.9), "189.9 Gb/s"),
        (text.bus_bandwidth(23.7e9), "23.7 GB/s"),
        (text.token_rate(228.4), "228 tok/s"),
        (text.token_rate(57.94), "57.9 tok/s"),
        (text.token_rate(99.96), "100 tok/s"),
        (text.first_token_time(0.412), "412 ms"),
        (text.first_token_time(0.9996), "1.00 s"),
        (text.first_token_time(1.42), "1.42 s"),
        (text.first_token_time(15.55), "15.6 s"),
        (text.first_token_time(99.97), "1 min 40 s"),
        (text.first_token_time(125), "2 min 05 s"),
        (text.token_interval(0.073), "73 ms"),
        (text.token_interval(0.0123), "12.3 ms"),
        (text.power(189.2, "GPU"), "189 W GPU"),
        (text.temperature(66.6), "67 °C"),
        (text.frequency(2410), "2.41 GHz"),
        (text.frequency(208), "208 MHz"),
        (text.count(48914), "48,914"),
        (text.pool(1_370_000), "1.37 M"),
        (text.pool(262_144), "262 K"),
        (text.pool(48_914), "48,914"),
        (text.duration(51), "0:51"),
        (text.duration(3599), "59:59"),
        (text.duration(11_520), "3 h 12 min"),
        (text.duration(190_000), "2 d 4 h"),
        (text.age(14.2), "14 s"),
        (text.age(200), "3 min"),
        (text.change(9, "%"), "+9\u202f%"),
        (text.change(-12), "\u221212"),
        (text.change(0), "+0"),
        (text.percent(0.58), "58\u202f%"),
        (text.percent(0.999, is_done=False), "99\u202f%"),
        (text.percent(1.005), "100\u202f%"),
    ],
)
def test_a_figure_is_written_as_the_design_says(shown: object, wanted: str) -> None:
    assert str(shown) == wanted


@pytest.mark.parametrize("unknown", [None, math.nan, math.inf, -math.inf])
def test_what_is_unknown_is_never_a_number(unknown: float | None) -> None:
    writers = (text.memory, text.disk, text.line_rate, text.bus_bandwidth, text.token_rate, text.first_token_time)
    others = (text.token_interval, text.power, text.temperature, text.frequency, text.percent, text.count, text.pool)
    more = (text.duration, text.age, text.change)
    assert {str(write(unknown)) for write in (*writers, *others, *more)} == {"n/a"}


def test_a_negative_time_is_unknown() -> None:
    assert (text.duration(-1), text.age(-1), str(text.first_token_time(-1))) == ("n/a", "n/a", "n/a")


def test_a_cut_text_says_how_much_is_missing() -> None:
    assert text.cut("x" * 9000, 8192) == "x" * 8192 + "… 808 more"
    assert text.cut("short", 8192) == "short"


@given(st.text(max_size=600))
def test_one_line_of_hostile_text_stays_one_bounded_line(hostile: str) -> None:
    shown = text.one_line(hostile, 100)
    assert len(shown) <= 101
    assert shown.isprintable()
    assert not set(shown) & set("\u202e\u2066\u200f")


@given(st.floats(min_value=-1e15, max_value=1e15))
def test_every_figure_has_a_value_and_a_unit(size: float) -> None:
    for quantity in (text.memory(size), text.disk(size)):
        assert quantity.value != "n/a"
        assert quantity.unit


def test_a_stage_of_less_than_a_second_is_not_nothing() -> None:
    assert [text.stage_time(time_s) for time_s in (0.02, 0.21, 0.94, 4.2, 75.0, None)] == [
        "< 0.1 s",
        "0.2 s",
        "0.9 s",
        "0:04",
        "1:15",
        "n/a",
    ]
