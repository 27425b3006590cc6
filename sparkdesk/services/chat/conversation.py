"""Conversations with model servers: asked, streamed, stopped, kept.

The one rule: what was shown is never lost. A message is on the disk when it ends, and while it is written every two
seconds; a stop, a cut, an error and the end of the program all keep what had come.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace

from sparkdesk.core.chat.event import ChatEvent, CutOff, Finished
from sparkdesk.core.chat.message import ChatRequest, Message, Role, Sampling, TextPart
from sparkdesk.core.chat.session import (
    ChatSettings,
    Turn,
    TurnState,
    request_messages,
    settings_to_json,
    title_of,
    turn_to_json,
)
from sparkdesk.core.chat.timing import AnswerTiming
from sparkdesk.core.errors import EndpointError, SparkDeskError
from sparkdesk.core.feed import Latest, Stream
from sparkdesk.core.ports import Store
from sparkdesk.services.chat.answer import Answer
from sparkdesk.services.chat.endpoint import ChatEndpoint, ClientSource, open_client
from sparkdesk.services.clock import Clock
from sparkdesk.services.tasks import Tasks

log = logging.getLogger(__name__)

SAVE_EVERY_S = 2.0
LAST_SAVE_TIMEOUT_S = 5.0
NO_MODEL_REMEDY = "Choose a model that is Ready, or launch one."


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
            client = await open_client(stack, source)
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
