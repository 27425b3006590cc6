"""Means that were kept come back as they were, join what is measured in order, and each hole is explained whole."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.telemetry.history import History
from sparkdesk.core.telemetry.past import (
    BREAK_MS,
    CLOSED,
    STEP_MS,
    Means,
    explain_holes,
    join,
    mean_rows,
    pack_row,
    stack_rows,
    unpack_rows,
)
from sparkdesk.core.telemetry.sample import Sample
from sparkdesk.core.telemetry.series import Gap, Stretch

cells = st.floats(width=32) | st.just(math.nan)
times = st.lists(st.integers(0, 10**7), unique=True, max_size=12).map(sorted)
stretches = st.tuples(st.integers(0, 10**6), st.integers(1, 10**6)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(st.lists(st.lists(cells, min_size=3, max_size=3), max_size=6))
def test_rows_come_back_as_they_were_packed_and_infinity_as_unknown(rows: list[list[float]]) -> None:
    packed = [(at, pack_row(np.array(row))) for at, row in enumerate(rows)]
    found = unpack_rows(("a", "b", "c"), packed)
    expected = np.array(rows, np.float64).reshape(len(rows), 3)
    expected[~np.isfinite(expected)] = np.nan
    np.testing.assert_array_equal(found.values, expected)


@given(st.lists(st.tuples(st.integers(0, 99), st.binary(max_size=20)), max_size=8))
def test_rows_of_another_length_are_left_out(rows: list[tuple[int, bytes]]) -> None:
    found = unpack_rows(("a", "b"), rows)
    assert found.times_ms.tolist() == [t_ms for t_ms, data in rows if len(data) == 8]
    assert not np.isinf(found.values).any()


@given(st.lists(st.tuples(times, st.sampled_from([("a",), ("a", "b"), ("b", "c")])), max_size=4))
def test_layouts_are_stacked_in_order_of_time_without_a_double(parts: list[tuple[list[int], tuple[str, ...]]]) -> None:
    rows = [Means(np.array(at, np.int64), keys, np.ones((len(at), len(keys)))) for at, keys in parts]
    found = stack_rows(rows)
    assert found.times_ms.tolist() == sorted({t_ms for at, _ in parts for t_ms in at})
    assert found.values.shape == (len(found.times_ms), len(found.keys))


@given(times, st.data())
def test_a_mean_lies_between_what_it_is_of_and_the_unknown_does_not_count(at: list[int], data: st.DataObject) -> None:
    values = [data.draw(st.floats(-1e6, 1e6) | st.just(math.nan)) for _ in at]
    found = mean_rows(Means(np.array(at, np.int64), ("a",), np.array(values).reshape(-1, 1)), STEP_MS)
    for t_ms, mean in zip(found.times_ms.tolist(), found.values[:, 0].tolist(), strict=True):
        pairs = zip(at, values, strict=True)
        inside = [value for when, value in pairs if when // STEP_MS == t_ms // STEP_MS and value == value]
        if inside:
            assert min(inside) - 1e-6 <= mean <= max(inside) + 1e-6
        else:
            assert math.isnan(mean)
    assert len(found.times_ms) == len({when // STEP_MS for when in at})


@given(times, times)
def test_past_and_present_join_in_order_with_a_gap_between(old: list[int], new: list[int]) -> None:
    now = [t_ms + 10**7 + 1 for t_ms in new]
    past = (np.array(old, np.int64), np.ones(len(old)))
    live = (np.array(now, np.int64), np.ones(len(now)))
    found, values = join(past, live)
    assert (np.diff(found) >= 0).all()
    is_apart = bool(old and now)
    assert np.isnan(values).sum() == is_apart
    assert len(found) == len(old) + len(now) + is_apart


@given(stretches, st.lists(stretches, max_size=4).map(sorted))
def test_a_hole_is_explained_whole_and_nothing_twice(hole: Stretch, closed: list[Stretch]) -> None:
    gaps = explain_holes([hole], closed, lambda start, end: "why")
    assert gaps[0].start_ms == hole[0]
    assert gaps[-1].end_ms == hole[1]
    for before, after in itertools.pairwise(gaps):
        assert before.end_ms == after.start_ms
    for gap in gaps:
        assert gap.start_ms < gap.end_ms
        if gap.words != CLOSED:
            assert all(
                opened <= gap.start_ms or shut >= gap.end_ms or opened - shut <= 2 * BREAK_MS for shut, opened in closed
            )


def test_what_is_left_beside_a_closed_time_belongs_to_it_when_it_is_short() -> None:
    closed = [(20_000, 90_000)]
    assert explain_holes([(0, 100_000)], closed, lambda start, end: "why") == (Gap(0, 100_000, CLOSED),)
    long = explain_holes([(0, 200_000)], [(60_000, 90_000)], lambda start, end: "why")
    assert [gap.words for gap in long] == ["why", CLOSED, "why"]


def test_a_past_with_holes_breaks_there() -> None:
    means = Means(np.array([0, STEP_MS, 10 * STEP_MS]), ("a",), np.array([[1.0], [2.0], [3.0]]))
    series, values = means.series("a")
    assert series.tolist() == [0, STEP_MS, 55_000, 10 * STEP_MS]
    assert np.isnan(values).tolist() == [False, False, True, False]
    assert means.holes() == [(STEP_MS, 10 * STEP_MS)]
    assert np.isnan(means.series("never")[1]).all()


@pytest.mark.parametrize("seconds", [60, 4000])
def test_a_history_tells_its_holes_also_where_only_means_are_left(seconds: int) -> None:
    history = History()
    for second in (*range(seconds), *range(seconds + 100, seconds + 130)):
        history.append(Sample("n1", 1_000_000 + second * 1000, 0, "b", {"load1": 1.0}))
    (hole,) = history.holes(0)
    assert hole[0] == pytest.approx(1_000_000 + seconds * 1000, abs=5000)
    assert hole[1] == pytest.approx(1_000_000 + (seconds + 100) * 1000, abs=5000)
    assert history.holes(hole[1] + 10_000) == []
    (again,) = history.holes(hole[0] + 10_000)  # begun before what is asked for
    assert again == pytest.approx(hole, abs=5000)


def test_a_history_knows_what_it_has_and_its_newest() -> None:
    history = History()
    assert (history.keys, history.has("load1"), math.isnan(history.newest("load1"))) == ((), False, True)
    history.append(Sample("n1", 0, 0, "b", {"load1": 1.0, "load5": math.nan}))
    assert (history.newest("load1"), history.has("load5"), history.first_ms, history.last_ms) == (1.0, False, 0, 0)
