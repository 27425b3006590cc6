"""The list of conversations, and those of it that are open.

The one rule: the list shows what the store has; a conversation is stored with its first question.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sparkdesk.core.chat.session import ChatSettings, Turn, TurnState, settings_from_json, turn_from_json
from sparkdesk.core.feed import Latest, Subscription
from sparkdesk.core.ports import Store
from sparkdesk.services.chat.conversation import Conversation
from sparkdesk.services.chat.endpoint import ChatEndpoint
from sparkdesk.services.clock import Clock
from sparkdesk.services.ident import new_id
from sparkdesk.services.tasks import Tasks

CUT_BY_EXIT = "SparkDesk ended while this answer was written"


@dataclass(frozen=True, slots=True)
class ChatSummary:
    """One line of the list of conversations."""

    id: str
    title: str
    label: str
    """The model it last talked to."""
    updated_ms: int
    is_answering: bool = False


class Conversations:
    """Keeps the list and the conversations that are open in it."""

    def __init__(self, *, tasks: Tasks, store: Store, clock: Clock) -> None:
        self._tasks = tasks
        self._store = store
        self._clock = clock
        self._open: dict[str, Conversation] = {}
        self._watches: dict[str, tuple[Subscription, ...]] = {}
        self.sessions: Latest[tuple[ChatSummary, ...]] = Latest(())

    async def load(self) -> None:
        """Read the list from the store. Raises StoreError."""
        rows = await self._store.sessions()
        found = []
        for session_id, title, meta in rows:
            settings = settings_from_json(meta)
            found.append(ChatSummary(session_id, title, settings.label, settings.updated_ms))
        known = {summary.id for summary in found}
        self.sessions.set((*(s for s in self.sessions.value if s.id not in known), *found))

    def new(self, target: ChatEndpoint | None) -> Conversation:
        """A new conversation with the server's own defaults. It is stored with its first question."""
        settings = ChatSettings(created_ms=self._clock.now_ms(), updated_ms=self._clock.now_ms())
        if target is not None:
            settings = replace(settings, system_prompt=target.system_prompt, sampling=target.sampling)
        conversation = self._make(new_id(), settings, ())
        conversation.use(target)
        return conversation

    async def open(self, session_id: str) -> Conversation:
        """The conversation with this id, from memory or the store. Raises KeyError, StoreError."""
        if session_id in self._open:
            return self._open[session_id]
        rows = {row[0]: row for row in await self._store.sessions()}
        _, title, meta = rows[session_id]
        turns = tuple(_closed(turn_from_json(data)) for data in await self._store.messages(session_id))
        if session_id in self._open:
            return self._open[session_id]
        conversation = self._make(session_id, settings_from_json(meta), turns)
        conversation.title.set(title)
        return conversation

    async def remove(self, session_id: str) -> None:
        """Stop and forget a conversation and all that was said in it. Raises StoreError."""
        conversation = self._open.pop(session_id, None)
        if conversation is not None:
            for subscription in self._watches.pop(session_id, ()):
                subscription.close()
            conversation.stop()
            await conversation.finished()
        await self._store.remove_session(session_id)
        self.sessions.set(tuple(known for known in self.sessions.value if known.id != session_id))

    async def close(self) -> None:
        """Stop every answer that is being written; what had come is kept. The caller sets the time limit."""
        for conversation in self._open.values():
            conversation.stop()
        for conversation in self._open.values():
            await conversation.finished()

    def _make(self, session_id: str, settings: ChatSettings, turns: tuple[Turn, ...]) -> Conversation:
        conversation = Conversation(
            session_id, settings, turns, tasks=self._tasks, store=self._store, clock=self._clock
        )
        self._open[session_id] = conversation
        feeds = (conversation.turns, conversation.settings, conversation.is_answering, conversation.title)
        self._watches[session_id] = tuple(feed.subscribe(lambda _value: self._list(conversation)) for feed in feeds)
        return conversation

    def _list(self, conversation: Conversation) -> None:
        if not conversation.turns.value:
            return
        settings = conversation.settings.value
        summary = ChatSummary(
            conversation.id,
            conversation.title.value,
            settings.label,
            settings.updated_ms,
            conversation.is_answering.value,
        )
        if summary in self.sessions.value:
            return
        others = (known for known in self.sessions.value if known.id != conversation.id)
        self.sessions.set(tuple(sorted((summary, *others), key=lambda item: -item.updated_ms)))


def _closed(turn: Turn) -> Turn:
    """A turn that was open when the program ended will never be finished: it was cut off."""
    if not turn.state.is_open:
        return turn
    return replace(turn, state=TurnState.CUT_OFF, error=CUT_BY_EXIT, remedy="Retry to have it answered again.")
