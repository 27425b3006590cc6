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
    MAX_TOP_LOGPROBS,
    ChatEvent,
    CutOff,
    Finished,
    PromptProgress,
    ReasoningDelta,
    ServedModel,
    TextDelta,
    TokenChoice,
    TokenChoices,
    ToolCallDelta,
    Usage,
)
from sparkdesk.core.chat.server.failure import FailureReader, HttpAnswer, explain
from sparkdesk.core.chat.server.words import clean_text, error_text, shown_words
from sparkdesk.core.chat.stream.sse import SseEvent, SseItem, SsePing, SseTooLarge

MAX_ANSWER_CHARS = 4_000_000
"""What is kept of one answer; a server that never stops is cut off here."""
MAX_TOOL_CALLS = 128
MAX_CHOICES = 256
"""Tokens with their logprobs in one event; engines that guess ahead send a few at once."""
MAX_TOKEN_CHARS = 200
MIN_LOGPROB = -1e6
MAX_MODEL_CHARS = 200
MAX_COUNT = 1 << 53
RETRY = "Retry, or go on from here: what was said is kept."
ENDED_EARLY = "The answer was cut off: the server ended it without a reason"
GIVEN_UP = ("abort", "error")
"""Reasons of an end that is none. Source: vLLM v1/engine/__init__.py, FinishReason; SGLang has "abort" too."""


class ChunkDecoder:
    """Reads the events of one answer. After `is_over` it gives nothing more.

    `asked` is the model that was asked for, "" not known; `reader` the backend's own reading of a failure.
    """

    def __init__(self, asked: str = "", reader: FailureReader | None = None) -> None:
        self._asked = asked
        self._reader = reader
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
            return [self._cut(f"The server sent one event of more than {size_mib} MiB", t_s, "too_long")]
        if item.data.strip() == "[DONE]":
            self._reason = self._reason or "done"
            return [self._last(self._reason_t_s or t_s)]
        return self._read(item, t_s)

    def end(self, t_s: float, cause: str = ENDED_EARLY, kind: str = "ended_early") -> ChatEvent | None:
        """The last event when the stream ends, with `cause` where it ended before the answer was complete."""
        if self.is_over:
            return None
        return self._last(self._reason_t_s) if self._reason else self._cut(cause, t_s, kind)

    def _last(self, t_s: float) -> ChatEvent:
        if self._reason in GIVEN_UP:
            return self._cut(f'The server gave up on this answer ("{self._reason}")', t_s, "aborted")
        self.is_over = True
        return Finished(self._reason, t_s)

    def _read(self, item: SseEvent, t_s: float) -> list[ChatEvent]:
        try:
            chunk = json.loads(item.data)
        except (ValueError, RecursionError):
            shown = shown_words(item.data[:80])
            return [self._cut(f"The server sent something that is not JSON: {shown}", t_s, "unreadable")]
        if not isinstance(chunk, dict):
            return [self._cut("The server sent JSON that is not a chat event", t_s, "unreadable")]
        if chunk.get("error") is not None or item.name == "error":
            return [self._failed(chunk, t_s)]
        events: list[ChatEvent] = []
        if self._asked:
            self._compare_model(chunk.get("model"), t_s, events)
        if "prompt_progress" in chunk:
            _read_progress(chunk["prompt_progress"], t_s, events)
        choices = chunk.get("choices")
        if choices and isinstance(choices, list):
            self._read_choice(choices[0], t_s, events)
        if chunk.get("usage") is not None or chunk.get("timings") is not None:
            self._read_count(chunk, events)
        if self._chars > MAX_ANSWER_CHARS:
            cut = self._cut("The answer is longer than SparkDesk keeps", t_s, "too_long")
            events.append(replace(cut, remedy="Ask for a shorter answer."))
        return events

    def _compare_model(self, served: object, t_s: float, events: list[ChatEvent]) -> None:
        """llama.cpp with one model answers whatever it is asked for, and names itself."""
        if not isinstance(served, str) or not served:
            return
        asked, self._asked = self._asked, ""
        if not is_same_model(asked, served):
            events.append(ServedModel(shown_words(served[:MAX_MODEL_CHARS]), asked, t_s))

    def _read_choice(self, choice: object, t_s: float, events: list[ChatEvent]) -> None:
        if not isinstance(choice, dict) or choice.get("index") not in (None, 0):
            return
        reason = choice.get("finish_reason")
        if reason and isinstance(reason, str):
            self._reason, self._reason_t_s = shown_words(reason[:40]), t_s
        delta = choice.get("delta")
        if delta and isinstance(delta, dict):
            self._read_delta(delta, t_s, events)
        logprobs = choice.get("logprobs")
        if logprobs is not None:
            _read_choices(logprobs, t_s, events)

    def _read_delta(self, delta: Mapping[str, Any], t_s: float, events: list[ChatEvent]) -> None:
        had = len(events)
        # llama.cpp says reasoning_content, vLLM says reasoning; a server may send both with the same words.
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        if reasoning and isinstance(reasoning, str):
            events.append(ReasoningDelta(clean_text(reasoning), t_s))
            self._chars += len(reasoning)
        content = delta.get("content")
        if content and isinstance(content, str):
            events.append(TextDelta(clean_text(content), t_s))
            self._chars += len(content)
        calls = delta.get("tool_calls")
        if calls and isinstance(calls, list):
            for call in calls[:MAX_TOOL_CALLS]:
                event = _tool_call(call, t_s)
                if event is not None:
                    events.append(event)
                    self._chars += len(event.arguments) + len(event.name)
        if len(events) > had:
            self.has_token = True

    def _read_count(self, chunk: Mapping[str, Any], events: list[ChatEvent]) -> None:
        usage = _from_usage(chunk.get("usage"), _from_timings(chunk.get("timings"), self._usage))
        if usage != self._usage:
            self._usage = usage
            events.append(usage)

    def _failed(self, chunk: Mapping[str, Any], t_s: float) -> CutOff:
        """An error in the middle of an answer that began well: understood as if it had come instead of one."""
        error = chunk.get("error")
        code = error.get("code") if isinstance(error, dict) else None
        status = code if isinstance(code, int) and 400 <= code < 600 else 500
        try:
            body = json.dumps(chunk).encode()
        except (ValueError, RecursionError):
            body = b"{}"
        failure = explain(HttpAnswer(status, "application/json", body=body), self._reader)
        if failure.kind in ("context_overflow", "answer_limit"):
            cut = self._cut(failure.message, t_s, failure.kind)
            return replace(
                cut,
                remedy=failure.remedy,
                prompt_tokens=failure.prompt_tokens,
                context_tokens=failure.context_tokens,
            )
        return self._cut(f"The server failed while answering: {error_text(chunk)}", t_s, failure.kind)

    def _cut(self, message: str, t_s: float, kind: str) -> CutOff:
        self.is_over = True
        return CutOff(message, RETRY, t_s, kind)


