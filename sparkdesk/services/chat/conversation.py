"""Conversations with model servers: asked, streamed, stopped, kept.

The one rule: what was shown is never lost. A message is on the disk when it ends, and while it is written every two
seconds; a stop, a cut, an error and the end of the program all keep what had come.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from dataclasses import dataclass, field, replace

from sparkdesk.core.chat.event import ChatEvent, CutOff, Finished
from sparkdesk.core.chat.message import ChatRequest, Message, Role, Sampling, TextPart
from sparkdesk.core.chat.session import (
    ChatSettings,
    Turn,
    TurnState,
    request_messages,
    settings_from_json,
    settings_to_json,
    title_of,
    turn_from_json,
    turn_to_json,
)
from sparkdesk.core.chat.timing import AnswerTiming
from sparkdesk.core.errors import EndpointError, SparkDeskError
from sparkdesk.core.feed import Latest, Stream, Subscription
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.ports import EndpointClient, Store
from sparkdesk.services.chat.answer import Answer
from sparkdesk.services.clock import Clock
from sparkdesk.services.ident import new_id
from sparkdesk.services.tasks import Tasks

log = logging.getLogger(__name__)

ClientSource = Callable[[], AbstractAsyncContextManager[EndpointClient]]
"""Opens a way to the server for one answer: a client, through a forward where one is needed."""

SAVE_EVERY_S = 2.0
OPEN_TIMEOUT_S = 30.0
LAST_SAVE_TIMEOUT_S = 5.0
CUT_BY_EXIT = "SparkDesk ended while this answer was written"
NO_MODEL_REMEDY = "Choose a model that is Ready, or launch one."


@dataclass(frozen=True, slots=True)
class ChatEndpoint:
    """A model server that a conversation can talk to."""

    id: str
    """The job's id, or whatever names it."""
    endpoint: Endpoint
    source: ClientSource
    node: str = ""
    """The node's name, as shown."""
    system_prompt: str = ""
    sampling: Sampling = field(default_factory=Sampling)
    doubt: Callable[[], None] = lambda: None
    """Called when an answer of the server's failed or was cut off: whoever looks after it asks it soon."""

    @property
    def label(self) -> str:
        """Model and node, in words."""
        return f"{self.endpoint.model} on {self.node}" if self.node else self.endpoint.model


async def _opened(stack: AsyncExitStack, source: ClientSource) -> EndpointClient:
    try:
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            return await stack.enter_async_context(source())
    except TimeoutError:
        raise EndpointError(
            f"No way to the model server within {OPEN_TIMEOUT_S:g} s", remedy="Check that its node is live, then retry."
        ) from None


