"""What the list asks for, done with the service.

Rule: QtCore only. It starts work through the bridge and tells every expected error; it never waits.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from PySide6.QtCore import QObject, Signal

from sparkdesk.services.chat.conversations import Conversations
from ui.bridge import Bridge, telling, watch


class SessionsModel(QObject):
    """Made from the conversations and the bridge; `SessionList.use` joins a list to it."""

    found = Signal(str, tuple)
    """The words that were searched, and the `FoundChat`s."""
    unfindable_changed = Signal(int)
    """How many messages a search cannot find yet."""
    removed = Signal(str)
    """The conversation with this id is no more: who shows it shows another."""
    failed = Signal(object)
    """A SparkDeskError to show."""

    def __init__(self, conversations: Conversations, bridge: Bridge, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._conversations = conversations
        self._bridge = bridge
        watch(conversations.unfindable, self, self.unfindable_changed.emit)

    @property
    def unfindable(self) -> int:
        """How many messages a search cannot find yet."""
        return self._conversations.unfindable.value

    def search(self, words: str) -> None:
        """Search what was said; `found` tells."""
        self._bridge.start_exclusive("search chats", telling(self.failed.emit, self._search), words)

    def rename(self, session_id: str, title: str) -> None:
        """Give a conversation another title."""
        self._start(self._conversations.rename, session_id, title)

    def pin(self, session_id: str, is_pinned: bool) -> None:
        """Keep a conversation at the top, or no longer."""
        self._start(self._conversations.set_pinned, session_id, is_pinned)

    def move(self, session_id: str, folder: str) -> None:
        """Put a conversation into a folder; "" takes it out."""
        self._start(self._conversations.set_folder, session_id, folder)

    def tag(self, session_id: str, tags: tuple[str, ...]) -> None:
        """Replace a conversation's tags."""
        self._start(self._conversations.set_tags, session_id, tags)

    def remove(self, session_id: str) -> None:
        """Delete a conversation; `removed` tells."""
        self._start(self._remove, session_id)

    async def _search(self, words: str) -> None:
        self.found.emit(words, await self._conversations.search(words))

    async def _remove(self, session_id: str) -> None:
        await self._conversations.remove(session_id)
        self.removed.emit(session_id)

    def _start(self, fn: Callable[..., Coroutine[Any, Any, None]], *args: object) -> None:
        self._bridge.start(telling(self.failed.emit, fn), *args)
