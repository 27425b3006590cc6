"""A launch plan: what will happen, before it happens. A value: shown, saved, compared, exported."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.fix import Fix
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.step import Playbook
from sparkdesk.core.telemetry.free_memory import LOW_BYTES

GIB = 1 << 30


class Severity(StrEnum):
    """How bad a problem is: an ERROR forbids the launch, a WARNING and a NOTE are shown."""

    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about a request: what, what to do, and the field of the form it belongs to ("" = the whole)."""

    severity: Severity
    message: str
    remedy: str
    field: str = ""
    fixes: tuple[Fix, ...] = ()
    """What of the remedy is a change of the request, the best first: offered, never made by itself."""
    ledgers: tuple[MemoryLedger, ...] = ()
    """The arithmetic of one that memory is too small for, where no plan can show it: what the launch would need."""


class Fit(StrEnum):
    """How a plan fits a node's unified memory. Source: DESIGN section 12 words, limits in GiB left."""

    FITS = "Fits"
    TIGHT = "Tight"
    RISKY = "Risky"
    TOO_BIG = "Too big"
    UNKNOWN = "Not known"


@dataclass(frozen=True, slots=True)
class MemoryLedger:
    """Unified memory of one node after the launch, in bytes. Parts sum to `total_bytes`; page cache is part of free.

    `None` is not known. `others_bytes` is what runs there already.
    """

    node_id: str
    total_bytes: int | None
    others_bytes: int | None
    weights_bytes: int | None
    kv_bytes: int | None
    runtime_bytes: int | None
    undivided_bytes: int | None = None
    """What weights and KV cache take together, when only their sum is known."""
    reserve_bytes: int = 0
    """What nobody else may have: the system's own where its use was not read, and what the engine's share of memory
    holds beyond its weights, KV cache and runtime."""
    floor_bytes: int = 0
    """Below so much available memory the guard on the node ends the newest server of ours; 0: it does not."""

    @property
    def free_bytes(self) -> int | None:
        """What is left; negative when the plan is too big; None when a part is not known."""
        model = (self.weights_bytes, self.kv_bytes) if self.undivided_bytes is None else (self.undivided_bytes,)
        parts = (self.total_bytes, self.others_bytes, self.runtime_bytes, *model)
        known = [part for part in parts if part is not None]
        return known[0] - sum(known[1:]) - self.reserve_bytes if len(known) == len(parts) else None

    @property
    def fit(self) -> Fit:
        """The word for what is left."""
        free = self.free_bytes
        if free is None:
            return Fit.UNKNOWN
        if free < 0:
            return Fit.TOO_BIG
        if free < LOW_BYTES:
            return Fit.RISKY
        if self.undivided_bytes is not None:
            return Fit.UNKNOWN  # the share leaves enough; whether the model fits into the share nobody knows
        return Fit.TIGHT if free < 12 * GIB else Fit.FITS


@dataclass(frozen=True, slots=True)
class ShownCommand:
    """What runs on a node, as a person reads it: one word group per line, secrets never in it."""

    node_id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """All of one launch: what runs, what it takes, where it answers, how it stops."""

    job_id: str
    request: LaunchRequest
    title: str
    playbook: Playbook
    stop: Playbook
    endpoint: Endpoint
    ledgers: tuple[MemoryLedger, ...]
    commands: tuple[ShownCommand, ...]
    notes: tuple[str, ...] = ()
