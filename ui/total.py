"""A sum over several of whom some may not tell: it says of how many it is.

The one rule: a part is never shown as the whole. It imports nothing heavy: the first frame needs it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from ui.text import Quantity, is_known


class Total(NamedTuple):
    """The sum of those that told, NaN when none did."""

    value: float = math.nan
    told: int = 0
    of: int = 0

    @property
    def is_partial(self) -> bool:
        """Whether some told and some did not."""
        return 0 < self.told < self.of

    @property
    def share_words(self) -> str:
        """ "3 of 4" where it is not of all."""
        return f"{self.told} of {self.of}" if self.is_partial else ""

    def words(self, figure: Quantity | str) -> str:
        """The figure as it may be said: "at least 40 tok/s" where it is not of all."""
        return f"at least {figure}" if self.is_partial else str(figure)


NO_TOTAL = Total()


def total_of(values: Iterable[float], of: int = 0) -> Total:
    """The sum of what is known. `of`: of how many it should be, where that is more than there are values."""
    found = list(values)
    known = [value for value in found if is_known(value)]
    return Total(sum(known) if known else math.nan, len(known), max(of, len(found)))
