"""What is kept of the measurements over the end of the program, and the port through which it is.

The one rule: what is kept may be lost, and the program goes on without it; it is never waited for by a screen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from sparkdesk.core.telemetry.past import Means
from sparkdesk.core.telemetry.series import Stretch


@dataclass(frozen=True, slots=True)
class Kept:
    """What earlier runs left: means by source, when SparkDesk was closed (oldest first), and sums as JSON by id."""

    means: Mapping[str, Means] = field(default_factory=lambda: MappingProxyType({}))
    closed: tuple[Stretch, ...] = ()
    sums: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Batch:
    """What is kept at once: `t_ms` is now, by this computer's clock."""

    t_ms: int
    means: Sequence[tuple[str, Means]] = ()
    sums: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))


class HistoryShelf(Protocol):
    """The file of means. Every method raises StoreError."""

    @property
    def notice(self) -> str:
        """What a person should know about the file; "" when all is well."""
        ...

    async def open(self, now_ms: int, span_ms: int) -> Kept:
        """Open or begin the file; what it has of the last `span_ms`. A new run begins now."""
        ...

    async def write(self, batch: Batch) -> None:
        """Keep a batch, whole or not at all, and let go of what is too old or too much."""
        ...

    async def forget(self, source_id: str) -> None:
        """Let go of everything about a source."""
        ...

    async def close(self) -> None:
        """Close the file; safe to call twice."""
        ...
