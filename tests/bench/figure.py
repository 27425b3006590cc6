"""One measured figure, as `make bench` prints it and build/bench.json keeps it.

The one rule: a figure that could not be measured has no value and is not ok; it is never zero.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured, in which unit, against which goal.

    ``name`` reads ``area.what`` and ends in no unit; ``goal`` is for people ("<= 1.5"); ``baseline`` is what the value
    was measured against in the same run, in the same unit, where there is such a thing.
    """

    name: str
    value: float | None
    unit: str
    goal: str
    ok: bool
    baseline: float | None = None
    note: str = ""

    @classmethod
    def at_most(
        cls, name: str, value: float, unit: str, limit: float, *, baseline: float | None = None, note: str = ""
    ) -> Figure:
        """A figure that is ok up to and including ``limit``; NaN is not ok."""
        return cls(name, _known(value), unit, f"<= {limit:g}", value <= limit, baseline, note)

    @classmethod
    def at_least(
        cls, name: str, value: float, unit: str, limit: float, *, baseline: float | None = None, note: str = ""
    ) -> Figure:
        """A figure that is ok from ``limit`` on; NaN is not ok."""
        return cls(name, _known(value), unit, f">= {limit:g}", value >= limit, baseline, note)

    @classmethod
    def told(cls, name: str, value: float, unit: str, *, baseline: float | None = None, note: str = "") -> Figure:
        """A figure without a goal, printed to be looked at; NaN is not ok."""
        return cls(name, _known(value), unit, "printed", math.isfinite(value), baseline, note)

    def row(self) -> dict[str, object]:
        """As JSON keeps it."""
        return asdict(self)


def _known(value: float) -> float | None:
    """The value, or None where it is NaN or infinite, which JSON cannot say."""
    return value if math.isfinite(value) else None
