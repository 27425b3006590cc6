"""The recent past of many quantities as columns of pixels: what sparklines are painted from.

The one rule: each column keeps the lowest and the highest of its samples, so a peak survives; a column without a sample
is NaN, so a gap stays one. Adding a sample touches one cell. Imports numpy: import this module after the first frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparkdesk.core.telemetry.clock import SET_BACK_S
from sparkdesk.core.telemetry.sample import GAP_PERIODS

Values = NDArray[np.float64]

COLUMNS = 100
"""Of one sparkline. They are about as wide as their columns in pixels: more could not be seen."""


class TrendTable:
    """`rows` x `quantities` sparklines over the last `span_s`, all with the same columns of time."""

    def __init__(self, rows: int, quantities: int, *, span_s: float = 300.0, period_s: float = 1.0) -> None:
        self.period_s = period_s
        self.newest = np.full((rows, quantities), np.nan)
        """The last value of each, NaN where it was not measured."""
        self._step_ms = span_s * 1000.0 / COLUMNS
        self._low = np.full((rows, quantities, COLUMNS), np.nan)
        self._high = np.full((rows, quantities, COLUMNS), np.nan)
        self._last = [0] * rows
        """The number of each row's newest column, counted from 1970."""
        self._end = 0
        """The newest column of all."""

    def add(self, row: int, t_ms: int, values: Sequence[float]) -> None:
        """A row's sample: one value a quantity, NaN where missing. What is older than the row's newest is left out."""
        column, last = int(t_ms / self._step_ms), self._last[row]
        if column < last:
            if (last - column) * self._step_ms < SET_BACK_S * 1000.0:
                return
            self._move_on(column)  # the clock was set back: what was lies in a time to come
        elif column > self._end:
            self._move_on(column)
        elif column <= self._end - COLUMNS:
            return
        self._last[row] = column
        self.newest[row] = values
        at = column % COLUMNS
        if column != last:  # also after another row has emptied what was
            self._low[row, :, at] = self._high[row, :, at] = values
        else:
            np.fmin(self._low[row, :, at], values, out=self._low[row, :, at])
            np.fmax(self._high[row, :, at], values, out=self._high[row, :, at])

    def fill(self, row: int, quantity: int, times_ms: ArrayLike, values: ArrayLike) -> None:
        """Take a past that is known already (ascending), before the row's first `add`."""
        found = np.asarray(values, np.float64)
        is_known = np.isfinite(found)
        if not is_known.any():
            return
        columns, found = (np.asarray(times_ms)[is_known] / self._step_ms).astype(np.int64), found[is_known]
        if columns[-1] > self._end:
            self._move_on(int(columns[-1]))
        in_sight = columns > self._end - COLUMNS
        if in_sight.any():
            columns, found = columns[in_sight], found[in_sight]
            np.fmin.at(self._low[row, quantity], columns % COLUMNS, found)
            np.fmax.at(self._high[row, quantity], columns % COLUMNS, found)
            self._last[row] = max(self._last[row], int(columns[-1]))
            self.newest[row, quantity] = found[-1]

    @property
    def end(self) -> int:
        """The number of the newest column: while it stays, only that column changes."""
        return self._end

    def move_to(self, now_ms: int) -> None:
        """The right edge is now: without samples lines move to the left too."""
        column = int(now_ms / self._step_ms)
        if column > self._end:
            self._move_on(column)

    def _move_on(self, column: int) -> None:
        """Empty the columns that come into sight; backwards everything."""
        fresh = column - self._end
        if 0 < fresh < COLUMNS:
            ats = np.arange(self._end + 1, column + 1) % COLUMNS
            self._low[:, :, ats] = self._high[:, :, ats] = np.nan
        else:
            self._low[:] = self._high[:] = np.nan
            self._last = [0] * len(self._last)
        self._end = column

    @property
    def longest_gap(self) -> int:
        """Columns without a sample across which a line is still drawn: seldom samples are not gaps."""
        return max(1, math.ceil(GAP_PERIODS * self.period_s * 1000.0 / self._step_ms))

    def bounds(self, rows: range) -> tuple[Values, Values]:
        """Lowest and highest values of some rows, each rows x quantities x COLUMNS, oldest column first."""
        order = (np.arange(COLUMNS) + self._end + 1) % COLUMNS
        low, high = self._low[rows.start : rows.stop, :, order], self._high[rows.start : rows.stop, :, order]
        if self.longest_gap > 1:
            for at in _broken(low):
                _join(low[at], self.longest_gap)
                _join(high[at], self.longest_gap)
        return low, high

    def peaks(self) -> Values:
        """The highest value of each quantity over all rows; NaN where there is none."""
        known = np.where(np.isnan(self._high), -np.inf, self._high).max(axis=(0, 2), initial=-np.inf)
        return np.where(np.isfinite(known), known, np.nan)


