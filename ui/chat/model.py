"""The chat page's view-model: which conversation is shown, its rows, the answer that comes, and what may be asked.

Rule: QtCore only. It starts work through the bridge and shows every expected error; it never waits.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from PySide6.QtCore import QElapsedTimer, QObject, QTimer, Signal

from sparkdesk.core.chat.context import ContextUse
from sparkdesk.core.chat.event import ChatEvent
from sparkdesk.core.chat.message import Sampling
from sparkdesk.core.chat.session import Turn
from sparkdesk.core.chat.timing import AnswerTiming
from sparkdesk.core.errors import SparkDeskError
from sparkdesk.core.feed import Latest, Lost, Subscription
from sparkdesk.services.chat.conversation import Conversation
from sparkdesk.services.chat.conversations import ChatSummary, Conversations
from sparkdesk.services.chat.endpoint import ChatEndpoint
from ui.bridge import Bridge, StreamPump, watch
from ui.chat.live import Growth, LiveAnswer
from ui.chat.row import EarlierRow, Row, rows_of

FAST_HZ = 30.0
SLOW_HZ = 15.0
SLOW_FROM_CHARS = 8192
STATUS_MS = 250
TURNS_SHOWN = 200
"""How many of the newest turns are laid out; the rest on demand."""


@dataclass(frozen=True, slots=True)
class Status:
    """What the answer does now. `phase`: waiting, reading, thinking, writing."""

    phase: str
    elapsed_s: float
    timing: AnswerTiming
    processed: int = 0
    total: int = 0
    left_s: float = float("nan")


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
    failed = Signal(object)
    """A SparkDeskError to show."""

    def __init__(
        self,
        conversations: Conversations,
        endpoints: Latest[tuple[ChatEndpoint, ...]],
        bridge: Bridge,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._conversations = conversations
        self._bridge = bridge
        self._endpoints = endpoints
        self._subscriptions: list[Subscription] = []
        self._pump: StreamPump[ChatEvent] | None = None
        self._live: LiveAnswer | None = None
        self._cache: dict[int, tuple[Turn, bool, list[Row]]] = {}
        self._turns_shown = TURNS_SHOWN
        self._elapsed = QElapsedTimer()
        self._ticks = QTimer(self)
        self._ticks.setInterval(STATUS_MS)
        self._ticks.timeout.connect(self.status_changed)
        self.waiting_text = ""
        self.conversation: Conversation | None = None
        watch(conversations.sessions, self, lambda _: self.sessions_changed.emit())
        watch(endpoints, self, self._on_endpoints)
        self.start_new()

    # What is shown ---------------------------------------------------------------------------------------------

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

    @property
    def is_answering(self) -> bool:
        """Whether an answer is being written in the conversation shown."""
        return self.conversation is not None and self.conversation.is_answering.value

    @property
    def queued(self) -> tuple[str, ...]:
        """The questions that wait in line."""
        return () if self.conversation is None else self.conversation.queued.value

    @property
    def tail(self) -> str:
        """The text of the open block."""
        return "" if self._live is None else self._live.tail

    @property
    def live_reasoning(self) -> str:
        """The reasoning of the answer that is being written."""
        return "" if self._live is None else self._live.reasoning

    def rows(self) -> list[Row]:
        """Everything in the transcript, from the top."""
        turns = self.turns
        first = max(0, len(turns) - self._turns_shown)
        rows: list[Row] = [EarlierRow(first)] if first else []
        for index in range(first, len(turns)):
            if self._live is not None and index == self._live.index:
                rows.extend(self._live.rows())
            else:
                rows.extend(self._rows_of(turns[index], index, is_last=index == len(turns) - 1))
        return rows

    def _rows_of(self, turn: Turn, index: int, *, is_last: bool) -> list[Row]:
        known = self._cache.get(index)
        if known is not None and known[0] is turn and known[1] == is_last:
            return known[2]
        rows = rows_of(turn, index, is_last=is_last)
        self._cache[index] = (turn, is_last, rows)
        return rows

    def status(self) -> Status | None:
        """What the answer does now; None when none is written."""
        if self.conversation is None or self._live is None:
            return None
        timing = self.conversation.live_timing() or AnswerTiming()
        elapsed_s = self._elapsed.elapsed() / 1000
        progress = self._live.progress
        if self._live.has_token:
            return Status("thinking" if self._live.is_thinking else "writing", elapsed_s, timing)
        if progress is not None and progress.processed < progress.total:
            left_s = self._live.prefill_left_s()
            return Status("reading", elapsed_s, timing, progress.processed, progress.total, left_s)
        return Status("waiting", elapsed_s, timing)

    def context_use(self) -> ContextUse:
        """The server's own count of the last exchange."""
        limit = self.target.endpoint.context_tokens if self.target is not None else None
        for turn in reversed(self.turns):
            if turn.usage is not None and turn.usage.prompt_tokens is not None:
                usage = turn.usage
                return ContextUse(usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, limit)
        return ContextUse(limit=limit)

    # What the person does --------------------------------------------------------------------------------------

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

    def choose_endpoint(self, endpoint_id: str) -> None:
        """Talk to this server from the next question on. A conversation that is empty takes over its defaults."""
        found = next((endpoint for endpoint in self.endpoints if endpoint.id == endpoint_id), None)
        if found is None or self.conversation is None or found is self.target:
            return
        if not self.turns and not self.is_answering:
            self._show(self._conversations.new(found))
        else:
            self.conversation.use(found)

    def ask(self, text: str) -> None:
        """Ask, or line up."""
        if self.conversation is not None:
            self._start(self.conversation.ask, text)

    def stop(self) -> None:
        """Stop the answer."""
        if self.conversation is not None:
            self.conversation.stop()

    def retry(self) -> None:
        """Have the last question answered again."""
        if self.conversation is not None:
            self._start(self.conversation.regenerate)

    def set_settings(self, system_prompt: str, sampling: Sampling) -> None:
        """Keep system prompt and sampling for the next question."""
        if self.conversation is not None:
            self._start(
                lambda conversation: conversation.set_settings(system_prompt=system_prompt, sampling=sampling),
                self.conversation,
            )

    def show_earlier(self) -> None:
        """Lay out earlier turns too."""
        self._turns_shown += TURNS_SHOWN
        self.rows_changed.emit()

    def set_waiting(self, text: str) -> None:
        """Say what is on its way while no model is ready ("gpt-oss-120b is loading on spark-afe0"); "" is nothing."""
        if text != self.waiting_text:
            self.waiting_text = text
            self.state_changed.emit()

    # Inside ----------------------------------------------------------------------------------------------------

    def _start(self, fn: Callable[..., Coroutine[Any, Any, None]], *args: object) -> None:
        async def guarded() -> None:
            try:
                await fn(*args)
            except SparkDeskError as error:
                self.failed.emit(error)

        self._bridge.start(guarded)

    async def _open(self, session_id: str) -> None:
        try:
            conversation = await self._conversations.open(session_id)
        except KeyError:
            return
        if conversation.target.value is None:
            conversation.use(self._best_for(conversation))
        self._show(conversation)

    def _best_for(self, conversation: Conversation) -> ChatEndpoint | None:
        label = conversation.endpoint_label.value
        same = [endpoint for endpoint in self.endpoints if endpoint.label == label]
        model = [endpoint for endpoint in self.endpoints if endpoint.endpoint.model == label.partition(" on ")[0]]
        return next(iter((*same, *model, *self.endpoints)), None)

    def _show(self, conversation: Conversation) -> None:
        for subscription in self._subscriptions:
            subscription.close()
        self._end_live()
        self._cache.clear()
        self._turns_shown = TURNS_SHOWN
        self.conversation = conversation
        self.conversation_changed.emit()
        self._subscriptions = [
            watch(conversation.turns, self, self._on_turns),
            watch(conversation.is_answering, self, self._on_answering),
            watch(conversation.target, self, self._on_state),
            watch(conversation.settings, self, self._on_state),
            watch(conversation.title, self, self._on_state),
            watch(conversation.queued, self, self._on_state),
        ]

    def _on_endpoints(self, endpoints: tuple[ChatEndpoint, ...]) -> None:
        conversation = self.conversation
        if conversation is not None:
            target = conversation.target.value
            ready = {endpoint.id: endpoint for endpoint in endpoints}
            found = ready.get(target.id) if target is not None else None
            if target is not None and not _is_same(target, found):
                conversation.use(found)
            if conversation.target.value is None and endpoints:
                if conversation.turns.value:
                    conversation.use(self._best_for(conversation))
                else:
                    self._show(self._conversations.new(endpoints[0]))
        self.state_changed.emit()

    def _on_turns(self, turns: tuple[Turn, ...]) -> None:
        is_open = bool(turns) and turns[-1].state.is_open
        live = self.conversation.live_turn() if self.conversation is not None else None
        if not is_open or live is None:
            self._end_live()
        elif self._live is None or self._live.index != len(turns) - 1:
            self._begin_live(len(turns) - 1, live)
        self.rows_changed.emit()
        self.state_changed.emit()

    def _on_state(self, _value: object) -> None:
        self.state_changed.emit()

    def _on_answering(self, is_answering: bool) -> None:
        if not is_answering:
            self._end_live()
        self.state_changed.emit()

    def _begin_live(self, index: int, so_far: Turn) -> None:
        self._end_live()
        assert self.conversation is not None
        self._live = LiveAnswer(index, so_far)
        # A pump for each answer: what waits of the last one must not be read as part of this one.
        self._pump = StreamPump(self.conversation.events, self._on_events, rate_hz=FAST_HZ, parent=self)
        self._elapsed.start()
        self._ticks.start()

    def _end_live(self) -> None:
        self._live = None
        self._ticks.stop()
        if self._pump is not None:
            self._pump.close()
            self._pump.deleteLater()
            self._pump = None

    def _on_events(self, items: list[ChatEvent | Lost]) -> None:
        live = self._live
        if live is None or self.conversation is None:
            return
        before = live.rows()
        if any(isinstance(item, Lost) for item in items):
            # The screen was too slow: begin again from all that the conversation has.
            so_far = self.conversation.live_turn()
            if so_far is not None:
                self._begin_live(live.index, so_far)
                self.rows_changed.emit()
            return
        growth = live.add([item for item in items if not isinstance(item, Lost)])
        if live.rows() != before:
            self.rows_changed.emit()
            # A row that was made just now took the whole tail already.
            growth = Growth(live.tail, is_reset=True)
        if growth.text or growth.is_reset:
            self.tail_changed.emit(growth)
        if self._pump is not None:
            self._pump.set_rate(SLOW_HZ if len(live.tail) > SLOW_FROM_CHARS else FAST_HZ)
        self.status_changed.emit()


def _is_same(target: ChatEndpoint, found: ChatEndpoint | None) -> bool:
    """Whether a server that is listed anew is the one talked to; the way to it may be another object."""
    return found is not None and replace(found, source=target.source) == target
