"""The list of conversations, and those of it that are open.

The one rule: the list shows what the store has; a conversation is stored with its first question. What a person does to
a line of the list (its name, folder, tags, pin) is stored at once and does not make the conversation look newer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sparkdesk.core.chat.search.place import lower, marks_in
from sparkdesk.core.chat.search.query import SearchQuery, parse_query
from sparkdesk.core.chat.session import MAX_NAME_CHARS, MAX_TAGS, ChatSettings, Turn, TurnState, given_title
from sparkdesk.core.chat.store.chat_store import FoundMessage
from sparkdesk.core.chat.store.session_json import settings_from_json, settings_to_json
from sparkdesk.core.chat.store.stored_turn import StoredTurn, stored_turn
from sparkdesk.core.chat.tree import TurnTree
from sparkdesk.core.feed import Latest, Subscription
from sparkdesk.core.plain_text import lower_first
from sparkdesk.core.ports import Store
from sparkdesk.services.chat.answering.piece_log import recover_answers
from sparkdesk.services.chat.comparison import MAX_COLUMNS, MIN_COLUMNS, Comparison
from sparkdesk.services.chat.conversation import Conversation
from sparkdesk.services.chat.endpoint import ChatEndpoint
from sparkdesk.services.chat.fitting import ContextFitter
from sparkdesk.services.clock import Clock
from sparkdesk.services.ident import new_id
from sparkdesk.services.tasks import Tasks

CUT_BY_EXIT = "SparkDesk ended while this answer was written"
ANSWER_AGAIN = "Retry to have it answered again."
MAX_FOUND = 50
"""Conversations that a search shows."""
INDEX_PAUSE_S = 0.05
"""Between two batches, so that whoever waits for the store comes first."""


@dataclass(frozen=True, slots=True)
class ChatSummary:
    """One line of the list of conversations."""

    id: str
    title: str
    label: str
    """The model it last talked to."""
    updated_ms: int
    is_answering: bool = False
    folder: str = ""
    is_pinned: bool = False
    tags: tuple[str, ...] = ()
    comparison: tuple[str, ...] = ()
    """The ids of all columns of the comparison that this is the first column of; empty: it is no comparison."""


@dataclass(frozen=True, slots=True)
class FoundChat:
    """A conversation that a search found, the nearest place first."""

    summary: ChatSummary
    excerpts: tuple[FoundMessage, ...] = ()
    title_marks: tuple[tuple[int, int], ...] = ()
    """What of its title was searched for."""


class Conversations:
    """Keeps the list and the conversations that are open in it."""

    def __init__(self, *, tasks: Tasks, store: Store, clock: Clock, fitter: ContextFitter | None = None) -> None:
        """`fitter` chooses what is sent with a question; None sends all of a conversation."""
        self._fitter = fitter
        self._tasks = tasks
        self._store = store
        self._clock = clock
        self._open: dict[str, Conversation] = {}
        self._watches: dict[str, tuple[Subscription, ...]] = {}
        self._tidying = asyncio.Lock()
        self._lines: dict[str, _Line] = {}
        """Every conversation that is stored, by id."""
        self.sessions: Latest[tuple[ChatSummary, ...]] = Latest(())
        self.unfindable: Latest[int] = Latest(0)
        """Messages that a search cannot find yet, since the index is still being made."""

    async def load(self) -> None:
        """Read the list from the store, and begin to make findable what is not yet. Raises StoreError."""
        if not self._open:
            await recover_answers(self._store)
        found = {row[0]: _line(row[0], row[1], settings_from_json(row[2])) for row in await self._store.sessions()}
        self._show(*(line for line in found.values() if line.summary.id not in self._open))
        self._tasks.start_exclusive("index chats", self._index)

    async def _index(self) -> None:
        self.unfindable.set(await self._store.index_chats())
        while self.unfindable.value:
            await asyncio.sleep(INDEX_PAUSE_S)
            self.unfindable.set(await self._store.index_chats())

    def new(self, target: ChatEndpoint | None, *, caution: str = "", system_prompt: str = "") -> Conversation:
        """A new conversation with the server's own defaults. It is stored with its first question.

        `caution` stands beside each of its answers; `system_prompt` takes the place of the server's.
        """
        settings = ChatSettings(created_ms=self._clock.now_ms(), updated_ms=self._clock.now_ms(), caution=caution)
        if target is not None:
            settings = replace(settings, system_prompt=system_prompt or target.system_prompt, sampling=target.sampling)
        conversation = self._make(new_id(), settings, TurnTree())
        conversation.use(target)
        return conversation

    def compare(self, targets: Sequence[ChatEndpoint]) -> Comparison:
        """A new comparison of these servers, two to four. It is stored with its first question. Raises ValueError."""
        comparison_id = new_id()
        columns = []
        for place, target in enumerate(targets):
            column = self.new(target)
            column.settings.set(replace(column.settings.value, comparison=comparison_id, column=place))
            columns.append(column)
        return Comparison(comparison_id, tuple(columns))

    async def open_comparison(self, session_ids: Sequence[str]) -> Comparison:
        """The comparison with these columns. Raises KeyError, StoreError, ValueError when columns are missing."""
        columns = tuple([await self.open(session_id) for session_id in session_ids])
        return Comparison(columns[0].settings.value.comparison if columns else "", columns)

    async def open(self, session_id: str) -> Conversation:
        """The conversation with this id, from memory or the store. Raises KeyError, StoreError."""
        if session_id in self._open:
            return self._open[session_id]
        head = await self._store.session(session_id)
        if head is None:
            raise KeyError(session_id)
        settings = settings_from_json(head[1])
        # Aside: of 100,000 messages it takes half a second, and the window lives on meanwhile.
        tree = await asyncio.to_thread(_plant, await self._store.messages(session_id), settings.leaf)
        if session_id in self._open:
            return self._open[session_id]
        return self._make(session_id, settings, tree, title=head[0])

    async def search(self, words: str) -> tuple[FoundChat, ...]:
        """The conversations that have these words, the nearest first; any text may be asked. Raises StoreError.

        `tag:` and `folder:` choose among the conversations; with nothing else all that are chosen come, newest first.
        """
        query = parse_query(words)
        chosen = {
            key: summary
            for summary in self.sessions.value
            if is_chosen(summary, query)
            for key in (summary.id, *summary.comparison)
        }
        needles = tuple(map(lower, (query.phrase, *query.words)))
        if not query.words:
            return tuple(map(FoundChat, dict.fromkeys(chosen.values()))) if not query.is_empty else ()
        places: dict[str, list[FoundMessage]] = {}
        for place in await self._store.find_messages(
            words, limit=MAX_FOUND * (4 if query.tags or query.folders else 1)
        ):
            if place.session_id in chosen:
                places.setdefault(chosen[place.session_id].id, []).append(place)
        return tuple(
            FoundChat(chosen[key], tuple(found), marks_in(chosen[key].title, needles))
            for key, found in list(places.items())[:MAX_FOUND]
        )

    async def rename(self, session_id: str, title: str) -> None:
        """Give a conversation another title; an empty one changes nothing. Raises StoreError."""
        words = given_title(title)
        if words:
            await self._change(session_id, title=words)

    async def set_folder(self, session_id: str, folder: str) -> None:
        """Put a conversation into a folder, which is also its project; "" takes it out. Raises StoreError."""
        await self._change(session_id, folder=_name(folder))

    async def set_pinned(self, session_id: str, is_pinned: bool) -> None:
        """Keep a conversation at the top, or no longer. Raises StoreError."""
        await self._change(session_id, is_pinned=is_pinned)

    async def set_tags(self, session_id: str, tags: tuple[str, ...]) -> None:
        """Replace a conversation's tags; each once, in order. Raises StoreError."""
        kept = dict.fromkeys(name for tag in tags if (name := _name(tag)))
        await self._change(session_id, tags=tuple(kept)[:MAX_TAGS])

    async def remove(self, session_id: str) -> None:
        """Stop and forget a conversation, or all columns of a comparison, and all that was said. Raises StoreError."""
        known = next((summary for summary in self.sessions.value if summary.id == session_id), None)
        for column_id in known.comparison if known is not None and known.comparison else (session_id,):
            await self._remove(column_id)

    async def _remove(self, session_id: str) -> None:
        conversation = self._open.pop(session_id, None)
        if conversation is not None:
            for subscription in self._watches.pop(session_id, ()):
                subscription.close()
            conversation.stop()
            await conversation.finished()
            conversation.forget()
        async with self._tidying:
            await self._store.remove_session(session_id)
            self._lines.pop(session_id, None)
        self._show()

    async def close(self) -> None:
        """Stop every answer that is being written; what had come is kept. The caller sets the time limit."""
        for conversation in self._open.values():
            conversation.stop()
        for conversation in self._open.values():
            await conversation.finished()

    # Inside ---------------------------------------------------------------------------------------------------

    async def _change(self, session_id: str, *, title: str | None = None, **changes: Any) -> None:
        # One after the other: each reads what the one before has stored.
        async with self._tidying:
            conversation = self._open.get(session_id)
            if conversation is not None:
                if title is not None:
                    conversation.title.set(title)
                conversation.settings.set(replace(conversation.settings.value, **changes))
                kept_title, settings = conversation.title.value, conversation.settings.value
                if not conversation.turns.value:
                    return
            else:
                head = await self._store.session(session_id)
                if head is None:
                    return
                kept_title, settings = title or head[0], replace(settings_from_json(head[1]), **changes)
                self._show(_line(session_id, kept_title, settings))
            await self._store.save_session(session_id, kept_title, settings_to_json(settings))

    def _make(self, session_id: str, settings: ChatSettings, tree: TurnTree, title: str | None = None) -> Conversation:
        conversation = Conversation(session_id, settings, tree, tasks=self._tasks, store=self._store, clock=self._clock)
        if title is not None:
            # Before anybody is told of it: the list has it under this title already, and nothing of it changes.
            conversation.title.set(title)
        if self._fitter is not None:
            conversation.fitter = self._fitter
        self._open[session_id] = conversation
        feeds = (conversation.turns, conversation.settings, conversation.is_answering, conversation.title)
        self._watches[session_id] = tuple(feed.subscribe(lambda _value: self._list(conversation)) for feed in feeds)
        return conversation

    def _list(self, conversation: Conversation) -> None:
        if not conversation.turns.value:
            return
        line = _line(conversation.id, conversation.title.value, conversation.settings.value)
        line = replace(line, summary=replace(line.summary, is_answering=conversation.is_answering.value))
        if line != self._lines.get(conversation.id):
            self._show(line)

    def _show(self, *lines: _Line) -> None:
        """Put lines into the list, in place of those with the same ids, the newest first."""
        self._lines.update((line.summary.id, line) for line in lines)
        shown = [line.summary for line in self._lines.values() if not line.comparison]
        columns: dict[str, list[_Line]] = {}
        for line in self._lines.values():
            if line.comparison:
                columns.setdefault(line.comparison, []).append(line)
        for each in columns.values():
            shown += _merge(sorted(each, key=lambda line: line.column))
        self.sessions.set(tuple(sorted(shown, key=lambda item: -item.updated_ms)))


