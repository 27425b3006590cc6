"""What neighbours leave of a node: the shares of memory bandwidth, compute and cable that a setup still gets.

The one rule: 1 is all of it, so a prediction with `ALL` is the one of a setup that is alone. NaN is not known.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """Parts of a node's reachable figures, above 0 to 1; NaN: not known."""

    memory: float = 1.0
    compute: float = 1.0
    link: float = 1.0


ALL = Share()
