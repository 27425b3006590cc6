"""The locks of one run: a lease on each node of its playbook, renewed while it runs, let go at its end.

The one rule: no step begins on a node whose lease is not known to be ours. A lease that cannot be renewed because the
node is away is not lost; it is asked for again before the next step there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from sparkdesk.core.errors import NodeError, SparkDeskError, StepFailed
from sparkdesk.core.playbooks.lock import LockHolder, read_holder
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

AskBreak = Callable[[LockHolder], Awaitable[bool]]


class LockLost(StepFailed):
    """Somebody else holds the node's lock now; nothing more was begun there."""


@dataclass(frozen=True, slots=True)
class Locking:
    """How locks are taken: remote/lock.py's text, and who takes them (user@computer)."""

    program: bytes = b""
    owner: str = ""
    renew_s: float = RENEW_S
    unreleased: set[str] = field(default_factory=set)
    """Leases of ended runs of ours that a lost line kept us from letting go of: not to be asked about."""


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
        self._token = new_id()
        self._held: dict[str, float] = {}
        """Node -> when its lease was last known to be ours."""
        self._lost: dict[str, LockLost] = {}
        self.notes: list[str] = []
        """What a person should know of how the leases were got."""

    async def take(self) -> None:
        """Take all of them, in the order that everybody uses, or none. Raises LockLost (held, not broken), NotBegun.

        Cancelled half way it lets go of what it has.
        """
        if self._node_ids and not self._program:
            raise NotBegun("Nodes cannot be locked here, and this must not run without", remedy="Reinstall SparkDesk.")
        try:
            for node_id in self._node_ids:
                await self._take(node_id)
        except BaseException:
            await self.release()
            raise

    async def _take(self, node_id: str) -> None:
        theirs: tuple[str, ...] = ()
        while True:
            shell, answer = await self._call(node_id, "take", *self._words, *theirs)
            if answer.get("taken") is True:
                self._held[node_id] = self._clock.monotonic_s()
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
            return
        holder = read_holder(answer.get("holder"), node_id, shell.node)
        words = holder.words if holder is not None else "it was taken over while we were away"
        self._held.pop(node_id, None)
        self._lost[node_id] = LockLost(
            f"The lock on {shell.node} was broken: {words}",
            remedy="Nothing more was begun there. Ask them what they changed, then look at the node and go on or undo.",
            node=shell.node,
        )
        raise self._lost[node_id]

    async def release(self) -> None:
        """Let all go, bounded; one that cannot be let go of ends by itself."""
        held, self._held = tuple(self._held), {}
        await asyncio.gather(*(self._release(node_id) for node_id in held))

    async def _release(self, node_id: str) -> None:
        try:
            async with asyncio.timeout(RELEASE_TIMEOUT_S):
                await self._call(node_id, "release")
        except (SparkDeskError, TimeoutError) as error:
            self._unreleased.add(self._token)
            log.info("the lock on %s was not let go: %s", node_id, error)

    async def _call(self, node_id: str, verb: str, *words: str) -> tuple[Shell, dict[str, object]]:
        """Ask the node. Raises NotBegun: without an answer nothing may be changed there."""
        try:
            shell = self._shells(node_id)
            args = (verb, self._token, *words)
            return shell, await run_program(shell, self._program, args, timeout_s=CALL_TIMEOUT_S)
        except NodeError as error:
            raise NotBegun(
                f"The node's lock cannot be asked for: {error.message}",
                remedy=error.remedy,
                detail=error.detail,
                node=error.node,
            ) from error
