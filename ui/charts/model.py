"""The charts' view-model: the choice, the frame of now, the cursor, and what is written into files.

The one rule: nothing here happens because a sample came. The page's one timer asks for a frame; while paused the frame
stands still, and everything that is asked (cursor, table, file) is answered out of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from PySide6.QtCore import QObject, Signal

from sparkdesk.core.telemetry.metric import METRICS
from sparkdesk.core.telemetry.series import ChartSource
from ui import text
from ui.charts.choice import MOST_KEYS, MOST_PLOTS, Choice, read_choice, write_choice
from ui.charts.feed import ChartFeeds
from ui.charts.frame import Frame, build_frame
from ui.charts.measure import measure_of
from ui.charts.sheet import csv_bytes
from ui.preference import Preferences

FIRST_SOURCES = 4
_NEVER = np.empty(0, np.int64)
_ORDER = {key: at for at, key in enumerate(METRICS)}


class ChartsModel(QObject):
    """`changed` follows each new frame, `choice_changed` a choice, `cursor_changed` a step of the cursor."""

    changed = Signal()
    choice_changed = Signal()
    cursor_changed = Signal()

    def __init__(self, feeds: ChartFeeds, memory: Preferences | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._feeds = feeds
        self._memory = memory
        self._cluster_id: str | None = None
        self.choice = Choice()
        self.frame = Frame()
        self.cursor_ms: float | None = None
        self.sources: tuple[ChartSource, ...] = ()

    # The frame ----------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Make the frame of now, unless time stands still here."""
        self._follow_cluster()
        if self.frame.is_paused:
            return
        self._build(self._feeds.now_ms())

    def _build(self, end_ms: int) -> None:
        self.sources = tuple(self._feeds.sources())
        is_paused = self.frame.is_paused
        frame = build_frame(self._feeds, self.choice, self.chosen_sources(), end_ms)
        self.frame = replace(frame, is_paused=is_paused)
        if self.cursor_ms is not None and not frame.start_ms <= self.cursor_ms <= frame.end_ms:
            self.set_cursor(None)
        self.changed.emit()

    def _follow_cluster(self) -> None:
        """Another cluster is open: its own choice comes back."""
        cluster = self._feeds.cluster()
        cluster_id = cluster.id if cluster else ""
        if cluster_id == self._cluster_id:
            return
        self._cluster_id = cluster_id
        self.choice = read_choice(self._memory.get(f"charts.{cluster_id}") if self._memory else None)
        self.frame = Frame()
        self.cursor_ms = None
        self.choice_changed.emit()

    def set_paused(self, is_paused: bool) -> None:
        """Let time stand still, or go on with now."""
        if is_paused != self.frame.is_paused:
            self.frame = replace(self.frame, is_paused=is_paused)
            self.changed.emit()
            self.refresh()

    # The choice ---------------------------------------------------------------------------------------------------

    def chosen_sources(self) -> tuple[ChartSource, ...]:
        """The sources that are drawn, in the order of the list; before any choice the first nodes."""
        if self.choice.sources is None:
            nodes = [source for source in self.sources if source.kind == "node"]
            return tuple(nodes[:FIRST_SOURCES])
        return tuple(source for source in self.sources if source.id in self.choice.sources)

    def offered_keys(self) -> tuple[tuple[str, int], ...]:
        """All metrics of the chosen sources with how many of them have it, in the order of the metric table."""
        found: dict[str, int] = {}
        for source in self.chosen_sources():
            for key in self._feeds.keys(source.id):
                found[key] = found.get(key, 0) + 1
        for key in (key for plot in self.choice.plots for key in plot):
            found.setdefault(key, 0)
        return tuple(sorted(found.items(), key=lambda item: (_ORDER.get(item[0].partition(".")[0], 999), item[0])))

    def set_source(self, source_id: str, *, is_on: bool) -> None:
        """Draw a source, or leave it out."""
        chosen = replace(self.choice, sources=tuple(source.id for source in self.chosen_sources()))
        self._choose(chosen.with_source(source_id, is_on=is_on))

    def reason_against(self, key: str, into: int) -> str:
        """Why a metric cannot be added to plot `into` (-1: a plot of its own); "" when it can."""
        plots = self.choice.plots
        if not 0 <= into < len(plots):
            return f"{MOST_PLOTS} plots are shown; remove one first" if len(plots) >= MOST_PLOTS else ""
        if len(plots[into]) >= MOST_KEYS:
            return f"Plot {into + 1} has {MOST_KEYS} metrics; choose another"
        unit = measure_of(plots[into][0]).unit
        if measure_of(key).unit != unit:
            return f"Plot {into + 1} shows {unit or 'plain numbers'}: another unit needs another plot"
        return ""

    def add_key(self, key: str, into: int = -1) -> None:
        """Draw a metric, where nothing speaks against it."""
        if not self.reason_against(key, into):
            self._choose(self.choice.with_key(key, into))

    def remove_key(self, key: str) -> None:
        """Leave a metric out."""
        self._choose(self.choice.without_key(key))

    def remove_plot(self, at: int) -> None:
        """Leave a whole plot out."""
        self._choose(self.choice.without_plot(at))

    def set_span(self, span_s: float) -> None:
        """Look so far back."""
        self._choose(replace(self.choice, span_s=span_s))

    def set_fitted(self, is_fitted: bool) -> None:
        """Scales close around the values, or from 0."""
        self._choose(replace(self.choice, is_fitted=is_fitted))

    def _choose(self, choice: Choice) -> None:
        if choice == self.choice:
            return
        self.choice = choice
        if self._memory is not None and self._cluster_id is not None:
            self._memory.set(f"charts.{self._cluster_id}", write_choice(choice))
        self.choice_changed.emit()
        # Also while paused: what is shown is another part of the same moment.
        self._build(self.frame.end_ms if self.frame.is_paused else self._feeds.now_ms())

    # The cursor ---------------------------------------------------------------------------------------------------

    def set_cursor(self, t_ms: float | None) -> None:
        """Put the cursor at a time, inside of what is shown, or take it away."""
        if t_ms is not None:
            t_ms = min(max(t_ms, self.frame.start_ms), self.frame.end_ms)
        if t_ms != self.cursor_ms:
            self.cursor_ms = t_ms
            self.cursor_changed.emit()

    def step_cursor(self, steps: int) -> None:
        """Move the cursor over so many samples of any line; it begins at the newest."""
        lines = self.frame.lines
        moments = np.unique(np.concatenate([line.times_ms[np.isfinite(line.values)] for line in lines] or [_NEVER]))
        if not len(moments):
            return
        if self.cursor_ms is None:
            self.set_cursor(float(moments[-1]))
            return
        at_ms = self.cursor_ms
        # Sources measure at moments of their own: what lies within half a step of each other is one step.
        reach_ms = min(line.step_ms for line in lines) / 2
        for _ in range(abs(steps)):
            beyond = moments[moments >= at_ms + reach_ms] if steps > 0 else moments[moments <= at_ms - reach_ms][::-1]
            at_ms = float(beyond[0]) if len(beyond) else at_ms
        self.set_cursor(at_ms)

    def cursor_words(self) -> str:
        """The time under the cursor and its distance to the right edge; "" without a cursor."""
        if self.cursor_ms is None:
            return ""
        return f"{text.time_of_day(self.cursor_ms)}, {text.age((self.frame.end_ms - self.cursor_ms) / 1000)} ago"

    def values_at_cursor(self) -> str:
        """Every value under the cursor in words, for a reader who does not see it."""
        if self.cursor_ms is None:
            return ""
        return f"{text.time_of_day(self.cursor_ms)}. " + "; ".join(self._value_words(self.cursor_ms))

    def _value_words(self, t_ms: float) -> Iterable[str]:
        for plot in self.frame.plots:
            for line in plot.lines:
                value = line.at(t_ms)
                words = line.measure.write_with_unit(value) if math.isfinite(value) else "no value"
                yield f"{plot.title}, {line.name} {words}"

    # Files --------------------------------------------------------------------------------------------------------

    def is_simulated(self) -> bool:
        """Whether these figures are a simulated cluster's: each file says so."""
        cluster = self._feeds.cluster()
        return cluster is not None and cluster.is_simulated

    def picture_title(self) -> str:
        """The line over an exported picture."""
        cluster = self._feeds.cluster()
        name = text.one_line(cluster.name, 60) if cluster else "Charts"
        span = f"{text.time_of_day(self.frame.start_ms)} to {text.time_of_day(self.frame.end_ms)}"
        return f"{name} · {span}{' · Simulated' if self.is_simulated() else ''}"

    def csv(self) -> bytes:
        """What is drawn now as CSV."""
        return csv_bytes(self.frame, is_simulated=self.is_simulated())

    def file_name(self, ending: str) -> str:
        """A name for a file that holds what is drawn now; letters of the cluster's name that any file may have."""
        cluster = self._feeds.cluster()
        kept = "".join(c for c in (cluster.name if cluster else "") if c.isascii() and (c.isalnum() or c in "-_"))[:40]
        moment = text.time_of_day(self.frame.end_ms).replace(":", "")
        parts = ("sparkdesk", kept, "simulated" if self.is_simulated() else "", "charts", moment)
        return "-".join(part for part in parts if part) + f".{ending}"
