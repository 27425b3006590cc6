"""Which node has the least free unified memory, and when that is too little: one answer for all who say it.

The one rule: memory does not pool, so the least is what counts; nodes whose figures look alike on screen take turns by
their order, never by what nobody sees.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sparkdesk.core.telemetry.metric import METRICS
from sparkdesk.core.telemetry.sample import Sample

FREE = METRICS["mem_available_bytes"]
LOW_BYTES = FREE.limit.low if FREE.limit is not None else 0.0
"""Below this a node may freeze."""
_SHOWN_BYTES = 2**30 / 10
"""What a person reads is rounded so."""


class FreeMemory(NamedTuple):
    """What a program can still get on a node: free and page cache."""

    node_id: str
    free_bytes: float
    total_bytes: float

    @property
    def is_low(self) -> bool:
        """Whether it is below the limit of the metric table."""
        return FREE.is_good(self.free_bytes) is False


def read_free(samples: Iterable[tuple[str, Sample]]) -> tuple[FreeMemory, ...]:
    """Of those nodes that tell both figures, in their order."""
    found = (
        FreeMemory(node_id, sample.value("mem_available_bytes"), sample.value("mem_total_bytes"))
        for node_id, sample in samples
    )
    return tuple(one for one in found if one.free_bytes == one.free_bytes and one.total_bytes > 0)


def find_least(frees: Iterable[FreeMemory]) -> FreeMemory | None:
    """The least free; of those that look alike the first. None where nobody told."""
    return min(frees, key=lambda one: round(one.free_bytes / _SHOWN_BYTES), default=None)
