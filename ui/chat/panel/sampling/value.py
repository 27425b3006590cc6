"""What a person types into the fields of sampling, read into values; and values written as a person types them.

The one rule: reading is total. It gives a value, or the words to show beside the field; never both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ui.text import grouped

MAX_STOPS: Final = 16
MAX_STOP_CHARS: Final = 200
MAX_SEED: Final = 2**31 - 1
"""What every engine's type of a seed can hold."""
_MAX_TYPED: Final = 4000
_WHOLE = re.compile(r"[0-9]{1,12}|[0-9]{1,3}([, '\u202f\u00a0][0-9]{3})+")
_FRACTION = re.compile(r"[0-9]{0,6}[.,]?[0-9]{0,12}")
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "s": " ", "\\": "\\", ",": ","}
_WRITTEN: Final = {"\\": "\\\\", ",": "\\,", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a number may be, both ends included. `decimals` is how it is shown; 0 means whole numbers only."""

    low: float
    high: float
    decimals: int = 0

    def shown(self, value: float) -> str:
        """The value as it is written in its field, with up to six digits where it needs them."""
        if not self.decimals:
            return grouped(value)
        short = f"{value:.{self.decimals}f}"
        return short if float(short) == value else f"{value:.6g}"

    def named(self, end: float) -> str:
        """One of its ends, in words."""
        return f"{end:g}" if self.decimals else grouped(end)


@dataclass(frozen=True, slots=True)
class Typed:
    """What was read: `value` None with no `problem` is an empty field, the model's own default."""

    value: float | None = None
    problem: str = ""


def read_number(typed: str, limits: Limits) -> Typed:
    """Read a number; "8,192" is whole, and "0,6" is a fraction where fractions are meant."""
    text = typed.strip()
    if not text:
        return Typed()
    between = f"between {limits.named(limits.low)} and {limits.named(limits.high)}"
    if not limits.decimals:
        if len(text) > 40 or not _WHOLE.fullmatch(text):
            return Typed(problem=f"A whole number {between}")
        value = float(re.sub(r"[^0-9]", "", text))
    else:
        if not re.search("[0-9]", text) or not _FRACTION.fullmatch(text):
            return Typed(problem=f"A number {between}")
        value = float(text.replace(",", "."))
    if not limits.low <= value <= limits.high:
        return Typed(problem=f"Must be {between}")
    return Typed(value)


def write_stops(stops: tuple[str, ...]) -> str:
    """The stop words in one line, from which `read_stops` makes the same ones."""
    return ", ".join(_write_stop(stop) for stop in stops)


def _write_stop(stop: str) -> str:
    text = "".join(_WRITTEN.get(c, c) for c in stop)
    bare = text.strip(" ")
    before, after = len(text) - len(text.lstrip(" ")), len(text) - len(text.rstrip(" "))
    return "\\s" * len(text) if not bare else "\\s" * before + bare + "\\s" * after


def read_stops(typed: str) -> tuple[tuple[str, ...], str]:
    """The stop words of a line, or the words to show: commas part them, a backslash writes what cannot be typed."""
    if len(typed) > _MAX_TYPED:
        return (), "Too long for stop words"
    stops: list[str] = []
    for piece in _split(typed):
        word, problem = _read_stop(piece.strip(" \t"))
        if problem:
            return (), problem
        if word and word not in stops:
            stops.append(word)
    if len(stops) > MAX_STOPS:
        return (), f"At most {MAX_STOPS} stop words"
    if any(len(stop) > MAX_STOP_CHARS for stop in stops):
        return (), f"A stop word has at most {MAX_STOP_CHARS} characters"
    return tuple(stops), ""


def _split(typed: str) -> list[str]:
    pieces, is_escaped = [""], False
    for c in typed:
        if c == "," and not is_escaped:
            pieces.append("")
        else:
            pieces[-1] += c
        is_escaped = c == "\\" and not is_escaped
    return pieces


def _read_stop(piece: str) -> tuple[str, str]:
    word, rest = "", iter(piece)
    for c in rest:
        if c != "\\":
            word += c
            continue
        escape = next(rest, "")
        if escape not in _ESCAPES:
            return "", 'A backslash is followed by n, t, s, a comma or a backslash: "\\n" ends a line'
        word += _ESCAPES[escape]
    return word, ""
