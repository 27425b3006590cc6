"""Prompts to measure with: plain words in an order that only their seed decides, and as long as is asked for.

The one rule: no two prompts begin alike, so that nobody's prefix cache answers for a server's speed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

WORDS = (
    "the", "and", "with", "from", "this", "that", "time", "year", "people", "way", "day", "man", "thing", "woman",
    "life", "child", "world", "school", "state", "family", "student", "group", "country", "problem", "hand", "part",
    "place", "case", "week", "company", "system", "program", "question", "work", "night", "point", "home", "water",
    "room", "mother", "area", "money", "story", "fact", "month", "lot", "right", "study", "book", "eye", "job", "word",
    "business", "issue", "side", "kind", "head", "house", "service", "friend", "father", "power", "hour", "game",
)  # fmt: skip
"""64 common words, most of which are one token for most models."""
MOST_WORDS = 1 << 20
START_WORDS = 3
"""What begins a prompt is a number of its own: words of one token in so many of hexadecimal."""
PROBE_WORDS = (16, 64)
"""Lengths of the two prompts that tell how many tokens a word is, and how many the chat's frame adds."""


@dataclass(frozen=True, slots=True)
class WordRate:
    """How a server's model cuts our words: `frame` tokens around every prompt and `per_word` of them a word."""

    frame: float = 12.0
    per_word: float = 1.0

    def words_for(self, tokens: int) -> int:
        """How many words make about so many tokens; at least one."""
        return max(1, min(MOST_WORDS, round((tokens - self.frame) / self.per_word)))


def make_prompt(seed: int, index: int, words: int) -> str:
    """The prompt `index` of a run: the same for the same seed, and unlike every other from its first word on."""
    key = f"{seed}/{index}".encode()
    picked = [hashlib.sha256(key).hexdigest()[: 4 * START_WORDS]]
    block = 0
    while len(picked) < min(words, MOST_WORDS):
        block += 1
        found = hashlib.sha256(key + b"/" + str(block).encode()).digest()
        picked += [WORDS[byte % len(WORDS)] for byte in found]
    return " ".join(picked[: max(1, words)])


def read_word_rate(short_tokens: int | None, long_tokens: int | None) -> WordRate:
    """From the server's own counts of the two prompts of `PROBE_WORDS`; the usual rate where they tell nothing."""
    if short_tokens is None or long_tokens is None or long_tokens <= short_tokens:
        return WordRate()
    per_word = (long_tokens - short_tokens) / (PROBE_WORDS[1] - PROBE_WORDS[0])
    return WordRate(frame=max(0.0, short_tokens - per_word * PROBE_WORDS[0]), per_word=per_word)
