"""Set-ups of keys that are under way, written down before anything is made, so that a killed one can be cleared away.

The one rule: only what a note here says was made by an attempt is taken back, and never a pair that a kept node uses.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace

from sparkdesk.core.cluster.node import NodeRecord
from sparkdesk.core.errors import PlanError, SparkDeskError
from sparkdesk.core.ports import KeyFolder, Store
from sparkdesk.core.untrusted import Fields
from sparkdesk.services.clock import Clock
from sparkdesk.services.playbooks.journal import set_aside

log = logging.getLogger(__name__)

KIND = "key_set_up"


@dataclass(frozen=True, slots=True)
class KeyAttempt:
    """One set-up of a key: for which node, by which run, and what it may have left there."""

    node_id: str
    run_id: str
    address: str
    user: str
    host_key: str
    public_line: str = ""
    """What may stand in authorized_keys on the node; "" while nothing was sent."""
    key_path: str = ""
    is_told: bool = False
    """The pair is removed here and the person knows; kept so that the line is taken out when the node is added."""


class KeyAttempts:
    """The notes, in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def note(self, attempt: KeyAttempt) -> None:
        """Write an attempt down, or how it stands now. Raises StoreError."""
        await self._store.save_document(KIND, attempt.node_id, json.dumps(asdict(attempt)).encode())

    async def end(self, node_id: str) -> None:
        """The attempt left nothing, or its key belongs to a kept node. Raises StoreError."""
        await self._store.remove_document(KIND, node_id)

    async def left_at(self, record: NodeRecord) -> tuple[KeyAttempt, ...]:
        """What attempts before may have left with this user of this host key. Raises StoreError."""
        return tuple(
            attempt
            for attempt in await self._all()
            if attempt.is_told and (attempt.host_key, attempt.user) == (record.host_key, record.user)
        )

    async def clear_away(
        self, known: Iterable[NodeRecord], keys: KeyFolder, clock: Clock, say: Callable[[str, str], None]
    ) -> None:
        """Take back here what a killed program left of its attempts; `say` gets a title and words for each.

        Raises StoreError when the notes cannot be read.
        """
        paths = {(node.id, node.key_path) for node in known if node.key_path}
        unfinished = await self._store.unfinished_runs()
        for attempt in await self._all():
            try:
                if (attempt.node_id, attempt.key_path) in paths:
                    await self.end(attempt.node_id)
                elif not attempt.is_told:
                    await self._clear(attempt, keys, clock, say, is_open=attempt.run_id in unfinished)
            except SparkDeskError as error:  # a key that cannot be removed, a store that cannot be written
                say(error.message, error.remedy)

    async def _clear(
        self, attempt: KeyAttempt, keys: KeyFolder, clock: Clock, say: Callable[[str, str], None], *, is_open: bool
    ) -> None:
        await keys.remove(attempt.node_id)
        was_sent = bool(await self._store.journal(attempt.run_id))
        if is_open:
            await set_aside(self._store, clock, attempt.run_id)
        if not was_sent or not attempt.public_line:
            await self.end(attempt.node_id)
            return
        await self.note(replace(attempt, is_told=True))
        where, comment = f"{attempt.user}@{attempt.address}", attempt.public_line.split(" ", 2)[-1]
        say(
            f"Adding {where} was cut off while its key was set up",
            f"The private key is removed here. A line that ends in \u201c{comment}\u201d may stand in "
            f"~/.ssh/authorized_keys of {where}: it opens nothing any more. Take it out there, or add the machine "
            "again and set up a key: then it is replaced.",
        )

    async def _all(self) -> list[KeyAttempt]:
        found = []
        for document_id, data in (await self._store.documents(KIND)).items():
            try:
                found.append(_read(data))
            except (PlanError, ValueError, RecursionError):
                log.warning("the note of a key set-up cannot be read: %s", document_id)
        return found


def _read(data: bytes) -> KeyAttempt:
    """Raises PlanError, ValueError."""
    fields = Fields.of(json.loads(data), KIND)
    return KeyAttempt(
        node_id=fields.text("node_id"),
        run_id=fields.text("run_id"),
        address=fields.text("address"),
        user=fields.text("user"),
        host_key=fields.text("host_key"),
        public_line=fields.text("public_line"),
        key_path=fields.text("key_path"),
        is_told=fields.data.get("is_told") is True,
    )
