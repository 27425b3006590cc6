"""What the plots show as a table in a file (CSV) and in words for a reader who does not see them.

The one rule: a file holds the values as they were measured, in code units with all digits; where there was none the
cell is empty. Names come from strangers: a cell never begins with what a spreadsheet would run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from ui import text
from ui.charts.frame import Frame, Line, PlotFrame
from ui.charts.measure import measure_of

_FORMULA = ("=", "+", "-", "@")
TABLE_ROWS = 60


def csv_bytes(frame: Frame, *, is_simulated: bool = False) -> bytes:
    """The values of all lines as UTF-8 CSV: one header line, then one row a time, oldest first.

    Each column after the two times is `key [unit of the values] source`. Sources measure at moments of their own:
    values that lie less than half a step apart share the row of the first of them.
    """
    lines = frame.lines
    times = ["time_utc", "unix_ms"] if not is_simulated else ["time_utc (simulated)", "unix_ms"]
    heads = [f"{line.measure.key} [{line.measure.code_unit}] {line.source.title}" for line in lines]
    out = [",".join(quoted(head) for head in (*times, *heads))]
    for t_ms, row in rows_of(lines):
        moment = datetime.fromtimestamp(t_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        cells = (repr(row[i]) if math.isfinite(row.get(i, math.nan)) else "" for i in range(len(lines)))
        out.append(",".join((moment, str(t_ms), *cells)))
    return ("\r\n".join(out) + "\r\n").encode()


def quoted(cell: str) -> str:
    """A text cell, on one line, in quotes where it needs them, and never a formula."""
    plain = text.one_line(cell, 300)
    if plain.lstrip().startswith(_FORMULA):
        plain = f"'{plain}"
    return '"' + plain.replace('"', '""') + '"' if any(mark in plain for mark in ',;"\t') else plain


def rows_of(lines: Sequence[Line]) -> list[tuple[int, dict[int, float]]]:
    """(time in Unix ms, values by place of the line), oldest first; a row without values marks a gap."""
    if not lines:
        return []
    reach_ms = min(line.step_ms for line in lines) / 2
    times = np.concatenate([line.times_ms for line in lines])
    places = np.concatenate([np.full(len(line.times_ms), i) for i, line in enumerate(lines)])
    values = np.concatenate([line.values for line in lines])
    order = np.argsort(times, kind="stable")
    rows: list[tuple[int, dict[int, float]]] = []
    moments = zip(times[order].tolist(), places[order].tolist(), values[order].tolist(), strict=True)
    for t_ms, place, value in moments:
        if not rows or place in rows[-1][1] or t_ms - rows[-1][0] >= reach_ms:
            rows.append((t_ms, {}))
        rows[-1][1][place] = value
    return rows


def table_of(frame: Frame) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Headers and rows of the plots as a table: about `TABLE_ROWS` moments, newest first, in screen units."""
    lines = frame.lines
    heads = ("Time", *(f"{line.measure.title}{_unit(line)}, {_source(line)}" for line in lines))
    step_ms = max(int(frame.span_s * 1000 / TABLE_ROWS), 1000)
    last_ms = frame.end_ms // step_ms * step_ms
    moments = range(last_ms, frame.start_ms, -step_ms)
    rows = ((text.time_of_day(t_ms), *(line.measure.write(line.at(t_ms)) for line in lines)) for t_ms in moments)
    return heads, tuple(rows)


def summary_of(frame: Frame) -> str:
    """All plots in sentences: what each line is now, its range, and the gaps."""
    if not frame.plots:
        return "No plot is shown."
    span = f"{text.time_of_day(frame.start_ms)} to {text.time_of_day(frame.end_ms)}"
    paused = ", paused" if frame.is_paused else ""
    return "\n".join([f"{span}{paused}.", *(plot_words(plot) for plot in frame.plots)])


def plot_words(plot: PlotFrame) -> str:
    """One plot in sentences."""
    unit = f" in {plot.unit}" if plot.unit else ""
    if plot.empty_words:
        return f"{plot.title}{unit}: {plot.empty_words.lower()}."
    parts = [f"{plot.title}{unit}: " + "; ".join(_line_words(line) for line in plot.lines) + "."]
    parts += [f"Limit: {bound.words}." for bound in plot.bounds]
    if plot.left_out:
        parts.append(f"{plot.left_out} more are not drawn.")
    parts += [f"From {source}." for source in dict.fromkeys(measure_of(key).source for key in plot.keys) if source]
    parts += [f"Gap: {shade.words}." for shade in plot.shades]
    return " ".join(parts)


def _line_words(line: Line) -> str:
    known = line.values[np.isfinite(line.values)] * line.measure.scale
    if not len(known):
        return f"{line.name} no value"
    write = line.measure.write
    now = f"{write(line.newest())} {text.age(line.age_s)} ago" if line.is_stale else f"now {write(line.newest())}"
    return f"{line.name} {now}, lowest {write(float(known.min()))}, highest {write(float(known.max()))}"


def _unit(line: Line) -> str:
    return f" ({line.measure.unit})" if line.measure.unit else ""


def _source(line: Line) -> str:
    return text.one_line(line.source.title, 40)
