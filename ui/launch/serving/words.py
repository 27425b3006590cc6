"""Command words, times and shares as a person types them, and back. Pure.

The one rule: what is written comes back as it was: reading what was written gives the same value.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from typing import Final

from sparkdesk.core.jobs.request import MAX_WORDS_CHARS

_CONTINUED: Final = re.compile(r"""('[^']*'|"[^"]*")|\\\n""")
"""A line that goes on, as in a shell; not inside quotes."""
_TIME: Final = re.compile(r"^(\d{1,7}) ?(s|sec|min|h|d)$")
MOST_LINE_CHARS: Final = 2 * MAX_WORDS_CHARS
"""Of a command line as it is typed: quotes and breaks take their part."""
_UNITS_S: Final = {"d": 86_400, "h": 3600, "min": 60, "sec": 1, "s": 1}


def read_words(typed: str) -> tuple[str, ...]:
    """Words as a shell would split them, on one line or on many. Raises ValueError for a quote that is not closed."""
    return tuple(shlex.split(_CONTINUED.sub(lambda found: found[1] or " ", typed)))


def read_line(typed: str) -> tuple[tuple[str, ...], str]:
    """The words of a command line, or why there are none."""
    if len(typed) > MOST_LINE_CHARS:
        return (), f"At most {MOST_LINE_CHARS:,} characters"
    try:
        return read_words(typed), ""
    except ValueError:
        return (), "A quote is not closed"


def read_time(typed: str) -> int | None:
    """Seconds of "8 h", "90 min", "2 d"; None is no time."""
    found = _TIME.match(typed.strip().casefold())
    return int(found[1]) * _UNITS_S[found[2]] if found else None


def write_time(seconds: int | None) -> str:
    """A time in the largest unit that it is whole of; "" for none."""
    if seconds is None:
        return ""
    unit = next(unit for unit in ("d", "h", "min", "s") if seconds % _UNITS_S[unit] == 0)
    return f"{seconds // _UNITS_S[unit]} {unit}"


def read_share(typed: str) -> float:
    """A share such as 0.85, "85%" or "85 %"; NaN is none."""
    number, percent, rest = typed.strip().partition("%")
    return round(read_number(number.strip()) / 100, 6) if percent and not rest else read_number(typed.strip())


def read_number(typed: str) -> float:
    """A number such as 0.85; NaN is none."""
    try:
        return float(typed) if typed.isascii() else math.nan
    except ValueError:
        return math.nan


def read_environment(typed: str) -> tuple[tuple[tuple[str, str], ...], str]:
    """(name, value) of each line, or what is wrong. A value in double quotes is a string of JSON."""
    pairs = []
    for line in typed.splitlines():
        if not line.strip():
            continue
        name, sign, value = line.strip().partition("=")
        if not sign:
            return (), f"NAME=value, one a line: {line.strip()[:40]}"
        pairs.append((name, _unquote(value)))
    return tuple(pairs), ""


def write_environment(pairs: tuple[tuple[str, str], ...]) -> str:
    """A line each; what a line cannot hold as it is stands in double quotes."""
    return "\n".join(f"{name}={_quote(value)}" for name, value in pairs)


def _quote(value: str) -> str:
    is_plain = value.isprintable() and value == value.strip() and not value.startswith('"')
    return value if is_plain else json.dumps(value)


def _unquote(value: str) -> str:
    if not value.startswith('"'):
        return value
    try:
        found = json.loads(value)
    except ValueError:
        return value
    return found if isinstance(found, str) else value
