"""The recent past of one node, for charts: every sample of the last minutes, and means of 5 s for an hour.

The one rule: a gap is shown as a gap. Where more than 2.5 periods are missing a NaN stands between the neighbours, so
that a line breaks there and is never drawn across. Imports numpy: import this module only after the first frame.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sparkdesk.core.telemetry.clock import SET_BACK_S
from sparkdesk.core.telemetry.past import Means, mean_rows
from sparkdesk.core.telemetry.sample import GAP_PERIODS, NAN, Sample
from sparkdesk.core.telemetry.series import Series, Stretch

FINE_POINTS = 3000
"""5 minutes at 10 Hz, 50 minutes at 1 Hz."""
COARSE_S = 5.0
COARSE_POINTS = 720
MAX_KEYS = 256


class Ring:
    """The last `points` rows: a time, whether a gap lies before it, and one value a key."""

    def __init__(self, points: int) -> None:
        self._points = points
        self._count = 0
        self._times = np.zeros(points, np.int64)
        self._gaps = np.zeros(points, np.bool_)
        self._columns: dict[str, NDArray[np.float64]] = {}

    @property
    def last_ms(self) -> int:
        """The newest time; 0 when empty."""
        return int(self._times[(self._count - 1) % self._points]) if self._count else 0

    @property
    def first_ms(self) -> int:
        """The oldest time that is kept; 0 when empty."""
        if not self._count:
            return 0
        return int(self._times[self._count % self._points if self._count > self._points else 0])

    @property
    def is_empty(self) -> bool:
        """Whether there is no row."""
        return self._count == 0

    @property
    def keys(self) -> tuple[str, ...]:
        """What was ever measured."""
        return tuple(self._columns)

    def move_times(self, moved_ms: int) -> None:
        """Add so much to each time."""
        self._times[: self._count] += moved_ms

    @property
    def is_full(self) -> bool:
        """Whether older rows have been given up."""
        return self._count > self._points

    def append(self, t_ms: int, values: dict[str, float], *, has_gap: bool) -> None:
        """Add a row; the oldest makes room."""
        at = self._count % self._points
        self._times[at] = t_ms
        self._gaps[at] = has_gap
        for key in values:
            if key not in self._columns and len(self._columns) < MAX_KEYS:
                # Rows to come are not touched: memory is taken as it fills, not at the first sample of many nodes.
                column = self._columns[key] = np.empty(self._points)
                column[: self._count] = np.nan
        for key, column in self._columns.items():
            column[at] = values.get(key, np.nan)
        self._count += 1

    def newest(self, key: str) -> float:
        """The last row's value; NaN when it has none."""
        column = self._columns.get(key)
        return NAN if column is None or not self._count else float(column[(self._count - 1) % self._points])

    def has(self, key: str) -> bool:
        """Whether any row that is kept has this value."""
        column = self._columns.get(key)
        return column is not None and not bool(np.isnan(column[: self._count]).all())

    def _order(self, since_ms: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Places and times of the rows from `since_ms` on, oldest first."""
        kept = min(self._count, self._points)
        order = np.arange(self._count - kept, self._count) % self._points
        times = self._times[order]
        start = int(np.searchsorted(times, since_ms))
        return order[start:], times[start:]

    def rows(self, since_ms: int, until_ms: int) -> Means:
        """All values of the rows from `since_ms` until before `until_ms`."""
        order, times = self._order(since_ms)
        end = int(np.searchsorted(times, until_ms))
        order, times = order[:end], times[:end]
        values = np.empty((len(order), len(self._columns)))
        for place, column in enumerate(self._columns.values()):
            values[:, place] = column[order]
        return Means(times, self.keys, values)

    def holes(self, since_ms: int) -> list[Stretch]:
        """From the last row before each gap to the first behind it; the row before may be older than `since_ms`."""
        order, times = self._order(since_ms)
        found = [(int(times[at - 1]), int(times[at])) for at in np.flatnonzero(self._gaps[order]) if at > 0]
        if len(order) and self._gaps[order[0]]:
            before = self._times[(order[0] - 1) % self._points]
            found.insert(0, (int(min(before, times[0])), int(times[0])))
        return found

    def series(self, key: str, since_ms: int) -> Series:
        """Times and values from `since_ms` on, with a NaN point inside each gap."""
        order, times = self._order(since_ms)
        column = self._columns.get(key)
        values = np.full(len(order), np.nan) if column is None else column[order]
        breaks = np.flatnonzero(self._gaps[order][1:]) + 1
        if len(breaks):
            middles = (times[breaks - 1] + times[breaks]) // 2
            times, values = np.insert(times, breaks, middles), np.insert(values, breaks, np.nan)
        return times, values


class History:
    """One node's samples. `period_s` is how often they are due now; change it with the rate."""

    def __init__(self, period_s: float = 1.0) -> None:
        self._period_s = self._due_s = period_s
        self._is_broken = False
        """Whether a gap comes next, however soon."""
        self._begin()

    def _begin(self) -> None:
        self._fine = Ring(FINE_POINTS)
        self._coarse = Ring(COARSE_POINTS)
        self._bucket = 0
        self._begin_ms = 0
        """From where the buckets are counted."""
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    @property
    def period_s(self) -> float:
        """How often samples are due now."""
        return self._period_s

    @period_s.setter
    def period_s(self, period_s: float) -> None:
        self._period_s = period_s
        self._due_s = max(self._due_s, period_s)

    @property
    def gap_ms(self) -> float:
        """After so long without a sample there is a gap: a change of the rate counts from the next sample on."""
        return GAP_PERIODS * self._due_s * 1000.0

    def append(self, sample: Sample) -> None:
        """Add a sample; one that is not later than the last is left out.

        After this computer's clock was set back the past lies in a time to come: it is given up, for else nothing
        would be kept until then.
        """
        last_ms = self._fine.last_ms
        if not self._fine.is_empty and sample.t_ms <= last_ms:
            if last_ms - sample.t_ms < SET_BACK_S * 1000.0:
                return
            self._begin()
        is_late = self._is_broken or sample.t_ms - last_ms > self.gap_ms
        has_gap, self._is_broken = is_late and not self._fine.is_empty, False
        self._due_s = self._period_s
        self._fine.append(sample.t_ms, dict(sample.values), has_gap=has_gap)
        bucket = int((sample.t_ms - self._begin_ms) / (COARSE_S * 1000.0))
        if bucket != self._bucket:
            self._close_bucket()
            self._bucket = bucket
        for key, value in sample.values.items():
            self._sums[key] = self._sums.get(key, 0.0) + value
            self._counts[key] = self._counts.get(key, 0) + 1

    def move_times(self, moved_ms: int) -> None:
        """This computer's clock was set: what was measured keeps its distance to now, and a gap shows where it was."""
        self._fine.move_times(moved_ms)
        self._coarse.move_times(moved_ms)
        self._begin_ms += moved_ms
        self._is_broken = not self._fine.is_empty

    def _close_bucket(self) -> None:
        if not self._counts:
            return
        t_ms = int((self._bucket + 0.5) * COARSE_S * 1000.0) + self._begin_ms
        last_ms = self._coarse.last_ms
        has_gap = last_ms > 0 and t_ms - last_ms > GAP_PERIODS * COARSE_S * 1000.0
        means = {key: total / self._counts[key] for key, total in self._sums.items()}
        self._coarse.append(t_ms, means, has_gap=has_gap)
        self._sums, self._counts = {}, {}

    @property
    def keys(self) -> tuple[str, ...]:
        """What was ever measured of this node."""
        return self._fine.keys

    @property
    def first_ms(self) -> int:
        """The oldest time that can be asked for; 0 when nothing was measured."""
        first_ms = self._fine.first_ms
        return min(first_ms, self._coarse.first_ms) if self._coarse.first_ms else first_ms

    @property
    def last_ms(self) -> int:
        """The newest sample's time; 0 when there is none."""
        return self._fine.last_ms

    @property
    def closed_ms(self) -> int:
        """The time of the newest mean of 5 s that is complete; 0 when there is none."""
        return self._coarse.last_ms

    def newest(self, key: str) -> float:
        """The newest sample's value; NaN when it has none."""
        return self._fine.newest(key)

    def has(self, key: str) -> bool:
        """Whether a sample that is kept has this value."""
        return self._fine.has(key)

    def series(self, key: str, span_s: float) -> Series:
        """Times (Unix ms, int64) and values (float64, code units) of the last `span_s` before the newest sample.

        Every sample while the fine ring reaches back that far, else means of 5 s.
        """
        return self.since(key, self._fine.last_ms - int(span_s * 1000.0))

    def since(self, key: str, since_ms: int) -> Series:
        """As `series`, from a moment (Unix ms) on."""
        return self._reaching(since_ms).series(key, since_ms)

    def holes(self, since_ms: int) -> list[Stretch]:
        """Where nothing was measured from `since_ms` on: the times of the samples before and behind."""
        return self._reaching(since_ms).holes(since_ms)

    def means(self, since_ms: int, until_ms: int, step_ms: int) -> Means:
        """Means over steps of `step_ms` (whole multiples of 5 s) whose time is in this range."""
        return mean_rows(self._coarse.rows(since_ms, until_ms), step_ms)

    def _reaching(self, since_ms: int) -> Ring:
        """The finest rows that reach back so far."""
        reaches_back = not self._fine.is_full or self._fine.first_ms <= since_ms
        return self._fine if reaches_back else self._coarse
