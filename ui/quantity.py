"""A quantity of the metric table as it is written on cards and in rows: its title, its figure and its unit.

The one rule: titles and units come from the table; how many digits a unit has on screen, from `ui.text`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from sparkdesk.core.telemetry.metric import find_metric
from ui import text
from ui.text import UNKNOWN, Quantity

_WRITERS: Final[Mapping[str, Callable[[float], Quantity]]] = MappingProxyType(
    {
        "GiB": text.memory,
        "MHz": text.frequency,
        "°C": text.temperature,
        "W": text.power,
        "Gb/s": text.line_rate,
        "tok/s": text.token_rate,
    }
)
"""By unit of the table: what takes code units and may choose a larger unit."""


def title_of_card(key: str) -> str:
    """A quantity's title where there is little room. Raises KeyError."""
    return find_metric(key).short_title


def write_quantity(key: str, value: float) -> Quantity:
    """A value in code units, for the screen; "n/a" where it is not known. Raises KeyError."""
    row = find_metric(key)
    if not text.is_known(value):
        return UNKNOWN
    writer = _WRITERS.get(row.unit)
    return writer(value) if writer is not None else Quantity(text.grouped(row.to_screen(value), row.digits), row.unit)
