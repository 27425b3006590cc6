"""The locks of one run: a lease on each node of its playbook, renewed while it runs, let go at its end.

The one rule: nothing begins on a node whose lease is not known to be ours, nor while a command of an earlier holder
still runs there: the node itself looks, at the moment the command begins. A lease that cannot be renewed because the
node is away is not lost; it is asked for again before the next step there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sparkdesk.core.command import Command, Outcome
from sparkdesk.core.errors import NodeError, SparkDeskError, StepFailed
from sparkdesk.core.playbooks.lock import LockHolder, hold_command, is_not_begun, read_busy, read_file, read_holder
from sparkdesk.core.ports import Shell
from sparkdesk.services.clock import Clock
from sparkdesk.services.ident import new_id
from sparkdesk.services.playbooks.site import NotBegun
from sparkdesk.services.remote_program import run_program

log = logging.getLogger(__name__)

RENEW_S = 20.0
"""A third of the lease (remote/lock.py): two renewals may fail."""
CALL_TIMEOUT_S = 20.0
RELEASE_TIMEOUT_S = 4.0
BUSY_WAIT_S = 300.0
"""For a command of an earlier holder to end."""
BUSY_POLL_S = 1.0
BUSY_SAY_S = 10.0

AskBreak = Callable[[LockHolder], Awaitable[bool]]


class LockLost(StepFailed):
    """Somebody else holds the node's lock now; nothing more was begun there."""


@dataclass(frozen=True, slots=True)
class Locking:
    """How locks are taken: remote/lock.py's text, and who takes them (user@computer)."""

    program: bytes = b""
    owner: str = ""
    renew_s: float = RENEW_S
    busy_wait_s: float = BUSY_WAIT_S
    unreleased: set[str] = field(default_factory=set)
    """Leases of ended runs of ours that a lost line, or a kill, kept us from letting go of: not to be asked about."""


