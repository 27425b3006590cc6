"""The playbooks that were started from the screens: each as a value that follows it, with start, cancel, resume, undo.

The one rule: a run lives in its journal, not here. What an earlier process left unfinished is offered again, and none
of it is carried on before a person says so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from sparkdesk.core.errors import PlanError, SparkDeskError
from sparkdesk.core.feed import Latest
from sparkdesk.core.playbooks.run_view import INTERRUPTED, PAUSED, RunView, StepView, begin_again, take_event
from sparkdesk.core.ports import Store
from sparkdesk.core.step import Playbook, RunEnded, Step, StepEvent
from sparkdesk.services.clock import Clock
from sparkdesk.services.ident import new_id
from sparkdesk.services.playbooks.journal import RunRecord, let_go, read_record, set_aside
from sparkdesk.services.playbooks.passage import OnEvent
from sparkdesk.services.playbooks.runner import Asks, Decide, Runner
from sparkdesk.services.tasks import Tasks

log = logging.getLogger(__name__)

MAX_SHOWN = 64
"""Runs that are kept in the feed; the oldest that are over, and that nobody holds, go first."""

Go = Callable[[str, OnEvent], Awaitable[RunEnded]]


@dataclass(frozen=True, slots=True)
class Owner:
    """Whoever follows a run: hears every passage of it, and is asked what it asks, whoever carries it on."""

    hear: OnEvent
    decide: Decide | None = None
    """Instead of the usual dialog."""


class PlaybookRuns:
    """Runs playbooks as tasks and tells how they stand."""

    def __init__(self, *, tasks: Tasks, runner: Runner, store: Store, clock: Clock) -> None:
        self._tasks = tasks
        self._runner = runner
        self._store = store
        self._clock = clock
        self._waiting: dict[str, asyncio.Event] = {}
        self._ends: dict[str, RunEnded] = {}
        self._listeners: dict[str, OnEvent] = {}
        self._owners: dict[str, Owner] = {}
        self.runs: Latest[Mapping[str, RunView]] = Latest(MappingProxyType({}))
        self.on_step: list[Callable[[Step, StepEvent], None]] = []
        """Told every event of every run's steps, with the step."""
        self.holders: list[Callable[[str], bool]] = []
        """Each tells of a run, by its id, whether it stays in the feed, however many come after it."""

    async def load(self) -> None:
        """Offer what an earlier process left unfinished. Launches of jobs are not of these: the launcher sees to them.

        Raises StoreError.
        """
        jobs = {intent.job_id for intent in await self._store.job_intents()}
        for run_id in await self._store.unfinished_runs():
            if run_id not in jobs and run_id not in self.runs.value:
                try:
                    self._set(await self._read(run_id))
                except PlanError as error:
                    log.warning("run %s: %s", run_id, error.sentence())

    async def _read(self, run_id: str) -> RunView:
        """A run of an earlier process, or that is over. Raises PlanError and StoreError."""
        record = await read_record(self._store, run_id)
        self._runner.disown_leases(record)
        return view_of(run_id, record)

    async def history(self, limit: int = 50) -> tuple[RunView, ...]:
        """The last runs by their journals, newest first; those under way as they stand. Raises StoreError."""
        found = []
        for run_id in await self._store.recent_runs(limit):
            view = self.runs.value.get(run_id)
            try:
                found.append(view or view_of(run_id, await read_record(self._store, run_id)))
            except PlanError as error:
                log.warning("run %s: %s", run_id, error.sentence())
        return tuple(found)

    async def recall(self, run_id: str) -> RunView | None:
        """Show a run that is over again, so that it can be undone; None where its journal does not tell it.

        Raises StoreError.
        """
        if run_id not in self.runs.value:
            try:
                self._set(await self._read(run_id))
            except PlanError as error:
                log.warning("run %s: %s", run_id, error.sentence())
        return self.runs.value.get(run_id)

    def start(
        self,
        playbook: Playbook,
        *,
        on_event: OnEvent | None = None,
        owner: Owner | None = None,
        run_id: str = "",
        only: frozenset[str] | None = None,
    ) -> str:
        """Run it from the start, as a task; gives the run's id, a new one unless it is given. `on_event` hears it too.

        `only`: these steps; where others are left it ends as paused.
        """
        run_id = run_id or new_id()
        self._set(RunView(run_id, playbook, self._clock.now_ms()))
        if on_event is not None:
            self._listeners[run_id] = on_event
        if owner is not None:
            self._owners[run_id] = owner

        def go(run_id: str, hear: OnEvent) -> Awaitable[RunEnded]:
            return self._runner.run(run_id, playbook, on_event=hear, asks=self._asks(run_id), only=only)

        self._start(run_id, go)
        return run_id

    def resume(self, run_id: str, only: frozenset[str] | None = None) -> None:
        """Carry a run on that failed or was interrupted, or `only` these steps of it; nothing to do for one that is
        under way or done."""
        view = self._known(run_id)
        if view.can_resume:
            self._set(begin_again(view, is_undo=False))
            asks = self._asks(run_id)
            self._start(run_id, lambda run_id, hear: self._runner.resume(run_id, on_event=hear, asks=asks, only=only))

    def undo(self, run_id: str, only: frozenset[str] | None = None) -> None:
        """Take back what was begun, or `only` these steps of it; nothing to do while it is under way, or when nothing
        can be taken back."""
        view = self._known(run_id)
        if view.can_undo and (only is None or only & view.undoable):
            self._set(begin_again(view, is_undo=True))
            asks = self._asks(run_id)
            self._start(run_id, lambda run_id, hear: self._runner.undo(run_id, on_event=hear, asks=asks, only=only))

    def own(self, run_id: str, owner: Owner) -> None:
        """Whose the run is from now on."""
        self._owners[run_id] = owner

    @property
    def asks(self) -> Asks:
        """How runs without an owner ask the person."""
        return self._runner.asks

    def _asks(self, run_id: str) -> Asks:
        owner = self._owners.get(run_id)
        decide = owner.decide if owner is not None else None
        return self._runner.asks if decide is None else replace(self._runner.asks, decide=decide)

    def pause(self, run_id: str) -> None:
        """Begin no further step: the run is over as "paused" when what is under way has ended its step."""
        self._runner.pause(run_id)

    def roll_back(self, run_id: str, step_id: str) -> bool:
        """Cut a step short that is being applied, and take it back at once; the run is over when the others of its
        stage have ended. Whether there was such a step."""
        return self._runner.roll_back(run_id, step_id)

    def cancel(self, run_id: str) -> None:
        """End a run that is under way; what was done stands, and can be carried on or undone."""
        self._tasks.cancel(_task_name(run_id))

    async def set_aside(self, run_id: str) -> None:
        """Leave an interrupted or a paused run as it is: it is not offered again, but can still be undone.

        Raises StoreError.
        """
        view = self._known(run_id)
        if view.result in (INTERRUPTED, PAUSED):
            await set_aside(self._store, self._clock, run_id)
            self._set(replace(view, result="cancelled", message="Left as it was", ended_ms=self._clock.now_ms()))

    async def let_go(self, run_id: str, node_ids: Sequence[str]) -> None:
        """Leave what a run that is over did on these nodes as it is, for good: they are gone. Raises StoreError."""
        view = self._known(run_id)
        left = frozenset(step.id for step in view.playbook.steps() if step.node in node_ids and step.id in view.begun)
        if view.is_over and left:
            rest = replace(view, begun=view.begun - left, left=view.left | left)
            result = view.result if view.result != INTERRUPTED else "cancelled"
            result = result if rest.undoable or not view.is_undo else "done"
            await let_go(self._store, self._clock, run_id, left, result)
            self._set(replace(rest, result=result))

    async def wait(self, run_id: str) -> RunEnded:
        """Until a run is over; a caller that is cancelled does not end it. Raises PlanError (no such run)."""
        while not (view := self._known(run_id)).is_over:
            await self._waiting.setdefault(run_id, asyncio.Event()).wait()
        return RunEnded(view.ended_ms or self._clock.now_ms(), view.result, view.message, view.remedy)

    def _start(self, run_id: str, go: Go) -> None:
        task = self._tasks.start_exclusive(_task_name(run_id), self._run, run_id, go)
        if task is None:
            self._end(run_id)
        else:
            task.add_done_callback(lambda _: self._end(run_id))

    def _end(self, run_id: str) -> None:
        """Its task is over, so that it can be carried on or undone at once. One that never began told no end."""
        unbegun = RunEnded(self._clock.now_ms(), "cancelled", "Cancelled", "Start it again.")
        ended = self._ends.pop(run_id, unbegun)
        self._set(take_event(self._known(run_id), ended))
        self._tell(self._listeners.pop(run_id, None), ended)
        self._tell_owner(run_id, ended)
        self._waiting.pop(run_id, asyncio.Event()).set()

    async def _run(self, run_id: str, go: Go) -> None:
        try:
            await go(run_id, lambda event: self._hear(run_id, event))
        except SparkDeskError as error:  # the journal cannot be written or read
            self._hear(run_id, RunEnded(self._clock.now_ms(), "failed", error.message, error.remedy))
            raise

    def _hear(self, run_id: str, event: StepEvent) -> None:
        if isinstance(event, RunEnded):
            self._ends[run_id] = event
            return
        view = self._known(run_id)
        for step in view.playbook.steps():
            if step.id == event.step_id:
                for listener in self.on_step:
                    listener(step, event)
        self._set(take_event(view, event))
        self._tell(self._listeners.get(run_id), event)
        self._tell_owner(run_id, event)

    def _tell_owner(self, run_id: str, event: StepEvent) -> None:
        if run_id in self._owners:
            self._owners[run_id].hear(event)

    @staticmethod
    def _tell(listener: OnEvent | None, event: StepEvent) -> None:
        if listener is not None:
            listener(event)

    def _known(self, run_id: str) -> RunView:
        view = self.runs.value.get(run_id)
        if view is None:
            raise PlanError("This run is not known any more", remedy="Look at the history.")
        return view

    def _set(self, view: RunView) -> None:
        runs = {**self.runs.value, view.run_id: view}
        over = (run_id for run_id, old in runs.items() if old.is_over and run_id != view.run_id)
        free = [run_id for run_id in over if not any(is_held(run_id) for is_held in self.holders)]
        for run_id in free[: max(0, len(runs) - MAX_SHOWN)]:
            del runs[run_id]
            self._owners.pop(run_id, None)
        self.runs.set(MappingProxyType(runs))


