"""A way on after a problem, as a value.

Rule: an offer that costs something says what.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Offer:
    """A way on: what is signalled, what the button says, and what it costs."""

    key: str
    title: str
    icon: str = ""
    cost: str = ""
    reason: str = ""
    """Why it cannot be taken; "" when it can."""


RETRY: Final = Offer("retry", "Retry", "refresh-cw")
CONTINUE: Final = Offer("continue", "Continue", "play")
