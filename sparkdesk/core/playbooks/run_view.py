"""A playbook as it runs, as a value for the screens: each step's state, what was printed, how it ended.

The one rule: it is folded from the runner's own events, or from the journal, and says no more than they do; what is not
known to have ended stays "running" or becomes "interrupted", never "done".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from sparkdesk.core.step import Output, Playbook, Progress, RunEnded, StepEnded, StepEvent, StepStarted

MAX_OUTPUT_CHARS = 128 * 1024
WAITING = "waiting"
RUNNING = "running"
INTERRUPTED = "interrupted"
"""The program ended in the middle of the run, which can be carried on or undone."""
PAUSED = "paused"
"""A person held it between two steps."""
_RESUMABLE = ("failed", "cancelled", "unknown", PAUSED, INTERRUPTED)


@dataclass(frozen=True, slots=True)
class StepView:
    """A step: `state` is waiting, running, or how it ended (StepEnded); `part` is what it does or did last."""

    state: str = WAITING
    part: str = ""
    text: str = ""
    """Its latest progress, or what it ended with."""
    remedy: str = ""
    fraction: float | None = None


@dataclass(frozen=True, slots=True)
class RunView:
    """A run. `result` is "" while it is under way, else done, failed, cancelled, unknown, paused or interrupted."""

    run_id: str
    playbook: Playbook
    started_ms: int = 0
    ended_ms: int | None = None
    steps: Mapping[str, StepView] = field(default_factory=lambda: MappingProxyType({}))
    begun: frozenset[str] = frozenset()
    """Steps of which something may stand on a node."""
    left: frozenset[str] = frozenset()
    """Steps on nodes that a person let go of: what they did stands there for good."""
    output: str = ""
    result: str = ""
    message: str = ""
    remedy: str = ""
    is_undo: bool = False
    """It goes, or went last, backwards; the result is that of the undo."""

    def step(self, step_id: str) -> StepView:
        """How a step stands."""
        return self.steps.get(step_id, StepView())

    @property
    def is_over(self) -> bool:
        """Whether nothing is under way."""
        return bool(self.result)

    @property
    def done_count(self) -> int:
        """How many steps ended well."""
        return sum(step.state in ("done", "unchanged") for step in self.steps.values())

    @property
    def undoable(self) -> frozenset[str]:
        """The steps that were begun and whose undo takes something back; those that were undone are not of them."""
        return frozenset(step.id for step in self.playbook.steps() if step.undo and step.id in self.begun)

    @property
    def can_undo(self) -> bool:
        """Whether something was begun that a step's undo takes back."""
        return self.is_over and bool(self.undoable)

    @property
    def is_all_back(self) -> bool:
        """Whether it went backwards and nothing of it stands, though nobody may have written that it is over."""
        return self.is_undo and not self.undoable

    @property
    def can_resume(self) -> bool:
        """Whether it can be carried on from where it ended: forwards only, and not once something was taken back."""
        is_back = self.is_undo and any(step.state == "undone" for step in self.steps.values())
        return self.result in _RESUMABLE and not is_back


def take_event(run: RunView, event: StepEvent) -> RunView:
    """The run after one more event."""
    match event:
        case RunEnded(t_ms, result, message, remedy):
            return replace(run, ended_ms=t_ms, result=result, message=message, remedy=remedy)
        case Output():
            return replace(run, output=_add_output(run, event.step_id, event.text))
        case Progress(step_id=""):
            return replace(run, output=_add_output(run, "", event.text))
        case Progress(step_id, _, text, fraction):
            return _set_step(run, step_id, replace(run.step(step_id), state=RUNNING, text=text, fraction=fraction))
        case StepStarted(step_id, part):
            begun = run.begun | {step_id} if part == "apply" else run.begun
            is_undo = part == "undo"
            return replace(_set_step(run, step_id, StepView(RUNNING, part)), begun=begun, is_undo=is_undo)
        case StepEnded(step_id, _, result, message, remedy):
            begun = run.begun - {step_id} if result == "undone" else run.begun
            after = StepView(result, run.step(step_id).part, message, remedy)
            return replace(_set_step(run, step_id, after), begun=begun)


def begin_again(run: RunView, *, is_undo: bool) -> RunView:
    """The run while it is carried on, or taken back: under way, with nothing said yet."""
    return replace(run, ended_ms=None, result="", message="", remedy="", is_undo=is_undo)


def _set_step(run: RunView, step_id: str, step: StepView) -> RunView:
    return replace(run, steps=MappingProxyType({**run.steps, step_id: step}))


def _add_output(run: RunView, step_id: str, text: str) -> str:
    """What was printed, each step's under its title."""
    title = next((step.title for step in run.playbook.steps() if step.id == step_id), "")
    heading = f"# {title}\n" if title else ""
    last = run.output.rpartition("\n# ")[2] if "\n# " in run.output else run.output.removeprefix("# ")
    is_same = bool(heading) and last.startswith(f"{title}\n")
    gap = "\n" if run.output and not is_same and heading else ""
    return f"{run.output}{gap}{'' if is_same else heading}{text.rstrip()}\n"[-MAX_OUTPUT_CHARS:]
