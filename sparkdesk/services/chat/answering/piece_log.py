"""What comes of an answer, kept before it is shown.

The one rule: an event goes on to the screen only after its text was handed to the store. So the end of the program,
however hard, loses nothing that a person has seen. Pieces are added, never rewritten: a token costs the same at the
end of a long answer as at its beginning.

When the store fails, the answer goes on, on the screen alone, and whoever owns it is told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from sparkdesk.core.chat.event import ChatEvent
from sparkdesk.core.chat.session import Turn
from sparkdesk.core.chat.store.session_json import add_pieces, piece_to_json, turn_from_json, turn_to_json
from sparkdesk.core.errors import StoreError
from sparkdesk.core.ports import Store

log = logging.getLogger(__name__)

PACE_S = 0.016
"""Between two pieces: a frame. The first one after a pause does not wait."""
SYNC_EVERY_S = 2.0
"""At least so often a piece is written through to the disk itself, against a power cut."""
KEEP_TIMEOUT_S = 5.0


class PieceLog:
    """Keeps and then shows the events of one answer, in order."""

    def __init__(
        self,
        session_id: str,
        base: Turn,
        *,
        store: Store,
        show: Callable[[ChatEvent], None],
        fail: Callable[[StoreError], None],
    ) -> None:
        """`base` is the turn that the pieces are added to. `fail` is called once, when keeping failed."""
        self._session_id = session_id
        self.base = base
        self._store = store
        self._show = show
        self._fail = fail
        self._waiting: list[ChatEvent] = []
        self._wake = asyncio.Event()
        self._lock = asyncio.Lock()
        self._begun: Turn | None = None
        """What of `base` is kept."""
        self._is_kept = True
        self._synced_s = 0.0

    def begin(self, base: Turn) -> None:
        """Another base, until the first event is added: more is known of the answer now."""
        self.base = base
        self._wake.set()

    def add(self, event: ChatEvent) -> None:
        """Take the next event; it is kept and shown soon."""
        self._waiting.append(event)
        self._wake.set()

    async def run(self) -> None:
        """Keep the base, then keep and show what is added, until cancelled."""
        self._wake.set()
        loop, due_s = asyncio.get_running_loop(), 0.0
        while True:
            await self._wake.wait()
            self._wake.clear()
            async with self._lock:
                await self._begin()
            if self._waiting:
                # A client that gives on what came in steps has rested already: to rest again would wake us for nothing.
                left_s = due_s - loop.time()
                if left_s > 0:
                    await asyncio.sleep(left_s)
                due_s = loop.time() + PACE_S
                await self.flush()

    async def flush(self) -> None:
        """Keep and show all that was added so far. Never raises for what the store cannot do."""
        async with self._lock:
            batch, self._waiting = self._waiting, []
            if not batch:
                return
            # Cancelled on the way, it shows nothing: that nobody has seen yet may be lost, what was seen never.
            await self._keep(batch)
            for event in batch:
                self._show(event)

    async def _keep(self, batch: list[ChatEvent]) -> None:
        piece = piece_to_json(batch)
        if not piece:
            return
        await self._begin()
        if not self._is_kept:
            return  # With a gap in front of it a later piece would be a lie.
        now_s = asyncio.get_running_loop().time()
        is_synced = now_s - self._synced_s >= SYNC_EVERY_S
        try:
            async with asyncio.timeout(KEEP_TIMEOUT_S):
                await self._store.append_piece(self._session_id, self.base.number, piece, is_synced=is_synced)
        except (StoreError, TimeoutError) as error:
            self._give_up(error)
        if is_synced:
            self._synced_s = now_s

    async def _begin(self) -> None:
        base = self.base
        if self._begun is base or not self._is_kept:
            return
        try:
            async with asyncio.timeout(KEEP_TIMEOUT_S):
                await self._store.save_message(self._session_id, base.number, turn_to_json(base))
        except (StoreError, TimeoutError) as error:
            self._give_up(error)
        self._begun = base
        self._synced_s = asyncio.get_running_loop().time()

    def _give_up(self, error: StoreError | TimeoutError) -> None:
        if not self._is_kept:
            return
        self._is_kept = False
        self._fail(error if isinstance(error, StoreError) else slow_store())


def slow_store() -> StoreError:
    """The store did not answer in time."""
    return StoreError("The disk of this computer does not answer", remedy="Check the disk and the free space.")


async def recover_answers(store: Store) -> int:
    """Put the pieces of answers that were being written when the program ended into their messages; gives how many.

    To be called before any conversation is opened. A full or read-only disk leaves them for the next time. Raises
    StoreError when they cannot be read.
    """
    unfinished = await store.unfinished_messages()
    for done, (session_id, position, message, pieces) in enumerate(unfinished):
        try:
            await store.save_message(session_id, position, turn_to_json(add_pieces(turn_from_json(message), pieces)))
        except StoreError as error:
            log.warning("an answer that was cut off is left in pieces: %s", error.sentence())
            return done
    return len(unfinished)
