"""Lines, gaps and scales, from real histories."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkdesk.core.telemetry.series import ChartSource, Gap
from tests.ui.charts.scene import Scene
from ui.charts.choice import Choice
from ui.charts.frame import MOST_LINES, MOST_POINTS, Frame, build_frame, scale_of, thin, ticks_of
from ui.charts.mark import dash_of, marker_of
from ui.charts.measure import measure_of
from ui.text import time_of_day

POWER = Choice(plots=(("gpu_power_w",),))


def frame_of(scene: Scene, choice: Choice = POWER) -> Frame:
    return build_frame(scene.feeds(), choice, scene.sources, scene.now_ms)


@pytest.fixture
def scene() -> Scene:
    """A minute of samples, 30 s in which node 1 says nothing, half a minute more."""
    found = Scene()
    found.live(60)
    found.silent = {"node1"}
    found.live(30)
    found.silent = set()
    found.live(30)
    return found


def test_a_line_breaks_in_a_gap_and_has_no_value_there(scene: Scene) -> None:
    line = frame_of(scene).plots[0].lines[1]
    xs, ys = line.shown(scene.now_ms, 300.0)
    before, after = ys[xs < -60.5], ys[xs > -29.5]
    assert np.isfinite(before).all()
    assert np.isfinite(after).all()
    assert np.isnan(ys).sum() == 1, "one break, and no point made up"
    assert math.isnan(line.at(scene.now_ms - 45_000))
    assert math.isnan(line.at(scene.now_ms - 31_500))
    assert line.at(scene.now_ms - 10_000) == pytest.approx(line.at(scene.now_ms - 10_300))


def test_what_was_kept_in_long_steps_can_be_read_at_every_moment(scene: Scene) -> None:
    line = frame_of(scene).plots[0].lines[0]
    last_ms = int(line.times_ms[-1])
    past = np.arange(last_ms - 200_000, last_ms - 130_000, 5000)
    values = np.concatenate((np.arange(14.0), [math.nan], line.values))
    joined = replace(line, times_ms=np.concatenate((past, [last_ms - 126_000], line.times_ms)), values=values)
    assert joined.at(last_ms - 198_000) == 0.0
    assert joined.at(last_ms - 197_000) == 1.0
    assert math.isnan(joined.at(last_ms - 128_000))
    assert joined.at(last_ms) == line.at(last_ms)


def test_a_hole_without_a_reason_is_told_with_its_times(scene: Scene) -> None:
    shades = frame_of(scene).plots[0].shades
    assert len(shades) == 1
    start, end = time_of_day(shades[0].start_ms), time_of_day(shades[0].end_ms)
    assert shades[0].words == f"spark-bd26: no value {start} to {end}"
    assert 29_000 <= shades[0].end_ms - shades[0].start_ms <= 32_000


def test_a_reason_that_is_known_stands_in_place_of_the_hole(scene: Scene) -> None:
    scene.told["node1"] = [Gap(scene.now_ms - 61_000, scene.now_ms - 30_000, "no samples")]
    shades = frame_of(scene).plots[0].shades
    start, end = time_of_day(scene.now_ms - 61_000), time_of_day(scene.now_ms - 30_000)
    assert [shade.words for shade in shades] == [f"spark-bd26: no samples {start} to {end}"]


def test_one_reason_for_all_sources_is_told_once(scene: Scene) -> None:
    start_ms = scene.now_ms
    scene.now_ms += 60_000
    for i, source in enumerate(scene.sources):
        scene.told[source.id] = [Gap(start_ms + 400 * i, scene.now_ms - 300 * i, "SparkDesk was closed")]
    scene.live(20)
    words = [shade.words for shade in frame_of(scene).plots[0].shades]
    assert words[1] == f"SparkDesk was closed {time_of_day(start_ms)} to {time_of_day(start_ms + 60_000)}"
    assert len(words) == 2


def test_a_gap_that_began_before_or_lasts_until_now_says_so() -> None:
    scene = Scene(count=1)
    scene.live(5)
    scene.told["node0"] = [Gap(scene.now_ms - 300_000, scene.now_ms - 20_000, "SparkDesk was closed")]
    until = time_of_day(scene.now_ms - 20_000, has_seconds=False)
    assert frame_of(scene).plots[0].shades[0].words == f"SparkDesk was closed until {until}"
    scene.told["node0"] = [Gap(scene.now_ms - 600_000, scene.now_ms, "not reached")]
    assert frame_of(scene).plots[0].shades[0].words == "not reached all this time"
    scene.told["node0"] = [Gap(scene.now_ms - 60_000, scene.now_ms - 100, "not reached")]
    assert frame_of(scene).plots[0].shades[0].words == f"not reached since {time_of_day(scene.now_ms - 60_000)}"


def test_a_source_that_fell_silent_is_old_and_others_are_not(scene: Scene) -> None:
    scene.silent = {"node3"}
    scene.live(14)
    plot = frame_of(scene).plots[0]
    assert [line.is_stale for line in plot.lines] == [False, False, False, True]
    assert plot.lines[3].age_s == pytest.approx(14, abs=0.5)
    assert plot.shades[-1].words.startswith("spark-3995: no value since ")


def test_a_source_looks_alike_in_all_plots(scene: Scene) -> None:
    scene.add(ChartSource("j1", "gpt-oss", "job"))
    scene.live(3)
    choice = Choice(plots=(("gpu_power_w",), ("gpu_temp_c",), ("generated_tokens_per_s",)))
    plots = frame_of(scene, choice).plots
    assert [line.slot for line in plots[0].lines] == [line.slot for line in plots[1].lines] == [0, 1, 2, 3]
    assert [(line.name, line.slot) for line in plots[2].lines] == [("gpt-oss", 0)]


def test_no_two_lines_of_a_plot_look_alike_and_what_is_too_much_is_counted(scene: Scene) -> None:
    for i in range(4, 9):
        scene.add(ChartSource(f"node{i}", f"spark-{i}", "node"))
    scene.add(ChartSource("j1", "gpt-oss", "job"))
    scene.add(ChartSource("s1", "found", "server"))
    scene.live(2)
    choice = Choice(plots=(("gpu_power_w",), ("gpu_temp_c", "cpu_util"), ("requests_running",)))
    for plot, wanted in zip(frame_of(scene, choice).plots, (9, 18, 2), strict=True):
        slots = [line.slot for line in plot.lines]
        assert len(slots) == len(set(slots)) <= MOST_LINES
        assert plot.left_out == max(wanted - MOST_LINES, 0)


def test_sixteen_nodes_are_drawn_and_every_two_differ_in_more_than_colour() -> None:
    scene = Scene(count=17)
    scene.live(2)
    plot = frame_of(scene).plots[0]
    assert (len(plot.lines), plot.left_out) == (16, 1)
    for one, other in combinations(plot.lines, 2):
        looks = [(dash_of(line.slot), marker_of(line.slot)) for line in (one, other)]
        assert looks[0] != looks[1], "dash and marker tell a line, without its colour"


def test_a_node_and_a_deployment_with_one_metric_look_different(scene: Scene) -> None:
    scene.add(ChartSource("j1", "gpt-oss", "job"))
    scene.live(2)
    feeds = replace(scene.feeds(), keys=lambda _source_id: ("gpu_power_w",))
    lines = build_frame(feeds, POWER, scene.sources, scene.now_ms).plots[0].lines
    assert [line.slot for line in lines] == [0, 1, 2, 3, 4]


def test_gaps_are_asked_for_what_is_drawn_only() -> None:
    scene = Scene(count=60)
    scene.live(2)
    asked: list[str] = []

    def gaps(source_id: str, _span_s: float) -> tuple[Gap, ...]:
        asked.append(source_id)
        return ()

    plots = build_frame(replace(scene.feeds(), gaps=gaps), Choice(), scene.sources, scene.now_ms).plots
    assert [plot.left_out for plot in plots] == [60 - MOST_LINES] * 4
    assert asked == [source.id for source in scene.sources[:MOST_LINES]]


def test_several_metrics_of_several_sources_are_told_apart_by_name(scene: Scene) -> None:
    names = [line.name for line in frame_of(scene, Choice(plots=(("cage_rx_gbps.P1", "cage_tx_gbps.P1"),))).lines]
    assert names[:2] == ["spark-5c2d · Cable received, P1", "spark-5c2d · Cable sent, P1"]


def test_a_metric_that_no_chosen_source_has_says_so(scene: Scene) -> None:
    plot = frame_of(scene, Choice(plots=(("requests_running",),))).plots[0]
    assert (plot.lines, plot.empty_words) == ((), "No chosen source has it")
    assert plot.ticks == (), "a scale of nothing would look like one"
    fresh = frame_of(Scene()).plots[0]
    assert fresh.empty_words == "No value in this time"


@given(st.integers(MOST_POINTS + 1, 4000), st.floats(0, 1), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_thinning_keeps_peaks_and_breaks_where_a_slice_has_a_hole(count: int, holes: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    times = np.cumsum(random.integers(500, 1500, count))
    values = np.where(random.random(count) < holes**3, np.nan, random.normal(0, 1e3, count))
    at, rows = thin(times, values, count * 1.0)
    assert len(at) == len(rows) <= 3 * MOST_POINTS
    assert (np.diff(at) >= 0).all()
    if np.isfinite(values).any():
        assert np.nanmax(rows) == np.nanmax(values)
        assert np.nanmin(rows) == np.nanmin(values)
    assert bool(np.isnan(rows).any()) == bool(np.isnan(values).any())


def test_an_hour_of_a_real_history_is_thinned_and_keeps_its_gap() -> None:
    scene = Scene(count=1)
    scene.live(1200)
    scene.now_ms += 300_000
    scene.live(900)
    line = build_frame(scene.feeds(), Choice(span_s=3600.0, plots=(("gpu_power_w",),)), scene.sources, scene.now_ms)
    xs, ys = line.plots[0].lines[0].shown(scene.now_ms, 3600.0)
    assert len(line.plots[0].lines[0].values) == 2101
    assert len(xs) < MOST_POINTS
    assert np.isnan(ys[(xs > -1201) & (xs < -899)]).any()
    assert not np.isfinite(ys[(xs > -1190) & (xs < -910)]).any()


def test_scales_begin_at_zero_and_reach_a_limit_that_is_near(scene: Scene) -> None:
    assert frame_of(scene, Choice(plots=(("gpu_util",),))).plots[0].high == 100.0
    temperature = frame_of(scene, Choice(plots=(("gpu_temp_c",),))).plots[0]
    assert (temperature.low, temperature.high >= 86.0) == (0.0, True)
    assert temperature.bounds[0].words == "at most 86 °C"
    fitted = frame_of(scene, Choice(plots=(("gpu_temp_c",),), is_fitted=True)).plots[0]
    assert 40 < fitted.low < fitted.high < 90


def test_a_limit_says_whose_it_is_where_a_plot_has_several_metrics(scene: Scene) -> None:
    plot = frame_of(scene, Choice(plots=(("gpu_temp_c", "cpu_temp_c"),))).plots[0]
    assert [bound.words for bound in plot.bounds] == ["GPU temperature at most 86 °C"]


@given(st.floats(-1e9, 1e9), st.floats(0, 1e9))
def test_ticks_lie_inside_of_the_scale(low: float, reach: float) -> None:
    ticks = ticks_of(low, low + reach)
    assert 1 <= len(ticks) <= 6
    room = 1e-6 * max(reach, abs(low), 1e-6)
    assert all(low - room <= tick <= low + reach + room for tick in ticks)


def test_without_a_value_a_scale_is_that_of_the_metric() -> None:
    assert scale_of((), [measure_of("gpu_util")], (), is_fitted=False) == (0.0, 100.0)
    assert scale_of((), [measure_of("gpu_power_w")], (), is_fitted=True) == (0.0, 1.0)
