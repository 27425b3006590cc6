"""What a person says that energy costs.

The one rule: it imports nothing heavy, because the settings are read before the first frame.
"""

from __future__ import annotations

from dataclasses import dataclass

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class EnergyRates:
    """What a person said that energy costs and causes; NaN and "" are not said. There is no default."""

    price_per_kwh: float = NAN
    currency: str = ""
    grid_g_per_kwh: float = NAN
