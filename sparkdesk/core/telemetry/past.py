"""Means that were kept over the end of the program: their rows, and how they are joined to what is measured now.

The one rule: between what was kept and what is measured there is a gap; nothing is drawn across.
Imports numpy: import this module only after the first frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sparkdesk.core.telemetry.series import Gap, Series, Stretch

STEP_MS = 10_000
"""Means that are kept are over so long."""
BREAK_MS = 25_000
"""Kept means further apart than this have a gap between them."""
CLOSED = "SparkDesk was closed"
NO_SAMPLES = "no samples"
_F4 = np.dtype("<f4")


def _no_times() -> NDArray[np.int64]:
    return np.zeros(0, np.int64)


def _no_values() -> NDArray[np.float64]:
    return np.zeros((0, 0))


@dataclass(frozen=True, slots=True, eq=False)
class Means:
    """Rows of one source: times (Unix ms, ascending, the middle of what each is the mean of), keys, rows x keys."""

    times_ms: NDArray[np.int64] = field(default_factory=_no_times)
    keys: tuple[str, ...] = ()
    values: NDArray[np.float64] = field(default_factory=_no_values)

    def between(self, since_ms: int, until_ms: int) -> Means:
        """The rows from `since_ms` until before `until_ms`."""
        start, end = np.searchsorted(self.times_ms, (since_ms, until_ms))
        return Means(self.times_ms[start:end], self.keys, self.values[start:end])

    def move_times(self, moved_ms: int) -> Means:
        """The same rows at other times."""
        return Means(self.times_ms + moved_ms, self.keys, self.values)

    def series(self, key: str) -> Series:
        """One quantity, with a NaN inside each gap."""
        known = key in self.keys
        values = self.values[:, self.keys.index(key)] if known else np.full(len(self.times_ms), np.nan)
        return break_up(self.times_ms, values)

    def holes(self) -> list[Stretch]:
        """Where nothing was kept: the times of the rows before and behind."""
        places = np.flatnonzero(np.diff(self.times_ms) > BREAK_MS)
        return [(int(self.times_ms[at]), int(self.times_ms[at + 1])) for at in places]


def pack_row(row: NDArray[np.float64]) -> bytes:
    """A row's values as they are kept: 4 bytes each."""
    return row.astype(_F4).tobytes()


def unpack_rows(keys: tuple[str, ...], rows: Sequence[tuple[int, bytes]]) -> Means:
    """Rows of one layout (time, packed values), ascending in time. A row of another length is left out."""
    sound = [(t_ms, data) for t_ms, data in rows if len(data) == len(keys) * _F4.itemsize]
    values = np.frombuffer(b"".join(data for _, data in sound), _F4).astype(np.float64)
    values[~np.isfinite(values)] = np.nan
    times = np.array([t_ms for t_ms, _ in sound], np.int64)
    return Means(times, keys, values.reshape(len(sound), len(keys)))


def stack_rows(parts: Iterable[Means]) -> Means:
    """Rows of several layouts of one source as one, in order of time; the first of two of the same time counts."""
    found = [part for part in parts if len(part.times_ms)]
    if not found:
        return Means()
    keys = tuple(dict.fromkeys(key for part in found for key in part.keys))
    place = {key: at for at, key in enumerate(keys)}
    values = np.full((sum(len(part.times_ms) for part in found), len(keys)), np.nan)
    row = 0
    for part in found:
        values[row : row + len(part.times_ms), [place[key] for key in part.keys]] = part.values
        row += len(part.times_ms)
    times, order = np.unique(np.concatenate([part.times_ms for part in found]), return_index=True)
    return Means(times, keys, values[order])


def mean_rows(rows: Means, step_ms: int) -> Means:
    """Means over steps of `step_ms`, of what is known in each; a step without rows is left out."""
    if not len(rows.times_ms):
        return Means(rows.times_ms, rows.keys, rows.values)
    steps, starts = np.unique(rows.times_ms // step_ms, return_index=True)
    is_known = ~np.isnan(rows.values)
    sums = np.add.reduceat(np.where(is_known, rows.values, 0.0), starts, axis=0)
    counts = np.add.reduceat(is_known, starts, axis=0, dtype=np.int64)
    values = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return Means(steps * step_ms + step_ms // 2, rows.keys, values)


def break_up(times: NDArray[np.int64], values: NDArray[np.float64]) -> Series:
    """With a NaN point inside each gap."""
    breaks = np.flatnonzero(np.diff(times) > BREAK_MS) + 1
    if not len(breaks):
        return times, values
    middles = (times[breaks - 1] + times[breaks]) // 2
    return np.insert(times, breaks, middles), np.insert(values, breaks, np.nan)


def join(past: Series, live: Series) -> Series:
    """What was kept before what is measured, with a NaN point between: whenever that was, nobody measured there."""
    if not len(past[0]) or not len(live[0]):
        return live if len(live[0]) else past
    times = np.concatenate((past[0], live[0]))
    values = np.concatenate((past[1], live[1]))
    at = len(past[0])
    return np.insert(times, at, (times[at - 1] + times[at]) // 2), np.insert(values, at, np.nan)


def explain_holes(
    holes: Iterable[Stretch], closed: Sequence[Stretch], reason: Callable[[int, int], str]
) -> tuple[Gap, ...]:
    """Each hole as gaps in words: the time in which SparkDesk was closed apart from the rest.

    What is left beside a closed time and shorter than `BREAK_MS` belongs to it. `reason` gives the words for the rest.
    """
    gaps: list[Gap] = []
    for start, end in holes:
        at = start
        for shut, opened in closed:
            if opened <= at or shut >= end or at >= end:
                continue
            shut = at if shut - at <= BREAK_MS else shut
            opened = end if end - opened <= BREAK_MS else opened
            if shut > at:
                gaps.append(Gap(at, shut, reason(at, shut)))
            begun = gaps.pop().start_ms if gaps and gaps[-1] == Gap(gaps[-1].start_ms, shut, CLOSED) else shut
            gaps.append(Gap(begun, opened, CLOSED))
            at = opened
        if end > at:
            gaps.append(Gap(at, end, reason(at, end)))
    return tuple(gaps)
