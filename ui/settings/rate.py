"""What a person says that energy costs and causes: read from what is stored and from what is typed.

The one rule: nothing is invented. What is not said, or cannot be, is no rate; then no cost and no CO2 is shown.
"""

from __future__ import annotations

import math
import re
from typing import Final

from sparkdesk.core.plain_text import make_line
from sparkdesk.core.telemetry.energy_rate import EnergyRates
from sparkdesk.core.telemetry.sample import NAN
from ui.preference import Preferences

PRICE_KEY: Final = "energy.price_per_kwh"
CURRENCY_KEY: Final = "energy.currency"
GRID_KEY: Final = "energy.grid_g_per_kwh"
MOST_PRICE: Final = 1_000_000.0
"""Beyond the price of a kWh in any currency."""
MOST_GRID_G: Final = 5000.0
"""Beyond what the dirtiest power plant emits for a kWh."""
MOST_CURRENCY_CHARS: Final = 8
_TWO_WAYS: Final = re.compile(r"[1-9][0-9]{0,2},[0-9]{3}")
"""A comma that may part thousands as well as decimals."""


def read_rates(store: Preferences) -> EnergyRates:
    """What is stored, as far as it can be."""
    return EnergyRates(
        price_per_kwh=_stored(store.get(PRICE_KEY), MOST_PRICE),
        currency=_currency(store.get(CURRENCY_KEY)),
        grid_g_per_kwh=_stored(store.get(GRID_KEY), MOST_GRID_G),
    )


def read_amount(text: str, most: float) -> tuple[float, str]:
    """A typed amount and "", NaN and "" when nothing was typed, or NaN and what is wrong.

    A comma is taken as a dot, but where it may as well part the thousands ("1,000") the person is asked which.
    """
    words = text.strip()
    if not words:
        return NAN, ""
    if _TWO_WAYS.fullmatch(words):
        whole, parts = words.split(",")
        return NAN, f"This can be read in two ways: write {whole}{parts} or {whole}.{parts}."
    try:
        value = float(words.replace(",", ".")) if words.isascii() and "_" not in words else NAN
    except ValueError:
        value = NAN
    if not math.isfinite(value):
        return NAN, "This is no number. Write it like 0.30."
    if not 0.0 <= value <= most:
        return NAN, f"It must be between 0 and {most:,.0f}."
    return value, ""


def read_currency(text: str) -> tuple[str, str]:
    """A typed word for money and "", or "" and what is wrong."""
    words = make_line(text, max_chars=200).strip()
    if len(words) > MOST_CURRENCY_CHARS or any(letter.isdigit() for letter in words):
        return "", f"At most {MOST_CURRENCY_CHARS} letters or signs, like EUR."
    return words, ""


def write_amount(value: float) -> str:
    """An amount as it is typed; "" for none."""
    return f"{value:.6f}".rstrip("0").rstrip(".") if math.isfinite(value) else ""


def _stored(value: object, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return NAN
    return float(value) if 0 <= value <= most else NAN


def _currency(value: object) -> str:
    return read_currency(value)[0] if isinstance(value, str) else ""
