"""The chat page's view-model: which conversation is shown, its rows, the answer that comes, and what may be asked.

Rule: QtCore only. It starts work through the bridge and shows every expected error; it never waits.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from PySide6.QtCore import QObject, Signal

from sparkdesk.core.chat.context import ContextUse, WindowPolicy
from sparkdesk.core.chat.message import NO_IMAGES, Attachment, Role
from sparkdesk.core.chat.session import Turn
from sparkdesk.core.chat.window.overflow import Remedy, Server, WindowOffer
from sparkdesk.core.errors import SparkDeskError
from sparkdesk.core.feed import Latest, Subscription
from sparkdesk.services.chat.attaching import Draft
from sparkdesk.services.chat.conversation import Conversation, QueuedQuestion
from sparkdesk.services.chat.conversations import ChatSummary, Conversations
from sparkdesk.services.chat.endpoint import ChatEndpoint
from ui.bridge import Bridge, telling, watch
from ui.chat.row import ALONE, Look, Row, Siblings
from ui.chat.state.follow import AnswerFollower
from ui.chat.state.offer import Offer
from ui.chat.state.row_list import RowList
from ui.chat.state.said import said_of
from ui.chat.state.server import settle_server
from ui.chat.state.status import Status
from ui.chat.state.way import ways_on
from ui.text import one_line

LOOKED_BACK = 20
"""Turns that are looked through for the last figure of a kind."""


class ChatModel(QObject):
    """Made from the conversations, the model servers that are ready, and the bridge."""

    sessions_changed = Signal()
    conversation_changed = Signal()
    """Another conversation is shown."""
    rows_changed = Signal()
    tail_changed = Signal(object)
    """A `Growth` of the open block."""
    status_changed = Signal()
    state_changed = Signal()
    """Model, settings, title, queue, or whether an answer is being written."""
    turn_asked = Signal(int)
    """The turn at this place is to be brought into sight."""
    failed = Signal(object)
    """A SparkDeskError to show."""
    refused = Signal(object)
    """The `Draft` of a question that the conversation shown did not take."""

    def __init__(
        self,
        conversations: Conversations,
        endpoints: Latest[tuple[ChatEndpoint, ...]],
        bridge: Bridge,
        parent: QObject | None = None,
        *,
        column: Conversation | None = None,
    ) -> None:
        """`column`: show this conversation of a comparison and no other, and never another model than its own."""
        super().__init__(parent)
        self._is_column = column is not None
        self._conversations = conversations
        self.bridge = bridge
        self._endpoints = endpoints
        self._subscriptions: list[Subscription] = []
        self._list = RowList()
        self._edited: int | None = None
        self._is_joining = False
        self._choices_of: set[int] = set()
        self._ended_s: dict[int, float] = {}
        """When answers of this conversation ended since it is shown, by number; monotonic."""
        self._follower = AnswerFollower(self)
        self._follower.rows_changed.connect(self.rows_changed)
        self._follower.grown.connect(self.tail_changed)
        self._follower.ticked.connect(self.status_changed)
        self.server_of: Callable[[ChatEndpoint], Server] = lambda _target: Server()
        """What bears on launching a server again with a longer context; whoever knows sets it."""
        self.context_of: Callable[[Conversation], ContextUse] | None = None
        """How full a conversation's window is, by whoever knows its server; None: by its last answer alone."""
        self.load_image: Callable[[str], Awaitable[bytes | None]] | None = None
        """The bytes of an image by its digest; whoever has the store sets it."""
        self.waiting_text = ""
        self.conversation: Conversation | None = None
        watch(conversations.sessions, self, lambda _: self.sessions_changed.emit())
        watch(endpoints, self, self._on_endpoints)
        if column is None:
            self.start_new()
        else:
            self.show_conversation(column)

    # What is shown ---------------------------------------------------------------------------------------------

    @property
    def conversations(self) -> Conversations:
        """The service, for what is done with the list."""
        return self._conversations

    @property
    def sessions(self) -> tuple[ChatSummary, ...]:
        """The conversations, newest first."""
        return self._conversations.sessions.value

    @property
    def endpoints(self) -> tuple[ChatEndpoint, ...]:
        """The model servers that are ready."""
        return self._endpoints.value

    @property
    def target(self) -> ChatEndpoint | None:
        """The server that this conversation talks to."""
        return None if self.conversation is None else self.conversation.target.value

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns of the conversation shown."""
        return () if self.conversation is None else self.conversation.turns.value

    def session_ids(self) -> tuple[str, ...]:
        """The id of the conversation shown, once it is stored."""
        return (self.conversation.id,) if self.conversation is not None and self.turns else ()

    @property
    def is_answering(self) -> bool:
        """Whether an answer is being written in the conversation shown."""
        return self.conversation is not None and self.conversation.is_answering.value

    @property
    def queued(self) -> tuple[QueuedQuestion, ...]:
        """The questions that wait in line."""
        return () if self.conversation is None else self.conversation.queued.value

    @property
    def tail(self) -> str:
        """The text of the open block."""
        return "" if self._follower.live is None else self._follower.live.tail

    @property
    def live_reasoning(self) -> str:
        """The reasoning of the answer that is being written."""
        return "" if self._follower.live is None else self._follower.live.reasoning

    def rows(self) -> list[Row]:
        """Everything in the transcript, from the top."""
        conversation, turns = self.conversation, self.turns
        can_continue = conversation is not None and conversation.continuation is not None
        last = turns[-1].number if turns and can_continue else None

        def look_of(turn: Turn) -> Look:
            return Look(
                self._siblings(turn.number),
                is_edited=turn.number == self._edited,
                shows_choices=turn.number in self._choices_of,
                can_continue=turn.number == last,
            )

        return self._list.rows(turns, self._follower.live, look_of)

    def status(self) -> Status | None:
        """What the answer does now; None when none is written."""
        return self._follower.status()

    def context_use(self) -> ContextUse:
        """The server's own count of the last exchange, and what else is known of its window."""
        if self.context_of is not None and self.conversation is not None:
            return self.context_of(self.conversation)
        limit = self.target.endpoint.context_tokens if self.target is not None else None
        # Of the newest only: to look through all of a long conversation is to read all of it from the disk.
        for turn in reversed(self.turns[-LOOKED_BACK:]):
            if turn.usage is not None and turn.usage.prompt_tokens is not None:
                usage = turn.usage
                return ContextUse(usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, limit)
        return ContextUse(limit=limit)

    # What the person does --------------------------------------------------------------------------------------

    def show_conversation(self, conversation: Conversation) -> None:
        """Show this one."""
        settle_server(conversation, self.endpoints, is_bound=self._is_column)
        self._show(conversation)

    def start_new(self) -> None:
        """Show a new, empty conversation with the model talked to last."""
        if self.conversation is not None and not self.turns and self.conversation.target.value is not None:
            self.conversation_changed.emit()
            return
        kept = self.target
        ready = {endpoint.id: endpoint for endpoint in self.endpoints}
        target = ready.get(kept.id) if kept is not None else None
        self._show(self._conversations.new(target or next(iter(self.endpoints), None)))

    def open_session(self, session_id: str) -> None:
        """Show a stored conversation."""
        if self.conversation is None or self.conversation.id != session_id:
            self._start(self._open, session_id)

    def open_at(self, session_id: str, number: int) -> None:
        """Show a stored conversation where the turn of this number is, on whatever branch."""
        self._start(self._open_at, session_id, number)

    def leave(self, session_id: str) -> None:
        """This conversation is no more: show a new one, if it is shown."""
        if self.conversation is not None and self.conversation.id == session_id:
            self._show(self._conversations.new(self.target))

    def choose_endpoint(self, endpoint_id: str) -> None:
        """Talk to this server from the next question on. A conversation that is empty takes over its defaults."""
        found = next((endpoint for endpoint in self.endpoints if endpoint.id == endpoint_id), None)
        if found is None or self.conversation is None or found is self.target:
            return
        if not self.turns and not self.is_answering:
            self._show(self._conversations.new(found))
        else:
            self.conversation.use(found)

    def ask(self, text: str, attachments: tuple[Attachment, ...] = (), images: Mapping[str, bytes] = NO_IMAGES) -> None:
        """Ask, or line up."""
        conversation = self.conversation
        if conversation is None:
            return

        async def ask() -> None:
            try:
                await conversation.ask(text, attachments, images)
            except SparkDeskError:
                if conversation is self.conversation:
                    self.refused.emit(Draft(text, attachments, images))
                raise

        self._start(ask)

    def stop(self) -> None:
        """Stop the answer."""
        if self.conversation is not None:
            self.conversation.stop()

    def retry(self) -> None:
        """Have the last question answered again."""
        if self.conversation is not None:
            self._start_answer(self.conversation.regenerate)

    def act(self, key: str, number: int) -> None:
        """Do something with the turn of this number: regenerate, retry, branch, choices, edit, continue."""
        conversation = self.conversation
        if conversation is None:
            return
        if key in ("regenerate", "retry"):
            self._start_answer(conversation.regenerate, number)
        elif key == "branch":
            self._start_answer(conversation.fork, number)
        elif key == "continue":
            self._start_answer(conversation.continue_answer)
        elif key == "choices":
            self._choices_of ^= {number}
            self.rows_changed.emit()
        elif key == "edit" and self._is_question(number) and not self.is_answering:
            self._edited = number
            self.rows_changed.emit()

    def _is_question(self, number: int) -> bool:
        return any(turn.number == number and turn.message.role is Role.USER for turn in self.turns)

    def edit(self, text: str) -> None:
        """Ask the question that is being changed anew, with this text."""
        number, self._edited = self._edited, None
        self.rows_changed.emit()
        if self.conversation is not None and number is not None:
            self._start(self.conversation.edit, number, text)

    def leave_edit(self) -> None:
        """Leave the question as it was."""
        self._edited = None
        self.rows_changed.emit()

    def choose(self, number: int) -> None:
        """Show the branch through this turn."""
        if self.conversation is not None:
            self._start(self.conversation.choose, number)

    def choose_beside(self, number: int, step: int) -> None:
        """Show the turn so many steps beside this one, where there is one."""
        beside = self._siblings(number).beside(step)
        if beside is not None:
            self.choose(beside)

    def _siblings(self, number: int) -> Siblings:
        if self.conversation is None:
            return ALONE
        numbers = self.conversation.siblings(number)
        return Siblings(numbers, numbers.index(number)) if len(numbers) > 1 else ALONE

    def drop_queued(self, place: int) -> QueuedQuestion | None:
        """Take a question out of the line; None when it is gone already."""
        if self.conversation is None or not 0 <= place < len(self.queued):
            return None
        return self.conversation.drop_queued(place)

    def send_queued(self, place: int) -> None:
        """Send a question of the line that was held."""
        if self.conversation is not None and 0 <= place < len(self.queued):
            self._start(self.conversation.send_queued, place)

    def rename(self, title: str) -> None:
        """Give the conversation another title."""
        if self.conversation is not None:
            self._start(self.conversation.rename, title)

    def change_settings(self, changes: dict[str, Any]) -> None:
        """Keep other settings for the next question, by the names of ChatSettings' fields."""
        if self.conversation is not None:
            conversation = self.conversation
            self._start(lambda: conversation.change_settings(**changes))

    def change_window(self, window: WindowPolicy) -> None:
        """Do this from now on when the conversation does not fit, and have the last question answered again."""
        conversation = self.conversation
        if conversation is None:
            return

        async def change_and_retry() -> None:
            await conversation.change_settings(window=window)
            await conversation.regenerate()

        self._start_answer(change_and_retry)

    def offers(self, at: int) -> list[Offer]:
        """What can be done when the turn at this place did not fit into the window."""
        return [Offer(each.remedy.value, each.title, "", each.words, each.reason) for each in self._ways(at)]

    def raise_offer(self, at: int) -> int | None:
        """How many tokens of context would hold the conversation; None is not known."""
        return next((each.context_tokens for each in self._ways(at) if each.remedy is Remedy.RAISE), None)

    def _ways(self, at: int) -> tuple[WindowOffer, ...]:
        target, conversation = self.target, self.conversation
        if conversation is None or target is None or at >= len(self.turns):
            return ()
        return ways_on(self.turns[: at + 1], conversation.settings.value, target, self.server_of(target))

    def wait_s(self, at: int) -> Callable[[], float] | None:
        """How long the server still wants to be left alone, asked again and again; None when it told nothing."""
        turn = self.turns[at]
        after_s = turn.failure.retry_after_s if turn.failure is not None else None
        ended_s = self._ended_s.get(turn.number)
        if after_s is None or ended_s is None:
            return None
        return lambda: ended_s + after_s - time.monotonic()

    def words_of(self, number: int) -> str:
        """The first words of a turn, for a list."""
        known = () if self.conversation is None else self.conversation.all_turns
        turn = next((turn for turn in known if turn.number == number), None)
        if turn is None:
            return f"turn {number + 1}, which is not here any more"
        who = "You" if turn.message.role is Role.USER else "The model"
        return f"{who}: {one_line(turn.text, 160)}"

    def find(self, words: str) -> list[int]:
        """The places of the turns of the branch shown that say these words, small letters like large ones."""
        sought = words.casefold()
        return [at for at, turn in enumerate(self.turns) if sought in said_of(turn)] if sought.strip() else []

    def show_turn(self, at: int) -> None:
        """Lay out the turn at this place and those around it."""
        if self._list.show_around(at, len(self.turns)):
            self.rows_changed.emit()

    @property
    def is_at_newest(self) -> bool:
        """Whether the newest turn is among those that are laid out."""
        return self._list.is_at_newest

    def show_earlier(self) -> None:
        """Lay out earlier turns too."""
        self._list.show_earlier(len(self.turns))
        self.rows_changed.emit()

    def show_later(self) -> None:
        """Lay out later turns too."""
        self._list.show_later(len(self.turns))
        self.rows_changed.emit()

    def show_newest(self) -> None:
        """Lay out the newest turns."""
        if self._list.show_newest():
            self.rows_changed.emit()

    def set_waiting(self, text: str) -> None:
        """Say what is on its way while no model is ready ("gpt-oss-120b is loading on spark-afe0"); "" is nothing."""
        if text != self.waiting_text:
            self.waiting_text = text
            self.state_changed.emit()

    # Inside ----------------------------------------------------------------------------------------------------

    def _start(self, fn: Callable[..., Coroutine[Any, Any, None]], *args: object) -> None:
        self.bridge.start(telling(self.failed.emit, fn), *args)

    def _start_answer(self, fn: Callable[..., Coroutine[Any, Any, None]], *args: object) -> None:
        """Unless one is being written when it comes to that: then the key or the button was pressed twice."""
        conversation = self.conversation

        async def answer() -> None:
            if conversation is not None and not conversation.is_answering.value:
                await fn(*args)

        self._start(answer)

    async def _open(self, session_id: str) -> None:
        try:
            conversation = await self._conversations.open(session_id)
        except KeyError:
            return
        if conversation is not self.conversation:
            self.show_conversation(conversation)

    async def _open_at(self, session_id: str, number: int) -> None:
        await self._open(session_id)
        conversation = self.conversation
        if conversation is None or conversation.id != session_id:
            return
        known = {turn.number for turn in conversation.all_turns}
        if number in known and all(turn.number != number for turn in self.turns):
            await conversation.choose(number)
        at = next((at for at, turn in enumerate(self.turns) if turn.number == number), -1)
        if at >= 0:
            self.turn_asked.emit(at)

    def _show(self, conversation: Conversation) -> None:
        for subscription in self._subscriptions:
            subscription.close()
        self._follower.stop()
        self._list.forget()
        self._edited = None
        self._choices_of.clear()
        self._ended_s.clear()
        self.conversation = conversation
        self.conversation_changed.emit()
        # Each of these tells at once what it has: that is shown together, and not once for each.
        self._is_joining = True
        self._subscriptions = [
            watch(conversation.turns, self, self._on_turns),
            watch(conversation.is_answering, self, self._on_answering),
            watch(conversation.target, self, self._on_state),
            watch(conversation.settings, self, self._on_state),
            watch(conversation.title, self, self._on_state),
            watch(conversation.queued, self, self._on_state),
            watch(conversation.activity, self, self._on_state),
            watch(conversation.unkept, self, self._on_state),
        ]
        self._is_joining = False
        self._tell()

    def _on_endpoints(self, endpoints: tuple[ChatEndpoint, ...]) -> None:
        conversation = self.conversation
        if conversation is not None:
            settle_server(conversation, endpoints, is_bound=self._is_column or not conversation.turns.value)
            if conversation.target.value is None and endpoints and not (conversation.turns.value or self._is_column):
                self._show(self._conversations.new(endpoints[0]))
        self.state_changed.emit()

    def _on_turns(self, turns: tuple[Turn, ...]) -> None:
        is_open = bool(turns) and turns[-1].state.is_open
        live = self.conversation.live_turn() if self.conversation is not None else None
        followed = self._follower.live
        if not is_open or live is None or self.conversation is None:
            if followed is not None and turns:
                self._ended_s[turns[-1].number] = time.monotonic()
            self._follower.stop()
        elif followed is None or followed.index != len(turns) - 1:
            self._follower.follow(self.conversation, len(turns) - 1, live)
        self._tell()

    def _tell(self) -> None:
        if not self._is_joining:
            self.rows_changed.emit()
        self._on_state(None)

    def _on_state(self, _value: object) -> None:
        if not self._is_joining:
            self.state_changed.emit()

    def _on_answering(self, is_answering: bool) -> None:
        if not is_answering:
            self._follower.stop()
            # Only now can a cut answer be gone on with.
            self._tell()
        else:
            self._on_state(is_answering)
