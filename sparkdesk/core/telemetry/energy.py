"""Energy, cost and CO2 out of power samples, for a node or for a deployment over several.

A Spark tells the power of its GPU rail only, about half of what the wall gives; so each figure names what it is of, and
the wall's is an estimate that carries its source. The one rule: time without samples is a gap. It adds no energy and is
counted beside it, so that a sum over it is never taken for the whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparkdesk.core.cluster.node import NodeFacts
from sparkdesk.core.telemetry.sample import GAP_PERIODS, NAN

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

JOULE_PER_KWH = 3.6e6
MOST_W = 10_000.0
"""More than any computer that this reads: a power beyond it was misread."""
SPARK_GPU = "NVIDIA GB10"


@dataclass(frozen=True, slots=True)
class WallModel:
    """A straight line from the GPU rail's power to the wall's: `rest_w` + `factor` x GPU power, at most `most_w`."""

    rest_w: float
    factor: float
    most_w: float
    source: str

    def estimate_w(self, gpu_w: float) -> float:
        """The wall's power, as an estimate."""
        return min(self.rest_w + self.factor * gpu_w, self.most_w)

    def estimate_all(self, gpu_w: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The wall's power for each power of the rail; NaN stays NaN."""
        return (self.rest_w + self.factor * gpu_w).clip(max=self.most_w)


SPARK_WALL = WallModel(
    rest_w=35.9,
    factor=1.9,
    most_w=240.0,
    source="line through two published pairs of GPU rail and wall: 3-4 W and 40-45 W idle, 60-87 W and 170-180 W "
    "under load; at most the 240 W of the adapter",
)
"""The estimate for a DGX Spark; for another machine there is none."""


def is_spark(facts: NodeFacts) -> bool | None:
    """Whether the wall's estimate holds for this machine; None: it did not say yet."""
    return facts.gpu_name == SPARK_GPU if facts.gpu_name else None


@dataclass(frozen=True, slots=True)
class Energy:
    """What was drawn in `covered_s` seconds of samples; `gap_s` more passed without any. NaN where never known."""

    joule: float
    covered_s: float
    gap_s: float

    @property
    def coverage(self) -> float:
        """Share of the time that samples cover, 0 to 1; NaN before any time passed."""
        passed_s = self.covered_s + self.gap_s
        return self.covered_s / passed_s if passed_s > 0 else NAN

    def cost(self, price_per_kwh: float) -> float:
        """What it cost, in the currency of the price; NaN for a price that is none."""
        return self.joule / JOULE_PER_KWH * _factor(price_per_kwh)

    def co2_g(self, grid_g_per_kwh: float) -> float:
        """Grams of CO2 at the grid's grams for each kWh; NaN for a factor that is none."""
        return self.joule / JOULE_PER_KWH * _factor(grid_g_per_kwh)


@dataclass(frozen=True, slots=True)
class EnergyView:
    """What a node or a deployment drew since it is counted. NaN is not known; `wall_joule` is an estimate.

    `cost` and `co2_g` are of the wall's estimate where there is one, else of what was measured; `words` says which.
    `j_per_token` is of what was measured, in the time in which tokens were made. `covered`: share of the time since
    `since_ms` (Unix ms) that samples cover.
    """

    joule: float
    wall_joule: float
    cost: float
    currency: str
    co2_g: float
    j_per_token: float
    covered: float
    since_ms: int
    words: str


class EnergyMeter:
    """Adds up one node's power. Feed its samples in the order they came; `period_s` is how often they are due now."""

    __slots__ = ("_covered_s", "_gap_s", "_joule", "_last_t_ms", "_last_w", "_wall", "period_s")

    def __init__(self, period_s: float = 1.0, wall: WallModel | None = None) -> None:
        """With `wall` the meter adds up the estimate of the wall, else the power as it was told."""
        self.period_s = period_s
        self._wall = wall
        self._joule = self._covered_s = self._gap_s = 0.0
        self._last_t_ms: int | None = None
        self._last_w = NAN

    def add(self, t_ms: int, power_w: float) -> None:
        """A sample: Unix ms and watts, NaN where the power was not told.

        One that is not later than the last (a clock was set back, a node booted) counts no time; the next is taken
        from there.
        """
        if not 0.0 <= power_w <= MOST_W:
            power_w = NAN
        elif self._wall is not None:
            power_w = self._wall.estimate_w(power_w)
        if self._last_t_ms is not None and t_ms > self._last_t_ms:
            step_s = (t_ms - self._last_t_ms) / 1000.0
            joule = (self._last_w + power_w) / 2.0 * step_s
            if step_s <= GAP_PERIODS * self.period_s and joule == joule:
                self._joule += joule
                self._covered_s += step_s
            else:
                self._gap_s += step_s
        self._last_t_ms, self._last_w = t_ms, power_w

    def move_times(self, moved_ms: int) -> None:
        """This computer's clock was set by so much."""
        if self._last_t_ms is not None:
            self._last_t_ms += moved_ms

    def read(self) -> Energy:
        """What was added up until now."""
        return Energy(self._joule if self._covered_s > 0 else NAN, self._covered_s, self._gap_s)


def _factor(value: float) -> float:
    return value if math.isfinite(value) and value >= 0.0 else NAN
