"""From samples to polylines: decimated to the pixels there are, broken where there is nothing.

Rule: a gap is a gap; nothing is interpolated over missing samples, and peaks survive decimation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QPolygonF


@dataclass(frozen=True, slots=True)
class Span:
    """What a plot shows: x from `start` to `end` (seconds), y from `low` to `high` (the series' own unit)."""

    start: float
    end: float
    low: float
    high: float


class _Column(NamedTuple):
    """All samples that fall on one pixel column: first, lowest, highest, last, in that order of time as seen."""

    x: float
    values: list[float]


def nice_ceiling(value: float) -> float:
    """Return the next 1, 1.5, 2, 3, 4, 5, 6, 8 times a power of ten at or above `value`; 1 for nothing or zero."""
    if not math.isfinite(value) or value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    for factor in (1, 1.5, 2, 3, 4, 5, 6, 8, 10):
        if value <= factor * power * (1 + 1e-9):
            return factor * power
    return 10 * power


def highest(series: Iterable[Sequence[float]]) -> float:
    """Return the largest finite value of all series, NaN when there is none."""
    finite = [value for values in series for value in values if math.isfinite(value)]
    return max(finite) if finite else math.nan


def polylines(
    times_s: Sequence[float], values: Sequence[float], span: Span, rect: QRectF, *, gap_s: float = math.inf
) -> list[QPolygonF]:
    """Turn samples (times ascending) into polylines inside `rect`; NaN, or a pause over `gap_s`, starts a new one."""
    result: list[QPolygonF] = []
    run: list[tuple[float, float]] = []
    last_s = -math.inf
    for time_s, value in zip(times_s, values, strict=True):
        is_break = not math.isfinite(value) or time_s - last_s > gap_s
        if is_break and run:
            result.append(_polygon(run, span, rect))
            run = []
        if math.isfinite(value) and time_s >= span.start:
            run.append((time_s, value))
        last_s = time_s
    if run:
        result.append(_polygon(run, span, rect))
    return result


def _polygon(run: list[tuple[float, float]], span: Span, rect: QRectF) -> QPolygonF:
    scale_x = rect.width() / max(span.end - span.start, 1e-9)
    scale_y = rect.height() / max(span.high - span.low, 1e-9)

    def y_of(value: float) -> float:
        return rect.bottom() - min(max(value - span.low, 0.0) * scale_y, rect.height())

    if len(run) <= rect.width():
        return QPolygonF([QPointF(rect.left() + (t - span.start) * scale_x, y_of(v)) for t, v in run])
    points: list[QPointF] = []
    for column in _columns(run, span, scale_x):
        x = rect.left() + column.x
        kept = [column.values[0], min(column.values), max(column.values), column.values[-1]]
        points.extend(QPointF(x, y_of(value)) for value in dict.fromkeys(kept))
    return QPolygonF(points)


def _columns(run: list[tuple[float, float]], span: Span, scale_x: float) -> list[_Column]:
    columns: list[_Column] = []
    for time_s, value in run:
        x = float(round((time_s - span.start) * scale_x))
        if columns and columns[-1].x == x:
            columns[-1].values.append(value)
        else:
            columns.append(_Column(x, [value]))
    return columns
