"""Conversations with model servers: asked, streamed, stopped, branched, kept.

The one rule: what was shown is never lost. A question is kept before it is shown, an answer piece by piece before each
piece is shown; a stop, a cut, an error and the end of the program all keep what had come, and nothing that was said is
taken out when it is changed or answered again. Where the disk takes no more, the chat goes on and says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sparkdesk.core.chat.event import ChatEvent
from sparkdesk.core.chat.message import NO_IMAGES, Attachment, Message, Role
from sparkdesk.core.chat.request.continuation import ContinueWay, begin_again, can_continue, continue_way, end_unchanged
from sparkdesk.core.chat.session import ChatSettings, Turn, TurnState, given_title, image_digests, question, title_of
from sparkdesk.core.chat.store.session_json import MAX_QUEUED, settings_to_json, turn_to_json
from sparkdesk.core.chat.stream.timing import AnswerTiming
from sparkdesk.core.chat.tree import TurnTree
from sparkdesk.core.errors import EndpointError, StoreError
from sparkdesk.core.feed import Latest, Stream
from sparkdesk.core.plain_text import lower_first
from sparkdesk.core.ports import Store
from sparkdesk.services.chat.answering.piece_log import slow_store
from sparkdesk.services.chat.answering.run import AnswerRun, Question, read_turns
from sparkdesk.services.chat.endpoint import ChatEndpoint
from sparkdesk.services.chat.fitting import ContextFitter, WholeConversation
from sparkdesk.services.clock import Clock
from sparkdesk.services.tasks import Tasks

SAVE_TIMEOUT_S = 5.0
NO_MODEL_REMEDY = "Choose a model that is Ready, or launch one."


@dataclass(frozen=True, slots=True)
class QueuedQuestion:
    """A question that waits until the answer before it is done."""

    text: str
    attachments: tuple[Attachment, ...] = ()
    images: Mapping[str, bytes] = field(default_factory=lambda: NO_IMAGES)
    is_held: bool = False
    """It is not sent by itself any more: a person stopped, or the answer before it failed."""


class Conversation:
    """One conversation. Questions that are asked while an answer is written wait in line."""

    def __init__(
        self,
        session_id: str,
        settings: ChatSettings,
        tree: TurnTree,
        *,
        tasks: Tasks,
        store: Store,
        clock: Clock,
    ) -> None:
        """`tree` has all turns that are stored, of every branch, and shows the one that was shown last."""
        self.id = session_id
        self._tasks = tasks
        self._store = store
        self._clock = clock
        self.fitter: ContextFitter = WholeConversation()
        """Chooses what is sent with a question, from the next one on."""
        self._key = f"chat:{session_id}"
        self._tree = tree
        self._running: AnswerRun | None = None
        self._images: dict[str, bytes] = {}
        """Of images that the store does not have yet."""
        self._unsaved: set[int] = set()
        self._has_unsaved_settings = False
        self._is_stored = len(tree) > 0
        self._is_forgotten = False
        self._is_stopped = False
        self._has_begun = False
        self._is_done = asyncio.Event()
        self._is_done.set()
        self.title: Latest[str] = Latest(self._own_title())
        self.turns: Latest[tuple[Turn, ...]] = Latest(self._tree.shown)
        held = (QueuedQuestion(message.text, message.attachments, is_held=True) for message in settings.queued)
        self.queued: Latest[tuple[QueuedQuestion, ...]] = Latest(tuple(held))
        self.settings: Latest[ChatSettings] = Latest(settings)
        self.target: Latest[ChatEndpoint | None] = Latest(None)
        self.endpoint_label: Latest[str] = Latest(settings.label)
        self.is_answering: Latest[bool] = Latest(False)
        self.activity: Latest[str] = Latest("")
        """What goes on before a question is out, in words; "" is nothing that takes time."""
        self.unkept: Latest[str] = Latest("")
        """Why something that is shown is not kept on the disk, and what to do; "" when all is kept."""
        self.events: Stream[ChatEvent] = Stream()

    # Looking ------------------------------------------------------------------------------------------------

    @property
    def all_turns(self) -> tuple[Turn, ...]:
        """Every turn of every branch, in order of age."""
        return self._tree.all

    def siblings(self, number: int) -> tuple[int, ...]:
        """The numbers of the turns beside this one, itself included, in order of age. Raises KeyError."""
        return self._tree.siblings(number)

    def live_turn(self) -> Turn | None:
        """The answer that is being written, with all that was shown of it so far."""
        return None if self._running is None else self._running.turn()

    def live_timing(self) -> AnswerTiming | None:
        """The figures of the answer that is being written."""
        return None if self._running is None else self._running.answer.clock.timing()

    @property
    def continuation(self) -> ContinueWay | None:
        """How `continue_answer` would go on; None when there is nothing to go on with, or nobody to ask."""
        turns, target = self.turns.value, self.target.value
        if self.is_answering.value or target is None or not turns or not can_continue(turns[-1]):
            return None
        return continue_way(target.endpoint.engine)

    # Settings -----------------------------------------------------------------------------------------------

    def use(self, target: ChatEndpoint | None) -> None:
        """Talk to this server from the next question on. None: it went away; what was said stays."""
        self.target.set(target)
        if target is not None:
            self.endpoint_label.set(target.label)
            self.settings.set(replace(self.settings.value, label=target.label))

    async def change_settings(self, **changes: Any) -> None:
        """Replace fields of the settings by name; they hold from the next question on. Raises TypeError for others."""
        self.settings.set(replace(self.settings.value, **changes))
        if len(self._tree):
            await self._keep_settings()

    async def rename(self, title: str) -> None:
        """Give it another title; an empty one is the one it had by itself."""
        self.title.set(given_title(title) or self._own_title())
        if len(self._tree):
            await self._keep_settings()

    def _own_title(self) -> str:
        first = next((turn.text for turn in self._tree.shown if turn.message.role is Role.USER), "")
        return title_of(first) or "New chat"

    # Asking -------------------------------------------------------------------------------------------------

    async def ask(
        self, text: str, attachments: tuple[Attachment, ...] = (), images: Mapping[str, bytes] = NO_IMAGES
    ) -> None:
        """Ask, or line up behind the answer that is being written. Returns when the question is kept and on its way.

        `images` are the bytes of the images in `attachments`, by digest. Raises EndpointError when there is no model
        to ask, or too many questions wait.
        """
        if not text.strip() and not attachments:
            return
        self._require_target()
        if self.is_answering.value:
            await self._line_up(QueuedQuestion(text, attachments, images))
            return
        self._begin()
        try:
            await self._add_question(question(text, attachments), images)
        except BaseException:
            self._end()
            raise
        self._start_answer()

    async def edit(
        self,
        number: int,
        text: str,
        attachments: tuple[Attachment, ...] | None = None,
        images: Mapping[str, bytes] = NO_IMAGES,
    ) -> None:
        """Ask anew, as a branch beside the question with this number; None keeps its attachments.

        Raises KeyError, EndpointError: no model, or an answer is being written.
        """
        old = self._tree[number]
        self._require_idle()
        self._require_target()
        kept = old.message.attachments if attachments is None else attachments
        if text.strip() or kept:
            self._tree.end_at(old.parent)
            await self.ask(text, kept, images)

    async def regenerate(self, number: int | None = None) -> None:
        """Have another answer beside this one, or to the question with this number; None is the last.

        An answer that never began gives its place to the new one. Raises KeyError, EndpointError.
        """
        self._require_idle()
        self._require_target()
        last = self._tree.leaf if number is None else number
        if last is None:
            return
        turn = self._tree[last]
        again: Turn | None = None
        if turn.message.role is Role.ASSISTANT:
            again = turn if not turn.message.parts else None
            self._tree.end_at(turn.parent)
        else:
            self._tree.end_at(turn.number)
        self._begin()
        try:
            await self._keep_settings(is_newer=True)
        except BaseException:
            self._end()
            raise
        self._start_answer(again)

    async def continue_answer(self) -> None:
        """Have the last answer go on where it ends. Raises EndpointError when there is none that could."""
        self._require_idle()
        self._require_target()
        if self.continuation is None:
            raise EndpointError("This answer cannot go on", remedy="Have it answered again.")
        self._begin()
        self._start_answer(self.turns.value[-1])

    # Branches -----------------------------------------------------------------------------------------------

    async def choose(self, number: int) -> None:
        """Show the branch through this turn, down to where it was left last. Raises KeyError, EndpointError (busy)."""
        self._require_idle()
        self._tree.choose(number)
        self._show()
        await self._keep_settings()

    async def fork(self, number: int) -> None:
        """End the transcript at this turn: the next question follows it, beside what followed it before.

        Raises KeyError, EndpointError (busy).
        """
        self._require_idle()
        self._tree.end_at(number)
        self._show()

    def forget(self) -> None:
        """It was removed from the store: nothing of it is kept any more, save when something new is asked in it."""
        self._is_forgotten, self._is_stored = True, False
        self._unsaved = {turn.number for turn in self._tree.all}

    # The line -----------------------------------------------------------------------------------------------

    def drop_queued(self, index: int) -> QueuedQuestion:
        """Take a question out of the line; gives it, so that it can be changed. Raises IndexError."""
        waiting = list(self.queued.value)
        dropped = waiting.pop(index)
        self._set_queued(tuple(waiting))
        self._tasks.start(self._keep_dropped, frozenset(digest for digest, data in dropped.images.items() if data))
        return dropped

    async def send_queued(self, index: int = 0) -> None:
        """Send a question that was held: now, or after the answer that is being written. Raises as `ask`, IndexError"""
        self._require_target()
        waiting = list(self.queued.value)
        chosen = replace(waiting.pop(index), is_held=False)
        if self.is_answering.value:
            self._set_queued((*waiting[:index], chosen, *waiting[index:]))
            return
        self._set_queued(tuple(waiting))
        await self.ask(chosen.text, chosen.attachments, chosen.images)

    def stop(self) -> None:
        """Stop the answer: the server stops too, what was said stays, and what waits in line is held."""
        self._hold()
        self._is_stopped = True
        self._tasks.cancel(self._key)

    async def finished(self) -> None:
        """Wait until nothing is being answered and nothing is about to be. The caller sets the time limit."""
        await self._is_done.wait()

    async def _line_up(self, queued: QueuedQuestion) -> None:
        if len(self.queued.value) >= MAX_QUEUED:
            raise EndpointError("Too many questions wait already", remedy="Wait, or take one out of the line.")
        self._images.update(queued.images)
        self._set_queued((*self.queued.value, queued))
        await self._keep_settings()

    async def _keep_dropped(self, digests: frozenset[str]) -> None:
        """Keep the line without a question, and no longer its images: whoever took it out has their bytes."""
        if digests:
            await read_turns(self._tree.all)
            waiting = (question(each.text, each.attachments) for each in self.queued.value)
            unused = digests - image_digests((*(turn.message for turn in self._tree.all), *waiting))
            for digest in unused:
                self._images.pop(digest, None)
            try:
                await self._store.drop_attachments(self.id, unused)
            except StoreError as error:
                self._tell_unkept(error)
        await self._keep_settings()

    def _hold(self) -> None:
        if any(not waiting.is_held for waiting in self.queued.value):
            self.queued.set(tuple(replace(waiting, is_held=True) for waiting in self.queued.value))

    def _set_queued(self, queued: tuple[QueuedQuestion, ...]) -> None:
        kept = tuple(question(waiting.text, waiting.attachments) for waiting in queued)
        self.settings.set(replace(self.settings.value, queued=kept))
        self.queued.set(queued)

    def _take_next(self) -> QueuedQuestion | None:
        """The first that is not held, out of the line."""
        for index, waiting in enumerate(self.queued.value):
            if not waiting.is_held:
                self._set_queued((*self.queued.value[:index], *self.queued.value[index + 1 :]))
                return waiting
        return None

    # Answering ----------------------------------------------------------------------------------------------

    def _require_target(self) -> ChatEndpoint:
        if self.target.value is None:
            raise EndpointError("No model is chosen for this chat", remedy=NO_MODEL_REMEDY)
        return self.target.value

    def _require_idle(self) -> None:
        if self.is_answering.value:
            raise EndpointError("An answer is being written", remedy="Wait until it is done, or stop it.")

    def _begin(self) -> None:
        self._is_done.clear()
        self._is_stopped = False
        self.is_answering.set(True)

    def _end(self) -> None:
        self.is_answering.set(False)
        self._is_done.set()

    def _start_answer(self, base: Turn | None = None) -> None:
        if self._is_stopped:
            self._end_unanswered()
            return
        self._has_begun = False
        task = self._tasks.start_exclusive(self._key, self._run, base)
        if task is None:
            self._end_unanswered()
        else:
            task.add_done_callback(self._end_unbegun)

    def _end_unbegun(self, _task: asyncio.Task[None]) -> None:
        """A task that is cancelled before its first step has not even its `finally`."""
        if not self._has_begun:
            self._end_unanswered()

    def _end_unanswered(self) -> None:
        if self._tree.leaf is not None:
            self._tree.choose(self._tree.leaf)
        self._show()
        self._end()

    async def _run(self, base: Turn | None) -> None:
        self._has_begun = True
        try:
            state = await self._answer_once(base)
            while state is TurnState.DONE and self.target.value is not None and (waiting := self._take_next()):
                await self._add_question(question(waiting.text, waiting.attachments), waiting.images)
                state = await self._answer_once(None)
        finally:
            self._running = None
            self._hold()
            self._show()
            self._end()

    async def _answer_once(self, base: Turn | None) -> TurnState:
        """One answer from its request to its last save. `base` is the turn to be gone on with or to be filled."""
        target = self._require_target()
        turn = self._place(base, target)
        above = tuple(each for each in self._tree.shown if each.number != turn.number)
        asked = Question(
            self.id, above, self.settings.value, target, self._images, is_continuing=bool(turn.message.parts)
        )
        run = self._running = AnswerRun(
            asked,
            turn,
            store=self._store,
            clock=self._clock,
            show=self.events.put,
            fail=self._tell_unkept,
        )
        self._show()
        ended: Turn | None = None
        try:
            ended = await run.run(self._tasks, self.fitter, self.activity.set)
        finally:
            self._running = None
            if ended is None:
                ended = run.turn(TurnState.STOPPED)
            if ended.state in (TurnState.CUT_OFF, TurnState.FAILED):
                target.doubt()
            if base is not None and base.message.parts and ended.message == base.message:
                ended = end_unchanged(base, ended)
            self._tree.put(ended)
            self._unsaved.add(turn.number)
            self._show()
            await self._keep()
        return ended.state

    def _place(self, base: Turn | None, target: ChatEndpoint) -> Turn:
        """Put the turn that is to be written behind the last one that is shown, or open the one that is there."""
        notes = (self.settings.value.caution, target.endpoint.note)
        label, t_ms, note = target.label, self._clock.now_ms(), "; ".join(each for each in notes if each)
        if base is None:
            empty = Message(Role.ASSISTANT, ())
            return self._tree.add(Turn(empty, state=TurnState.SENT, note=note, label=label, t_ms=t_ms))
        if base.message.parts:
            opened = begin_again(base, continue_way(target.endpoint.engine), label)
        else:
            opened = Turn(base.message, TurnState.SENT, note=note, label=label, t_ms=t_ms, number=base.number)
        self._tree.put(opened)
        self._tree.end_at(opened.number)
        return self._tree[opened.number]

    async def _add_question(self, message: Message, images: Mapping[str, bytes]) -> None:
        """Keep a question behind the last turn that is shown, and then show it."""
        if not len(self._tree):
            self.title.set(title_of(message.text) or title_of(" ".join(part.name for part in message.attachments)))
        turn = self._tree.add(Turn(message, t_ms=self._clock.now_ms()))
        self._is_forgotten = False
        self._unsaved.add(turn.number)
        self._images.update(images)
        await self._keep_settings(is_newer=True)
        self._show()

    def _show(self) -> None:
        self.turns.set(self._tree.shown)

    # Keeping ------------------------------------------------------------------------------------------------

    async def _keep_settings(self, *, is_newer: bool = False) -> None:
        """Keep them with the branch that is shown; `is_newer` when something is asked, not merely looked at or set."""
        changed = replace(self.settings.value, leaf=self._tree.leaf)
        self.settings.set(replace(changed, updated_ms=self._clock.now_ms()) if is_newer else changed)
        self._has_unsaved_settings = True
        await self._keep()

    async def _keep(self) -> None:
        """Save what is not saved yet. Never raises for what the disk does not take: `unkept` tells."""
        if self._is_forgotten:
            return
        try:
            async with asyncio.timeout(SAVE_TIMEOUT_S):
                await self._save_all()
        except StoreError as error:
            self._tell_unkept(error)
        except TimeoutError:
            self._tell_unkept(slow_store())
        else:
            if self.unkept.value:
                self.unkept.set("")

    async def _save_all(self) -> None:
        if not self._is_stored:
            await self._save_settings()
        self._is_stored = True
        for digest, data in tuple(self._images.items()):
            await self._store.save_attachment(self.id, digest, data)
            self._images.pop(digest, None)
        for number in sorted(self._unsaved):
            await self._store.save_message(self.id, number, turn_to_json(self._tree[number]))
            self._unsaved.discard(number)
        if self._has_unsaved_settings:
            await self._save_settings()

    async def _save_settings(self) -> None:
        await self._store.save_session(self.id, self.title.value, settings_to_json(self.settings.value))
        self._has_unsaved_settings = False

    def _tell_unkept(self, error: StoreError) -> None:
        self.unkept.set(f"Not kept: {lower_first(error.message)}. {error.remedy}")
