"""Contrast of two colours by WCAG 2.1, and the pairs that the design names.

Source: https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio
"""

from __future__ import annotations

from collections.abc import Iterator

from ui.theme import Token

TEXT = 4.5
MARK = 3.0
GROUNDS: tuple[Token, ...] = ("window", "sidebar", "surface", "raised", "sunken")
_STATES: tuple[Token, ...] = ("accenttext", "ok", "warn", "crit")
_ON_SOFT: tuple[tuple[Token, Token], ...] = (
    ("accentfg", "accent"),
    ("accenttext", "accentsoft"),
    ("text", "accentsoft"),
    ("text2", "accentsoft"),
    ("text3", "accentsoft"),
    ("ok", "oksoft"),
    ("warn", "warnsoft"),
    ("crit", "critsoft"),
    ("text", "oksoft"),
    ("text", "warnsoft"),
    ("text", "critsoft"),
    ("ledger_weights_text", "ledger_weights"),
    ("ledger_kv_text", "ledger_kv"),
    ("ledger_other_text", "ledger_other"),
    ("text3", "ledger_free"),
)


def _linear(part: int) -> float:
    share = part / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4


def luminance(color: str) -> float:
    """Relative luminance of ``#RRGGBB``."""
    red, green, blue = (_linear(int(color[i : i + 2], 16)) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio, 1 to 21."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def named_pairs() -> Iterator[tuple[Token, Token, float]]:
    """Foreground, ground and the least contrast, for every pair that the design promises."""
    texts: tuple[Token, ...] = ("text", "text2", "text3", *_STATES)
    for ground in GROUNDS:
        for token in texts:
            yield token, ground, TEXT
    for token, ground in _ON_SOFT:
        yield token, ground, TEXT
    grounds: tuple[Token, ...] = ("window", "surface", "raised")
    for ground in grounds:
        yield "control", ground, MARK
        yield "accent", ground, MARK
    series: tuple[Token, ...] = ("s1", "s2", "s3", "s4", "s5")
    for token in series:
        yield token, "surface", MARK
