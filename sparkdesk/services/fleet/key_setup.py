"""Sets up a key for a node: makes a pair for this application and this node, and lets only its public half in there.

The one rule: either the node lets in by the new key alone, proven by a sign-in of its own, or nothing that the attempt
made is left behind, neither on the node nor here. What was there before it, a working key above all, is never touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from sparkdesk.core.cluster.node import NodeRecord, SignIn
from sparkdesk.core.errors import SparkDeskError, StepFailed
from sparkdesk.core.playbooks.keys import key_playbook, make_comment
from sparkdesk.core.ports import Connector, KeyFolder, Shell, Store
from sparkdesk.core.step import RunEnded, StepEnded, StepEvent, StepStarted
from sparkdesk.services.clock import Clock
from sparkdesk.services.ident import new_id
from sparkdesk.services.playbooks.runner import Runner

UNDO_TIMEOUT_S = 8.0


class KeySetUp:
    """One node's key. `say` gets a line of text for each thing that happens."""

    def __init__(
        self, *, keys: KeyFolder, connector: Connector, store: Store, clock: Clock, say: Callable[[str], None]
    ) -> None:
        self._keys = keys
        self._connector = connector
        self._store = store
        self._clock = clock
        self._say = say
        self._titles: dict[str, str] = {}
        self._run_id = ""
        self._made_for = ""
        """The node for which this attempt, and no earlier one, makes the pair."""
        self._runner: Runner | None = None

    async def install(
        self, record: NodeRecord, shell: Shell, *, computer: str, jump_password: str | None
    ) -> NodeRecord:
        """The record with its key, after the node let in by it. Raises SparkDeskError after undoing everything.

        Cancelling leaves the undoing to the caller (`undo`).
        """
        try:
            return await self._install(record, shell, computer, jump_password)
        except SparkDeskError:
            await self.undo()
            raise

    async def _install(self, record: NodeRecord, shell: Shell, computer: str, jump_password: str | None) -> NodeRecord:
        is_new = not await self._keys.has(record.id)
        self._made_for = record.id if is_new else ""
        own = await self._keys.make(record.id, comment=make_comment(computer))
        made = "made a key pair for this node" if is_new else "this node has a key pair already"
        self._say(f"{made}; its private half stays here: {own.path}")
        playbook = key_playbook(record.id, own.public_line)
        self._titles = {step.id: step.title for step in playbook.steps()}
        self._runner = Runner(shells=lambda _node_id: shell, store=self._store, clock=self._clock)
        self._run_id = new_id()
        ended = await self._runner.run(self._run_id, playbook, on_event=self._hear)
        if ended.result != "done":
            raise StepFailed(ended.message or "The key was not set up", remedy=ended.remedy or "Try again.")
        keyed = replace(record, key_path=own.path, sign_in=SignIn.KEY)
        self._say("signing in anew, with the new key alone")
        try:
            connection = await self._connector.connect(keyed, jump_password=jump_password)
        except SparkDeskError as error:
            raise StepFailed(
                "The key was added, but the node does not let in by it",
                remedy="See on the node which file its SSH server reads keys from (sudo sshd -T | grep -i "
                "authorizedkeysfile) and whether it allows keys; until then keep the password.",
                detail=f"{error.message}\n{error.detail}",
                node=record.name,
            ) from error
        await connection.close()
        self._say("the node lets in by the new key")
        return replace(keyed, sign_in=SignIn.AUTOMATIC, setup_runs=(*record.setup_runs, self._run_id))

    async def undo(self) -> None:
        """Take everything back, bounded; what cannot be taken back is said."""
        run_id, self._run_id = self._run_id, ""
        if self._runner is not None and run_id:
            self._say("taking the key off the node again")
            if not await self._undo_run(self._runner, run_id):
                self._say(
                    "the node does not answer: a line of SparkDesk may stand in its ~/.ssh/authorized_keys"
                    + ("; it opens nothing, for its private key is removed here" if self._made_for else "")
                )
        node_id, self._made_for = self._made_for, ""
        if node_id:
            await self._keys.remove(node_id)

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
