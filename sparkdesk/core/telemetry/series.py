"""What a chart draws: who was measured, the series of one quantity, and the gaps in it with their reason.

The one rule: a gap is said, never drawn over. Where nothing is known a series holds NaN, and a `Gap` says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

SourceKind: TypeAlias = Literal["node", "job", "server"]

Series: TypeAlias = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]
"""(times in Unix ms, ascending; values in the unit of the metric table's row before its scale, NaN where unknown)."""

Stretch: TypeAlias = tuple[int, int]
"""From and to, Unix ms."""


@dataclass(frozen=True, slots=True)
class ChartSource:
    """Somebody whose figures can be drawn. `id` is unique over all kinds."""

    id: str
    title: str
    kind: SourceKind


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of time (Unix ms) without figures, and why in a few words: "SparkDesk was closed"."""

    start_ms: int
    end_ms: int
    words: str
