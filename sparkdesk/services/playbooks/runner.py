"""Runs playbooks: the one place where SparkDesk changes a node. It knows no step by name.

For each step: check; if it passes there is nothing to do; else announce (durably), apply, verify, note the result. The
one rule: nothing is applied twice whose check passes, and nothing counts as done whose outcome is not known.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from sparkdesk.core.errors import PlanError, SparkDeskError, StepFailed
from sparkdesk.core.ports import Shell, Store
from sparkdesk.core.step import (
    Action,
    Confirm,
    Playbook,
    PutFile,
    Reconnect,
    Restore,
    RunEnded,
    Stage,
    Step,
    StepEnded,
    StepEvent,
    StepStarted,
    Wait,
)
from sparkdesk.services.clock import Clock
from sparkdesk.services.playbooks.action import NotBegun, OutcomeUnknown, Site, answers, perform
from sparkdesk.services.playbooks.journal import FINISHED, Journal, RunRecord, read_record

SETTLE_S = 30.0
"""How long a lost node is waited for, so that a check can decide what became of a step."""
CLEAN_UP_S = 5.0
_REPEATABLE = (PutFile, Wait, Confirm, Restore, Reconnect)
"""Actions that may be done again without harm: whole files, looks, questions."""

OnEvent = Callable[[StepEvent], None]


class Runner:
    """Runs, resumes and undoes playbooks. `confirm` asks the person; without it a Confirm fails."""

    def __init__(
        self,
        *,
        shells: Callable[[str], Shell],
        store: Store,
        clock: Clock,
        confirm: Callable[[str], Awaitable[bool]] | None = None,
        settle_s: float = SETTLE_S,
    ) -> None:
        self._shells = shells
        self._store = store
        self._clock = clock
        self._confirm = confirm
        self._settle_s = settle_s
        self._running: set[str] = set()

    async def run(self, run_id: str, playbook: Playbook, *, on_event: OnEvent) -> RunEnded:
        """Run from the start. Raises PlanError (two steps of one id) and StoreError; a step's failure is the result.

        Cancelling the calling task ends the run: it is journalled as cancelled before CancelledError flies on.
        """
        twice = [step_id for step_id, n in Counter(step.id for step in playbook.steps()).items() if n > 1]
        if twice:
            raise PlanError(f"The playbook has two steps called {twice[0]}", remedy="Make the plan again.")
        passage = self._passage(run_id, RunRecord(playbook), on_event)
        with self._only_once(run_id):
            await passage.journal.begin()
            return await passage.go(passage.run_stages)

    async def resume(self, run_id: str, *, on_event: OnEvent) -> RunEnded:
        """Carry on from the journal: finished steps are left alone, interrupted ones are decided by their check.

        Raises PlanError when the journal cannot be read, and StoreError.
        """
        passage = self._passage(run_id, await read_record(self._store, run_id), on_event)
        with self._only_once(run_id):
            await passage.journal.resume()
            return await passage.go(passage.run_stages)

    async def undo(self, run_id: str, *, on_event: OnEvent) -> RunEnded:
        """Undo every step that was begun, the last one first; goes on past a step that cannot be undone.

        Raises PlanError when the journal cannot be read, and StoreError.
        """
        passage = self._passage(run_id, await read_record(self._store, run_id), on_event)
        with self._only_once(run_id):
            await passage.journal.resume()
            return await passage.go(passage.undo_steps)

    async def begun_steps(self, run_id: str) -> tuple[Step, ...] | None:
        """The steps of a run of which something may stand on a node; None when its journal does not tell.

        Raises StoreError.
        """
        try:
            record = await read_record(self._store, run_id)
        except PlanError:
            return None
        return tuple(step for step in record.playbook.steps() if step.id in record.begun)

    def _passage(self, run_id: str, record: RunRecord, on_event: OnEvent) -> _Passage:
        journal = Journal(self._store, self._clock, run_id, record)

        def site(step: Step) -> Site:
            return Site(step, self._shells, self._clock, journal, on_event, self._confirm)

        return _Passage(journal, site, on_event, self._clock, self._settle_s)

    def _only_once(self, run_id: str) -> _Claim:
        return _Claim(self._running, run_id)


class _Claim:
    """Holds a run's id while it runs, so that two callers never run it side by side."""

    def __init__(self, running: set[str], run_id: str) -> None:
        self._running = running
        self._run_id = run_id

    def __enter__(self) -> None:
        if self._run_id in self._running:
            raise StepFailed("This playbook is running already", remedy="Wait for its end, or cancel it.")
        self._running.add(self._run_id)

    def __exit__(self, *_: object) -> None:
        self._running.discard(self._run_id)


