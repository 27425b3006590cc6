"""Events of an OpenAI-style chat stream into ChatEvents, in the dialects of llama.cpp and vLLM.

The one rule: total. Whatever a server puts into a stream becomes chat events or one `CutOff` with a message; nothing
here raises. `Finished` is always the last event, after the server's count, and `CutOff` is always the last too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sparkdesk.core.chat.event import (
    ChatEvent,
    CutOff,
    Finished,
    PromptProgress,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from sparkdesk.core.chat.sse import SseEvent, SseItem, SsePing, SseTooLarge

MAX_ANSWER_CHARS = 4_000_000
"""What is kept of one answer; a server that never stops is cut off here."""
MAX_TOOL_CALLS = 128
MAX_MESSAGE_CHARS = 600
MAX_COUNT = 1 << 53
RETRY = "Retry, or go on from here: what was said is kept."
ENDED_EARLY = "The answer was cut off: the server ended it without a reason"


def clean_text(text: str) -> str:
    """Text that every encoder and widget can take: no lone surrogates and no NUL (both become U+FFFD)."""
    if not text.isascii():
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\0", "\ufffd")


class ChunkDecoder:
    """Reads the events of one answer. After `is_over` it gives nothing more."""

    def __init__(self) -> None:
        self._usage = Usage()
        self._reason = ""
        self._reason_t_s = 0.0
        self._chars = 0
        self.is_over = False
        self.has_token = False
        """Something was generated: text, reasoning or a tool call."""

    def feed(self, item: SseItem, t_s: float) -> list[ChatEvent]:
        """The chat events of one stream item that came at `t_s`."""
        if self.is_over or isinstance(item, SsePing):
            return []
        if isinstance(item, SseTooLarge):
            size_mib = item.limit_bytes // (1 << 20)
            return [self._cut(f"The server sent one event of more than {size_mib} MiB", RETRY, t_s)]
        if item.data.strip() == "[DONE]":
            self.is_over = True
            return [Finished(self._reason or "done", self._reason_t_s or t_s)]
        return self._read(item, t_s)

    def end(self, t_s: float, cause: str = ENDED_EARLY) -> ChatEvent | None:
        """The last event when the stream ends, with `cause` where it ended before the answer was complete."""
        if self.is_over:
            return None
        if self._reason:
            self.is_over = True
            return Finished(self._reason, self._reason_t_s)
        return self._cut(cause, RETRY, t_s)

    def _read(self, item: SseEvent, t_s: float) -> list[ChatEvent]:
        try:
            chunk = json.loads(item.data)
        except (ValueError, RecursionError):
            shown = _shown(item.data[:80])
            return [self._cut(f"The server sent something that is not JSON: {shown}", RETRY, t_s)]
        if not isinstance(chunk, dict):
            return [self._cut("The server sent JSON that is not a chat event", RETRY, t_s)]
        if chunk.get("error") is not None or item.name == "error":
            return [self._cut(f"The server failed while answering: {error_text(chunk)}", RETRY, t_s)]
        events = [*self._progress(chunk, t_s), *self._choice(chunk, t_s), *self._count(chunk)]
        if self._chars > MAX_ANSWER_CHARS:
            events.append(self._cut("The answer is longer than SparkDesk keeps", "Ask for a shorter answer.", t_s))
        return events

    def _choice(self, chunk: Mapping[str, Any], t_s: float) -> list[ChatEvent]:
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict) or choice.get("index") not in (None, 0):
            return []
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason:
            self._reason, self._reason_t_s = _shown(reason[:40]), t_s
        delta = choice.get("delta")
        return self._delta(delta, t_s) if isinstance(delta, dict) else []

    def _delta(self, delta: Mapping[str, Any], t_s: float) -> list[ChatEvent]:
        events: list[ChatEvent] = []
        # llama.cpp says reasoning_content, vLLM says reasoning; a server may send both with the same words.
        reasoning = _text(delta, "reasoning_content") or _text(delta, "reasoning")
        if reasoning:
            events.append(ReasoningDelta(reasoning, t_s))
        content = _text(delta, "content")
        if content:
            events.append(TextDelta(content, t_s))
        calls = delta.get("tool_calls")
        for call in calls[:MAX_TOOL_CALLS] if isinstance(calls, list) else ():
            event = _tool_call(call, t_s)
            if event is not None:
                events.append(event)
                self._chars += len(event.arguments) + len(event.name)
        self._chars += len(reasoning) + len(content)
        self.has_token = self.has_token or bool(events)
        return events

    def _progress(self, chunk: Mapping[str, Any], t_s: float) -> list[ChatEvent]:
        progress = chunk.get("prompt_progress")
        if not isinstance(progress, dict):
            return []
        processed, cached, total = (_count(progress, key) for key in ("processed", "cache", "total"))
        if processed is None or total is None:
            return []
        return [PromptProgress(processed, cached or 0, total, t_s)]

    def _count(self, chunk: Mapping[str, Any]) -> list[ChatEvent]:
        usage = _from_usage(chunk.get("usage"), _from_timings(chunk.get("timings"), self._usage))
        if usage == self._usage:
            return []
        self._usage = usage
        return [usage]

    def _cut(self, message: str, remedy: str, t_s: float) -> CutOff:
        self.is_over = True
        return CutOff(message, remedy, t_s)


def error_text(body: object) -> str:
    """The server's own words in an error body of any of the shapes seen, bounded and on one line; "" when none."""
    found = body
    for _ in range(3):
        if not isinstance(found, dict):
            break
        found = next((found[key] for key in ("error", "message", "detail", "msg") if found.get(key) is not None), "")
    if isinstance(found, list):
        found = json.dumps(found, default=str)[:MAX_MESSAGE_CHARS]
    return _shown(found) if isinstance(found, str) else ""