def view_of(run_id: str, record: RunRecord) -> RunView:
    """A run as its journal tells it."""
    steps = {step_id: StepView(result) for step_id, result in record.results.items()}
    steps.update({step_id: StepView("unknown") for step_id in record.begun if step_id not in record.results})
    result = record.result or INTERRUPTED
    is_open = result == INTERRUPTED
    view = RunView(
        run_id=run_id,
        playbook=record.playbook,
        started_ms=record.started_ms,
        ended_ms=record.ended_ms,
        steps=MappingProxyType(steps),
        begun=frozenset(record.begun),
        left=frozenset(record.left),
        result=result,
        message=_open_words(record) if is_open else "",
        is_undo=record.is_undo,
    )
    ways = ["Carry it on"] * view.can_resume + ["undo it"] * view.can_undo + ["leave it as it is"]
    words = f"{', '.join(ways[:-1])}{',' * (len(ways) > 2)} or {ways[-1]}." if len(ways) > 1 else f"{ways[0]}."
    return replace(view, remedy=words[0].upper() + words[1:]) if is_open else view


def _open_words(record: RunRecord) -> str:
    return "It was paused, and SparkDesk ended then" if record.is_paused else "SparkDesk ended in the middle of this"


def _task_name(run_id: str) -> str:
    return f"playbook {run_id}"
