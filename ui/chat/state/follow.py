"""Follows the answer that is being written: its events become rows and a growing tail, and its clock ticks.

Rule: QtCore only. Each answer has a reader of its own, so that what waits of one is never read as part of the next.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Final

from PySide6.QtCore import QElapsedTimer, QObject, QTimer, Signal

from sparkdesk.core.chat.event import ChatEvent, PromptProgress
from sparkdesk.core.chat.session import Turn
from sparkdesk.core.chat.stream.prefill import PrefillEvidence, PrefillSource, estimate_prefill
from sparkdesk.core.chat.stream.timing import AnswerTiming
from sparkdesk.core.feed import Lost
from sparkdesk.services.chat.conversation import Conversation
from ui.bridge import StreamPump
from ui.chat.live import Growth, LiveAnswer
from ui.chat.state.status import Reading, Status
from ui.text import is_known

FAST_HZ = 30.0
SLOW_HZ = 15.0
SLOW_FROM_CHARS = 8192
STATUS_MS = 250
WORTH_TELLING_S = 2.0
"""A prompt that is predicted to be read sooner is not worth a bar."""
SOURCE_WORDS: Final = {
    PrefillSource.SERVER: "told by the server",
    PrefillSource.METRICS: "by its live metrics",
    PrefillSource.PREDICTED: "predicted",
}


class AnswerFollower(QObject):
    """Follows one answer at a time."""

    rows_changed = Signal()
    grown = Signal(object)
    """A `Growth` of the open block."""
    ticked = Signal()
    """The state's figures may have changed."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.live: LiveAnswer | None = None
        self._conversation: Conversation | None = None
        self._pump: StreamPump[ChatEvent] | None = None
        self._evidence = PrefillEvidence(0.0)
        self._elapsed = QElapsedTimer()
        self._ticks = QTimer(self)
        self._ticks.setInterval(STATUS_MS)
        self._ticks.timeout.connect(self._on_tick)

    def follow(self, conversation: Conversation, index: int, so_far: Turn) -> None:
        """Follow the answer at this place from what it is now."""
        self.stop()
        self._conversation = conversation
        self.live = LiveAnswer(index, so_far)
        self._evidence = self._first_evidence(conversation)
        self._pump = StreamPump(conversation.events, self._on_events, rate_hz=FAST_HZ, parent=self)
        self._elapsed.start()
        self._ticks.start()

    def stop(self) -> None:
        """Follow nothing."""
        self.live = None
        self._ticks.stop()
        if self._pump is not None:
            self._pump.close()
            self._pump.deleteLater()
            self._pump = None

    def status(self) -> Status | None:
        """What the answer does now; None when none is followed."""
        conversation, live = self._conversation, self.live
        if conversation is None or live is None:
            return None
        timing = conversation.live_timing() or AnswerTiming()
        elapsed_s = self._elapsed.elapsed() / 1000
        if not self._is_awaited(live, conversation):
            return Status("thinking" if live.is_thinking else "writing", elapsed_s, timing)
        activity = conversation.activity.value
        if activity:
            return Status("preparing", elapsed_s, timing, activity=activity)
        reading = self._reading()
        return Status("waiting" if reading is None else "reading", elapsed_s, timing, reading or Reading())

    @staticmethod
    def _is_awaited(live: LiveAnswer, conversation: Conversation) -> bool:
        """Whether nothing has come yet: an answer that is gone on with has words from before."""
        timing = conversation.live_timing()
        return not live.has_token or timing is None or not is_known(timing.ttft_s)

    def _reading(self) -> Reading | None:
        estimate = estimate_prefill(self._evidence, time.monotonic())
        if estimate is None or (estimate.source is PrefillSource.SERVER and estimate.processed >= estimate.total):
            return None
        if estimate.source is PrefillSource.PREDICTED:
            rate = self._evidence.predicted_tokens_per_s
            if estimate.total < WORTH_TELLING_S * rate or estimate.processed >= estimate.total:
                return None
        return Reading(estimate.processed, estimate.total, estimate.left_s, SOURCE_WORDS[estimate.source])

    @staticmethod
    def _first_evidence(conversation: Conversation) -> PrefillEvidence:
        now_s, target = time.monotonic(), conversation.target.value
        if target is None:
            return PrefillEvidence(now_s)
        evidence = PrefillEvidence(now_s, predicted_tokens_per_s=target.prefill_tokens_per_s())
        return evidence.with_look(target.pool(), now_s)

    def _on_tick(self) -> None:
        live, conversation = self.live, self._conversation
        if live is not None and conversation is not None and self._is_awaited(live, conversation):
            self._learn(live, conversation)
        self.ticked.emit()

    def _learn(self, live: LiveAnswer, conversation: Conversation) -> None:
        """What is known of the prompt by now: it is chosen, and perhaps summed up, before it goes out."""
        now_s, target = time.monotonic(), conversation.target.value
        turn = conversation.live_turn()
        if conversation.activity.value:
            self._evidence = replace(self._evidence, sent_s=now_s)
        elif target is not None:
            self._evidence = self._evidence.with_look(target.pool(), now_s)
        if turn is not None and turn.sent is not None and turn.sent is not live.sent:
            live.sent = turn.sent
            self._evidence = replace(self._evidence, prompt_tokens=turn.sent.parts.total)
            self.rows_changed.emit()

    def _on_events(self, items: list[ChatEvent | Lost]) -> None:
        live, conversation = self.live, self._conversation
        if live is None or conversation is None:
            return
        if any(isinstance(item, Lost) for item in items):
            # The screen was too slow: begin again from all that the conversation has.
            so_far = conversation.live_turn()
            if so_far is not None:
                self.follow(conversation, live.index, so_far)
                self.rows_changed.emit()
            return
        for item in items:
            if isinstance(item, PromptProgress):
                self._evidence = self._evidence.with_progress(item)
        if not live.has_token:
            self._learn(live, conversation)
        said = (live.has_token, live.is_thinking)
        before = live.rows()
        growth = live.add([item for item in items if not isinstance(item, Lost)])
        if live.rows() != before:
            self.rows_changed.emit()
            # A row that was made just now took the whole tail already.
            growth = Growth(live.tail, is_reset=True)
        if growth.text or growth.is_reset:
            self.grown.emit(growth)
        if self._pump is not None:
            self._pump.set_rate(SLOW_HZ if len(live.tail) > SLOW_FROM_CHARS else FAST_HZ)
        # While text comes, its figures are told by the clock: to write them with each piece costs more than the piece.
        if not live.has_token or live.is_thinking or (live.has_token, live.is_thinking) != said:
            self.ticked.emit()