class _Passage:
    """One passage through a playbook: forward or back."""

    def __init__(
        self, journal: Journal, site: Callable[[Step], Site], emit: OnEvent, clock: Clock, settle_s: float
    ) -> None:
        self.journal = journal
        self._site = site
        self._emit = emit
        self._clock = clock
        self._settle_s = settle_s
        self._failures: list[StepEnded] = []

    async def go(self, work: Callable[[], Awaitable[None]]) -> RunEnded:
        """Do the work, close the journal, tell the end."""
        try:
            await work()
        except asyncio.CancelledError:
            ended = RunEnded(self._clock.now_ms(), "cancelled", "Cancelled", "Start again to go on.")
            await self._bounded(self.journal.end("cancelled"))
            self._emit(ended)
            raise
        ended = self._sum_up()
        await self.journal.end(ended.result)
        self._emit(ended)
        return ended

    def _sum_up(self) -> RunEnded:
        now_ms = self._clock.now_ms()
        if not self._failures:
            return RunEnded(now_ms, "done")
        # What is known to have failed says more than what is not known.
        worst = next((end for end in self._failures if end.result == "failed"), self._failures[0])
        return RunEnded(now_ms, worst.result, worst.message, worst.remedy)

    # Forward --------------------------------------------------------------------------------------------------

    async def run_stages(self) -> None:
        """Every stage in order; a stage with a failure is the last."""
        for stage in self.journal.record.playbook.stages:
            await self._run_stage(stage)
            if self._failures:
                return

    async def _run_stage(self, stage: Stage) -> None:
        room = asyncio.Semaphore(stage.max_parallel)

        async def run(step: Step) -> None:
            async with room:
                await self._run_step(step)

        # gather, not a task group: when one step fails the others still come to their own end.
        ends = await asyncio.gather(*(run(step) for step in stage.steps), return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    async def _run_step(self, step: Step) -> None:
        if self.journal.record.results.get(step.id) in FINISHED:
            return
        await self._settle(step, self._attempt)

    async def _settle(self, step: Step, work: Callable[[Step], Awaitable[str]]) -> None:
        """Do the work on a step, and note how it ended, whatever happens."""
        try:
            result, message, remedy = await work(step), "", ""
        except asyncio.CancelledError:
            await self._bounded(self.journal.step_ended(step.id, "cancelled"))
            self._emit(StepEnded(step.id, self._clock.now_ms(), "cancelled", "Cancelled"))
            raise
        except StepFailed as error:
            result = "unknown" if isinstance(error, OutcomeUnknown) else "failed"
            message, remedy = error.message, error.remedy
        await self.journal.step_ended(step.id, result)
        ended = StepEnded(step.id, self._clock.now_ms(), result, message, remedy)
        if result in ("failed", "unknown"):
            self._failures.append(ended)
        self._emit(ended)

    async def _attempt(self, step: Step) -> str:
        record = self.journal.record
        was_begun = step.id in record.begun
        is_open = was_begun and record.results.get(step.id) != "failed"
        if step.check and await self._passes(step):
            if not was_begun:
                return "unchanged"
            await self._verify(step)
            return "done"
        if is_open and not step.check and not is_repeatable(step):
            raise OutcomeUnknown(
                f"{step.title}: it was begun before, and nothing tells what became of it",
                remedy="Look at the node, then undo this run or start it again.",
                node=step.node,
            )
        await self.journal.step_started(step.id, "apply")
        self._started(step, "apply")
        await self._apply(step)
        await self._verify(step)
        return "done"

    async def _apply(self, step: Step) -> None:
        try:
            await self._perform(step, step.apply)
        except OutcomeUnknown:
            if not (step.check or is_repeatable(step)) or not await self._node_is_back(step):
                raise
            if step.check:
                if not await self._passes(step):
                    raise
            else:
                await self._perform(step, step.apply)

    async def _verify(self, step: Step) -> None:
        if not step.verify:
            return
        self._started(step, "verify")
        try:
            await self._perform(step, step.verify)
        except OutcomeUnknown:
            if not await self._node_is_back(step):
                raise
            await self._perform(step, step.verify)

    async def _passes(self, step: Step) -> bool:
        """Whether the check passes. Raises OutcomeUnknown or NotBegun when that cannot be told."""
        self._started(step, "check")
        for is_last in (False, True):
            try:
                await self._perform(step, step.check)
                return True
            except (OutcomeUnknown, NotBegun):
                if is_last or not await self._node_is_back(step):
                    raise
            except StepFailed:
                return False
        return False

    async def _perform(self, step: Step, actions: tuple[Action, ...]) -> None:
        site = self._site(step)
        for action in actions:
            await perform(action, site)

    async def _node_is_back(self, step: Step) -> bool:
        """Wait for the step's node, bounded; whether it answers."""
        site = self._site(step)
        end_s = self._clock.monotonic_s() + self._settle_s
        while not await answers(site):
            if self._clock.monotonic_s() >= end_s:
                return False
            await asyncio.sleep(0.25)
        return True

    # Back -----------------------------------------------------------------------------------------------------

    async def undo_steps(self) -> None:
        """The undo of every step that was begun, last first."""
        record = self.journal.record
        for step in reversed(list(record.playbook.steps())):
            if step.id in record.begun and record.results.get(step.id) != "undone":
                await self._settle(step, self._undo)

    async def _undo(self, step: Step) -> str:
        await self.journal.step_started(step.id, "undo")
        self._started(step, "undo")
        await self._perform(step, step.undo)
        return "undone"

    # Both -----------------------------------------------------------------------------------------------------

    def _started(self, step: Step, part: str) -> None:
        self._emit(StepStarted(step.id, part, self._clock.now_ms()))

    async def _bounded(self, work: Awaitable[None]) -> None:
        """Clean-up while being cancelled: shielded from a second cancel, and never long."""
        try:
            async with asyncio.timeout(CLEAN_UP_S):
                await asyncio.shield(work)
        except (TimeoutError, SparkDeskError):
            pass  # the journal then ends without this entry, and a resume looks at the node


def is_repeatable(step: Step) -> bool:
    """Whether applying the step twice does no harm, so that an interrupted one may just be applied again."""
    return all(isinstance(action, _REPEATABLE) for action in step.apply)
