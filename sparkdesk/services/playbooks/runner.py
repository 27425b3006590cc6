"""Runs playbooks: the one place where SparkDesk changes a node. It knows no step by name.

For each step: check; if it passes there is nothing to do; else announce (durably), apply, verify, note the result. The
one rule: nothing is applied twice whose check passes, and nothing counts as done whose outcome is not known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial

from sparkdesk.core.errors import PlanError, StepFailed
from sparkdesk.core.ports import Shell, Store
from sparkdesk.core.step import Playbook, RunEnded, Step
from sparkdesk.services.clock import Clock
from sparkdesk.services.playbooks.journal import Journal, RunRecord, read_record
from sparkdesk.services.playbooks.lease import BUSY_WAIT_S, RENEW_S, AskBreak, Leases, Locking
from sparkdesk.services.playbooks.passage import OnEvent, Passage, steps_ahead, steps_back
from sparkdesk.services.playbooks.root import AskPassword, Root
from sparkdesk.services.playbooks.site import Site
from sparkdesk.services.playbooks.supply import Supplies

Decide = Callable[[Step, str], Awaitable[bool]]
"""Asks a person what a step's Wait could not tell."""

SETTLE_S = 30.0
"""How long a lost node is waited for, so that a check can decide what became of a step."""


@dataclass(frozen=True, slots=True)
class Asks:
    """How a run asks the person. Without `confirm` a Confirm fails, without `password` sudo gets none, and without
    `break_lock` a lock that somebody holds is left alone. `decide` is asked what a Wait could not tell, with its step;
    without it `confirm` is."""

    confirm: Callable[[str], Awaitable[bool]] | None = None
    password: AskPassword | None = None
    break_lock: AskBreak | None = None
    decide: Decide | None = None