def is_same_model(asked: str, served: str) -> bool:
    """Whether two names are of one model: case, a file's folder and ending, and Ollama's default tag aside."""
    return _bare(asked) == _bare(served)


def _bare(name: str) -> str:
    name = name.strip().casefold().removesuffix(":latest").removesuffix(".gguf").replace("\\", "/")
    # A hub id has one "/" and keeps its owner; a path is absolute or has more.
    return name.rpartition("/")[2] if name.startswith("/") or name.count("/") > 1 else name


def _read_progress(progress: object, t_s: float, events: list[ChatEvent]) -> None:
    if not isinstance(progress, dict):
        return
    processed, cached, total = (_count(progress, key) for key in ("processed", "cache", "total"))
    if processed is not None and total is not None:
        spent_ms = _ms(progress, "time_ms")
        spent_s = None if spent_ms is None else spent_ms / 1000
        events.append(PromptProgress(processed, cached or 0, total, t_s, spent_s))


def _read_choices(logprobs: object, t_s: float, events: list[ChatEvent]) -> None:
    rows = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(rows, list):
        return
    choices = [choice for row in rows[:MAX_CHOICES] if (choice := _token_choice(row)) is not None]
    if choices:
        events.append(TokenChoices(tuple(choices), t_s))


def _token_choice(row: object) -> TokenChoice | None:
    """One token; None where its probability is not told. An engine that has none writes null."""
    pair = _token(row)
    if pair is None or not isinstance(row, dict):
        return None
    others = row.get("top_logprobs")
    found = (_token(other) for other in others[:MAX_TOP_LOGPROBS]) if isinstance(others, list) else ()
    likeliest = sorted((other for other in found if other is not None), key=lambda other: -other[1])
    return TokenChoice(pair[0], pair[1], tuple(likeliest))


def _token(row: object) -> tuple[str, float] | None:
    if not isinstance(row, dict):
        return None
    token, logprob = row.get("token"), row.get("logprob")
    if not isinstance(token, str) or isinstance(logprob, bool) or not isinstance(logprob, int | float):
        return None
    # Compared before it becomes a float, which a whole number of 400 digits cannot; NaN compares as false.
    is_one = MIN_LOGPROB <= logprob <= 0
    return (clean_text(token[:MAX_TOKEN_CHARS]), float(logprob)) if is_one else None


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
    """Of OpenAI's form. SGLang has `reasoning_tokens` beside the counts, 0 where it did not count."""
    if not isinstance(usage, dict):
        return known
    details, told = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    cached = _count(details, "cached_tokens") if isinstance(details, dict) else None
    thought = _count(told, "reasoning_tokens") if isinstance(told, dict) else _count(usage, "reasoning_tokens") or None
    prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    return replace(
        known,
        prompt_tokens=known.prompt_tokens if prompt is None else prompt,
        completion_tokens=known.completion_tokens if completion is None else completion,
        cached_tokens=known.cached_tokens if cached is None else cached,
        reasoning_tokens=known.reasoning_tokens if thought is None else thought,
    )
