"""One passage through a playbook, forward or back: what is done at each step, and what is made of how it ends.

The one rule: nothing is applied twice whose check passes, and nothing counts as done whose outcome is not known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from sparkdesk.core.errors import SparkDeskError, StepFailed
from sparkdesk.core.playbooks.run_view import PAUSED
from sparkdesk.core.step import (
    Action,
    Confirm,
    Keep,
    Playbook,
    Progress,
    Push,
    PutFile,
    PutSecrets,
    Reconnect,
    Restore,
    RunEnded,
    SignInAnew,
    Stage,
    Step,
    StepEnded,
    StepEvent,
    StepStarted,
    Wait,
)
from sparkdesk.services.clock import Clock
from sparkdesk.services.playbooks.action import answers, perform
from sparkdesk.services.playbooks.file import note_left
from sparkdesk.services.playbooks.journal import FINISHED, Journal, RunRecord
from sparkdesk.services.playbooks.lease import Leases
from sparkdesk.services.playbooks.site import NotBegun, NotPermitted, OutcomeUnknown, Site

CLEAN_UP_S = 5.0
ROLL_BACK = "roll back"
"""The part of a step that is taken back while the run goes forward."""
_REPEATABLE = (PutFile, PutSecrets, Push, Wait, Confirm, Keep, Restore, Reconnect, SignInAnew)
"""Actions that may be done again without harm: whole files, looks, questions."""
_LOOKING = (Wait, Confirm, Keep, Reconnect, SignInAnew)
"""Actions that change nothing."""

OnEvent = Callable[[StepEvent], None]


def is_repeatable(step: Step) -> bool:
    """Whether applying the step twice does no harm, so that an interrupted one may just be applied again."""
    return all(isinstance(action, _REPEATABLE) for action in step.apply)


def steps_ahead(playbook: Playbook, results: Mapping[str, str], only: frozenset[str] | None) -> list[Step]:
    """The steps, or `only` those, that a passage forward still has to do."""
    return [
        step for step in playbook.steps() if results.get(step.id) not in FINISHED and (only is None or step.id in only)
    ]


def steps_back(record: RunRecord, only: frozenset[str] | None) -> list[Step]:
    """The steps, or `only` those, that a passage back takes back, in its order: the last one first."""
    return [
        step
        for step in reversed(list(record.playbook.steps()))
        if step.id in record.begun and record.results.get(step.id) != "undone" and (only is None or step.id in only)
    ]


class Passage:
    """One passage through a playbook: forward or back."""

    def __init__(
        self,
        journal: Journal,
        site: Callable[[Step], Site],
        emit: OnEvent,
        clock: Clock,
        settle_s: float,
        leases: Leases,
    ) -> None:
        self.journal = journal
        self._site = site
        self._emit = emit
        self._clock = clock
        self._settle_s = settle_s
        self._leases = leases
        self._is_paused = self._was_held = False
        self._under_way: dict[str, asyncio.Task[object]] = {}
        """Steps that are being applied, by their ids."""
        self._unwanted: set[str] = set()
        """Steps that a person wants back while they run."""
        self._failures: list[StepEnded] = []
        self._ended: RunEnded | None = None

    async def go(
        self, begin: Callable[[], Awaitable[None]], work: Callable[[], Awaitable[None]], *, can_spare: bool = False
    ) -> RunEnded:
        """Take the locks, do the work, close the journal, let the locks go, tell the end. `can_spare`: it is done on
        the other nodes where one does not answer."""
        try:
            await self._leases.take(
                lambda text: self._emit(Progress("", self._clock.now_ms(), text)), can_spare=can_spare
            )
        except StepFailed as error:
            refused = RunEnded(self._clock.now_ms(), "failed", error.message, error.remedy)
            self._emit(refused)
            return refused
        try:
            await begin()
            for note in self._leases.notes:
                await self.journal.note(note)
                self._emit(Progress("", self._clock.now_ms(), note))
            return await self._go(work)
        finally:
            await self._bounded(self._leases.release())
            if self._ended is not None:
                self._emit(self._ended)

    def pause(self) -> None:
        """What is under way ends its step; nothing new begins."""
        self._is_paused = True

    def roll_back(self, step_id: str) -> bool:
        """Cut a step that is being applied short and take it back at once; the others of its stage come to their end,
        and the run is over then. Whether there was such a step."""
        task = self._under_way.get(step_id)
        if task is None or step_id in self._unwanted:
            return False
        self._unwanted.add(step_id)
        task.cancel()
        return True

    async def _go(self, work: Callable[[], Awaitable[None]]) -> RunEnded:
        try:
            await self._keep_leases_during(work)
        except asyncio.CancelledError:
            self._ended = RunEnded(self._clock.now_ms(), "cancelled", "Cancelled", "Start again to go on.")
            await self._bounded(self.journal.end("cancelled"))
            raise
        ended = self._sum_up()
        await (self.journal.pause() if ended.result == PAUSED else self.journal.end(ended.result))
        self._ended = ended
        return ended

    async def _keep_leases_during(self, work: Callable[[], Awaitable[None]]) -> None:
        if not self.journal.record.playbook.needs_lock:
            await work()
            return
        failure: SparkDeskError | None = None
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(self._leases.keep())
            try:
                await work()
            except SparkDeskError as error:  # the journal cannot be written; as it is, not in a group
                failure = error
            finally:
                keeping.cancel()
        if failure is not None:
            raise failure

    def _sum_up(self) -> RunEnded:
        now_ms = self._clock.now_ms()
        if not self._failures and self._was_held:
            return RunEnded(now_ms, PAUSED, "Paused between two steps", "Carry it on, or undo it.")
        if not self._failures:
            return RunEnded(now_ms, "done")
        # What is known to have failed says more than what is not known.
        worst = next((end for end in self._failures if end.result == "failed"), self._failures[0])
        return RunEnded(now_ms, worst.result, worst.message, worst.remedy)

    # Forward --------------------------------------------------------------------------------------------------

    async def run_stages(self, only: frozenset[str] | None = None) -> None:
        """Every stage in order; a stage with a failure, or a pause, is the last. `only`: the others are left out."""
        for stage in self.journal.record.playbook.stages:
            steps = tuple(step for step in stage.steps if only is None or step.id in only)
            await self._run_stage(replace(stage, steps=steps))
            if self._failures or self._was_held:
                return
        results = self.journal.record.results
        self._was_held = any(results.get(step.id) not in FINISHED for step in self.journal.record.playbook.steps())

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
        if self._is_paused:
            self._was_held = True
            return
        await self._settle(step, self._attempt_or_roll_back)

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
        elif step.id in self._unwanted:
            words = f"{step.title}: rolled back"
            self._failures.append(replace(ended, result="cancelled", message=words, remedy="Start again to go on."))
        self._emit(ended)

    async def _attempt_or_roll_back(self, step: Step) -> str:
        task = asyncio.current_task()
        assert task is not None
        self._under_way[step.id] = task
        try:
            result = await self._attempt(step)
            if step.id not in self._unwanted:
                return result
        except asyncio.CancelledError:
            if step.id not in self._unwanted or task.uncancel() > 0:
                raise
        finally:
            del self._under_way[step.id]
        return await self._undo(step, ROLL_BACK) if step.id in self.journal.record.begun else "cancelled"

    async def _attempt(self, step: Step) -> str:
        await self._assure_lease(step)
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
        await self._assure_lease(step)
        await self.journal.step_started(step.id, "apply")
        self._started(step, "apply")
        try:
            await self._apply(step)
        except OutcomeUnknown:
            raise
        except StepFailed:
            await note_left(self._site(step))
            raise
        await note_left(self._site(step))
        await self._verify(step)
        return "done"

    async def _assure_lease(self, step: Step) -> None:
        is_looking = all(isinstance(action, _LOOKING) for action in step.apply)
        try:
            await self._leases.assure(step.node, is_looking=is_looking)
        except NotBegun:
            if not await self._node_is_back(step):
                raise
            await self._leases.assure(step.node, is_looking=is_looking)

    async def _apply(self, step: Step) -> None:
        try:
            await self._change(step, step.apply)
        except OutcomeUnknown:
            if not (step.check or is_repeatable(step)) or not await self._node_is_back(step):
                raise
            if step.check:
                if not await self._passes(step):
                    raise
            else:
                await self._change(step, step.apply)

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
            except NotPermitted:
                raise
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

    async def _change(self, step: Step, actions: tuple[Action, ...]) -> None:
        """Perform what changes the node: under its lock, where the playbook needs one."""
        site = self._site(step)
        playbook = self.journal.record.playbook
        if playbook.needs_lock and not playbook.only_measures:
            site = replace(site, hold=self._leases.hold)
        for number, action in enumerate(actions):
            if number and not isinstance(action, _LOOKING):
                await self._assure_lease(step)  # the one before may have taken long
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

    async def undo_steps(self, only: frozenset[str] | None = None) -> None:
        """The undo of every step that was begun, or of those that were chosen, last first."""
        for step in steps_back(self.journal.record, only):
            if self._is_paused:
                self._was_held = True
                return
            if step.undo and step.node in self._leases.away:
                self._leave(step, self._leases.away[step.node])
            else:
                await self._settle(step, self._undo_if_there)

    def _leave(self, step: Step, error: NotBegun) -> None:
        """Nothing was tried: its journal stays as it is, and a later undo takes it back."""
        left = _unreached(step, error)
        ended = StepEnded(step.id, self._clock.now_ms(), "unknown", left.message, left.remedy)
        self._failures.append(ended)
        self._emit(ended)

    async def _undo_if_there(self, step: Step) -> str:
        """Take it back; a node that is away, and does not come back, is waited for once only."""
        for is_last in (False, True):
            try:
                return await self._undo(step)
            except NotBegun as error:
                if is_last or not await self._node_is_back(step):
                    self._leases.spare(step.node, error)
                    raise _unreached(step, error) from error
        raise AssertionError

    async def _undo(self, step: Step, part: str = "undo") -> str:
        await self._assure_lease(step)
        await self.journal.step_started(step.id, part)
        self._started(step, part)
        await self._change(step, step.undo)
        return "undone"

    # Both -----------------------------------------------------------------------------------------------------

    def _started(self, step: Step, part: str) -> None:
        self._emit(StepStarted(step.id, part, self._clock.now_ms()))

    async def _bounded(self, work: Awaitable[None]) -> None:
        """Clean-up, perhaps while being cancelled: shielded from a second cancel, and never long."""
        try:
            async with asyncio.timeout(CLEAN_UP_S):
                await asyncio.shield(work)
        except (TimeoutError, SparkDeskError):
            pass  # the journal then ends without this entry, and a resume looks at the node


def _unreached(step: Step, error: NotBegun) -> OutcomeUnknown:
    """Its node could not be reached, so what the step did stands there."""
    why = error.__cause__.message if isinstance(error.__cause__, SparkDeskError) else error.message
    return OutcomeUnknown(
        f"{step.title}: not taken back, as {error.node or 'its node'} could not be reached: {why}",
        remedy=f"{error.remedy.rstrip('.')}. Then undo again: what is left is taken back.",
        detail=error.detail,
        node=error.node,
    )
