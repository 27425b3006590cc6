"""How fast an answer came: from its events alone, so that a live figure and a stored one are the same arithmetic.

The one rule: what is not known is NaN or None, never zero. A rate says whether the server counted the tokens or we
counted events, which are not the same: one event may hold several tokens, or half of one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sparkdesk.core.chat.event import ChatEvent, ReasoningDelta, TextDelta, ToolCallDelta, Usage

NOT_KNOWN = float("nan")


@dataclass(frozen=True, slots=True)
class AnswerTiming:
    """The figures of one answer. Seconds and tokens; NaN and None are not known."""

    ttft_s: float = NOT_KNOWN
    """Time to first token: from the request to the first piece of text, reasoning or tool call."""
    tpot_s: float = NOT_KNOWN
    """Time per output token after the first: (last - first) / (n - 1)."""
    tokens_per_s: float = NOT_KNOWN
    """Decode rate of this one answer: 1 / TPOT."""
    prefill_tokens_per_s: float = NOT_KNOWN
    """Prompt tokens that were not cached, by the server's own prefill time."""
    thinking_s: float = NOT_KNOWN
    """From the first piece of reasoning to the first piece of the answer."""
    total_s: float = NOT_KNOWN
    """From the request to the last piece."""
    completion_tokens: int | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    is_counted_by_server: bool = False
    """Whether `completion_tokens` is the server's count; else it is the number of events."""


class AnswerClock:
    """Adds up the events of one answer. `sent_s` is the monotonic time of the request."""

    __slots__ = ("_first_reasoning_s", "_first_s", "_first_text_s", "_last_s", "_pieces", "_usage", "sent_s")

    def __init__(self, sent_s: float) -> None:
        self.sent_s = sent_s
        self._first_s = self._last_s = self._first_reasoning_s = self._first_text_s = NOT_KNOWN
        self._pieces = 0
        self._usage = Usage()

    def add(self, event: ChatEvent) -> None:
        """Take the next event."""
        if isinstance(event, Usage):
            self._usage = event
        elif isinstance(event, TextDelta | ReasoningDelta | ToolCallDelta):
            self._pieces += 1
            self._last_s = event.t_s
            if math.isnan(self._first_s):
                self._first_s = event.t_s
            if isinstance(event, ReasoningDelta):
                if math.isnan(self._first_reasoning_s):
                    self._first_reasoning_s = event.t_s
            elif math.isnan(self._first_text_s):
                self._first_text_s = event.t_s

    @property
    def usage(self) -> Usage:
        """The server's newest count."""
        return self._usage

    def timing(self) -> AnswerTiming:
        """The figures so far."""
        if not self._pieces:
            return AnswerTiming(prompt_tokens=self._usage.prompt_tokens, cached_tokens=self._usage.cached_tokens)
        told = self._usage.completion_tokens
        tokens = told if told else self._pieces
        tpot_s = self._tpot_s(tokens, is_told=bool(told))
        thought_to_s = self._last_s if math.isnan(self._first_text_s) else self._first_text_s
        return AnswerTiming(
            ttft_s=self._first_s - self.sent_s,
            tpot_s=tpot_s,
            tokens_per_s=1 / tpot_s if tpot_s > 0 else NOT_KNOWN,
            prefill_tokens_per_s=_prefill_tokens_per_s(self._usage),
            thinking_s=thought_to_s - self._first_reasoning_s,
            total_s=self._last_s - self.sent_s,
            completion_tokens=tokens,
            prompt_tokens=self._usage.prompt_tokens,
            cached_tokens=self._usage.cached_tokens,
            is_counted_by_server=bool(told),
        )

    def _tpot_s(self, tokens: int, *, is_told: bool) -> float:
        span_s = self._last_s - self._first_s
        if self._pieces > 1 and tokens > 1 and span_s > 0:
            return span_s / (tokens - 1)
        # The whole answer came in one piece: only the server knows how long it took.
        if is_told and self._usage.predicted_ms:
            return self._usage.predicted_ms / 1000 / tokens
        return NOT_KNOWN


def _prefill_tokens_per_s(usage: Usage) -> float:
    if usage.prompt_tokens is None or not usage.prompt_ms:
        return NOT_KNOWN
    read = usage.prompt_tokens - (usage.cached_tokens or 0)
    return read / usage.prompt_ms * 1000 if read > 0 else NOT_KNOWN
