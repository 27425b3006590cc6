"""The history gives back what was put in, breaks the line at a gap, and stays bounded."""

from __future__ import annotations

import numpy as np

from sparkdesk.core.telemetry.history import COARSE_POINTS, FINE_POINTS, MAX_KEYS, History
from sparkdesk.core.telemetry.sample import Sample

START_MS = 1_700_000_000_000


def sample(second: float, **values: float) -> Sample:
    return Sample("n1", START_MS + int(second * 1000), 0, "b", values)


def test_a_series_is_the_samples_of_the_span() -> None:
    history = History()
    for second in range(100):
        history.append(sample(second, load1=float(second)))
    times, values = history.series("load1", 10)
    assert values.tolist() == [float(at) for at in range(89, 100)]
    assert times.tolist() == [START_MS + at * 1000 for at in range(89, 100)]


def test_a_gap_is_a_nan_between_its_neighbours_and_a_missing_value_is_nan() -> None:
    history = History()
    for second in (0, 1, 2, 10, 11):
        history.append(sample(second, load1=1.0) if second != 1 else sample(second))
    times, values = history.series("load1", 60)
    np.testing.assert_array_equal(values, [1, np.nan, 1, np.nan, 1, 1])
    assert times[3] == START_MS + 6000


def test_one_late_sample_is_no_gap_and_a_slower_rate_is_none_either() -> None:
    history = History(period_s=1.0)
    history.append(sample(0, load1=1.0))
    history.append(sample(2.4, load1=1.0))
    history.period_s = 5.0
    history.append(sample(7.4, load1=1.0))
    assert len(history.series("load1", 60)[0]) == 3


def test_a_key_that_was_never_seen_is_all_nan_and_an_empty_history_gives_nothing() -> None:
    history = History()
    assert len(history.series("load1", 60)[0]) == 0
    history.append(sample(0, load1=1.0))
    assert np.isnan(history.series("gpu_util", 60)[1]).all()


def test_a_sample_that_is_not_later_is_left_out() -> None:
    history = History()
    history.append(sample(5, load1=1.0))
    history.append(sample(5, load1=2.0))
    history.append(sample(4, load1=3.0))
    assert history.series("load1", 60)[1].tolist() == [1.0]


def test_an_hour_is_kept_as_means_and_memory_is_bounded() -> None:
    history = History()
    for second in range(3 * 3600):
        history.append(sample(second, load1=float(second % 5)))
    times, values = history.series("load1", 3600)
    assert COARSE_POINTS - 2 <= len(times) <= COARSE_POINTS
    assert np.allclose(values, 2.0)
    times, values = history.series("load1", 300)
    assert len(times) == 301
    assert FINE_POINTS > 301


def test_a_node_that_invents_keys_cannot_fill_the_memory() -> None:
    history = History()
    for second in range(20):
        history.append(sample(second, **{f"k{second}_{at}": 1.0 for at in range(64)}))
    assert len(history._fine._columns) == MAX_KEYS


def test_after_our_clock_was_set_back_what_comes_is_kept_and_a_late_sample_is_still_left_out() -> None:
    history = History()
    for second in (7200, 7201, 7195, 0, 1, 2):
        history.append(sample(second, load1=float(second)))
    times, values = history.series("load1", 60)
    assert values.tolist() == [0.0, 1.0, 2.0]
    assert times[0] == START_MS
    history = History()
    for second in (100, 101, 95, 102):
        history.append(sample(second, load1=float(second)))
    assert history.series("load1", 60)[1].tolist() == [100.0, 101.0, 102.0]


def test_a_line_goes_on_where_the_rate_was_raised_or_lowered() -> None:
    history = History()
    for second in (0, 1, 2):
        history.append(sample(second, load1=1.0))
    history.period_s = 10.0
    for second in (12, 22, 32):
        history.append(sample(second, load1=1.0))
    history.period_s = 1.0
    assert history.gap_ms == 25_000, "the next one is still due as before"
    for second in (42, 43, 44):
        history.append(sample(second, load1=1.0))
    assert not np.isnan(history.series("load1", 60)[1]).any()
    history.append(sample(54, load1=1.0))
    assert np.isnan(history.series("load1", 60)[1]).sum() == 1
