"""What a person typed to filter a log: words, or a pattern that cannot hold the window up.

The one rule: a pattern whose work could grow without end with the length of a line is refused, and says why.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from typing import Final

_PLAIN: Final = re.compile(r"^[^\\^$.|?*+()\[\]{}]*$")
"""What means the same read as a pattern and as words."""
_REPEAT: Final = re.compile(r"[*+?]|\{(\d{0,9})(,?)(\d{0,9})\}")
SHORT_REPEAT: Final = 8
"""More repeats than this count as without end."""
MOST_OPEN: Final = 2
"""Repeats without end in one pattern: with each of them the work grows by the length of the line."""
MOST_OPTIONS: Final = 8
"""Optional parts: each of them doubles the work at worst."""
REACH_CHARS: Final = {0: 8192, 1: 4096, 2: 500}
"""How much of a line is looked at, by the number of repeats without end: some 20 million steps at the worst."""


class SlowPattern(ValueError):
    """A pattern that could take too long; its words say why."""


def read_pattern(words: str) -> tuple[str, re.Pattern[str] | None]:
    """Read what was typed: words to look for, or a pattern (any case). Raises re.error and SlowPattern."""
    if _PLAIN.match(words):
        return words, None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # sets within sets, which Python may read otherwise one day
        found = re.compile(words, re.IGNORECASE)
    count_repeats(words)
    return "", found


@lru_cache(maxsize=16)
def reach_chars(pattern: re.Pattern[str]) -> int:
    """How much of a line such a pattern is held against."""
    return REACH_CHARS[count_repeats(pattern.pattern)]


def count_repeats(words: str) -> int:
    """Count a valid pattern's repeats without end. Raises SlowPattern for repeats in a repeat, or for too many."""
    open_count = option_count = 0
    varies = [False]  # for each group that is open: whether what it matches may be of several lengths or kinds
    at = 0
    while at < len(words):
        char = words[at]
        closes = char == ")"
        if char == "(":
            varies.append(False)
            at = _after_group_head(words, at)
            continue
        if char == "|":
            varies[-1] = True
        inner = varies.pop() if closes and len(varies) > 1 else False
        at = _after_item(words, at)
        repeat = _REPEAT.match(words, at) if char not in "|^" else None
        varies[-1] |= inner
        if repeat is None:
            continue
        most = _most_repeats(repeat)
        at = repeat.end() + (words[repeat.end() : repeat.end() + 1] in ("?", "+"))
        if most > 1 and inner:
            raise SlowPattern("a repeat of what repeats or has a choice in it, which can take for ever")
        varies[-1] = True
        open_count += most > SHORT_REPEAT
        option_count += most <= SHORT_REPEAT
    if open_count > MOST_OPEN or option_count > MOST_OPTIONS:
        raise SlowPattern(f"too many repeats; at most {MOST_OPEN} of * and + keep it quick")
    return open_count


def _most_repeats(repeat: re.Match[str]) -> int:
    if repeat[0] in ("*", "+"):
        return SHORT_REPEAT + 1
    if repeat[0] == "?":
        return 1
    low, comma, high = repeat[1], repeat[2], repeat[3]
    if comma and not high:
        return SHORT_REPEAT + 1
    return int((high if comma else low) or 1)


def _after_group_head(words: str, at: int) -> int:
    """The place behind "(", "(?:", "(?P<name>" and the like."""
    head = re.compile(r"\((?:\?(?:P<\w+>|P=\w+|[aiLmsux-]*:|[aiLmsux]+|<?[=!]|>|#[^)]*|\([^)]*\)))?").match(words, at)
    return head.end() if head is not None else at + 1


def _after_item(words: str, at: int) -> int:
    """The place behind one item: an escape, a class, or a character."""
    if words[at] == "\\":
        return at + 2
    if words[at] != "[":
        return at + 1
    at += 2 if words[at + 1 : at + 2] == "^" else 1
    at += words[at : at + 1] == "]"
    while at < len(words) and words[at] != "]":
        at += 2 if words[at] == "\\" else 1
    return at + 1
