"""Knows each node in detail: read when it becomes live, kept on this computer, so that it is there when a node is away.

The one rule: what is shown carries its time; a failed reading leaves what was known before as it was.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import replace

from sparkdesk.core.cluster.details import NodeDetails
from sparkdesk.core.errors import NodeError, StoreError
from sparkdesk.core.feed import Latest
from sparkdesk.core.ports import Connection, Shell, Store
from sparkdesk.core.probes.details import DETAILS, build_details
from sparkdesk.services.clock import Clock
from sparkdesk.services.fleet.reader import Reader

log = logging.getLogger(__name__)

KIND = "details"
SETTLE_S = 3.0
"""So long after a node became live, its telemetry and what runs on it go first."""
FRESH_S = 3600.0
"""A node that comes back within so long is not read again by itself."""
MAX_PARALLEL = 2
"""Nodes read at once: a reading costs a node's package list and this computer a channel."""


class DetailsReader:
    """Reads and keeps the details of nodes. `details` is the feed, by node id."""

    def __init__(self, *, reader: Reader, store: Store, clock: Clock, settle_s: float = SETTLE_S) -> None:
        self._reader = reader
        self._store = store
        self._clock = clock
        self._settle_s = settle_s
        self._gate = asyncio.Semaphore(MAX_PARALLEL)
        self.details: Latest[Mapping[str, NodeDetails]] = Latest({})

    async def load(self) -> None:
        """Take what was kept by an earlier run. Raises StoreError."""
        found = {}
        for node_id, data in (await self._store.documents(KIND)).items():
            try:
                found[node_id] = NodeDetails.from_json(json.loads(data))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                log.warning("details of %s are left out: %s", node_id, error)
        self.details.set({**found, **self.details.value})

    async def on_live(self, node_id: str, connection: Connection) -> None:
        """A hook of the inventory's: read a node that became live, unless that was done lately.

        A node that cannot be read is no event for a person who did not ask: it is logged.
        """
        await asyncio.sleep(self._settle_s)
        known = self.details.value.get(node_id)
        if known is not None and self._clock.now_ms() - known.t_ms <= FRESH_S * 1000:
            return
        try:
            await self._read(node_id, connection)
        except NodeError as error:
            log.info("details of %s: %s", node_id, error.sentence())

    async def refresh(self, node_id: str) -> NodeDetails:
        """Read the node now. Raises Unreachable, NodeBusy, CommandFailed; what was known stays then."""
        return await self._read(node_id, node_id)

    def move_times(self, moved_ms: int) -> None:
        """This computer's clock was set by so much: what was read keeps its age."""
        known = self.details.value.items()
        self.details.set({key: replace(found, t_ms=found.t_ms + moved_ms) for key, found in known})

    async def forget(self, node_id: str) -> None:
        """A node was removed. Raises StoreError."""
        self.details.set({key: value for key, value in self.details.value.items() if key != node_id})
        await self._store.remove_document(KIND, node_id)

    async def _read(self, node_id: str, where: str | Shell) -> NodeDetails:
        async with self._gate:
            answers = await self._reader.read(where, DETAILS.reads)
        found = build_details(node_id, answers, self._clock.now_ms())
        self.details.set({**self.details.value, node_id: found})
        try:
            await self._store.save_document(KIND, node_id, json.dumps(found.to_json()).encode())
        except StoreError as error:
            log.warning("details of %s are not kept: %s", node_id, error.sentence())
        return found
