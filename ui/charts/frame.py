"""What the plots show at one moment: lines cut to the span, gaps with their words, scales.

The one rule: a line breaks wherever nothing is known. A gap is never drawn across and a value is never made up; the
full series stays beside the thinned one, for the cursor, the table and the files.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sparkdesk.core.telemetry.series import ChartSource, Gap, Series
from ui import text
from ui.charts.choice import Choice, Plot
from ui.charts.feed import ChartFeeds
from ui.charts.measure import Bound, Measure, measure_of

MOST_LINES = 16
"""As many as can be painted in time and told apart by colour, dash and marker; the rest is counted, not drawn."""
MOST_POINTS = 600
STALE_STEPS = 3.5
"""A source is old after so many of its own steps without a value."""
LEAST_GAP_MS = 5000
"""A hole shorter than this breaks the line and needs no words."""
SAME_GAP_MS = 3000
_NEAR_STEPS = 1.25
_DIGITS = re.compile(r"[0-9]+")
_CLOCK = re.compile(r"[0-9]{2}:[0-9]{2}")


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One quantity of one source. `values` are in code units, NaN where nothing is known; `slot` is how it is drawn."""

    source: ChartSource
    measure: Measure
    name: str
    slot: int
    times_ms: NDArray[np.int64]
    values: NDArray[np.float64]
    step_ms: float
    newest_ms: int
    """When the newest known value was taken; 0 when there is none."""
    age_s: float
    """How old the newest value is when it is too old to be one of now, else NaN."""

    @property
    def is_stale(self) -> bool:
        """Whether the newest value is no longer one of now."""
        return math.isfinite(self.age_s)

    def at(self, t_ms: float) -> float:
        """The value nearest to a time in screen units; NaN in a gap and beyond the ends."""
        if not len(self.times_ms):
            return math.nan
        right = int(np.searchsorted(self.times_ms, t_ms))
        sides = [i for i in (right - 1, right) if 0 <= i < len(self.times_ms)]
        near = min(sides, key=lambda i: abs(float(self.times_ms[i]) - t_ms))
        # Between two neighbours that are known nothing is missing, however far apart they are measured.
        is_between = len(sides) == 2 and bool(np.isfinite(self.values[sides]).all())
        if not is_between:
            near = next((i for i in sides if math.isfinite(self.values[i])), near)
            if abs(float(self.times_ms[near]) - t_ms) > _NEAR_STEPS * self.step_ms:
                return math.nan
        return float(self.values[near]) * self.measure.scale

    def newest(self) -> float:
        """The newest known value in screen units, however old."""
        known = np.flatnonzero(np.isfinite(self.values))
        return float(self.values[known[-1]]) * self.measure.scale if len(known) else math.nan

    def shown(self, end_ms: int, span_s: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Seconds before `end_ms` (negative) and screen values, thinned to what a plot has pixels for."""
        times, values = thin(self.times_ms, self.values, span_s)
        return (times - end_ms) / 1000.0, values * self.measure.scale


@dataclass(frozen=True, slots=True)
class Shade:
    """A stretch without values: `words` say whose, why and when."""

    start_ms: int
    end_ms: int
    words: str


@dataclass(frozen=True, slots=True)
class PlotFrame:
    """One plot. `low` and `high` are the ends of its scale in screen units, `ticks` lie between them."""

    keys: Plot
    title: str
    unit: str
    lines: tuple[Line, ...] = ()
    shades: tuple[Shade, ...] = ()
    bounds: tuple[Bound, ...] = ()
    low: float = 0.0
    high: float = 1.0
    ticks: tuple[float, ...] = (0.0, 0.5, 1.0)
    left_out: int = 0
    """Lines that were asked for beyond what one plot can show."""
    empty_words: str = ""
    """Why there is nothing to see; "" where there is."""


@dataclass(frozen=True, slots=True)
class Frame:
    """All plots, from `start_ms` to `end_ms`."""

    start_ms: int = 0
    end_ms: int = 0
    plots: tuple[PlotFrame, ...] = ()
    is_paused: bool = False
    sources: tuple[ChartSource, ...] = field(default=())

    @property
    def span_s(self) -> float:
        """How far back it reaches."""
        return (self.end_ms - self.start_ms) / 1000.0

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines of all plots in reading order."""
        return tuple(line for plot in self.plots for line in plot.lines)


def build_frame(feeds: ChartFeeds, choice: Choice, sources: Sequence[ChartSource], end_ms: int) -> Frame:
    """Everything that is drawn at `end_ms`: each series is read once."""
    start_ms = end_ms - int(choice.span_s * 1000)
    offered = {source.id: frozenset(feeds.keys(source.id)) for source in sources}
    gaps: dict[str, tuple[Gap, ...]] = {}  # of what is drawn only: many may be chosen

    def build_plot(keys: Plot) -> PlotFrame:
        wanted = [(source, key) for source in sources for key in keys if key in offered[source.id]]
        lines: list[Line] = []
        for source, key in wanted[:MOST_LINES]:
            slot = _slot(source, sources, {line.slot for line in lines}, is_single=len(keys) == 1)
            found = feeds.series(source.id, key, choice.span_s)
            look = (_name(source, key, sources, keys), slot)
            lines.append(_line(source, measure_of(key), look, cut(found, start_ms, end_ms), end_ms))
            if source.id not in gaps:
                gaps[source.id] = tuple(feeds.gaps(source.id, choice.span_s))
        return _plot(keys, tuple(lines), len(wanted), _shades(lines, gaps, (start_ms, end_ms)), choice.is_fitted)

    plots = tuple(build_plot(keys) for keys in choice.plots)
    return Frame(start_ms, end_ms, plots, sources=tuple(sources))


def _name(source: ChartSource, key: str, sources: Sequence[ChartSource], keys: Plot) -> str:
    title = text.one_line(source.title, 40)
    if len(keys) == 1:
        return title
    quantity = measure_of(key).title
    return quantity if len(sources) == 1 else f"{title} · {quantity}"


def _slot(source: ChartSource, sources: Sequence[ChartSource], taken: set[int], *, is_single: bool) -> int:
    """A source looks alike in all plots of one metric; where a plot has several, its lines take turns."""
    alike = [each.id for each in sources if (each.kind == "node") == (source.kind == "node")]
    place = alike.index(source.id)
    if is_single and place < MOST_LINES and place not in taken:
        return place
    return next(slot for slot in range(MOST_LINES) if slot not in taken)


def _line(source: ChartSource, measure: Measure, look: tuple[str, int], series: Series, end_ms: int) -> Line:
    times, values = series
    known = times[np.isfinite(values)]
    step_ms = float(np.median(np.diff(known[-60:]))) if len(known) > 1 else 1000.0
    step_ms = max(step_ms, 1.0)
    newest_ms = int(known[-1]) if len(known) else 0
    is_old = newest_ms > 0 and end_ms - newest_ms > STALE_STEPS * max(step_ms, 1000.0)
    age_s = (end_ms - newest_ms) / 1000.0 if is_old else math.nan
    return Line(source, measure, *look, times, values, step_ms, newest_ms, age_s)


def cut(series: Series, start_ms: int, end_ms: int) -> Series:
    """The part of a series from start to end; times that do not fit their values are no series."""
    times, values = np.asarray(series[0], np.int64), np.asarray(series[1], np.float64)
    if times.ndim != 1 or times.shape != values.shape:
        return np.empty(0, np.int64), np.empty(0)
    first, last = np.searchsorted(times, start_ms), np.searchsorted(times, end_ms, side="right")
    values = values[first:last]
    return times[first:last], np.where(np.isfinite(values), values, np.nan)


def thin(
    times_ms: NDArray[np.int64], values: NDArray[np.float64], span_s: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """At most about `MOST_POINTS` points: lowest and highest of each slice of time, so that peaks and gaps stay.

    The slices lie at fixed times, or the line would tremble as it moves.
    """
    if len(times_ms) <= MOST_POINTS:
        return times_ms, values
    width_ms = max(int(span_s * 1000 / (MOST_POINTS // 2)), 1)
    slices = times_ms // width_ms
    starts = np.concatenate(([0], np.flatnonzero(np.diff(slices)) + 1))
    ends = np.concatenate((starts[1:], [len(times_ms)])) - 1
    low, high = np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)
    is_rising = ~(values[starts] > values[ends])
    has_hole = np.logical_or.reduceat(np.isnan(values), starts)
    first, second = np.where(is_rising, low, high), np.where(is_rising, high, low)
    # Where a slice holds a hole its line ends in one: which part of a pixel is missing nobody can see.
    third = np.where(has_hole, np.nan, second)
    rows = np.stack((first, second, third), axis=1).ravel()
    at = np.stack((times_ms[starts], (times_ms[starts] + times_ms[ends]) // 2, times_ms[ends]), axis=1).ravel()
    kept = np.stack((np.ones_like(has_hole), np.ones_like(has_hole), has_hole), axis=1).ravel()
    return at[kept], rows[kept]


# Gaps --------------------------------------------------------------------------------------------------------------


def _shades(lines: Sequence[Line], gaps: dict[str, tuple[Gap, ...]], reach: tuple[int, int]) -> tuple[Shade, ...]:
    """The gaps of a plot: those with a reason, then holes that nobody gave one for; equal ones are told once."""
    found: list[tuple[Gap, list[str]]] = []
    for line in lines:
        told = [gap for gap in gaps[line.source.id] if gap.end_ms > reach[0] and gap.start_ms < reach[1]]
        holes = [hole for hole in find_holes(line, reach[1]) if not any(_overlap(hole, gap) for gap in told)]
        for gap in (*told, *holes):
            names = next((names for other, names in found if _is_same(other, gap)), None)
            if names is None:
                found.append((gap, [line.name]))
            elif line.name not in names:
                names.append(line.name)
    shades = []
    for gap, names in sorted(found, key=lambda item: item[0].start_ms):
        whose = "" if len(names) == len(lines) else f"{', '.join(names)}: "
        start_ms, end_ms = max(gap.start_ms, reach[0]), min(gap.end_ms, reach[1])
        shades.append(Shade(start_ms, end_ms, f"{whose}{_with_time(gap, reach)}"))
    return tuple(shades)


def _with_time(gap: Gap, reach: tuple[int, int]) -> str:
    """Why nothing is known, and when, unless the words tell that themselves."""
    words = text.one_line(gap.words, 120)
    if _CLOCK.search(words):
        return words
    has_seconds = gap.end_ms - gap.start_ms < 120_000
    start, end = (text.time_of_day(t_ms, has_seconds=has_seconds) for t_ms in (gap.start_ms, gap.end_ms))
    begins_before, lasts = gap.start_ms <= reach[0], gap.end_ms >= reach[1] - SAME_GAP_MS
    if begins_before:
        return f"{words} all this time" if lasts else f"{words} until {end}"
    return f"{words} since {start}" if lasts else f"{words} {start} to {end}"


def _is_same(one: Gap, other: Gap) -> bool:
    """Whether two sources were missing for one reason: they stop and go on at moments of their own."""
    is_near = abs(one.start_ms - other.start_ms) <= SAME_GAP_MS and abs(one.end_ms - other.end_ms) <= SAME_GAP_MS
    return is_near and _DIGITS.sub("", one.words) == _DIGITS.sub("", other.words)


def _overlap(one: Gap, other: Gap) -> bool:
    return one.start_ms < other.end_ms and other.start_ms < one.end_ms


def find_holes(line: Line, end_ms: int) -> Iterable[Gap]:
    """Stretches in which a series has nothing, also the one up to now, with words of our own."""
    known = np.flatnonzero(np.isfinite(line.values))
    if not len(known):
        return
    for before in np.flatnonzero(np.diff(known) > 1):
        start_ms, back_ms = int(line.times_ms[known[before]]), int(line.times_ms[known[before + 1]])
        if back_ms - start_ms >= LEAST_GAP_MS:
            yield Gap(start_ms, back_ms, "no value")
    if line.is_stale:
        yield Gap(line.newest_ms, end_ms, "no value")


# Scales ------------------------------------------------------------------------------------------------------------


def _plot(keys: Plot, lines: tuple[Line, ...], wanted: int, shades: tuple[Shade, ...], is_fitted: bool) -> PlotFrame:
    measures = [measure_of(key) for key in keys]
    bounds = tuple(_bounds(measures))
    low, high = scale_of(lines, measures, bounds, is_fitted=is_fitted)
    if not wanted:
        words = "No chosen source has it"
    elif not any(line.newest_ms for line in lines):
        words = "No value in this time"
    else:
        words = ""
    title = " and ".join(measure.title for measure in measures)
    left_out = max(wanted - MOST_LINES, 0)
    return PlotFrame(
        keys,
        title,
        measures[0].unit,
        lines,
        shades,
        bounds,
        low,
        high,
        () if words else ticks_of(low, high),
        left_out,
        words,
    )


def _bounds(measures: Sequence[Measure]) -> Iterable[Bound]:
    """The limits; where a plot has several metrics each says whose it is."""
    for measure in measures:
        for bound in measure.bounds:
            yield bound if len(measures) == 1 else Bound(bound.value, f"{measure.title} {bound.words}")


def scale_of(
    lines: Sequence[Line], measures: Sequence[Measure], bounds: Sequence[Bound], *, is_fitted: bool
) -> tuple[float, float]:
    """The ends of the scale: from 0 to a round number over the values and a limit near them, or close around both."""
    known = [line.values[np.isfinite(line.values)] * line.measure.scale for line in lines]
    values = np.concatenate(known) if known else np.empty(0)
    if not len(values):
        return 0.0, next((each.top for each in measures if math.isfinite(each.top)), 1.0)
    least, most = float(values.min()), float(values.max())
    if is_fitted:
        room = max((most - least) * 0.08, 10.0 ** -measures[0].digits)
        return least - room, most + room
    top = max((each.top for each in measures if math.isfinite(each.top)), default=math.nan)
    if math.isfinite(top) and most <= top and least >= 0.0:
        return 0.0, top
    near = [bound.value for bound in bounds if bound.value <= 2.0 * most]
    high = _round_up(max([most, *near]) * 1.05) if most > 0 else (0.0 if least < 0 else 1.0)
    return (-_round_up(-least * 1.05) if least < 0 else 0.0), high


def _round_up(value: float) -> float:
    """The next multiple of a round number, itself not far away."""
    step = _round_step(value / 3)
    return math.ceil(value / step - 1e-9) * step


def _round_step(most: float) -> float:
    """The largest of 1, 2, 2.5 and 5 times a power of ten that is not over `most`."""
    power = 10.0 ** math.floor(math.log10(most))
    return max(factor * power for factor in (1.0, 2.0, 2.5, 5.0) if factor * power <= most * (1 + 1e-9))


def ticks_of(low: float, high: float) -> tuple[float, ...]:
    """Two to five round numbers from `low` to `high`."""
    reach = high - low
    if not math.isfinite(reach) or reach <= 1e-12 + 1e-9 * max(abs(low), abs(high)):
        return (low,)  # less than a float can tell apart, and than anybody measures
    step = _round_step(reach / 2)
    first = math.ceil(low / step - 1e-9)
    return tuple(round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1))
