"""A playbook as it runs, as a value for the dialog: each step's state, what was printed, how it ended. Pure.

The one rule: it is folded from the runner's own events; a step whose end is not known stays unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from sparkdesk.core.step import (
    Output,
    Playbook,
    Progress,
    RunEnded,
    StepEnded,
    StepEvent,
    StepStarted,
)

MAX_OUTPUT_CHARS: Final = 128 * 1024
RUNNING: Final = "running"


@dataclass(frozen=True, slots=True)
class StepShown:
    """A step: `state` is waiting, running, or what StepEnded says; `text` is its progress or its message."""

    state: str = "waiting"
    part: str = ""
    text: str = ""
    remedy: str = ""
    fraction: float | None = None


WAITING: Final = StepShown()


@dataclass(frozen=True, slots=True)
class RunShown:
    """A run: `result` is "" while it is under way, else done, failed, cancelled or unknown."""

    run_id: str
    playbook: Playbook
    steps: Mapping[str, StepShown] = field(default_factory=lambda: MappingProxyType({}))
    output: str = ""
    result: str = ""
    message: str = ""
    remedy: str = ""
    is_undo: bool = False
    """The run goes backwards now, or went: its result is that of the undo."""

    def step(self, step_id: str) -> StepShown:
        """How a step stands."""
        return self.steps.get(step_id, WAITING)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return bool(self.result)

    @property
    def done_count(self) -> int:
        """How many steps have ended well."""
        return sum(step.state in ("done", "unchanged") for step in self.steps.values())

    @property
    def can_undo(self) -> bool:
        """Whether there is something that was done and can be taken back."""
        if not self.is_over or self.is_undo:
            return False
        begun = {step_id for step_id, step in self.steps.items() if step.state in ("done", "failed", "unknown")}
        return any(step.undo and step.id in begun for step in self.playbook.steps())


def take_event(run: RunShown, event: StepEvent) -> RunShown:
    """The run after one more event."""
    if isinstance(event, RunEnded):
        return replace(run, result=event.result, message=event.message, remedy=event.remedy)
    if isinstance(event, Output):
        return replace(run, output=(run.output + _under_heading(run, event))[-MAX_OUTPUT_CHARS:])
    after = _step_after(run.step(event.step_id), event)
    steps = MappingProxyType({**run.steps, event.step_id: after})
    if isinstance(event, StepStarted) and event.part == "undo" and not run.is_undo:
        # What was over begins anew, backwards.
        return replace(run, steps=steps, is_undo=True, result="", message="", remedy="")
    return replace(run, steps=steps)


def _step_after(before: StepShown, event: StepStarted | Progress | StepEnded) -> StepShown:
    if isinstance(event, StepStarted):
        return StepShown(RUNNING, event.part)
    if isinstance(event, Progress):
        return replace(before, state=RUNNING, text=event.text, fraction=event.fraction)
    return StepShown(event.result, before.part, event.message, event.remedy)


def _under_heading(run: RunShown, event: Output) -> str:
    """What was printed, with the step's title above it where another step printed before."""
    said = event.text
    title = next((step.title for step in run.playbook.steps() if step.id == event.step_id), event.step_id)
    heading = f"# {title}\n"
    last = run.output.rfind("\n# ")
    open_heading = run.output[last + 1 :] if last >= 0 else run.output
    lead = "" if open_heading.startswith(heading) else ("\n" if run.output else "") + heading
    return f"{lead}{said}" if said.endswith("\n") else f"{lead}{said}\n"
