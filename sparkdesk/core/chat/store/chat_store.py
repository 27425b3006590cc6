"""What the store keeps of chats, as a protocol: it is the chats' part of the port `Store`.

The one rule: turns and settings are JSON here, as bytes; what is in them `session_json` knows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class FoundMessage:
    """A message that has what was searched for."""

    session_id: str
    turn: int
    """The turn's number in its chat; -1 is the chat's title, tags and folder."""
    text: str
    """The words around the place, one line of plain text."""
    marks: tuple[tuple[int, int], ...] = ()
    """From and to (exclusive) of each thing found, in `text`."""
    is_like: bool = False
    """Whether it merely has words like those that were asked for."""


class ChatStore(Protocol):
    """Chats with their messages, images and vectors. Raises StoreError.

    Every method is done when it returns, and on the disk save where it says otherwise.
    """

    async def save_message(self, session_id: str, position: int, message: bytes) -> None:
        """Insert or replace one message (JSON) of a chat."""
        ...

    async def append_piece(self, session_id: str, position: int, piece: bytes, *, is_synced: bool = False) -> None:
        """Add a piece to a message that is being written. The end of the program loses none; a power cut loses at most
        what came since the last one with `is_synced`. `save_message` takes the place of all pieces of its message.
        """
        ...

    async def unfinished_messages(self) -> tuple[tuple[str, int, bytes, tuple[bytes, ...]], ...]:
        """Messages that have pieces: session, position, the message as it was saved before them, the pieces."""
        ...

    async def save_session(self, session_id: str, title: str, meta: bytes) -> None: ...
    async def save_chat(self, session_id: str, title: str, meta: bytes, messages: Mapping[int, bytes]) -> None:
        """Insert a whole chat at once, its messages by their numbers; all of it is kept or nothing."""
        ...

    async def session(self, session_id: str) -> tuple[str, bytes] | None:
        """A chat's title and meta JSON, or None."""
        ...

    async def sessions(self) -> Sequence[tuple[str, str, bytes]]:
        """(id, title, meta JSON) newest first."""
        ...

    async def messages(self, session_id: str) -> tuple[bytes, ...]: ...
    async def remove_messages(self, session_id: str, from_position: int) -> None:
        """Forget a chat's messages from this position on (an answer that is made again)."""
        ...

    async def remove_session(self, session_id: str) -> None:
        """Forget a chat with its messages, vectors and attachments; no error when there is none."""
        ...

    async def find_messages(self, words: str, *, limit: int = 50) -> tuple[FoundMessage, ...]:
        """Messages of all chats that have these words or words like them, the nearest first; a few of each chat.

        Any text is a valid question. `tag:` and `folder:` in it are left to the caller.
        """
        ...

    async def index_chats(self) -> int:
        """Make a bounded number of messages findable that are not yet; how many wait still."""
        ...

    async def save_attachment(self, session_id: str, digest: str, data: bytes) -> None:
        """Keep the bytes of an image that a chat's messages name by their SHA-256."""
        ...

    async def drop_attachments(self, session_id: str, digests: Collection[str]) -> None:
        """Keep these images of a chat no longer; another chat's with the same bytes stay."""
        ...

    async def attachment(self, digest: str) -> bytes | None:
        """The bytes that were kept under this digest, or None."""
        ...

    async def save_vectors(self, session_id: str, model: str, vectors: Mapping[str, bytes]) -> None:
        """Keep vectors of pieces of a chat, by the pieces' keys; `model` is what made them."""
        ...

    async def vectors(self, session_id: str, model: str) -> dict[str, bytes]:
        """The vectors of a chat's pieces that this model made, by key."""
        ...
