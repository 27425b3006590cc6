"""A sample: what one node measured at one moment, in the units of the metric table.

The one rule: what is missing is NaN, never 0, because an idle GPU and an unreadable one must not look alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

NAN = float("nan")
GAP_PERIODS = 2.5
"""Samples further apart than so many periods have a gap between them: in charts, sparklines and sums alike."""


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process that holds GPU memory; on a GB10 that is unified memory. `memory_bytes` is None when not told."""

    pid: int
    name: str
    memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class Sample:
    """Readings of a node. `t_ms`: Unix ms on this computer's clock, never going back within a boot of the node."""

    node_id: str
    t_ms: int
    sequence: int
    boot_id: str
    values: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """By key of the metric table; a key that was not measured is absent."""
    processes: tuple[GpuProcess, ...] = ()
    troubles: tuple[str, ...] = ()
    """What the probe could not read, in its own words. Untrusted text."""

    def value(self, key: str) -> float:
        """One reading, NaN when there is none."""
        return self.values.get(key, NAN)
