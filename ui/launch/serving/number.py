"""Whole numbers as a person types them. Pure.

The one rule: a number that is out of its range says which way, and one that cannot be read is never guessed.
"""

from __future__ import annotations

import math
import re


def read_whole(typed: str) -> int | None:
    """A whole number of 0 or more with or without grouping; None is anything else."""
    digits = re.sub(r"[\s,_\u202f]", "", typed)
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 9 else None


def wrong_number(typed: str, least: int, most: int) -> str:
    """Why what was typed is no whole number from `least` to `most`; "" where it is one."""
    whole = read_whole(typed)
    number = _any_number(typed) if whole is None else whole
    if number < least:
        return f"At least {least:,}"
    if number > most:
        return f"At most {most:,}"
    return "A whole number" if whole is None else ""


def _any_number(typed: str) -> float:
    """What was meant by a number that is not whole or that is negative; NaN is none at all."""
    try:
        return float(re.sub(r"[\s,_\u202f]", "", typed)) if typed.isascii() else math.nan
    except ValueError:
        return math.nan
