"""A predicted number with its band, and the parts that it is made of.

The one rule: no prediction stands without its band, and parts sum to the value that they explain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """A prediction: `low` <= `value` <= `high`, in the unit of the field that holds it. NaN is not known."""

    value: float
    low: float
    high: float

    @property
    def is_known(self) -> bool:
        """Whether there is a figure."""
        return math.isfinite(self.value)

    def scaled(self, factor: float) -> Figure:
        """The figure times a factor of 0 or more."""
        return Figure(self.value * factor, self.low * factor, self.high * factor)

    def inverse(self, numerator: float = 1.0) -> Figure:
        """`numerator` divided by the figure: seconds a token become tokens a second. Zero has no inverse: NaN."""
        if not self.is_known or self.low <= 0.0:
            return UNKNOWN
        return Figure(numerator / self.value, numerator / self.high, numerator / self.low)


UNKNOWN = Figure(math.nan, math.nan, math.nan)


@dataclass(frozen=True, slots=True)
class Part:
    """One share of a predicted time."""

    key: str
    """weights, kv, communication, bubble, overhead; compute, queue (of the time to the first token)."""
    seconds: float


Parts = tuple[Part, ...]


def total_s(parts: Parts) -> float:
    """What the parts sum to."""
    return math.fsum(part.seconds for part in parts)
