"""How numbers, units and times are written on screen.

Rule: every figure a person reads goes through here; what is unknown is written "n/a", never 0 or "-".
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Final, NamedTuple

THIN_SPACE: Final = "\u202f"  # narrow and not breaking
MINUS: Final = "\u2212"
ELLIPSIS: Final = "\u2026"
NOT_KNOWN: Final = "n/a"
GIB: Final = 1024**3
GB: Final = 10**9


class Quantity(NamedTuple):
    """A figure and its unit, apart, because the unit is drawn smaller and paler."""

    value: str
    unit: str

    def __str__(self) -> str:
        return f"{self.value} {self.unit}" if self.unit else self.value


UNKNOWN: Final = Quantity(NOT_KNOWN, "")


def is_known(number: float | None) -> bool:
    """Say whether there is a number at all; NaN, None and infinity are none."""
    return number is not None and math.isfinite(number)


def grouped(number: float, decimals: int = 0) -> str:
    """Write a number with thousands grouped and U+2212 for minus."""
    text = f"{number:,.{decimals}f}"
    return text.replace("-", MINUS)


def memory(size_bytes: float | None) -> Quantity:
    """Memory in GiB: one decimal, none from 1,000 on."""
    if size_bytes is None or not is_known(size_bytes):
        return UNKNOWN
    gib = size_bytes / GIB
    return Quantity(grouped(gib, 0 if abs(gib) >= 999.95 else 1), "GiB")


def disk(size_bytes: float | None) -> Quantity:
    """Disk and downloads: decimal, MB below 1 GB, TB from 1,000 GB on."""
    if size_bytes is None or not is_known(size_bytes):
        return UNKNOWN
    if abs(size_bytes) < 0.9995 * GB:
        return Quantity(grouped(size_bytes / 1e6, 1), "MB")
    if abs(size_bytes) >= 999.95 * GB:
        return Quantity(grouped(size_bytes / 1e12, 2), "TB")
    return Quantity(grouped(size_bytes / GB, 1), "GB")


def line_rate(rate_gbps: float | None) -> Quantity:
    """Rate on a link in Gb/s (bits, decimal)."""
    return _fixed(rate_gbps, 1, "Gb/s")


def bus_bandwidth(bytes_per_s: float | None) -> Quantity:
    """Collective bandwidth in GB/s (bytes, decimal)."""
    return _fixed(None if bytes_per_s is None else bytes_per_s / 1e9, 1, "GB/s")


def token_rate(tokens_per_s: float | None) -> Quantity:
    """Throughput: one decimal below 100 tok/s, none above."""
    if tokens_per_s is None or not is_known(tokens_per_s):
        return UNKNOWN
    return Quantity(grouped(tokens_per_s, 1 if tokens_per_s < 99.95 else 0), "tok/s")


def first_token_time(time_s: float | None) -> Quantity:
    """TTFT: 412 ms, 1.42 s, 15.8 s, 2 min 05 s."""
    if time_s is None or not is_known(time_s) or time_s < 0:
        return UNKNOWN
    if time_s < 0.9995:
        return Quantity(f"{time_s * 1000:.0f}", "ms")
    if time_s < 9.995:
        return Quantity(f"{time_s:.2f}", "s")
    if time_s < 99.95:
        return Quantity(f"{time_s:.1f}", "s")
    minutes, seconds = divmod(round(time_s), 60)
    return Quantity(f"{minutes} min {seconds:02d} s", "")


def token_interval(time_s: float | None) -> Quantity:
    """TPOT in ms: one decimal below 20."""
    if time_s is None or not is_known(time_s):
        return UNKNOWN
    time_ms = time_s * 1000
    return Quantity(grouped(time_ms, 1 if time_ms < 19.95 else 0), "ms")


def span(low: Quantity, high: Quantity) -> str:
    """Write a band: "13.9 – 17.8" where both have one unit (which stands beside the value), else both with theirs."""
    if NOT_KNOWN in (low.value, high.value):
        return NOT_KNOWN
    if low.unit == high.unit:
        return low.value if low.value == high.value else f"{low.value} – {high.value}"
    return f"{low} – {high}"


def power(power_w: float | None, rail: str = "") -> Quantity:
    """Power in W; `rail` says which ("GPU"), because a rail is not the wall."""
    return _fixed(power_w, 0, f"W {rail}".strip())


def temperature(temperature_c: float | None) -> Quantity:
    """Temperature, whole degrees."""
    return _fixed(temperature_c, 0, "°C")


def frequency(clock_mhz: float | None) -> Quantity:
    """Clock: MHz below 1,000, else GHz with two decimals."""
    if clock_mhz is None or not is_known(clock_mhz):
        return UNKNOWN
    if clock_mhz < 1000:
        return Quantity(f"{clock_mhz:.0f}", "MHz")
    return Quantity(f"{clock_mhz / 1000:.2f}", "GHz")


def percent(fraction: float | None, *, is_done: bool = True) -> str:
    """Write a fraction (0..1) as a whole percent; while not done it never says 100."""
    if fraction is None or not is_known(fraction):
        return NOT_KNOWN
    number = round(fraction * 100)
    if not is_done:
        number = min(number, 99)
    return f"{grouped(number)}{THIN_SPACE}%"


def count(number: float | None) -> str:
    """Write an exact count with thousands grouped."""
    return grouped(number) if number is not None and is_known(number) else NOT_KNOWN


def pool(tokens: float | None) -> str:
    """Write the size of a token pool: 48,914 below 100,000, 262 K, 1.37 M."""
    if tokens is None or not is_known(tokens):
        return NOT_KNOWN
    if tokens < 100_000:
        return grouped(tokens)
    if tokens < 999_500:
        return f"{tokens / 1000:.0f} K"
    return f"{tokens / 1e6:.2f} M"


def change(number: float | None, unit: str = "", decimals: int = 0) -> str:
    """Write a difference, always with its sign."""
    if number is None or not is_known(number):
        return NOT_KNOWN
    sign = "+" if number >= 0 else ""
    return f"{sign}{grouped(number, decimals)}{THIN_SPACE + unit if unit else ''}"


def duration(time_s: float | None) -> str:
    """Write how long something took or runs: 0:51, 12:40, 3 h 12 min, 2 d 4 h."""
    if time_s is None or not is_known(time_s) or time_s < 0:
        return NOT_KNOWN
    seconds = int(time_s)
    if seconds < 3600:
        return f"{seconds // 60}:{seconds % 60:02d}"
    if seconds < 86_400:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{seconds // 86_400} d {seconds % 86_400 // 3600} h"


def stage_time(time_s: float | None) -> str:
    """Write how long a stage took: 0.2 s below one second, then like any duration."""
    if time_s is None or not is_known(time_s) or time_s < 0 or time_s >= 0.95:
        return duration(time_s)
    return f"{time_s:.1f} s" if time_s >= 0.05 else "< 0.1 s"


def age(time_s: float | None) -> str:
    """Write how old a value is: 14 s, 3 min, 2 h."""
    if time_s is None or not is_known(time_s) or time_s < 0:
        return NOT_KNOWN
    if time_s < 60:
        return f"{time_s:.0f} s"
    if time_s < 3600:
        return f"{time_s // 60:.0f} min"
    return f"{time_s // 3600:.0f} h"


def time_of_day(t_ms: float, *, has_seconds: bool = True) -> str:
    """Write a moment (Unix ms) as the wall clock of this computer shows it."""
    return datetime.fromtimestamp(t_ms / 1000.0).strftime("%H:%M:%S" if has_seconds else "%H:%M")


def cut(text: str, limit: int) -> str:
    """Shorten text to `limit` characters and say how many were left out."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}{ELLIPSIS} {grouped(len(text) - limit)} more"


def one_line(text: str, limit: int = 400) -> str:
    """Make hostile text safe for one line: no control or direction-changing characters, bounded."""
    kept = "".join(c if c.isprintable() and c not in _DIRECTION else " " for c in text[: limit + 1])
    return kept if len(kept) <= limit else kept[:limit] + ELLIPSIS


# Characters that turn the order of what follows; in a node's text they can only mislead.
_DIRECTION: Final = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _fixed(number: float | None, decimals: int, unit: str) -> Quantity:
    if number is None or not is_known(number):
        return UNKNOWN
    return Quantity(grouped(number, decimals), unit)
