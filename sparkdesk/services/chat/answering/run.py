"""One question to a server and its answer, from the choice of what is sent to the last piece.

The one rule: it ends in a turn whatever happens. Only a cancellation flies, and then, too, all that came is there.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace

from sparkdesk.core.chat.event import ChatEvent, CutOff, Finished
from sparkdesk.core.chat.message import ChatRequest, Message, Role, TextPart
from sparkdesk.core.chat.request.continuation import ASK_WORDS, ContinueWay, continue_way
from sparkdesk.core.chat.session import ChatSettings, Turn, TurnFailure, TurnState, image_digests
from sparkdesk.core.chat.stream.openai_event import RETRY
from sparkdesk.core.chat.stream.timing import NOT_KNOWN
from sparkdesk.core.errors import EndpointError, SparkDeskError, StoreError
from sparkdesk.core.ports import EndpointClient, Store
from sparkdesk.services.chat.answering.answer import Answer
from sparkdesk.services.chat.answering.piece_log import PieceLog
from sparkdesk.services.chat.endpoint import ChatEndpoint, open_client
from sparkdesk.services.chat.fitting import ContextFitter, FitQuestion
from sparkdesk.services.clock import Clock
from sparkdesk.services.tasks import Tasks

READ_SLICE = 100
"""Turns that are parsed before others have their turn."""
FITTING = "Choosing what fits into the model's context"
REFUSED = "bad_request"
"""The kind of a failure whose words say what of the question the server does not take: asking again changes nothing."""
NOTHING_SAID = "Retry, or choose another model."
"""In place of RETRY, which says that what was said is kept."""
CHANGE_IT = "Change what is asked for, then retry."
LEAVE_IMAGES = "If this model takes no images, ask without the image; else change what is asked for, then retry."


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: `turns` is the branch down to the question; an answer that is continued is not among them."""

    session_id: str
    turns: tuple[Turn, ...]
    settings: ChatSettings
    target: ChatEndpoint
    images: Mapping[str, bytes]
    """Bytes that are not in the store (yet), by digest."""
    is_continuing: bool = False


@dataclass(frozen=True, slots=True)
class _Ending:
    state: TurnState
    error: str = ""
    remedy: str = ""
    finish_reason: str = ""
    failure: TurnFailure | None = None


