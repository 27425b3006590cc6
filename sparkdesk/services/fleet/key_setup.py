"""Sets up a key for a node: makes a pair for this application and this node, and lets only its public half in there.

The one rule: either the node lets in by the new key alone, proven by a sign-in of its own, or nothing that the attempt
made is left behind, neither on the node nor here. What was there before it, a working key above all, is never touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sparkdesk.core.cluster.node import NodeRecord, SignIn
from sparkdesk.core.errors import SparkDeskError, StepFailed
from sparkdesk.core.playbooks.keys import (
    READ_RIGHTS,
    FormerRights,
    describe_key_set_up,
    key_playbook,
    make_comment,
    read_rights,
)
from sparkdesk.core.ports import Connector, KeyFolder, Shell, Store
from sparkdesk.core.step import RunEnded, StepEnded, StepEvent, StepStarted
from sparkdesk.services.clock import Clock
from sparkdesk.services.fleet.key_attempt import KeyAttempt, KeyAttempts
from sparkdesk.services.ident import new_id
from sparkdesk.services.playbooks.runner import Runner

UNDO_TIMEOUT_S = 8.0


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """What a set-up does on one node, as it was shown before it began."""

    former: FormerRights = field(default_factory=FormerRights)
    stale: tuple[KeyAttempt, ...] = ()

    @property
    def stale_lines(self) -> tuple[str, ...]:
        """The public lines that go."""
        return tuple(dict.fromkeys(attempt.public_line for attempt in self.stale))

    def words(self, computer: str) -> str:
        """Every step and its exact lines, for a person."""
        return describe_key_set_up(make_comment(computer), self.former, self.stale_lines)


async def plan_key(record: NodeRecord, shell: Shell, store: Store) -> KeyPlan:
    """Look, reading only, at what the set-up finds on the node. Raises StoreError."""
    outcome = await shell.run(READ_RIGHTS, timeout_s=5.0, max_bytes=256)
    former = read_rights(outcome.stdout) if outcome.is_ok else FormerRights()
    return KeyPlan(former, await KeyAttempts(store).left_at(record))


class KeySetUp:
    """One node's key. `say` gets a line of text for each thing that happens."""

    def __init__(
        self, *, keys: KeyFolder, connector: Connector, store: Store, clock: Clock, say: Callable[[str], None]
    ) -> None:
        self._keys = keys
        self._connector = connector
        self._store = store
        self._attempts = KeyAttempts(store)
        self._clock = clock
        self._say = say
        self._titles: dict[str, str] = {}
        self._attempt: KeyAttempt | None = None
        """The note of what this attempt, and no earlier one, makes."""
        self._run_id = ""
        self._plan = KeyPlan()
        self._runner: Runner | None = None

    async def install(
        self, record: NodeRecord, shell: Shell, plan: KeyPlan, *, computer: str, jump_password: str | None
    ) -> NodeRecord:
        """The record with its key, after the node let in by it. Raises SparkDeskError after undoing everything.

        Cancelling leaves the undoing to the caller (`undo`); once the node is kept, `keep` ends the attempt.
        """
        self._plan = plan
        try:
            keyed = await self._install(record, shell, computer)
            await self._prove(keyed, jump_password)
        except SparkDeskError:
            await self.undo()
            raise
        return replace(keyed, sign_in=SignIn.AUTOMATIC, setup_runs=(*record.setup_runs, self._run_id))

    async def _install(self, record: NodeRecord, shell: Shell, computer: str) -> NodeRecord:
        run_id = new_id()
        is_new = not await self._keys.has(record.id)
        attempt = KeyAttempt(record.id, run_id, record.address, record.user, record.host_key)
        if is_new:
            self._attempt = attempt
            await self._attempts.note(attempt)
        own = await self._keys.make(record.id, comment=make_comment(computer))
        if is_new:
            self._attempt = replace(attempt, public_line=own.public_line, key_path=own.path)
            await self._attempts.note(self._attempt)
        made = "made a key pair for this node" if is_new else "this node has a key pair already"
        self._say(f"{made}; its private half stays here: {own.path}")
        stale = tuple(line for line in self._plan.stale_lines if line != own.public_line)
        playbook = key_playbook(record.id, own.public_line, former=self._plan.former, stale=stale)
        self._titles = {step.id: step.title for step in playbook.steps()}
        self._runner = Runner(shells=lambda _node_id: shell, store=self._store, clock=self._clock)
        self._run_id = run_id
        ended = await self._runner.run(run_id, playbook, on_event=self._hear)
        if ended.result != "done":
            raise self._explain(ended, record.name)
        return replace(record, key_path=own.path, sign_in=SignIn.KEY)

    def _explain(self, ended: RunEnded, node: str) -> StepFailed:
        """Why it was not done, as a sentence; what a command said stands in the details."""
        message, remedy = ended.message or "The key was not set up", ended.remedy or "Try again."
        for title in self._titles.values():
            said = message.removeprefix(f"{title}: ")
            if said == message:
                continue
            if not remedy.startswith("Read the details"):
                message = said  # a sentence of our own script
            else:
                return StepFailed(
                    f"The key was not set up: {node} did not do the step \u201c{title}\u201d",
                    remedy="The details say what the node answered. Mend the cause there, then try again.",
                    detail=said,
                    node=node,
                )
        return StepFailed(message, remedy=remedy, node=node)

    async def _prove(self, keyed: NodeRecord, jump_password: str | None) -> None:
        self._say("signing in anew, with the new key alone")
        try:
            connection = await self._connector.connect(keyed, jump_password=jump_password)
        except SparkDeskError as error:
            raise StepFailed(
                "The key was added, but the node does not let in by it",
                remedy="See on the node which file its SSH server reads keys from (sudo sshd -T | grep -i "
                "authorizedkeysfile) and whether it allows keys; until then keep the password.",
                detail=f"{error.message}\n{error.detail}",
                node=keyed.name,
            ) from error
        await connection.close()
        self._say("the node lets in by the new key")

    async def keep(self) -> None:
        """The node is kept with its key: nothing of the attempt is to be taken back any more. Raises StoreError."""
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            await self._attempts.end(attempt.node_id)
        for left in self._plan.stale:
            await self._attempts.end(left.node_id)

    async def undo(self) -> None:
        """Take back what this attempt made, bounded; what cannot be taken back is said. Never raises SparkDeskError."""
        run_id, self._run_id = self._run_id, ""
        attempt, self._attempt = self._attempt, None
        is_undone = True
        if self._runner is not None and run_id:
            self._say("taking the key off the node again")
            is_undone = await self._undo_run(self._runner, run_id)
        if not is_undone:
            self._say(
                "the node does not answer: a line of SparkDesk may stand in its ~/.ssh/authorized_keys"
                + ("; it opens nothing, for its private key is removed here" if attempt is not None else "")
            )
        if attempt is None:
            return
        try:
            await self._keys.remove(attempt.node_id)
            if is_undone:
                await self._attempts.end(attempt.node_id)
            else:
                await self._attempts.note(replace(attempt, is_told=True))
        except SparkDeskError as error:
            self._say(error.sentence())

    async def _undo_run(self, runner: Runner, run_id: str) -> bool:
        try:
            async with asyncio.timeout(UNDO_TIMEOUT_S):
                return (await runner.undo(run_id, on_event=self._hear)).result == "done"
        except (SparkDeskError, TimeoutError):
            return False

    def _hear(self, event: StepEvent) -> None:
        title = self._titles.get(getattr(event, "step_id", ""), "")
        match event:
            case StepStarted(part="apply" | "undo" as part):
                self._say(title if part == "apply" else f"undo: {title}")
            case StepEnded(result="unchanged"):
                self._say(f"{title}: nothing to do")
            case StepEnded(result="failed" | "unknown"):
                self._say(event.message)
            case RunEnded() | _:
                pass