def _broken(values: Values) -> list[tuple[int, int]]:
    """Rows and quantities with columns missing between others."""
    is_known = ~np.isnan(values)
    begins = (is_known[..., 1:] & ~is_known[..., :-1]).sum(axis=-1) + is_known[..., 0]
    return [(int(row), int(quantity)) for row, quantity in np.argwhere(begins > 1)]


def _join(line: Values, longest: int) -> None:
    """Fill the columns between samples that are not further apart than `longest`, in place."""
    known = np.flatnonzero(~np.isnan(line))
    for first, last in pairwise(known):
        if 1 < last - first <= longest:
            line[first : last + 1] = np.linspace(line[first], line[last], last - first + 1)


@dataclass(frozen=True, slots=True)
class Raster:
    """How lines become pixels: `width` x `height` pixels a line, 0 at the lower edge and `tops` at the upper."""

    width: int
    height: int
    tops: tuple[float, ...]
    """One a quantity."""

    @property
    def last_columns_from(self) -> int:
        """The first pixel that the newest column can change."""
        return max(0, (COLUMNS - 2) * (self.width - 1) // (COLUMNS - 1) - 1)

    def draw(self, low: Values, high: Values, first_pixel: int = 0) -> NDArray[np.uint32]:
        """1 where a line is, from a pixel column on: rows x height x quantities x width, as one image needs them."""
        start = max(0, first_pixel - 1)  # each column is joined to the one before it
        scale = ((self.height - 1) / np.asarray(self.tops))[:, None]
        if self.width < COLUMNS:
            high, low = _pool(high, self.width, np.fmax)[..., start:], _pool(low, self.width, np.fmin)[..., start:]
        else:
            high, low = _stretch(high, self.width, start), _stretch(low, self.width, start)
        upper, lower = self._y(high, scale), self._y(low, scale)
        first, last = upper.copy(), lower.copy()
        np.fmin(first[..., 1:], lower[..., :-1], out=first[..., 1:], where=~np.isnan(upper[..., 1:]))
        np.fmax(last[..., 1:], upper[..., :-1], out=last[..., 1:], where=~np.isnan(lower[..., 1:]))
        skip = first_pixel - start
        top = np.nan_to_num(first[..., skip:], nan=self.height).astype(np.int16)[:, None]
        bottom = np.nan_to_num(last[..., skip:], nan=-1.0).astype(np.int16)[:, None]
        at = np.arange(self.height, dtype=np.int16)[None, :, None, None]
        return ((at >= top) & (at <= bottom)).astype(np.uint32)

    def _y(self, values: Values, scale: Values) -> Values:
        return np.clip((self.height - 1) - values * scale, 0.0, self.height - 1.0)


def _pool(values: Values, width: int, extreme: np.ufunc) -> Values:
    """COLUMNS values as fewer pixels: each takes the extreme of its columns, so a peak survives here too."""
    firsts = np.arange(width) * COLUMNS // width
    pooled: Values = extreme.reduceat(values, firsts, axis=-1)
    return pooled


def _stretch(values: Values, width: int, start: int) -> Values:
    """COLUMNS values as pixels `start` to `width`, straight between neighbours; beside a gap the nearer one counts."""
    at = np.linspace(0.0, COLUMNS - 1.0, width)[start:]
    left = at.astype(np.int64)
    share = at - left
    before, after = values[..., left], values[..., np.minimum(left + 1, COLUMNS - 1)]
    between = before + (after - before) * share
    if not np.isnan(between).any():
        return between
    return np.where(np.isnan(between), np.where(share < 0.5, before, after), between)
