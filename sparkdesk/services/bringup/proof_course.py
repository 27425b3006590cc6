"""One run of the proof: what its steps printed, and the measurements that come of it, each as soon as it can.

The one rule: an item is judged once all of its steps have ended, or when the run is over; what never ran is told so.
"""

from __future__ import annotations

from collections.abc import Callable

from sparkdesk.core.bringup.plan import BringUpPlan
from sparkdesk.core.bringup.proof.judge import judge_all
from sparkdesk.core.bringup.proof.measurement import Grade, Measurement
from sparkdesk.core.playbooks.run_view import INTERRUPTED, PAUSED, RunView
from sparkdesk.core.step import Output, Progress, RunEnded, StepEnded, StepEvent, StepStarted
from sparkdesk.services.bringup.shelf import KeptBringUp
from sparkdesk.services.playbooks.runs import Owner, PlaybookRuns

NOT_RUN = "It was not run:"
STOPPED = "the proof was stopped"
MAX_OUTPUT_CHARS = 64 * 1024
"""Of each step; the end is kept."""


class ProofCourse:
    """Runs the proof of a plan and collects what its steps print. `on_change`: there are other measurements; `tell`
    hears what the whole of it waits for, and "" once it does not."""

    def __init__(self, plan: BringUpPlan, on_change: Callable[[], None], tell: Callable[[str], None]) -> None:
        self._plan = plan
        self._on_change = on_change
        self._tell = tell
        self._is_told = False
        self._outputs: dict[str, str] = {}
        self._results: dict[str, str] = {}
        self.measurements: tuple[Measurement, ...] = ()
        """What is measured so far, in the order of the items."""
        self._judge()

    async def run(self, runs: PlaybookRuns, run_id: str) -> RunEnded | None:
        """Measure all; gives how it ended, None when nothing is to be run."""
        ended: RunEnded | None = None
        if self._plan.proof.stages:
            runs.start(self._plan.proof, owner=Owner(self._hear), run_id=run_id)
            ended = await runs.wait(run_id)
        self._judge(is_over=True)
        is_unbegun = ended is not None and not self._results
        if ended is not None and (ended.result == "cancelled" or is_unbegun):
            why = STOPPED if ended.result == "cancelled" else ended.message.rstrip(".")
            self.measurements = tuple(self._as_run(one, why) for one in self.measurements)
            self._on_change()
        return ended

    def _as_run(self, one: Measurement, why: str) -> Measurement:
        """What was not measured because a person stopped the proof, or it could not begin as its nodes' locks were not
        to be had, was left out; nothing is wrong with its node."""
        has_run = all(self._results.get(step_id) == "done" for step_id in one.item.step_ids)
        return one if has_run else Measurement(one.item, Grade.SKIPPED, message=f"{NOT_RUN} {why}.")

    def _hear(self, event: StepEvent) -> None:
        if isinstance(event, Progress) and not event.step_id:
            self._is_told = True
            self._tell(event.text)
        elif isinstance(event, StepStarted) and self._is_told:
            self._is_told = False
            self._tell("")
        elif isinstance(event, Output):
            text = f"{self._outputs.get(event.step_id, '')}{event.text}\n"
            self._outputs[event.step_id] = text[-MAX_OUTPUT_CHARS:]
        elif isinstance(event, StepEnded):
            self._results[event.step_id] = event.result
            self._judge()

    def _judge(self, *, is_over: bool = False) -> None:
        """All anew: what one item showed may explain another."""
        ended = self._results.keys()
        ready = [item for item in self._plan.proof_items if is_over or ended >= set(item.step_ids)]
        if is_over or len(ready) != len(self.measurements):
            self.measurements = judge_all(ready, self._outputs, self._results, self._plan.is_simulated)
            self._on_change()


class ProofInSight:
    """The measurements that a person sees, and why they may tell of an earlier time."""

    def __init__(self) -> None:
        self._course: ProofCourse | None = None
        self.ended_ms: int | None = None
        self.past = ""

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """What was measured last, whenever that was."""
        return self._course.measurements if self._course is not None else ()

    def begin(self, course: ProofCourse) -> ProofCourse:
        """From now on these are shown."""
        self._course, self.ended_ms, self.past = course, None, ""
        return course

    def age(self, why: str) -> None:
        """Something has come to pass since; the first that did is what is said."""
        self.past = self.past or (why if self.measurements else "")

    def drop(self) -> None:
        """They tell nothing any more."""
        self._course, self.ended_ms, self.past = None, None, ""


async def clean_up(runs: PlaybookRuns, run_id: str) -> None:
    """Take away what a proof that was cut short has left on nodes. Raises StoreError."""
    run = runs.runs.value.get(run_id)
    if run is None or not run.is_over or run.result == "done":
        return
    if run.can_undo:
        runs.undo(run_id)
        await runs.wait(run_id)
    elif run.result == INTERRUPTED:
        await runs.set_aside(run_id)


async def leave(runs: PlaybookRuns, run: RunView, kept: KeptBringUp | None) -> None:
    """Close the journals of a bring-up of which nothing is to be taken back any more, so that it is not offered again.

    Raises StoreError.
    """
    if kept is not None:
        await clean_up(runs, kept.proof_run_id)
    if run.result in (PAUSED, INTERRUPTED):
        await runs.set_aside(run.run_id)