def _shown(text: str) -> str:
    words = "".join(c if c.isprintable() else " " for c in clean_text(text[: MAX_MESSAGE_CHARS + 1]))
    return " ".join(words.split())[:MAX_MESSAGE_CHARS]


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    return clean_text(value) if isinstance(value, str) else ""


def _tool_call(call: object, t_s: float) -> ToolCallDelta | None:
    if not isinstance(call, dict):
        return None
    index = call.get("index", 0)
    function = call.get("function")
    function = function if isinstance(function, dict) else {}
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < MAX_TOOL_CALLS:
        return None
    return ToolCallDelta(
        index, _text(call, "id")[:200], _text(function, "name")[:200], _text(function, "arguments"), t_s
    )


def _count(data: Mapping[str, Any], key: str) -> int | None:
    value = data.get(key)
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_COUNT
    return value if is_count else None


def _ms(data: Mapping[str, Any], key: str) -> float | None:
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 < value < MAX_COUNT and math.isfinite(value) else None


def _from_timings(timings: object, known: Usage) -> Usage:
    if not isinstance(timings, dict):
        return known
    read, cached, predicted = (_count(timings, key) for key in ("prompt_n", "cache_n", "predicted_n"))
    return replace(
        known,
        prompt_tokens=known.prompt_tokens if read is None else read + (cached or 0),
        completion_tokens=known.completion_tokens if predicted is None else predicted,
        cached_tokens=known.cached_tokens if cached is None else cached,
        prompt_ms=_ms(timings, "prompt_ms") or known.prompt_ms,
        predicted_ms=_ms(timings, "predicted_ms") or known.predicted_ms,
    )


def _from_usage(usage: object, known: Usage) -> Usage:
    if not isinstance(usage, dict):
        return known
    details = usage.get("prompt_tokens_details")
    cached = _count(details, "cached_tokens") if isinstance(details, dict) else None
    prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    return replace(
        known,
        prompt_tokens=known.prompt_tokens if prompt is None else prompt,
        completion_tokens=known.completion_tokens if completion is None else completion,
        cached_tokens=known.cached_tokens if cached is None else cached,
    )
