"""A bring-up as it stands now, as one value for the screen.

The one rule: folded from what was read and from the runner's own events; it says no more than they do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from sparkdesk.core.bringup.matrix import Matrix
from sparkdesk.core.bringup.plan import BringUpPlan
from sparkdesk.core.bringup.proof.measurement import Measurement
from sparkdesk.core.playbooks.run_view import RunView


class Phase(StrEnum):
    """Where a bring-up stands."""

    IDLE = "idle"
    READING = "reading"
    PLANNED = "planned"
    """Nothing was changed; the plan waits for a person."""
    RUNNING = "running"
    PAUSED = "paused"
    """A person held it between two steps."""
    PROVING = "proving"
    DONE = "done"
    FAILED = "failed"
    UNDOING = "undoing"
    UNDONE = "undone"
    INTERRUPTED = "interrupted"
    """An earlier SparkDesk ended in the middle of it: continue or undo."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A network that is tried on a node: it restores itself at `ends_ms` (Unix ms) unless it is kept."""

    node_id: str
    step_id: str
    ends_ms: int
    length_s: float
    question: str = ""
    """What a person must decide, because a check could not run; "" while SparkDesk decides by itself."""


@dataclass(frozen=True, slots=True)
class BringUpState:
    """How it stands. `matrix` is the plan's, with its cells as the run has them."""

    phase: Phase = Phase.IDLE
    node_ids: tuple[str, ...] = ()
    matrix: Matrix = field(default_factory=Matrix)
    plan: BringUpPlan | None = None
    run: RunView | None = None
    earlier: tuple[RunView, ...] = ()
    """Runs before that one of which something still stands on these nodes, newest first; undo of all takes them back
    too. Only what is to be taken back on these nodes counts as begun in them."""
    proof_run: RunView | None = None
    measurements: tuple[Measurement, ...] = ()
    proved_ms: int | None = None
    """When the measurements were over."""
    past_proof: str = ""
    """Why they tell of an earlier time, "before the undo"; "" while nothing has come to pass since."""
    trials: tuple[Trial, ...] = ()
    message: str = ""
    remedy: str = ""
    started_ms: int = 0
    ended_ms: int | None = None
    report_paths: tuple[str, ...] = ()
    """Where the report was saved, Markdown first."""
    chapters: frozenset[str] = frozenset()
    """The chapters that were asked for of the run; empty: all of them."""
    undo_words: tuple[str, ...] = ()
    """What nodes said while something was taken back there, for the person who wanted it: "spark-1: a copy is ...";
    plain lines. Empty where everything is simply as it was before."""
    is_wanted: bool = False
    """It stopped because a person wanted it to: nothing has gone wrong."""

    @property
    def undoable_count(self) -> int:
        """How many changes can be taken back still."""
        runs = (self.run, *self.earlier)
        return sum(len(run.undoable) for run in runs if run is not None)
