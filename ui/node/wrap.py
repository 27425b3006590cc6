"""Words of a node for a label that wraps: on one line, bounded, and with places where a long word may break.

The one rule: no word of a node's can make the page wider than its window.
"""

from __future__ import annotations

import re

from ui import text

LONGEST_WORD = 28
_BREAK = "\u200b"
_LONG = re.compile(rf"\S{{{LONGEST_WORD + 1},}}")


def wrap_line(said: str, limit: int = 400) -> str:
    """The text safe for a wrapped label. A word of more than 28 characters gets invisible places to break."""
    return _LONG.sub(_split, text.one_line(said, limit))


def _split(match: re.Match[str]) -> str:
    word = match.group()
    return _BREAK.join(word[i : i + LONGEST_WORD] for i in range(0, len(word), LONGEST_WORD))
