from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QRectF

from ui.widgets.chart import fitting_span_s
from ui.widgets.curve import Span, highest, nice_ceiling, polylines

RECT = QRectF(10, 20, 100, 50)
SPAN = Span(0, 100, 0, 10)


def points(times: list[float], values: list[float], **more: float) -> list[list[tuple[float, float]]]:
    lines = polylines(times, values, SPAN, RECT, **more)
    return [[(line.at(i).x(), line.at(i).y()) for i in range(line.size())] for line in lines]


def test_samples_land_where_they_belong() -> None:
    assert points([0, 50, 100], [0, 5, 10]) == [[(10, 70), (60, 45), (110, 20)]]


def test_a_missing_sample_breaks_the_line() -> None:
    lines = points([0, 10, 20, 30], [1, math.nan, 3, 4])
    assert [len(line) for line in lines] == [1, 2]


def test_a_pause_breaks_the_line() -> None:
    assert [len(line) for line in points([0, 1, 2, 50, 51], [1, 1, 1, 1, 1], gap_s=3.5)] == [3, 2]


def test_what_is_older_than_the_window_is_not_drawn() -> None:
    assert len(polylines([-50, -10, 5], [1, 1, 1], SPAN, RECT)[0]) == 1


def test_one_peak_among_ten_thousand_samples_survives() -> None:
    times = [i / 100 for i in range(10_000)]
    values = [1.0] * 10_000
    values[7777] = 9.0
    line = polylines(times, values, SPAN, RECT)[0]
    assert line.size() < 500
    assert min(line.at(i).y() for i in range(line.size())) == pytest.approx(70 - 45)


@given(st.lists(st.one_of(st.floats(-1e9, 1e9), st.just(math.nan), st.just(math.inf)), max_size=400))
def test_nothing_leaves_the_plot(values: list[float]) -> None:
    times = [float(i) / 4 for i in range(len(values))]
    for line in polylines(times, values, SPAN, RECT):
        for i in range(line.size()):
            assert RECT.top() - 1e-6 <= line.at(i).y() <= RECT.bottom() + 1e-6
            assert RECT.left() - 1 <= line.at(i).x() <= RECT.right() + 1


@pytest.mark.parametrize(
    ("value", "top"),
    [(0, 1), (-5, 1), (math.nan, 1), (0.7, 0.8), (1, 1), (1.01, 1.5), (231, 300), (9.5, 10), (48211, 50000)],
)
def test_a_scale_ends_at_a_round_figure(value: float, top: float) -> None:
    assert nice_ceiling(value) == pytest.approx(top)


def test_nothing_known_has_no_highest_value() -> None:
    assert math.isnan(highest([[], [math.nan]]))
    assert highest([[1.0, math.nan], [3.0]]) == 3.0


def test_a_chart_looks_back_as_far_as_there_are_samples() -> None:
    assert [fitting_span_s([now - age], now, 900.0) for now in (0.0, 1e9) for age in (0, 59, 61, 400, 4000)] == [
        60.0,
        60.0,
        300.0,
        900.0,
        900.0,
    ] * 2
    assert fitting_span_s([], 0.0, 300.0) == 60.0
    assert fitting_span_s([-200.0], 0.0, 300.0) == 300.0