class AnswerRun:
    """One answer being written."""

    def __init__(
        self,
        question: Question,
        base: Turn,
        *,
        store: Store,
        clock: Clock,
        show: Callable[[ChatEvent], None],
        fail: Callable[[StoreError], None],
    ) -> None:
        """`show` is called with each event once it is kept, `fail` once when keeping fails."""
        self._question = question
        self._store = store
        self._clock = clock
        self._show = show
        self.answer = Answer(base, clock.monotonic_s())
        self._has_images = False
        self._writer: asyncio.Task[None] | None = None
        self._log = PieceLog(question.session_id, base, store=store, show=self._take, fail=fail)

    def turn(self, state: TurnState = TurnState.STREAMING) -> Turn:
        """The answer with all that was shown of it so far."""
        so_far = self.answer.turn(state)
        energy_j = self._question.target.energy_j(self.answer.clock.sent_s) if so_far.message.parts else NOT_KNOWN
        return replace(so_far, energy_j=energy_j if math.isfinite(energy_j) else NOT_KNOWN)

    async def run(self, tasks: Tasks, fitter: ContextFitter, tell: Callable[[str], None]) -> Turn:
        """Ask, and take the answer to its end. `tell` is given what goes on before the question is out ("" is over)."""
        try:
            ending = await self._stream(tasks, fitter, tell)
        except SparkDeskError as error:
            failure = _understand(error)
            remedy = self._remedy(failure, error.remedy)
            ending = _Ending(TurnState.CUT_OFF, error.message, remedy, failure=failure)
        finally:
            tell("")
            # In this order: a writer that is cancelled amid a piece would show what is not on the disk yet.
            try:
                await self._log.flush()
            finally:
                if self._writer is not None:
                    self._writer.cancel()
        ended = self.turn(ending.state)
        state = TurnState.FAILED if ending.error and not ended.message.parts else ending.state
        return replace(
            ended,
            state=state,
            error=ending.error,
            remedy=NOTHING_SAID if ending.remedy == RETRY and not ended.message.parts else ending.remedy,
            failure=ending.failure,
            finish_reason=ending.finish_reason,
        )

    def _remedy(self, failure: TurnFailure | None, remedy: str) -> str:
        if failure is None or failure.kind != REFUSED:
            return remedy
        return LEAVE_IMAGES if self._has_images else CHANGE_IT

    def _take(self, event: ChatEvent) -> None:
        self.answer.add(event)
        self._show(event)

    async def _stream(self, tasks: Tasks, fitter: ContextFitter, tell: Callable[[str], None]) -> _Ending:
        question = self._question
        # Kept at once: a summary may be made first for a minute, and what was asked must not stand there unanswered.
        self._writer = tasks.start(self._log.run)
        async with AsyncExitStack() as stack:
            client = await open_client(stack, question.target.source)
            tell(FITTING)
            request = await self._request(client, fitter, tell)
            await asyncio.sleep(0)
            tell("")
            # With what is sent, which must be known of an answer also when the program ends while it is written.
            self._log.begin(self.answer.base)
            self.answer.clock.sent_s = self._clock.monotonic_s()
            async with aclosing(client.chat(request)) as events:
                async for event in events:
                    if isinstance(event, CutOff):
                        failure = TurnFailure(event.kind, event.prompt_tokens, event.context_tokens)
                        remedy = self._remedy(failure, event.remedy)
                        return _Ending(TurnState.CUT_OFF, event.message, remedy, failure=failure)
                    if isinstance(event, Finished):
                        return _Ending(TurnState.DONE, finish_reason=event.reason)
                    self._log.add(event)
        return _Ending(TurnState.CUT_OFF, "The answer was cut off", "Retry.")

    async def _request(self, client: EndpointClient, fitter: ContextFitter, tell: Callable[[str], None]) -> ChatRequest:
        question, target = self._question, self._question.target
        begun = self.answer.base.text if question.is_continuing else ""
        await read_turns(question.turns)
        fitted = await fitter.fit(
            FitQuestion(question.session_id, question.turns, question.settings, target, client, tell, begun)
        )
        self.answer.base = replace(self.answer.base, sent=fitted.sent)
        messages, form = fitted.messages, question.settings.form
        way = continue_way(target.endpoint.engine)
        if question.is_continuing:
            messages = (*messages, Message(Role.ASSISTANT, (TextPart(self.answer.base.text),)))
            # A schema holds for what is written anew: half an object would be followed by a whole one.
            form = replace(form, json_schema="")
            if way is ContinueWay.ASK:
                messages = (*messages, Message(Role.USER, (TextPart(ASK_WORDS),)))
        images = await self._images(messages)
        self._has_images = bool(images)
        return ChatRequest(
            target.endpoint.model,
            messages,
            question.settings.sampling,
            form,
            images,
            is_continuing=question.is_continuing and way is not ContinueWay.ASK,
        )

    async def _images(self, messages: tuple[Message, ...]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for digest in image_digests(messages):
            data = self._question.images.get(digest)
            if data is None:
                data = await self._store.attachment(digest)
            if data is not None:
                found[digest] = data
        return found


async def read_turns(turns: tuple[Turn, ...]) -> None:
    """Look at each turn once, in slices: one that was stored is parsed at the first look, and 10,000 take a second."""
    for start in range(0, len(turns), READ_SLICE):
        for turn in turns[start : start + READ_SLICE]:
            _ = turn.message
        await asyncio.sleep(0)


def _understand(error: SparkDeskError) -> TurnFailure | None:
    known = error.failure if isinstance(error, EndpointError) else None
    if known is None:
        return None
    return TurnFailure(known.kind, known.prompt_tokens, known.context_tokens, known.retry_after_s)
