"""The dialog's view-model: a change before it runs, while it runs and afterwards.

The one rule: nothing runs before `confirm`; what is shown before is exactly what is handed on then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QObject, Signal

from sparkdesk.core.feed import Latest
from sparkdesk.core.playbooks.run_view import INTERRUPTED, PAUSED, RUNNING, WAITING, RunView, StepView
from sparkdesk.core.step import Playbook
from ui import text
from ui.bridge import watch
from ui.jobs.mark import Mark

STEP_MARKS: Final[dict[str, Mark]] = {
    WAITING: Mark("Not begun", "neutral", "circle-dashed"),
    RUNNING: Mark("Running", "accent", "loader"),
    "done": Mark("Done", "ok", "circle-check"),
    "unchanged": Mark("Nothing to do", "ok", "circle-check"),
    "failed": Mark("Failed", "crit", "octagon-alert"),
    "cancelled": Mark("Stopped", "neutral", "square"),
    "undone": Mark("Undone", "neutral", "undo-2"),
    "unknown": Mark("End not known", "warn", "circle-help"),
}
_ENDS: Final[dict[str, Mark]] = {
    "done": Mark("Done", "ok", "circle-check"),
    "failed": Mark("Failed", "crit", "octagon-alert"),
    "cancelled": Mark("Stopped", "neutral", "square"),
    "unknown": Mark("End not known", "warn", "circle-help"),
    PAUSED: Mark("Paused", "neutral", "pause"),
    INTERRUPTED: Mark("Interrupted", "warn", "triangle-alert"),
}
PARTS: Final = {
    "check": "looking",
    "apply": "doing",
    "verify": "checking",
    "undo": "taking back",
    "roll back": "taking back",
}


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change to be shown. `dying` are titles of jobs that end with it; `confirm` is the button's verb."""

    playbook: Playbook
    confirm: str = "Run it"
    lead: str = ""
    dying: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    is_danger: bool = False


@dataclass(frozen=True, slots=True)
class RunFeeds:
    """What the dialog reads and asks for, as `PlaybookRuns` gives it: `start` gives a run's id, the others take it."""

    runs: Latest[Mapping[str, RunView]]
    start: Callable[[Playbook], str]
    cancel: Callable[[str], None]
    undo: Callable[[str], None]
    resume: Callable[[str], None]
    set_aside: Callable[[str], None]
    """Leave an interrupted run as it is."""
    name_of: Callable[[str], str]
    """A node's id -> its name."""


class PlaybookModel(QObject):
    """One proposal and, once confirmed, its run. With `run_id` it is a run that was begun before."""

    changed = Signal()

    def __init__(self, proposal: Proposal, feeds: RunFeeds, *, run_id: str = "", parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.proposal = proposal
        self.feeds = feeds
        self.run_id = run_id
        self._shown: RunView | None = None
        watch(feeds.runs, self, self._take)

    def _take(self, runs: Mapping[str, RunView]) -> None:
        run = runs.get(self.run_id)
        if run is not None and run is not self._shown:
            self._shown = run
            self.changed.emit()

    def confirm(self) -> None:
        """Run it; a second call does nothing."""
        if not self.run_id:
            self.run_id = self.feeds.start(self.proposal.playbook)
            self._take(self.feeds.runs.value)
            self.changed.emit()

    def cancel(self) -> None:
        """Stop after what is under way."""
        if self.is_running():
            self.feeds.cancel(self.run_id)

    def undo(self) -> None:
        """Take back what was done."""
        if self._shown is not None and self._shown.can_undo:
            self.feeds.undo(self.run_id)

    def resume(self) -> None:
        """Carry on from where it ended."""
        if self._shown is not None and self._shown.can_resume:
            self.feeds.resume(self.run_id)

    def set_aside(self) -> None:
        """Leave an interrupted run as it is; it is not offered again."""
        if self.is_interrupted():
            self.feeds.set_aside(self.run_id)

    def is_interrupted(self) -> bool:
        """Whether an earlier SparkDesk ended in the middle of it."""
        return self._shown is not None and self._shown.result == INTERRUPTED

    def run(self) -> RunView | None:
        """The run, None before it was confirmed (or before the runner has told of it)."""
        return self._shown

    def is_running(self) -> bool:
        """Whether it is under way."""
        return bool(self.run_id) and (self._shown is None or not self._shown.is_over)

    def step(self, step_id: str) -> StepView:
        """How a step stands."""
        return self._shown.step(step_id) if self._shown is not None else StepView()

    def node_names(self) -> tuple[str, ...]:
        """The nodes that are changed, in order."""
        nodes = dict.fromkeys(step.node for step in self.proposal.playbook.steps())
        return tuple(text.one_line(self.feeds.name_of(node), 64) for node in nodes)

    def mark(self) -> Mark:
        """The chip beside the title."""
        run = self._shown
        if not self.run_id:
            return Mark("Nothing has run yet", "neutral", "eye")
        if run is None or not run.is_over:
            return Mark("Taking back" if run is not None and run.is_undo else "Running", "accent", "loader")
        if run.is_undo and run.result == "done":
            return Mark("Undone", "neutral", "undo-2")
        return _ENDS.get(run.result, _ENDS["unknown"])

    def progress_words(self) -> str:
        """ "2 of 5 steps done", with what is under way."""
        steps = list(self.proposal.playbook.steps())
        run = self._shown
        if run is None:
            return f"{len(steps)} {'step' if len(steps) == 1 else 'steps'}"
        now = [step.title for step in steps if run.step(step.id).state == RUNNING]
        said = f"{run.done_count} of {len(steps)} {'step' if len(steps) == 1 else 'steps'} done"
        return f"{said} · {text.one_line(now[0], 80)}" if now and not run.is_over else said

    def fraction(self) -> float:
        """How much of it has ended, 0..1; never 1 while it runs."""
        steps = list(self.proposal.playbook.steps())
        run = self._shown
        if run is None or not steps:
            return 0.0
        ended = sum(run.step(step.id).state not in (WAITING, RUNNING) for step in steps)
        part = sum(run.step(step.id).fraction or 0.0 for step in steps if run.step(step.id).state == RUNNING)
        share = min(1.0, (ended + part) / len(steps))
        return share if run.is_over else min(share, 0.99)
