"""Text from a node or a model made safe to show: no terminal codes, no control characters, no hidden direction marks.

The one rule: what was there stays visible. A control character becomes its picture (U+2400 block), never nothing; only
ANSI colour and cursor codes, which carry no words, are left out.
"""

from __future__ import annotations

import re

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)|[@-Z\\^_])")
_PICTURES = {code: 0x2400 + code for code in range(0x20)}
_PICTURES[0x7F] = 0x2421
_PICTURES.update(dict.fromkeys(range(0x80, 0xA0), 0xFFFD))
# Marks that turn the reading direction, and half characters, both of which make a text lie.
_PICTURES.update(dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C), 0xFFFD))
_PICTURES.update(dict.fromkeys((0x2028, 0x2029), 0x2424))
del _PICTURES[0x09], _PICTURES[0x0A]


def make_plain(text: str, *, max_chars: int = 4096) -> str:
    """The text with control characters as pictures, at most `max_chars` (the end is cut and an ellipsis put)."""
    if len(text) <= max_chars and text.isascii() and text.isprintable():
        return text  # nearly every text is so, and a probe's line has dozens
    shown = _ANSI.sub("", text[: 4 * max_chars]).translate(_PICTURES)
    shown = shown.encode("utf-8", "replace").decode("utf-8")
    return shown if len(shown) <= max_chars and len(text) <= 4 * max_chars else shown[: max_chars - 1] + "…"


def make_line(text: str, *, max_chars: int = 4096) -> str:
    """As `make_plain`, on one line: a line end becomes its picture too."""
    return make_plain(text, max_chars=max_chars).replace("\n", "␊").replace("\t", "    ")