class Runner:
    """Runs, resumes and undoes playbooks. `asks` is what a run uses that was given none of its own."""

    def __init__(  # noqa: PLR0913 - called once, where the program is put together
        self,
        *,
        shells: Callable[[str], Shell],
        store: Store,
        clock: Clock,
        confirm: Callable[[str], Awaitable[bool]] | None = None,
        ask_password: AskPassword | None = None,
        ask_break: AskBreak | None = None,
        lock_program: bytes = b"",
        owner: str = "",
        identify: Callable[[str], str] = lambda node_id: node_id,
        sign_in_anew: Callable[[str], Awaitable[None]] | None = None,
        settle_s: float = SETTLE_S,
        renew_s: float = RENEW_S,
        busy_wait_s: float = BUSY_WAIT_S,
        supplies: Supplies = Supplies(),  # noqa: B008 - a frozen value
    ) -> None:
        """`lock_program` is the text of remote/lock.py; `identify` names a node's host key and user, to which a
        password is bound; `owner` is user@computer, as whom locks are held; `sign_in_anew` closes our connection to a
        node and ends when a new one stands (`Inventory.sign_in_anew`); `busy_wait_s` is how long a command that
        outlived an earlier holder of the lock is waited for; `supplies` are what steps take from this computer."""
        self.asks = Asks(confirm, ask_password, ask_break)
        self._shells = shells
        self._store = store
        self._clock = clock
        self._locking = Locking(lock_program, owner, renew_s, busy_wait_s)
        self._identify = identify
        self._sign_in_anew = sign_in_anew
        self._settle_s = settle_s
        self._supplies = supplies
        self._running: dict[str, Passage | None] = {}

    async def run(
        self,
        run_id: str,
        playbook: Playbook,
        *,
        on_event: OnEvent,
        asks: Asks | None = None,
        only: frozenset[str] | None = None,
    ) -> RunEnded:
        """Run from the start. Raises PlanError (two steps of one id) and StoreError; a step's failure is the result.

        `only`: these steps; where others are left the run ends as paused, so that they can be done later. A lock that
        is held by somebody else is a failure too: nothing was begun then, and nothing is journalled. Cancelling the
        calling task ends the run: it is journalled as cancelled before CancelledError flies on.
        """
        twice = [step_id for step_id, n in Counter(step.id for step in playbook.steps()).items() if n > 1]
        if twice:
            raise PlanError(f"The playbook has two steps called {twice[0]}", remedy="Make the plan again.")
        with self._only_once(run_id):
            passage = self._passage(run_id, RunRecord(playbook), on_event, asks, steps_ahead(playbook, {}, only))
            return await passage.go(passage.journal.begin, partial(passage.run_stages, only))

    async def resume(
        self, run_id: str, *, on_event: OnEvent, asks: Asks | None = None, only: frozenset[str] | None = None
    ) -> RunEnded:
        """Carry on from the journal: finished steps are left alone, interrupted ones are decided by their check.

        `only` is as in `run`. Raises PlanError when the journal cannot be read, and StoreError.
        """
        with self._only_once(run_id):
            record = await read_record(self._store, run_id)
            ahead = steps_ahead(record.playbook, record.results, only)
            passage = self._passage(run_id, record, on_event, asks, ahead)
            return await passage.go(passage.journal.resume, partial(passage.run_stages, only))

    async def undo(
        self, run_id: str, *, on_event: OnEvent, asks: Asks | None = None, only: frozenset[str] | None = None
    ) -> RunEnded:
        """Undo every step that was begun, the last one first; goes on past a step that cannot be undone, and past a
        node that does not answer, whose steps stand and end as unknown.

        `only`: these steps; the rest stays done, and a later undo takes it back. Raises PlanError when the journal
        cannot be read, and StoreError.
        """
        with self._only_once(run_id):
            record = await read_record(self._store, run_id)
            back = [step for step in steps_back(record, only) if step.undo]
            passage = self._passage(run_id, record, on_event, asks, back)
            return await passage.go(passage.journal.resume, partial(passage.undo_steps, only), can_spare=True)

    def pause(self, run_id: str) -> None:
        """Begin no further step; the run ends as "paused" when what is under way has ended."""
        passage = self._running.get(run_id)
        if passage is not None:
            passage.pause()

    def roll_back(self, run_id: str, step_id: str) -> bool:
        """Cut a step short that is being applied, and take it back at once; whether there was such a step."""
        passage = self._running.get(run_id)
        return passage is not None and passage.roll_back(step_id)

    async def begun_steps(self, run_id: str) -> tuple[Step, ...] | None:
        """The steps of a run of which something may stand on a node; None when its journal does not tell.

        Raises StoreError.
        """
        try:
            record = await read_record(self._store, run_id)
        except PlanError:
            return None
        return tuple(step for step in record.playbook.steps() if step.id in record.begun)

    def disown_leases(self, record: RunRecord) -> None:
        """What a run held that is not under way here is nobody's any more: only one SparkDesk has this store. Who was
        killed could not let go of it, and the next run need not ask whether to break it."""
        self._locking.unreleased.update(record.leases)

    def _passage(
        self, run_id: str, record: RunRecord, on_event: OnEvent, asks: Asks | None, steps: Iterable[Step]
    ) -> Passage:
        """`steps`: those that it will carry out. Only their nodes are locked: one that needs nothing may be off."""
        asks = asks or self.asks
        journal = Journal(self._store, self._clock, run_id, record)
        root = Root(self._clock, asks.password, self._identify)
        playbook = record.playbook
        nodes = [step.node for step in steps] if playbook.needs_lock else []
        self.disown_leases(record)
        leases = Leases(self._shells, self._clock, self._locking, nodes, playbook.title, asks.break_lock)
        journal.lease = leases.token if nodes else ""

        def site(step: Step) -> Site:
            decide = asks.confirm if asks.decide is None else partial(asks.decide, step)
            return Site(
                step=step,
                shells=self._shells,
                clock=self._clock,
                journal=journal,
                emit=on_event,
                root=root,
                confirm=asks.confirm,
                decide=decide,
                sign_in_anew=self._sign_in_anew,
                supplies=self._supplies,
            )

        passage = Passage(journal, site, on_event, self._clock, self._settle_s, leases)
        self._running[run_id] = passage
        return passage

    def _only_once(self, run_id: str) -> _Claim:
        return _Claim(self._running, run_id)


class _Claim:
    """Holds a run's id while it runs, so that two callers never run it side by side."""

    def __init__(self, running: dict[str, Passage | None], run_id: str) -> None:
        self._running = running
        self._run_id = run_id

    def __enter__(self) -> None:
        if self._run_id in self._running:
            raise StepFailed("This playbook is running already", remedy="Wait for its end, or cancel it.")
        self._running[self._run_id] = None

    def __exit__(self, *_: object) -> None:
        self._running.pop(self._run_id, None)
