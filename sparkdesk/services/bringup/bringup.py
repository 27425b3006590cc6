"""A bring-up from the first look to the report: reads, plans, runs, proves, and takes back what a person wants back.

The one rule: what changes a node is a playbook's run, which lives in its journal; this only begins runs and follows
them, whoever carries them on, so that what it says is what they say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from sparkdesk.core.bringup.case import Choices
from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.bringup.fold import as_undone
from sparkdesk.core.bringup.late_proof import awaits_image, with_later_proof
from sparkdesk.core.bringup.matrix import Matrix
from sparkdesk.core.bringup.outcome import node_words
from sparkdesk.core.bringup.plan import BringUpPlan
from sparkdesk.core.bringup.state import BringUpState, Phase
from sparkdesk.core.bringup.undo_stake import UndoStake
from sparkdesk.core.errors import PlanError, SparkDeskError
from sparkdesk.core.playbooks.run_view import PAUSED, RunView
from sparkdesk.core.step import Progress, RunEnded, StepEvent, StepStarted
from sparkdesk.services.bringup import words as say
from sparkdesk.services.bringup.board import Board
from sparkdesk.services.bringup.course import Course, P
from sparkdesk.services.bringup.earlier import EarlierRuns
from sparkdesk.services.bringup.later_start import take_up
from sparkdesk.services.bringup.look import matrix_of, nodes_of, step_of, steps_of, unfinished
from sparkdesk.services.bringup.parts import BringUpParts
from sparkdesk.services.bringup.plan_reading import PlanReading
from sparkdesk.services.bringup.proof_course import ProofCourse, ProofInSight, clean_up, leave
from sparkdesk.services.bringup.report import Reports
from sparkdesk.services.bringup.shelf import BringUpShelf, KeptBringUp, keep_plan
from sparkdesk.services.bringup.taking_back import TakingBack, as_before
from sparkdesk.services.bringup.trials import Trials
from sparkdesk.services.ident import new_id
from sparkdesk.services.playbooks.runs import Owner

LOOK = "bring-up: look"
UNDER_WAY = (Phase.RUNNING, Phase.PROVING, Phase.UNDOING)
HALF_DONE = (Phase.PAUSED, Phase.INTERRUPTED)
NONE: Mapping[str, float] = {}
STOPPED = (*HALF_DONE, Phase.FAILED)


class BringUp:
    """The bring-up of the open cluster; one at a time."""

    def __init__(self, parts: BringUpParts) -> None:
        self._parts = parts
        self._shelf = BringUpShelf(parts.store)
        self._earlier = EarlierRuns(parts.runs, self._shelf)
        self._board = Board(parts.clock, self._fields)
        self._course = Course(parts.tasks, self._board.fail, self._end_course)
        self._back = TakingBack(parts, self._earlier, self._name)
        self._reports = Reports(parts, self._board)
        self._trials = Trials(parts.clock, self._board.show_soon)
        self._plan: BringUpPlan | None = None
        self._kept: KeptBringUp | None = None
        """Of the run that is followed."""
        self._run: RunView | None = None
        self._proof_run: RunView | None = None
        self._proof = ProofInSight()
        self._matrix_after: Matrix | None = None
        self._wanted_back: frozenset[str] = frozenset()
        self._reading = PlanReading(parts, self._tell_reading)
        self.state = self._board.state
        self.images = self._reading.images
        self._subscription = parts.runs.runs.subscribe(self._hear_runs)
        parts.runs.holders.append(self.owns)  # what can be taken back stays in sight

    # Looking ----------------------------------------------------------------------------------------------------

    async def look(self, node_ids: Sequence[str], choices: Choices = Choices()) -> None:  # noqa: B008 - a frozen value
        """Read these nodes and make the plan; nothing is changed."""
        if self.state.value.phase in (*UNDER_WAY, *HALF_DONE):
            self._board.refuse(*(say.UNDER_WAY if self.state.value.phase in UNDER_WAY else say.HALF_DONE))
            return
        task = self._parts.tasks.start_exclusive(LOOK, self._look, tuple(node_ids), choices)
        if task is not None:
            try:
                await asyncio.wait({task})
            finally:
                task.cancel()

    async def _look(self, node_ids: tuple[str, ...], choices: Choices) -> None:
        before = self.state.value
        if before.plan is None or set(before.node_ids) != set(node_ids):  # else what is shown stays until it is read
            self.state.set(BringUpState(Phase.READING, node_ids, run=before.run, earlier=before.earlier))
        else:
            self.state.set(replace(before, phase=Phase.READING, node_ids=node_ids, message="", remedy=""))
        plan: BringUpPlan | None = None
        try:
            plan = await self._reading.plan(node_ids, choices)
        finally:
            is_reading = self.state.value.phase is Phase.READING and self.state.value.node_ids == node_ids
            if plan is None and is_reading:
                self.state.set(replace(before, phase=Phase.IDLE if before.phase is Phase.READING else before.phase))
        if not is_reading:
            return  # what was begun meanwhile is what counts
        if self._kept is not None and not self._kept.is_over:
            await self._note_end()  # whoever looks anew does not go on with it; it can still be undone
        await self._earlier.find(node_ids)
        self._take_plan(plan)

    def _tell_reading(self, words: str) -> None:
        phase = self.state.value.phase
        if phase in (Phase.READING, Phase.PROVING) or (phase is Phase.RUNNING and self._run is None):
            self.state.set(replace(self.state.value, message=words, remedy=""))

    def _take_plan(self, plan: BringUpPlan) -> None:
        """Another plan is shown. The last run stays in sight, to be undone, where no step of the plan could be taken
        for one of its steps."""
        is_same = self._plan is not None and set(self._plan.node_ids) == set(plan.node_ids)
        self._proof.age("before this look") if is_same else self._proof.drop()
        self._plan, self._matrix_after, self._proof_run = plan, None, None
        if plan.change_count:
            self._run = self._kept = None
        self._back.words.clear()
        message, remedy = say.plan_words(plan)
        self._board.show(BringUpState(Phase.PLANNED, plan.node_ids, message=message, remedy=remedy))

    # Doing ------------------------------------------------------------------------------------------------------

    def start(self, chapters: frozenset[str] = frozenset()) -> None:
        """Apply the plan, or only these chapters of it; it is proved when all of it is done."""
        if chapters == {Chapter.PROOF.value}:
            self.prove()
        elif self.state.value.phase in (Phase.PAUSED, Phase.FAILED) and self._run and self._run.can_resume:
            self._go_on(chapters)
        elif self._plan is None or self.state.value.phase is not Phase.PLANNED:
            self._board.refuse("There is no plan to apply", say.LOOK_FIRST)
        elif self._plan.obstacles:
            self._board.refuse(self._plan.obstacles[0], say.MEND_FIRST)
        elif self._plan.change_count:
            self._begin(self._plan, chapters)
        else:
            self._prove_soon()

    def _begin(self, plan: BringUpPlan, chapters: frozenset[str]) -> None:
        now_ms = self._parts.clock.now_ms()
        self._kept, self._run = replace(keep_plan(new_id(), plan, now_ms), chapters=chapters), None
        self._matrix_after = self._proof_run = None
        self._proof.drop()
        self._back.words.clear()
        self._board.set(Phase.RUNNING, started_ms=now_ms, ended_ms=None, report_paths=())
        self._go(self._start_if_true, self._kept, plan)

    def _go(self, work: Callable[P, Awaitable[None]], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Do it as the one course of this bring-up. A look that is under way is left off."""
        self._parts.tasks.cancel(LOOK)
        self._course.go(work, *args, **kwargs)

    def _end_course(self, was_cut: bool) -> None:
        """Where neither it nor its run has told the end, that is told here: no phase may last for ever."""
        run, phase = self._run, self.state.value.phase
        if phase not in UNDER_WAY or (run is not None and not run.is_over):
            return
        if phase is Phase.RUNNING and run is None:
            self._kept = None  # no journal is there
            self._board.set(Phase.PLANNED, message=say.UNBEGUN, started_ms=0)
        else:
            self._board.fail(*say.cut_words(phase, self._words(run) if run else ""), is_wanted=was_cut)

    async def _start_if_true(self, kept: KeptBringUp, plan: BringUpPlan) -> None:
        """Run the plan if the nodes still are as they were when it was made; else show the one of how they are now."""
        now = None
        if self._reading.is_old:
            self._board.set(Phase.RUNNING, message=say.READING)
            now = await self._reading.changed(plan)
        if now is None:
            await self._start_run(kept, plan)
        else:
            self._kept = None
            self._take_plan(now)
            self._board.refuse(say.CHANGED, say.READ_AGAIN)

    async def _start_run(self, kept: KeptBringUp, plan: BringUpPlan) -> None:
        await self._shelf.save(kept)
        run_id, only = kept.run_id, steps_of(plan, kept.chapters)
        self._parts.runs.start(plan.playbook, owner=self._owner(), run_id=run_id, only=only)

    def _owner(self) -> Owner:
        return Owner(self._hear, self._trials.decide)

    def _go_on(self, chapters: frozenset[str]) -> None:
        assert self._kept is not None
        self._kept = replace(self._kept, chapters=chapters)
        self._back.words.clear()
        self._board.set(Phase.RUNNING, ended_ms=None, report_paths=())
        self._go(self._resume, self._kept)

    async def _resume(self, kept: KeptBringUp) -> None:
        """Carry the run on; one of which nothing was begun, as its nodes were not to be had, begins anew."""
        if self._plan is not None and not await self._parts.store.journal(kept.run_id):
            await self._start_run(kept, self._plan)
        else:
            await self._shelf.save(kept)
            self._parts.runs.resume(kept.run_id, steps_of(self._plan, kept.chapters))

    def pause(self) -> None:
        """Begin no further step; what is under way ends."""
        if self._kept is not None:
            self._parts.runs.pause(self._kept.run_id)

    def cancel(self) -> None:
        """End what is under way, at once; what was done stands."""
        self._parts.tasks.cancel(LOOK)
        under_way = [run for run in (self._run, self._proof_run) if run is not None and not run.is_over]
        for run in under_way:
            self._parts.runs.cancel(run.run_id)
        is_told = any(run is self._run or not run.is_undo for run in under_way)  # not by what a proof takes away first
        is_told |= self._earlier.cancel()
        if not is_told and self.state.value.phase in UNDER_WAY:
            self._course.cancel()

    def resume(self) -> None:
        """Carry on: the run where it stopped, or else the proof."""
        run = self._run
        is_done = run is None or (run.result == "done" and not run.is_undo)
        if self.state.value.phase not in STOPPED:
            self._board.refuse("There is nothing to go on with", say.WAIT_FIRST)
        elif self._kept is not None and run is not None and run.can_resume:
            self._go_on(unfinished(self._plan, run, self._kept.chapters))
        elif is_done and (self._plan is not None or run is not None):
            self._prove_soon()
        else:
            self._board.refuse("There is nothing to go on with", say.LOOK_FIRST)

    def undo(self, step_ids: frozenset[str] | None = None, told: Sequence[UndoStake] = ()) -> None:
        """Take back what was done, by this run and by those before it, or these steps of it with what rests on them.
        `told`: what of its cost stood before the person who wants it; what did not is asked first."""
        run, phase = self._run, self.state.value.phase
        own = self._back.part_of(run, step_ids)
        if phase in UNDER_WAY:
            self._board.refuse(*say.UNDER_WAY)
        elif own or self._back.has_earlier(run, step_ids) or (step_ids is None and phase in HALF_DONE):
            before = self.state.value
            self._board.set(Phase.UNDOING, ended_ms=None, report_paths=())
            self._go(self._undo_all, before, step_ids, told)

    async def _undo_all(self, before: BringUpState, step_ids: frozenset[str] | None, told: Sequence[UndoStake]) -> None:
        """Once a person accepts what it stops: the newest run first; what can be taken back is, the rest is told."""
        run, own = self._run, self._back.part_of(self._run, step_ids)
        if not await self._back.may_take(run, step_ids, told):
            self._board.show(as_before(before, self._plan))
            return
        self._matrix_after = None
        self._proof.age("before the undo")
        if run is not None and self._kept is not None and self._plan and self._plan.playbook != run.playbook:
            self._plan = self._kept.plan(run.playbook)  # its matrix is what is taken back
        self._back.words.clear()
        self._board.show(self.state.value)
        was_touched = any(run.begun or run.is_undo for run in (self._run, *self._earlier.views(self._run)) if run)
        await self._clean_up_proof()
        failed = await self._back.take(own, self._run, step_ids)
        if failed and own is not None and failed[0].run_id == own.run_id:
            self._tell_end(failed[0])
        elif failed:
            self._board.fail(say.earlier_words(failed[0]), failed[0].remedy)
            self._reports.save_soon()
        else:
            if self._run is not None and not self._run.undoable:
                await leave(self._parts.runs, self._run, self._kept)
            self._take_undone("" if was_touched else say.UNCHANGED)
            await self._read_undone()

    async def _read_undone(self) -> None:
        """What stands on the nodes now that this was taken back; where they do not answer, what the run knows."""
        plan, now = self._plan, None
        with suppress(SparkDeskError):
            now = await self._reading.plan(plan.node_ids, plan.choices, max_age_s=0.0) if plan is not None else None
        if now is not None and self.state.value.phase is Phase.UNDONE and self._plan is plan:
            self._matrix_after = as_undone(self._matrix(), now.matrix)
            self._board.show(self.state.value)
        self._reports.save_soon()

    async def _undo(self, run_id: str, step_ids: frozenset[str] | None) -> None:
        await self._clean_up_proof()
        self._parts.runs.undo(run_id, step_ids)

    def roll_back(self, node_id: str) -> None:
        """Take the network that is tried on a node back now."""
        if self._kept is not None:
            for step_id in self._trials.steps_of(node_id):
                self._wanted_back |= {step_id}
                self._parts.runs.roll_back(self._kept.run_id, step_id)

    def answer(self, node_id: str, is_yes: bool) -> None:
        """Keep what is tried on a node, or not: then it is taken back at once."""
        if is_yes:
            self._trials.answer(node_id)
        else:
            self.roll_back(node_id)

    # The run ----------------------------------------------------------------------------------------------------

    def owns(self, run_id: str) -> bool:
        """Whether the bring-up's page shows this run, so that no dialog need offer it."""
        is_own = self._kept is not None and run_id in (self._kept.run_id, self._kept.proof_run_id)
        return is_own or self._earlier.knows(run_id)

    def _hear(self, event: StepEvent) -> None:
        """An event of the run. What is of no step says what the whole of it waits for."""
        if isinstance(event, Progress) and not event.step_id:
            self._board.show(replace(self.state.value, message=event.text))
        elif not isinstance(event, RunEnded) and (step := step_of(self._run, event.step_id)) is not None:
            self._trials.hear(step, event)
            self._back.words.hear(step, event)
            if self.state.value.message and isinstance(event, StepStarted):
                self._board.show(replace(self.state.value, message=""))

    def _hear_runs(self, runs: Mapping[str, RunView]) -> None:
        kept = self._kept
        if kept is None:
            return
        proof = runs.get(kept.proof_run_id)
        if proof is not None and proof is not self._proof_run:
            self._proof_run = proof
            self._board.show_soon()
        run, before = runs.get(kept.run_id), self._run
        if run is None or run is before:
            return
        self._run = run
        if not run.is_over and (before is None or before.is_over):
            self._board.set(Phase.UNDOING if run.is_undo else Phase.RUNNING)
        elif run.is_over and before is not None and not before.is_over:
            self._end_run(run)
        else:
            self._board.show_soon()

    def _end_run(self, run: RunView) -> None:
        """A passage of the run is over, whoever began it."""
        left_s = {self._name(one): seconds for one, seconds in self._trials.end_all().items()}
        wanted, self._wanted_back = self._wanted_back, frozenset()
        if self._back.is_under_way:
            self._board.show_soon()
            return
        if (back := wanted & run.undoable) and not run.is_undo:  # its roll-back did not come to its end
            self._go(self._undo, run.run_id, back)
        if run.result == "done" and run.is_undo:
            self._take_undone()
            self._reports.save_soon()
        elif run.result == "done":
            self._prove_soon()
        else:
            self._tell_end(run, wanted, left_s)

    def _tell_end(self, run: RunView, wanted: frozenset[str] = frozenset(), left_s: Mapping[str, float] = NONE) -> None:
        """It ended before it was done; `wanted`: the steps that a person wanted back."""
        names = {self._name(step.node): None for step in run.playbook.steps() if step.id in wanted}
        words, remedy = say.end_words(run, self._words(run), tuple(names), left_s)
        phase = Phase.PAUSED if run.result == PAUSED else Phase.FAILED
        is_wanted = bool(wanted) or run.result == "cancelled"
        self._board.set(phase, message=words, remedy=remedy, ended_ms=run.ended_ms, is_wanted=is_wanted)
        if phase is Phase.FAILED and (run.begun or run.left):
            self._reports.save_soon()

    def _take_undone(self, said: str = "") -> None:
        """What was wanted back is; what still stands is said."""
        run = self._run
        words = self._words(run) if run is not None and run.undoable else said
        self._board.set(Phase.UNDONE, message=words, ended_ms=self._parts.clock.now_ms())
        if run is not None and not run.undoable:
            self._parts.tasks.start(self._note_end)

    def _words(self, run: RunView) -> str:
        """What became of each node."""
        return node_words(run, ids := self.state.value.node_ids, {node_id: self._name(node_id) for node_id in ids})

    def _name(self, node_id: str) -> str:
        names = self._plan.names if self._plan is not None else {}
        return names.get(node_id) or self._parts.inventory.name_of(node_id)

    # The proof --------------------------------------------------------------------------------------------------

    def prove(self) -> None:
        """Measure what stands now."""
        if self.state.value.phase in (*UNDER_WAY, *HALF_DONE):
            self._board.refuse("A bring-up is not over yet", say.WAIT_FIRST)
        elif self._plan is None:
            self._board.refuse("There is nothing to prove yet", say.LOOK_FIRST)
        else:
            self._prove_soon()

    def _prove_soon(self) -> None:
        self._board.set(Phase.PROVING, ended_ms=None, report_paths=())
        self._go(self._prove)

    async def _prove(self) -> None:
        await self._clean_up_proof()
        plan = self._plan or await self._reading.plan(self.state.value.node_ids, Choices())
        if awaits_image(plan):
            plan = with_later_proof(plan, await self._reading.plan(plan.node_ids, plan.choices))
            self._board.set(Phase.PROVING)
        if await self._measure(plan):
            await self._finish(plan)

    async def _measure(self, plan: BringUpPlan) -> bool:
        """Run the proof; whether it came to its end."""
        kept = self._kept or keep_plan(new_id(), plan, self._parts.clock.now_ms())
        kept = self._kept = replace(kept, proof_run_id=new_id())
        self._plan, self._proof_run = plan, None
        course = self._proof.begin(ProofCourse(plan, self._board.show_soon, self._tell_reading))
        if self._run is not None:
            await self._shelf.save(kept)
        ended = await course.run(self._parts.runs, kept.proof_run_id)
        self._proof.ended_ms = self._parts.clock.now_ms()
        if ended is None or ended.result == "done":
            return True
        await self._clean_up_proof()
        self._board.fail(*say.unproved_words(ended), is_wanted=ended.result == "cancelled")
        self._reports.save_soon()
        return False

    async def _clean_up_proof(self) -> None:
        if self._kept is not None:
            await clean_up(self._parts.runs, self._kept.proof_run_id)

    async def _finish(self, plan: BringUpPlan) -> None:
        """Read the nodes again, so that the matrix shows what is so now, and save the report."""
        after = await self._reading.plan(plan.node_ids, plan.choices, max_age_s=0.0)
        self._matrix_after = after.matrix
        left = f"{after.change_count} steps would change something still: look again." if after.change_count else ""
        await self._note_end()
        self._board.set(Phase.DONE, message=left, ended_ms=self._parts.clock.now_ms())
        self._reports.save_soon()

    async def _note_end(self) -> None:
        if self._kept is not None and self._run is not None:
            self._kept = replace(self._kept, is_over=True)
            await self._shelf.save(self._kept)

    async def save_report(self, folder: Path) -> None:
        """Save the report, Markdown and JSON, into this folder. Raises PlanError (no plan yet), SettingsError."""
        if self._plan is None:
            raise PlanError("There is nothing to report yet", remedy=say.LOOK_FIRST)
        await self._reports.save(folder)

    # A later start ----------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Take up the last bring-up of an earlier process; after `PlaybookRuns.load`. Raises StoreError."""
        left = await take_up(self._parts, self._shelf)
        if left is None:
            return
        kept, run = left.kept, left.run
        self._kept, self._run, self._plan = kept, run, left.plan
        await self._earlier.find(nodes_of(run))
        self._parts.runs.own(run.run_id, self._owner())
        proof_run = self._parts.runs.runs.value.get(kept.proof_run_id)
        node_ids = self._plan.node_ids if self._plan is not None else nodes_of(run)
        base = BringUpState(node_ids=node_ids, started_ms=kept.started_ms)
        self.state.set(base)
        if (start := say.start_words(run, kept.is_over, self._words(run))) is not None:
            self._proof_run = proof_run if run.result == "done" else None
            phase, message, remedy = start
            self._board.set(
                phase, message=message, remedy=remedy, ended_ms=run.ended_ms if phase is Phase.FAILED else None
            )
        else:  # it can still be undone
            self._plan = None
            self._board.show(replace(base, ended_ms=run.ended_ms))

    # What is shown ----------------------------------------------------------------------------------------------

    def _fields(self) -> dict[str, Any]:
        """What of the state follows from what this holds."""
        return {
            "plan": self._plan,
            "run": self._run,
            "earlier": self._earlier.views(self._run),
            "proof_run": self._proof_run,
            "matrix": self._matrix(),
            "measurements": self._proof.measurements,
            "proved_ms": self._proof.ended_ms,
            "past_proof": self._proof.past,
            "chapters": self._kept.chapters if self._kept is not None else frozenset(),
            "trials": self._trials.running,
            "undo_words": self._back.words.told,
        }

    def _matrix(self) -> Matrix:
        return self._matrix_after or matrix_of(self._plan, self.state.value.node_ids, self._run, self._proof_run)

    def move_times(self, moved_ms: int) -> None:
        """This computer's clock was set by so much."""
        self._trials.move_times(moved_ms)
        if self._trials.running:
            self._board.show_soon()

    def close(self) -> None:
        """Follow no more; what runs is ended by its own owner."""
        self._subscription.close()
        self._board.close()
