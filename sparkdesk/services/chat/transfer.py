"""Chats go into files and come out of them.

The one rule: services make bytes and take bytes; where a file lies is the caller's affair. An imported chat is a new
one beside those that are there, kept whole or not at all.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sparkdesk.core.chat.message import ImagePart
from sparkdesk.core.chat.session import title_of
from sparkdesk.core.chat.store.session_json import settings_from_json, settings_to_json, turn_from_json, turn_to_json
from sparkdesk.core.chat.transfer.chat_copy import ChatCopy, TransferForm
from sparkdesk.core.chat.transfer.file import MAX_BYTES, read_chats, write_chats
from sparkdesk.core.chat.tree import mend
from sparkdesk.core.errors import StoreError
from sparkdesk.core.ports import Store
from sparkdesk.services.chat.comparison import MAX_COLUMNS, MIN_COLUMNS
from sparkdesk.services.chat.conversations import Conversations
from sparkdesk.services.clock import Clock
from sparkdesk.services.ident import new_id

NAME_CHARS = 60
MAX_IMAGES_BYTES = 8 * MAX_BYTES
"""Of images that one export holds in memory. A file over MAX_BYTES is written, and `import_obstacle` says it is."""
FEWER_CHATS = f"Export fewer chats at once: their images may have {MAX_IMAGES_BYTES >> 20} MiB together."


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What came of a file."""

    imported: tuple[str, ...] = ()
    """The ids of the new chats, the newest first."""
    total: int = 0
    """How many the file seems to hold."""
    source: str = ""
    """Whose form it is, in words; "" when it is none that is known."""
    notes: tuple[str, ...] = ()
    """One sentence each: what was left out, or why nothing could be read."""

    @property
    def sentence(self) -> str:
        """What happened, in one sentence."""
        if not self.imported:
            return "No chat was imported."
        number = len(self.imported)
        return f"{number:,} chat{'s were' if number != 1 else ' was'} imported from {self.source}."


class ChatTransfer:
    """Exports and imports chats."""

    def __init__(self, *, conversations: Conversations, store: Store, clock: Clock) -> None:
        self._conversations = conversations
        self._store = store
        self._clock = clock

    async def export(self, session_ids: Sequence[str], form: TransferForm) -> tuple[str, bytes]:
        """A name for the file and what stands in it.

        Raises StoreError, also when none of the chats is there or their images are more than the memory should hold.
        """
        chats: list[ChatCopy] = []
        room_bytes = MAX_IMAGES_BYTES
        for session_id in session_ids:
            chat = await self._copy(session_id, room_bytes)
            if chat is not None:
                chats.append(chat)
                room_bytes -= sum(map(len, chat.images.values()))
        if not chats:
            raise StoreError("There is nothing to export", remedy="Choose a chat in which something was said.")
        data = await asyncio.to_thread(write_chats, chats, form)
        return _file_name(chats, self._clock.now_ms()) + form.suffix, data

    async def import_chats(self, data: bytes) -> ImportReport:
        """Keep the chats in these bytes as new ones. Any bytes give a report. Raises StoreError."""
        found = await asyncio.to_thread(read_chats, data)
        now_ms = self._clock.now_ms()
        comparisons = _new_comparisons(found.chats)
        imported = []
        # The oldest first: the store lists what came last before the others.
        for chat in reversed(found.chats):
            imported.append(await self._keep(chat, comparisons.get(chat.settings.comparison, ""), now_ms))
        if imported:
            await self._conversations.load()
        return ImportReport(tuple(reversed(imported)), found.total, found.source, found.notes)

    async def _copy(self, session_id: str, room_bytes: int) -> ChatCopy | None:
        head = await self._store.session(session_id)
        if head is None:
            return None
        rows = await self._store.messages(session_id)
        turns = mend([turn_from_json(row) for row in rows])
        images: dict[str, bytes] = {}
        for part in (part for turn in turns for part in turn.message.attachments):
            if isinstance(part, ImagePart) and part.digest not in images:
                data = await self._store.attachment(part.digest)
                if data is not None:
                    images[part.digest] = data
                    room_bytes -= len(data)
                if room_bytes < 0:
                    raise StoreError("These chats have too many images for one file", remedy=FEWER_CHATS)
        return ChatCopy(head[0], replace(settings_from_json(head[1]), queued=()), turns, images)

    async def _keep(self, chat: ChatCopy, comparison: str, now_ms: int) -> str:
        session_id = new_id()
        first = next((turn.text for turn in chat.turns if turn.text.strip()), "")
        title = chat.title or title_of(first[:1000]) or "Imported chat"
        said_ms = max((turn.t_ms for turn in chat.turns), default=0)
        updated_ms = min(chat.settings.updated_ms or said_ms or now_ms, now_ms)
        settings = replace(
            chat.settings,
            updated_ms=updated_ms,
            created_ms=chat.settings.created_ms or updated_ms,
            comparison=comparison,
            column=chat.settings.column if comparison else 0,
        )
        messages = {turn.number: turn_to_json(turn) for turn in chat.turns}
        await self._store.save_chat(session_id, title, settings_to_json(settings), messages)
        for digest, data in chat.images.items():
            await self._store.save_attachment(session_id, digest, data)
        return session_id


def _new_comparisons(chats: Sequence[ChatCopy]) -> dict[str, str]:
    """A fresh id for each comparison that is here with all its columns; other groups become plain chats.

    An id that is kept would put the copies into the comparison that they were copied from.
    """
    counts = Counter(chat.settings.comparison for chat in chats if chat.settings.comparison)
    return {old: new_id() for old, count in counts.items() if MIN_COLUMNS <= count <= MAX_COLUMNS}


def _file_name(chats: Sequence[ChatCopy], now_ms: int) -> str:
    """A name that every file system takes."""
    if len(chats) > 1:
        return f"{len(chats)}-chats-{datetime.fromtimestamp(now_ms / 1000, tz=UTC):%Y-%m-%d}"
    plain = re.sub(r"[^\w.-]+", "-", chats[0].title).strip("-._")[:NAME_CHARS].strip("-._")
    return plain or "chat"
