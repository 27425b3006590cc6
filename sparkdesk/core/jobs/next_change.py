"""The next change that would help a running server most: what, why, what it would bring and cost. Never applied by
itself: it is a proposal for a relaunch, which a person reads first.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NextChange:
    """One proposal. `change` holds fields of a LaunchRequest with their new values."""

    key: str
    title: str
    why: str
    """The readings that led to it, with their figures."""
    effect: str
    """What it is predicted to bring."""
    cost: str
    """What it costs: memory, a restart, quality."""
    change: tuple[tuple[str, object], ...]
