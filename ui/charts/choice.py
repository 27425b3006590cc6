"""What a person chose to see: which sources, which metrics in which plot, how far back.

The one rule: a value object. Each change makes another one; what was stored is read as if a stranger had written it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

MOST_PLOTS: Final = 4
MOST_KEYS: Final = 16
"""Metrics in one plot: as many as it draws lines."""
MOST_SOURCES: Final = 256
SPANS_S: Final = (300.0, 3600.0)
FIRST_KEYS: Final = (("gpu_power_w",), ("gpu_sm_clock_mhz",), ("mem_used_bytes",), ("gpu_temp_c",))
_LONGEST_ID: Final = 200

Plot = tuple[str, ...]
"""The keys of one plot; all have one unit."""


@dataclass(frozen=True, slots=True)
class Choice:
    """`sources` None: nobody has chosen, so the first few are drawn. `is_fitted`: scales fit the values, not from 0."""

    sources: tuple[str, ...] | None = None
    plots: tuple[Plot, ...] = FIRST_KEYS
    span_s: float = SPANS_S[0]
    is_fitted: bool = False

    def with_source(self, source_id: str, *, is_on: bool) -> Choice:
        """With a source shown or not. The order stays that in which they were chosen."""
        kept = tuple(each for each in self.sources or () if each != source_id)
        return replace(self, sources=(*kept, source_id)[:MOST_SOURCES] if is_on else kept)

    def with_key(self, key: str, into: int) -> Choice:
        """With a metric in plot `into`, or in a plot of its own (-1); unchanged where there is no room."""
        if self.has(key):
            return self
        plots = list(self.plots)
        if into < 0 and len(plots) < MOST_PLOTS:
            plots.append((key,))
        elif 0 <= into < len(plots) and len(plots[into]) < MOST_KEYS:
            plots[into] = (*plots[into], key)
        return replace(self, plots=tuple(plots))

    def without_key(self, key: str) -> Choice:
        """Without a metric, wherever it is drawn; a plot without any is no plot."""
        left = (tuple(each for each in plot if each != key) for plot in self.plots)
        return replace(self, plots=tuple(plot for plot in left if plot))

    def without_plot(self, at: int) -> Choice:
        """Without the plot at a place."""
        return replace(self, plots=tuple(plot for i, plot in enumerate(self.plots) if i != at))

    def has(self, key: str) -> bool:
        """Whether a metric is drawn."""
        return any(key in plot for plot in self.plots)


def write_choice(choice: Choice) -> str:
    """As it is stored."""
    sources = None if choice.sources is None else list(choice.sources)
    plots = [list(plot) for plot in choice.plots]
    return json.dumps({"sources": sources, "plots": plots, "span_s": choice.span_s, "is_fitted": choice.is_fitted})


def read_choice(stored: object) -> Choice:
    """A stored choice; whatever in it is no choice of ours is the first one's."""
    try:
        data = json.loads(stored) if isinstance(stored, str) and len(stored) < 100_000 else {}
    except (ValueError, RecursionError):
        data = {}
    if not isinstance(data, dict):
        data = {}
    first = Choice()
    sources = _texts(data["sources"], MOST_SOURCES) if isinstance(data.get("sources"), list) else None
    plots = first.plots
    if isinstance(data.get("plots"), list):
        found = (_texts(plot, MOST_KEYS) for plot in data["plots"][:MOST_PLOTS] if isinstance(plot, list))
        plots = _each_once(plot for plot in found if plot)
    span_s = data.get("span_s")
    return Choice(sources, plots, span_s if span_s in SPANS_S else first.span_s, data.get("is_fitted") is True)


def _texts(values: list[object], most: int) -> tuple[str, ...]:
    kept = (each for each in values if isinstance(each, str) and 0 < len(each) <= _LONGEST_ID)
    return tuple(dict.fromkeys(kept))[:most]


def _each_once(plots: Iterable[Plot]) -> tuple[Plot, ...]:
    """The plots with each metric where it comes first."""
    seen: set[str] = set()
    found = []
    for plot in plots:
        found.append(tuple(key for key in plot if key not in seen))
        seen.update(plot)
    return tuple(plot for plot in found if plot)