@dataclass(frozen=True, slots=True)
class _Line:
    summary: ChatSummary
    comparison: str = ""
    column: int = 0


def _merge(columns: list[_Line]) -> list[ChatSummary]:
    """A comparison as one line; what no comparison can have, one column or more than its most, are plain chats."""
    if not MIN_COLUMNS <= len(columns) <= MAX_COLUMNS:
        return [line.summary for line in columns]
    merged = replace(
        columns[0].summary,
        label=f"{len(columns)} models",
        updated_ms=max(line.summary.updated_ms for line in columns),
        is_answering=any(line.summary.is_answering for line in columns),
        comparison=tuple(line.summary.id for line in columns),
    )
    return [merged]


def _line(session_id: str, title: str, settings: ChatSettings) -> _Line:
    summary = ChatSummary(
        session_id,
        title,
        settings.label,
        settings.updated_ms,
        folder=settings.folder,
        is_pinned=settings.is_pinned,
        tags=settings.tags,
    )
    return _Line(summary, settings.comparison, settings.column)


def is_chosen(summary: ChatSummary, query: SearchQuery) -> bool:
    """Whether a conversation has the tags, and is in one of the folders, that are asked for."""
    tags = {tag.lower() for tag in summary.tags}
    is_in = not query.folders or summary.folder.lower() in query.folders
    return is_in and all(tag in tags for tag in query.tags)


def _name(text: str) -> str:
    return " ".join(text.replace("\0", " ").split())[:MAX_NAME_CHARS]


def _plant(rows: Iterable[bytes], leaf: int | None) -> TurnTree:
    return TurnTree((_closed(stored_turn(data)) for data in rows), leaf)


def _closed(turn: Turn) -> Turn:
    """A turn that was open when the program ended will never be finished: it was cut off."""
    if isinstance(turn, StoredTurn) or not turn.state.is_open:
        return turn
    remedy = f"Continue where it ends, or {lower_first(ANSWER_AGAIN)}" if turn.message.parts else ANSWER_AGAIN
    return replace(turn, state=TurnState.CUT_OFF, error=CUT_BY_EXIT, remedy=remedy)