class Leases:
    """The leases of one run on these nodes, none where there are no nodes. `what` is the playbook's title."""

    def __init__(
        self,
        shells: Callable[[str], Shell],
        clock: Clock,
        locking: Locking,
        node_ids: Sequence[str],
        what: str,
        ask_break: AskBreak | None,
    ) -> None:
        self._shells = shells
        self._clock = clock
        self._program = locking.program
        self._unreleased = locking.unreleased
        self._words = (locking.owner[:200], what[:200])
        self._node_ids = sorted(set(node_ids))
        self._ask_break = ask_break
        self._renew_s = locking.renew_s
        self._busy_wait_s = locking.busy_wait_s
        self.token = new_id()
        """Names this run's leases."""
        self._held: dict[str, float] = {}
        """Node -> when its lease was last known to be ours."""
        self._asking = ""
        """The node that was asked for its lease and did not say yet what became of it."""
        self._files: dict[str, str] = {}
        """Node -> the file there that its commands hold."""
        self._busy: dict[str, tuple[LockHolder, ...]] = {}
        """Node -> the leases of others of which a command still runs there."""
        self._lost: dict[str, LockLost] = {}
        self.away: dict[str, NotBegun] = {}
        """Nodes that gave no lease and could be spared: nothing begins there."""
        self.notes: list[str] = []
        """What a person should know of how the leases were got."""

    async def take(self, say: Callable[[str], None], *, can_spare: bool = False) -> None:
        """Take all of them, in the order that everybody uses, or none; then wait until no other's command runs there.

        `say` hears what is waited for. `can_spare`: nodes that do not answer are left out, unless that is all of them.
        Raises LockLost (held, not broken; or still busy after a while), NotBegun. Cancelled half way it lets go of
        what it has.
        """
        if self._node_ids and not self._program:
            raise NotBegun("Nodes cannot be locked here, and this must not run without", remedy="Reinstall SparkDesk.")
        try:
            for node_id in self._node_ids:
                try:
                    await self._take(node_id)
                except NotBegun as error:
                    if not can_spare:
                        raise
                    self.spare(node_id, error)
            if self.away and not self._held:
                raise next(iter(self.away.values()))
            await self._wait_for_commands(say)
        except BaseException:
            if self._asking:  # it may have given its lease, or give it still
                self._unreleased.add(self.token)
                self._held.setdefault(self._asking, 0.0)
            await self.release()
            raise

    def spare(self, node_id: str, error: NotBegun) -> None:
        """Do without this node from now on."""
        if node_id not in self.away:
            self.away[node_id] = error
            self.notes.append(f"{error.node or node_id} could not be reached: nothing is taken back there")

    async def _take(self, node_id: str) -> None:
        theirs: tuple[str, ...] = ()
        while True:
            self._asking = node_id
            shell, answer = await self._call(node_id, "take", *self._words, *theirs)
            self._asking = ""
            if self._keep_answer(node_id, shell.node, answer):
                self._note_expired(answer.get("expired"), node_id, shell.node)
                return
            holder = read_holder(answer.get("holder"), node_id, shell.node)
            if holder is None:
                raise NotBegun(
                    f"{shell.node} gave no lock and did not say why", remedy="Try again in a moment.", node=shell.node
                )
            if holder.token not in self._unreleased:
                await self._ask(holder)
            theirs = (holder.token,)

    def _keep_answer(self, node_id: str, node: str, answer: Mapping[str, object]) -> bool:
        """Whether the lease was taken; when, by which file, and whose commands still run there."""
        file = read_file(answer)
        if answer.get("taken") is not True or not file:
            return False
        self._held[node_id] = self._clock.monotonic_s()
        self._files[node_id] = file
        self._busy[node_id] = read_busy(answer.get("busy"), node_id, node)
        return True

    async def _wait_for_commands(self, say: Callable[[str], None]) -> None:
        """Until no command of an earlier holder runs on these nodes. Raises LockLost, NotBegun."""
        start_s = said_s = self._clock.monotonic_s()
        for holders in self._busy.values():
            for holder in holders:
                say(f"{holder.busy_words}; waiting for its end")
        while busy := [node_id for node_id, holders in self._busy.items() if holders]:
            holder = self._busy[busy[0]][0]
            now_s = self._clock.monotonic_s()
            if now_s - start_s >= self._busy_wait_s:
                raise _still_busy(holder, now_s - start_s)
            if now_s - said_s >= BUSY_SAY_S:
                said_s = now_s
                say(f"{holder.busy_words}; waiting {now_s - start_s:.0f} s of at most {self._busy_wait_s:.0f} s")
            await asyncio.sleep(min(BUSY_POLL_S, self._busy_wait_s / 4))
            for node_id in tuple(self._busy):
                await self._look_again(node_id)

    async def _look_again(self, node_id: str) -> None:
        if not self._busy[node_id]:
            await self.assure(node_id, is_looking=False)
            return
        shell, answer = await self._call(node_id, "take", *self._words)
        if not self._keep_answer(node_id, shell.node, answer):
            raise self._lose(node_id, shell.node, answer)

    async def _ask(self, holder: LockHolder) -> None:
        if self._ask_break is None or not await self._ask_break(holder):
            raise LockLost(
                holder.words,
                remedy="Wait until that is done, or ask them. A lock that nobody renews ends after a minute.",
                node=holder.node,
            )
        self.notes.append(f"Broke the lock: {holder.words}")

    def _note_expired(self, expired: object, node_id: str, node: str) -> None:
        for row in expired[:8] if isinstance(expired, list) else ():
            holder = read_holder(row, node_id, node)
            if holder is not None:
                whose = holder.who or holder.account
                self.notes.append(f"Took over a lock on {node} that {whose} no longer renewed ({holder.what})")

    async def keep(self) -> None:
        """Renew them until cancelled; a node that is away is tried again at the next turn."""
        while True:
            await asyncio.sleep(self._renew_s)
            await asyncio.gather(*(self._try_renew(node_id) for node_id in tuple(self._held)))

    async def _try_renew(self, node_id: str) -> None:
        try:
            await self._renew(node_id)
        except SparkDeskError as error:
            log.info("lock: %s", error.sentence())

    async def assure(self, node_id: str, *, is_looking: bool) -> None:
        """Before something is done on the node: no lease of this run was lost, and the one there is ours.

        What only looks goes on while the node is away. Raises LockLost, and NotBegun where the node does not answer.
        """
        if node_id in self.away:
            raise self.away[node_id]
        for lost in self._lost.values():
            raise lost
        held_s = self._held.get(node_id)
        if held_s is not None and not is_looking and self._clock.monotonic_s() - held_s >= self._renew_s:
            await self._renew(node_id)

    async def _renew(self, node_id: str) -> None:
        if node_id in self._lost:
            return
        asked_s = self._clock.monotonic_s()
        shell, answer = await self._call(node_id, "renew", *self._words)
        if answer.get("held") is True:
            self._held[node_id] = asked_s
            self._files[node_id] = read_file(answer)
            return
        raise self._lose(node_id, shell.node, answer)

    def _lose(self, node_id: str, node: str, answer: Mapping[str, object]) -> LockLost:
        holder = read_holder(answer.get("holder"), node_id, node)
        words = holder.words if holder is not None else "it was taken over while we were away"
        self._held.pop(node_id, None)
        self._lost[node_id] = LockLost(
            f"The lock on {node} was broken: {words}",
            remedy="Nothing more was begun there. Ask them what they changed, then look at the node and go on or undo.",
            node=node,
        )
        return self._lost[node_id]

    async def hold(self, node_id: str, command: Command, run: Callable[[Command], Awaitable[Outcome]]) -> Outcome:
        """What became of the command, run as one that the node begins only under our lease, and that others wait for.

        Raises LockLost and NotBegun: it was not begun; and what `run` raises.
        """
        outcome = await run(hold_command(command, self._files.get(node_id, ""), self.token))
        if not is_not_begun(outcome, self.token):
            return outcome
        for lost in self._lost.values():
            raise lost
        await self._renew(node_id)  # after a restart the lease is ours again, by another file
        outcome = await run(hold_command(command, self._files[node_id], self.token))
        if is_not_begun(outcome, self.token):
            words = "The node's lock cannot be held"
            raise NotBegun(words, remedy="Try again in a moment.", detail=outcome.explain(), node=node_id)
        return outcome

    async def release(self) -> None:
        """Let all go, bounded; one that cannot be let go of ends by itself."""
        held, self._held = tuple(self._held), {}
        self._busy = {}
        await asyncio.gather(*(self._release(node_id) for node_id in held))

    async def _release(self, node_id: str) -> None:
        try:
            async with asyncio.timeout(RELEASE_TIMEOUT_S):
                await self._call(node_id, "release")
        except (SparkDeskError, TimeoutError) as error:
            self._unreleased.add(self.token)
            log.info("the lock on %s was not let go: %s", node_id, error)

    async def _call(self, node_id: str, verb: str, *words: str) -> tuple[Shell, dict[str, object]]:
        """Ask the node. Raises NotBegun: without an answer nothing may be changed there."""
        try:
            shell = self._shells(node_id)
            args = (verb, self.token, *words)
            return shell, await run_program(shell, self._program, args, timeout_s=CALL_TIMEOUT_S)
        except NodeError as error:
            raise NotBegun(
                f"The node's lock cannot be asked for: {error.message}",
                remedy=error.remedy,
                detail=error.detail,
                node=error.node,
            ) from error


def _still_busy(holder: LockHolder, waited_s: float) -> LockLost:
    look = f" on {holder.node}: sudo fuser -v {holder.file}" if holder.file else " on the node."
    return LockLost(
        f"{holder.busy_words}; it has not ended in {waited_s:.0f} s",
        remedy=f"Nothing was begun. Wait for its end and start again. If it hangs, look which program it is{look}",
        node=holder.node,
    )
