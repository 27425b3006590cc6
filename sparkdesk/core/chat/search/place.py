"""A place in a text as a list shows it: one line of words around it, with marks on what was found.

The one rule: the line is plain text; a mark is a pair of positions in it, never a sign within it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

BEFORE_CHARS = 32
MAX_CHARS = 160
MAX_MARKS = 16
_ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class Place:
    """The words around what was found."""

    text: str
    marks: tuple[tuple[int, int], ...] = ()
    """From and to (exclusive) of each thing found, in `text`, in order."""


def place_of(text: str, needles: tuple[str, ...]) -> Place:
    """The words around the first of `needles` (small letters) that the text has; its beginning when it has none."""
    lowered = lower(text)
    at = next((found for needle in needles if needle and (found := lowered.find(needle)) >= 0), 0)
    start = _word_start(text, max(0, at - BEFORE_CHARS), at)
    words = " ".join(text[start : start + 2 * MAX_CHARS].split())
    cut = words[:MAX_CHARS].rstrip() + (
        _ELLIPSIS if len(words) > MAX_CHARS or start + 2 * MAX_CHARS < len(text) else ""
    )
    line = _ELLIPSIS + cut if start else cut
    return Place(line, marks_in(line, needles))


def lower(text: str) -> str:
    """The text in small letters, each character in its old place."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(small if len(small := char.lower()) == 1 else char for char in text)


def _word_start(text: str, start: int, end: int) -> int:
    """The beginning of the first whole word from `start` on, but not behind `end`."""
    if start == 0:
        return 0
    blank = re.compile(r"\s").search(text, start, end)
    return start if blank is None else blank.end()


def marks_in(line: str, needles: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """From and to (exclusive) of each of `needles` (small letters) in the line, in order, none within another."""
    lowered = lower(line)
    found: list[tuple[int, int]] = []
    for needle in needles:
        at = lowered.find(needle) if needle else -1
        while at >= 0 and len(found) < MAX_MARKS:
            found.append((at, at + len(needle)))
            at = lowered.find(needle, at + len(needle))
    merged: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)
