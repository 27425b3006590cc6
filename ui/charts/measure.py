"""How a quantity is written and scaled on a chart: the metric table's row, made ready for the screen.

The one rule: titles, units and limits come from the metric table where it knows the key; what nobody described is
shown under its key without a unit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from sparkdesk.core.telemetry.metric import find_metric, title_of
from ui.text import NOT_KNOWN, grouped, one_line

NAN: Final = float("nan")
# By how a key ends: the unit of its values in code. Source: the naming rule of the metric table.
_CODE_UNITS: Final = (
    ("_bytes_per_s", "B/s"),
    ("_tokens_per_s", "tok/s"),
    ("_tokens_total", "tokens"),
    ("_bytes", "B"),
    ("_gbps", "Gb/s"),
    ("_mhz", "MHz"),
    ("_joule", "J"),
    ("_per_s", "1/s"),
    ("_ms", "ms"),
    ("_c", "°C"),
    ("_w", "W"),
    ("_s", "s"),
)


@dataclass(frozen=True, slots=True)
class Bound:
    """A published limit in screen units, in words that tell which side is good."""

    value: float
    words: str


@dataclass(frozen=True, slots=True)
class Measure:
    """A quantity on a chart. `scale` makes screen units of code units; `top` is a fixed top of the scale or NaN."""

    key: str
    title: str
    unit: str
    code_unit: str
    scale: float = 1.0
    digits: int = 0
    top: float = NAN
    bounds: tuple[Bound, ...] = ()
    source: str = ""
    """Where its values come from, in words; "" when nobody told."""

    def write(self, value: float) -> str:
        """A value in screen units with its digits, without the unit; "n/a" where there is none."""
        return grouped(value, self.digits) if math.isfinite(value) else NOT_KNOWN

    def write_with_unit(self, value: float) -> str:
        """A value with its unit."""
        return f"{self.write(value)} {self.unit}" if self.unit and math.isfinite(value) else self.write(value)


def measure_of(key: str) -> Measure:
    """What is known of a key; a key comes from a service, its part after the dot from a node."""
    try:
        row = find_metric(key)
    except KeyError:
        return Measure(key, one_line(key, 60), "", _code_unit(key, ""), digits=2)
    scale, found = row.scale, []
    if row.limit is not None:
        when = f", {row.limit.when}" if row.limit.when else ""
        for side, value in (("at least", row.limit.low), ("at most", row.limit.high)):
            if math.isfinite(value):
                words = f"{side} {grouped(value * scale, row.digits)} {row.unit}".rstrip()
                found.append(Bound(value * scale, f"{words}{when}"))
    top = row.high * scale if row.unit == "%" else NAN
    title = one_line(title_of(key), 60)
    return Measure(key, title, row.unit, _code_unit(key, row.unit), scale, row.digits, top, tuple(found), row.source)


def _code_unit(key: str, unit: str) -> str:
    """The unit of a key's values before they are scaled for the screen."""
    if unit == "%":
        return "fraction"
    stem = key.partition(".")[0]
    return next((name for ending, name in _CODE_UNITS if stem.endswith(ending)), unit or "1")
