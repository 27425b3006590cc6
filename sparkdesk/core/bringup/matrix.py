"""The matrix of a bring-up: checks by nodes. Each cell says in a few words how it stands, and with what evidence.

The one rule: a cell that could not be read is UNREAD, never a pass; one that the plan will change names its steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class CellState(StrEnum):
    """How a cell stands. The first four are what was read; the others follow the run."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    UNREAD = "unread"
    SKIPPED = "skipped"
    """Not asked for, or of no use here."""
    PLANNED = "planned"
    """Not as it should be; the plan changes it."""
    WAITING = "waiting"
    """The run has not come to it."""
    RUNNING = "running"
    DONE = "done"
    """Changed by this run, and verified."""
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Cell:
    """One check on one node. `text` has a few words on what is there ("7.5.0 · 580.159.03"); every text is plain and
    bounded."""

    state: CellState
    text: str
    evidence: str = ""
    """What was read: command and output, bounded."""
    remedy: str = ""
    """What to do; required for WARN, FAIL and UNREAD."""
    step_ids: tuple[str, ...] = ()
    """The steps of the plan that change it; the cell follows them while the plan runs."""
    then: str = ""
    """What will be there once they are done ("ed25519"); "" where nothing changes, or `text` says both."""


@dataclass(frozen=True, slots=True)
class Row:
    """One check over all nodes. `chapter` is the value of its Chapter."""

    id: str
    chapter: str
    title: str
    cells: Mapping[str, Cell] = field(default_factory=lambda: MappingProxyType({}))
    """By node id."""
    is_unverified: bool = False
    """It leans on an assumption of the table (core/probes/assumption_table.py)."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """All rows, in the order of the chapters; `node_ids` are the columns."""

    node_ids: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()

    def count(self, *states: CellState) -> int:
        """How many cells are in one of these states."""
        return sum(cell.state in states for row in self.rows for cell in row.cells.values())