class Conversation:
    """One conversation. Questions that are asked while an answer is written wait in line."""

    def __init__(
        self,
        session_id: str,
        settings: ChatSettings,
        turns: tuple[Turn, ...],
        *,
        tasks: Tasks,
        store: Store,
        clock: Clock,
    ) -> None:
        self.id = session_id
        self._tasks = tasks
        self._store = store
        self._clock = clock
        self._key = f"chat:{session_id}"
        self._answer: Answer | None = None
        self._has_begun = False
        self._is_done = asyncio.Event()
        self._is_done.set()
        first = next((turn.text for turn in turns if turn.message.role is Role.USER), "")
        self.title: Latest[str] = Latest(title_of(first) or "New chat")
        self.turns: Latest[tuple[Turn, ...]] = Latest(turns)
        self.queued: Latest[tuple[str, ...]] = Latest(())
        self.settings: Latest[ChatSettings] = Latest(settings)
        self.target: Latest[ChatEndpoint | None] = Latest(None)
        self.endpoint_label: Latest[str] = Latest(settings.label)
        self.is_answering: Latest[bool] = Latest(False)
        self.events: Stream[ChatEvent] = Stream()

    def use(self, target: ChatEndpoint | None) -> None:
        """Talk to this server from the next question on. None: it went away; what was said stays."""
        self.target.set(target)
        if target is not None:
            self.endpoint_label.set(target.label)
            self.settings.set(replace(self.settings.value, label=target.label))

    async def set_settings(self, *, system_prompt: str, sampling: Sampling) -> None:
        """Keep a new system prompt and sampling; they hold from the next question on."""
        self.settings.set(replace(self.settings.value, system_prompt=system_prompt, sampling=sampling))
        if self.turns.value:
            await self._save_settings()

    def live_turn(self) -> Turn | None:
        """The answer that is being written, with all that has come so far."""
        return None if self._answer is None else self._answer.turn(TurnState.STREAMING)

    def live_timing(self) -> AnswerTiming | None:
        """The figures of the answer that is being written."""
        return None if self._answer is None else self._answer.clock.timing()

    async def ask(self, text: str) -> None:
        """Ask, or line up behind the answer that is being written. Returns when the question is kept and on its way.

        Raises EndpointError when there is no model to ask, StoreError when the question cannot be kept.
        """
        if not text.strip():
            return
        if self.target.value is None:
            raise EndpointError("No model is chosen for this chat", remedy=NO_MODEL_REMEDY)
        if self.is_answering.value:
            self.queued.set((*self.queued.value, text))
            return
        self._begin()
        try:
            turn = Turn(Message(Role.USER, (TextPart(text),)), t_ms=self._clock.now_ms())
            if not self.turns.value:
                self.title.set(title_of(text))
            await self._append(turn)
        except SparkDeskError:
            self._end()
            raise
        self._start_answer()

    def stop(self) -> None:
        """Stop the answer: the server stops too, what was said stays, and what waits in line is dropped."""
        self.queued.set(())
        self._tasks.cancel(self._key)

    async def regenerate(self) -> None:
        """Have the last question answered again in place of the old answer. Does nothing while one is written."""
        turns = self.turns.value
        if self.is_answering.value or not turns:
            return
        if self.target.value is None:
            raise EndpointError("No model is chosen for this chat", remedy=NO_MODEL_REMEDY)
        if turns[-1].message.role is Role.ASSISTANT:
            self.turns.set(turns[:-1])
        self._begin()
        self._start_answer()

    async def finished(self) -> None:
        """Wait until nothing is being answered and nothing waits in line. The caller sets the time limit."""
        await self._is_done.wait()

    def _begin(self) -> None:
        self._is_done.clear()
        self.is_answering.set(True)

    def _end(self) -> None:
        self.is_answering.set(False)
        self._is_done.set()

    def _start_answer(self) -> None:
        self._has_begun = False
        task = self._tasks.start_exclusive(self._key, self._run)
        if task is None:
            self._end()
        else:
            task.add_done_callback(self._end_unbegun)

    def _end_unbegun(self, _task: asyncio.Task[None]) -> None:
        """A task that is cancelled before its first step has not even its `finally`."""
        if not self._has_begun:
            self._end()

    async def _run(self) -> None:
        self._has_begun = True
        try:
            await self._answer_once()
            while self.queued.value:
                text, *rest = self.queued.value
                self.queued.set(tuple(rest))
                await self._append(Turn(Message(Role.USER, (TextPart(text),)), t_ms=self._clock.now_ms()))
                await self._answer_once()
        finally:
            self._answer = None
            self._end()

    async def _answer_once(self) -> None:
        target = self.target.value
        if target is None:
            raise EndpointError("No model is chosen for this chat", remedy=NO_MODEL_REMEDY)
        settings = self.settings.value
        request = ChatRequest(
            target.endpoint.model, request_messages(self.turns.value, settings.system_prompt), settings.sampling
        )
        empty = Turn(
            Message(Role.ASSISTANT, ()),
            state=TurnState.SENT,
            note=target.endpoint.note,
            label=target.label,
            t_ms=self._clock.now_ms(),
        )
        position = len(self.turns.value)
        answer = self._answer = Answer(empty, position, self._clock.monotonic_s())
        self.turns.set((*self.turns.value, empty))
        ended: Turn | None = None
        try:
            ended = await self._stream(answer, target.source, request)
        except SparkDeskError as error:
            partial = answer.turn(TurnState.FAILED)
            state = TurnState.CUT_OFF if partial.message.parts else TurnState.FAILED
            ended = replace(partial, state=state, error=error.message, remedy=error.remedy)
        finally:
            self._answer = None
            if ended is not None and ended.state in (TurnState.CUT_OFF, TurnState.FAILED):
                target.doubt()
            self._put(position, answer.turn(TurnState.STOPPED) if ended is None else ended)
            await self._save_last(position)

    async def _save_last(self, position: int) -> None:
        # Also in a task that is being cancelled: this is the save that keeps what was shown.
        try:
            async with asyncio.timeout(LAST_SAVE_TIMEOUT_S):
                await self._save(position)
        except TimeoutError:
            log.error("an answer was not saved within %s s", LAST_SAVE_TIMEOUT_S)

    async def _stream(self, answer: Answer, source: ClientSource, request: ChatRequest) -> Turn:
        async with AsyncExitStack() as stack:
            client = await _opened(stack, source)
            answer.clock.sent_s = self._clock.monotonic_s()
            saved_s = answer.clock.sent_s
            async with aclosing(client.chat(request)) as events:
                async for event in events:
                    if isinstance(event, CutOff):
                        cut = answer.turn(TurnState.CUT_OFF)
                        return replace(cut, error=event.message, remedy=event.remedy)
                    if isinstance(event, Finished):
                        return replace(answer.turn(TurnState.DONE), finish_reason=event.reason)
                    answer.add(event)
                    self.events.put(event)
                    if self._clock.monotonic_s() - saved_s >= SAVE_EVERY_S:
                        saved_s = self._clock.monotonic_s()
                        await self._store.save_message(
                            self.id, answer.position, turn_to_json(answer.turn(TurnState.STREAMING))
                        )
        cut = answer.turn(TurnState.CUT_OFF)
        return replace(cut, error="The answer was cut off", remedy="Retry.")

    async def _append(self, turn: Turn) -> None:
        position = len(self.turns.value)
        self.turns.set((*self.turns.value, turn))
        await self._save_settings()
        await self._save(position)

    def _put(self, position: int, turn: Turn) -> None:
        turns = self.turns.value
        self.turns.set((*turns[:position], turn, *turns[position + 1 :]))

    async def _save(self, position: int) -> None:
        await self._store.save_message(self.id, position, turn_to_json(self.turns.value[position]))

    async def _save_settings(self) -> None:
        self.settings.set(replace(self.settings.value, updated_ms=self._clock.now_ms()))
        await self._store.save_session(self.id, self.title.value, settings_to_json(self.settings.value))


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
