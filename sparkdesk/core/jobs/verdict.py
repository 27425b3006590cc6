"""A verdict on a server's speed: one fixed request, measured, held against what the plan predicted.

The one rule: no verdict without both figures; what was not measured or not predicted is said to be unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

PROMPT_TOKENS, ANSWER_TOKENS = 512, 128
"""The fixed request."""
FALL = 0.15
"""A later fall of more than this is a finding."""
TOO_QUICK = "Too quick to tell"
"""Begins the note of a verdict whose answer came in one burst."""


class Pace(StrEnum):
    """How measured and expected compare."""

    AS_EXPECTED = "as expected"
    FASTER = "faster than expected"
    SLOWER = "slower than expected"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why it may be slow. `evidence` is what was seen, in the words of its source."""

    key: str
    words: str
    evidence: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """One measured request. Rates in tokens a second, NaN where not known; the band is that of the plan."""

    pace: Pace
    measured_tok_s: float
    expected_tok_s: float
    low_tok_s: float
    high_tok_s: float
    ttft_s: float
    prompt_tokens: int
    answer_tokens: int
    at_ms: int
    causes: tuple[Cause, ...] = ()
    """The most likely one first."""
    note: str = ""
    """Why there is no verdict, or what must be said beside it (a simulated engine)."""
