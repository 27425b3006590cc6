"""Looks at host keys before anything is trusted, and remembers for a minute what was seen.

The one rule: a server is looked at once a minute, whoever asks; a search that found one fetches its key in the same
visit, so that a person who chooses it at once need not wait.
"""

from __future__ import annotations

import logging

from sparkdesk.core.cluster.node import JumpHost
from sparkdesk.core.errors import NodeError, Unreachable
from sparkdesk.core.ports import Connector, Offer
from sparkdesk.services.clock import Clock
from sparkdesk.services.fleet.touch import REST_S, Server, Tell, Touches

log = logging.getLogger(__name__)

MAX_KEPT = 4096


class Looks:
    """What was seen, over the ledger of touches that a search shares."""

    def __init__(self, connector: Connector, touches: Touches, clock: Clock) -> None:
        self._connector = connector
        self._touches = touches
        self._clock = clock
        self._seen: dict[Server, tuple[float, Offer]] = {}

    async def look(
        self, address: str, port: int, jump: JumpHost | None, jump_password: str | None, tell: Tell
    ) -> Offer:
        """The host key there; within the minute the one that was seen, or, after a failure, when the minute is over.

        A key that changes meanwhile lets nobody in: the sign-in itself is checked against the one that was shown.
        Raises NodeError.
        """
        way = jump.host_key if jump is not None else ""
        known = self._find(address, port, way)
        if known is not None:
            return known
        await self._touches.rest(address, port, way, tell)
        self._touches.note(address, port, way)
        try:
            offer = await self._connector.look(address, port, jump=jump, jump_password=jump_password)
        except NodeError as error:
            was_met = not isinstance(error, Unreachable) or error.was_met
            if not was_met or (jump is not None and error.node == jump.title):
                self._touches.forget(address, port, way)
            raise
        self._keep(address, port, way, offer)
        return offer

    async def finish_visit(self, address: str, port: int) -> None:
        """The rest of a search's knock, which is in the ledger: fetch the key too. What fails is asked for later."""
        try:
            self._keep(address, port, "", await self._connector.look(address, port))
        except NodeError as error:
            log.info("host key of %s: %s", address, error.message)

    def note_refused(self, address: str, port: int, jump: JumpHost | None) -> None:
        """It shows another key than the one that was seen: that one is not offered again, and this was a touch."""
        way = jump.host_key if jump is not None else ""
        self._seen.pop((address, port, way), None)
        self._touches.note(address, port, way)

    def _find(self, address: str, port: int, way: str) -> Offer | None:
        now_s = self._clock.monotonic_s()
        self._seen = {each: seen for each, seen in self._seen.items() if now_s - seen[0] < REST_S}
        seen = self._seen.get((address, port, way))
        return seen[1] if seen is not None else None

    def _keep(self, address: str, port: int, way: str, offer: Offer) -> None:
        if len(self._seen) < MAX_KEPT:
            self._seen[address, port, way] = (self._clock.monotonic_s(), offer)
