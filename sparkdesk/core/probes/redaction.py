"""Takes out of a text what tells whose machine it is: names, addresses, serial numbers, ids.

The one rule: too much rather than too little. What is taken out leaves a word that says what it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "(id)"),
    (re.compile(r"(?i)\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b"), "(mac)"),
    # No octet begins with a nought and another digit: 0.00.351.123 is a time of llama.cpp's log.
    (re.compile(r"\b(?:(?:0|[1-9]\d{0,2})\.){3}(?:0|[1-9]\d{0,2})(?:/\d{1,2})?\b"), "(address)"),
    # At least two groups and a double colon, or six groups: not a time, not a PCI address like 000f:01:00.0.
    (re.compile(r"(?i)(?<![\w:.])(?:[0-9a-f]{1,4}:){1,7}:(?:[0-9a-f]{1,4}:?){0,7}(?:%\w+)?(?![\w:])"), "(address)"),
    (re.compile(r"(?i)(?<![\w:.])(?:[0-9a-f]{1,4}:){5,7}[0-9a-f]{1,4}(?:%\w+)?(?![\w:])"), "(address)"),
    (re.compile(r"(?i)\b[0-9a-f]{32,}\b"), "(id)"),
    (re.compile(r"(?im)^(.*serial[^:=\n]*[:=]\s*).+$"), r"\1(serial)"),
    (re.compile(r"(?i)\bspark-[0-9a-f]{4}\b"), "(host)"),
    (re.compile(r"/(home|Users)/[^/\s\"']+"), r"/\1/(user)"),
    (re.compile(r"\b(hf_|sk-|nvapi-)[A-Za-z0-9_-]{8,}"), "(token)"),
)
LOOPBACK = ("127.0.0.1", "0.0.0.0")
MIN_WORD_CHARS = 3
"""A user called "a" cannot be taken out of every text without making it unreadable."""


def redact(text: str, words: Iterable[str] = ()) -> str:
    """The text without what tells whose machine it is. `words` are this node's own names: host, user, address."""
    for word in sorted({word for word in words if len(word) >= MIN_WORD_CHARS}, key=len, reverse=True):
        text = re.sub(rf"(?<![\w]){re.escape(word)}(?![\w])", "(name)", text, flags=re.IGNORECASE)
    for pattern, stand_in in _PATTERNS:
        if stand_in == "(address)":
            text = pattern.sub(lambda found: found.group(0) if found.group(0) in LOOPBACK else "(address)", text)
        else:
            text = pattern.sub(stand_in, text)
    return text
