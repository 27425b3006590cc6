"""When two words are alike: most trigrams shared, or one slip of the finger.

The one rule: a word of fewer than four characters is like none but itself; there a slip makes another word.
"""

from __future__ import annotations

import re
from functools import lru_cache

from sparkdesk.core.chat.search.query import GRAM_CHARS

MIN_CHARS = 4
MIN_SHARED = 0.6
"""Of a word's trigrams that the other must have."""
MAX_WORD_CHARS = 64

_WORD = re.compile(r"\w+")


def grams(word: str) -> tuple[str, ...]:
    """The trigrams of a word, in order, each once."""
    return tuple(dict.fromkeys(word[at : at + GRAM_CHARS] for at in range(len(word) - GRAM_CHARS + 1)))


def swaps(word: str) -> tuple[str, ...]:
    """The word with two neighbours exchanged, at each place: the slip that shares no trigram in a short word."""
    found = (word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in range(len(word) - 1))
    return tuple(dict.fromkeys(other for other in found if other != word))


def like_words(text: str, word: str) -> tuple[str, ...]:
    """The words of `text` that are like `word`, or have it in them; both in small letters."""
    return tuple(other for other in dict.fromkeys(_WORD.findall(text)) if is_like(word, other[:MAX_WORD_CHARS]))


@lru_cache(maxsize=8192)
def is_like(word: str, other: str) -> bool:
    """Whether `other` may be what was meant by `word`."""
    if word in other:
        return True
    if len(word) < MIN_CHARS or len(other) < GRAM_CHARS:
        return False
    if _is_one_slip(word, other):
        return True
    pieces = grams(word)
    return sum(piece in other for piece in pieces) >= MIN_SHARED * len(pieces)


def _is_one_slip(word: str, other: str) -> bool:
    """One character more, less or another, or two neighbours exchanged."""
    if abs(len(word) - len(other)) > 1:
        return False
    start = 0
    while start < min(len(word), len(other)) and word[start] == other[start]:
        start += 1
    rest, other_rest = word[start:], other[start:]
    if len(word) == len(other):
        return rest[1:] == other_rest[1:] or (rest[1:2] + rest[:1] + rest[2:] == other_rest and len(rest) > 1)
    longer, shorter = (rest, other_rest) if len(rest) > len(other_rest) else (other_rest, rest)
    return longer[1:] == shorter
