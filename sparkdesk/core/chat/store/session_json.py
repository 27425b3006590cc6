"""Turns and settings of a conversation as JSON for the database, and the pieces of an answer that is being written.

The one rule: reading is total. A turn that cannot be read becomes a turn that says so; a field that is strange or too
large becomes its default; nothing that a person wrote is dropped because one field is from another release.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from enum import StrEnum
from typing import Any, TypeVar

from sparkdesk.core.chat.context import ContextParts, Excerpt, SentContext, WindowPolicy
from sparkdesk.core.chat.event import (
    MAX_TOP_LOGPROBS,
    ChatEvent,
    ReasoningDelta,
    TextDelta,
    TokenChoice,
    ToolCallDelta,
    Usage,
)
from sparkdesk.core.chat.message import (
    AnswerForm,
    FilePart,
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    Role,
    Sampling,
    TextPart,
    Thinking,
    ToolCallPart,
    ToolResultPart,
)
from sparkdesk.core.chat.session import NOT_NUMBERED, ChatSettings, Turn, TurnFailure, TurnState
from sparkdesk.core.chat.stream.timing import NOT_KNOWN, AnswerTiming

E = TypeVar("E", bound=StrEnum)
N = TypeVar("N", int, float)

SCHEMA = 1
MAX_CHOICES = 4096
"""Tokens of one answer whose alternatives are kept: about 1 MB of JSON."""
MAX_LEFT_OUT = 100_000
MAX_EXCERPTS = 256
MAX_TAGS = 32
MAX_STOPS = 64
MAX_QUEUED = 64
NAME_CHARS = 200
MAX_PX = 1 << 20


def turn_to_json(turn: Turn) -> bytes:
    """The turn as one JSON object."""
    data = {
        "schema": SCHEMA,
        "number": turn.number,
        "parent": turn.parent,
        "role": turn.message.role.value,
        "parts": [_part_to_json(part) for part in turn.message.parts],
        "state": turn.state.value,
        "timing": None if turn.timing is None else _numbers(turn.timing),
        "usage": None if turn.usage is None else _numbers(turn.usage),
        "t_ms": turn.t_ms,
        "energy_j": turn.energy_j if math.isfinite(turn.energy_j) else None,
        "failure": None if turn.failure is None else {"kind": turn.failure.kind, **_numbers(turn.failure)},
        "sent": None if turn.sent is None else _sent_to_json(turn.sent),
        "choices": [_choice_to_json(choice) for choice in turn.choices[:MAX_CHOICES]],
        **{name: getattr(turn, name) for name in ("note", "error", "remedy", "label", "finish_reason")},
    }
    return _bytes(data)


def turn_from_json(data: bytes) -> Turn:
    """The turn that was stored. What cannot be read becomes a turn with an error; one without a number, or without
    a word of what it follows, has `NOT_NUMBERED` in that place, and the tree puts it in line."""
    try:
        stored = json.loads(data)
        role = Role(stored["role"])
        parts = tuple(_part_from_json(part) for part in stored["parts"])
        state = TurnState(stored.get("state", "done"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Turn(
            Message(Role.ASSISTANT, ()),
            state=TurnState.FAILED,
            error="This message cannot be read",
            remedy="It was stored by another release or is damaged; the rest of the chat is whole.",
            number=NOT_NUMBERED,
        )
    number, parent = _count(stored.get("number")), stored.get("parent", NOT_NUMBERED)
    return Turn(
        Message(role, parts),
        state=state,
        timing=_timing(stored.get("timing")),
        usage=_usage(stored.get("usage")),
        t_ms=_whole(stored.get("t_ms")),
        note=_text(stored, "note"),
        error=_text(stored, "error"),
        remedy=_text(stored, "remedy"),
        failure=_failure(stored.get("failure")),
        label=_text(stored, "label"),
        finish_reason=_text(stored, "finish_reason"),
        number=NOT_NUMBERED if number is None else number,
        parent=None if parent is None else _or(_count(parent), NOT_NUMBERED),
        energy_j=_or(_number(stored.get("energy_j")), NOT_KNOWN),
        sent=_sent(stored.get("sent")),
        choices=_choices(stored.get("choices")),
    )


_PLAIN = ("system_prompt", "label", "folder", "has_memory", "is_pinned", "caution", "comparison", "column")
"""Fields of the settings that are JSON as they are."""


def settings_to_json(settings: ChatSettings) -> bytes:
    """The settings as one JSON object."""
    sampling, form = settings.sampling, settings.form
    data = {
        "schema": SCHEMA,
        **{name: getattr(settings, name) for name in _PLAIN},
        "created_ms": settings.created_ms,
        "updated_ms": settings.updated_ms,
        **{name: getattr(sampling, name) for name in ("temperature", "top_p", "top_k", "min_p", "max_tokens", "seed")},
        "stop": list(sampling.stop),
        "json_schema": form.json_schema,
        "top_logprobs": form.top_logprobs,
        "thinking": form.thinking.value,
        "thinking_budget_tokens": form.thinking_budget_tokens,
        "window": settings.window.value,
        "tags": list(settings.tags),
        "leaf": settings.leaf,
        "queued": [[_part_to_json(part) for part in message.parts] for message in settings.queued],
    }
    return _bytes(data)


def settings_from_json(data: bytes) -> ChatSettings:
    """The settings that were stored; what cannot be read is the default."""
    try:
        stored = json.loads(data)
    except (ValueError, RecursionError):
        return ChatSettings()
    if not isinstance(stored, dict):
        return ChatSettings()
    return ChatSettings(
        system_prompt=_text(stored, "system_prompt"),
        sampling=_sampling(stored),
        label=_text(stored, "label"),
        created_ms=_whole(stored.get("created_ms")),
        updated_ms=_whole(stored.get("updated_ms")),
        form=_form(stored),
        window=_member(WindowPolicy, stored.get("window"), WindowPolicy.WHOLE),
        folder=_text(stored, "folder")[:NAME_CHARS],
        has_memory=stored.get("has_memory") is not False,
        is_pinned=stored.get("is_pinned") is True,
        tags=tuple(tag[:NAME_CHARS] for tag in _texts(stored.get("tags"), MAX_TAGS)),
        leaf=_count(stored.get("leaf")),
        queued=_queued(stored.get("queued")),
        caution=_text(stored, "caution")[:NAME_CHARS],
        comparison=_text(stored, "comparison")[:NAME_CHARS],
        column=_whole(stored.get("column")),
    )


def piece_to_json(events: Iterable[ChatEvent]) -> bytes:
    """What these events add to an answer, as one JSON object; b"" when they add nothing that is read."""
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[list[object]] = []
    for event in events:
        if isinstance(event, TextDelta):
            texts.append(event.text)
        elif isinstance(event, ReasoningDelta):
            thoughts.append(event.text)
        elif isinstance(event, ToolCallDelta):
            calls.append([event.index, event.id, event.name, event.arguments])
    data = {"text": "".join(texts), "reasoning": "".join(thoughts), "calls": calls}
    kept = {name: value for name, value in data.items() if value}
    return _bytes(kept) if kept else b""


def add_pieces(turn: Turn, pieces: Iterable[bytes]) -> Turn:
    """The turn with what these pieces add to it. A piece that cannot be read adds nothing."""
    texts = [part.text for part in turn.message.parts if isinstance(part, TextPart)]
    thoughts = [part.text for part in turn.message.parts if isinstance(part, ReasoningPart)]
    others = [part for part in turn.message.parts if not isinstance(part, TextPart | ReasoningPart | ToolCallPart)]
    calls = dict(enumerate(turn.message.calls))
    for piece in pieces:
        try:
            data = json.loads(piece)
        except (ValueError, RecursionError):
            continue
        if isinstance(data, dict):
            texts.append(_text(data, "text"))
            thoughts.append(_text(data, "reasoning"))
            _add_calls(calls, data.get("calls"))
    said: list[Part] = [*others]
    if any(thoughts):
        said.append(ReasoningPart("".join(thoughts)))
    if any(texts):
        said.append(TextPart("".join(texts)))
    return replace(turn, message=Message(turn.message.role, (*said, *calls.values())))


def _add_calls(calls: dict[int, ToolCallPart], data: object) -> None:
    for row in data if isinstance(data, list) else ():
        if not isinstance(row, list) or len(row) != 4 or not isinstance(row[0], int):
            continue
        call_id, name, arguments = (_str(value) for value in row[1:])
        calls[row[0]] = calls.get(row[0], ToolCallPart("", "", "")).with_more(call_id, name, arguments)


def _part_to_json(part: Part) -> dict[str, Any]:
    if isinstance(part, ToolCallPart):
        return {"kind": "tool_call", "id": part.id, "name": part.name, "arguments": part.arguments}
    if isinstance(part, ToolResultPart):
        return {"kind": "tool_result", "call_id": part.call_id, "text": part.text, "is_error": part.is_error}
    if isinstance(part, FilePart | ImagePart):
        kind = "file" if isinstance(part, FilePart) else "image"
        return {"kind": kind, **{each.name: getattr(part, each.name) for each in fields(part)}}
    return {"kind": "reasoning" if isinstance(part, ReasoningPart) else "text", "text": part.text}


def _part_from_json(data: Mapping[str, Any]) -> Part:
    kind = data["kind"]
    if kind == "tool_call":
        return ToolCallPart(*(_text(data, name) for name in ("id", "name", "arguments")))
    if kind == "tool_result":
        return ToolResultPart(_text(data, "call_id"), _text(data, "text"), data.get("is_error") is True)
    if kind == "file":
        name, media_type = _text(data, "name")[:NAME_CHARS], _text(data, "media_type")[:NAME_CHARS]
        return FilePart(name, _text(data, "text"), media_type, _whole(data.get("size_bytes")), _text(data, "note"))
    if kind == "image":
        width_px, height_px = (min(_whole(data.get(name)), MAX_PX) for name in ("width_px", "height_px"))
        name, digest, media_type = (_text(data, each)[:NAME_CHARS] for each in ("name", "digest", "media_type"))
        return ImagePart(name, digest, media_type, width_px, height_px, _whole(data.get("size_bytes")))
    text = data["text"]
    if not isinstance(text, str):
        raise TypeError(kind)
    return ReasoningPart(text) if kind == "reasoning" else TextPart(text)


def _sent_to_json(sent: SentContext) -> dict[str, Any]:
    return {
        "policy": sent.policy.value,
        "left_out": list(sent.left_out[:MAX_LEFT_OUT]),
        "summary": sent.summary,
        "summed_up": list(sent.summed_up[:MAX_LEFT_OUT]),
        "excerpts": [
            {**_numbers(excerpt), "source": excerpt.source, "text": excerpt.text}
            for excerpt in sent.excerpts[:MAX_EXCERPTS]
        ],
        "memory": sent.memory,
        "memory_digest": sent.memory_digest,
        "parts": _numbers(sent.parts),
        "note": sent.note,
    }


def _sent(data: object) -> SentContext | None:
    if not isinstance(data, dict):
        return None
    left_out = (_count(number) for number in _rows(data.get("left_out"), MAX_LEFT_OUT))
    summed_up = (_count(number) for number in _rows(data.get("summed_up"), MAX_LEFT_OUT))
    parts = data.get("parts")
    counts = parts if isinstance(parts, dict) else {}
    return SentContext(
        policy=_member(WindowPolicy, data.get("policy"), WindowPolicy.WHOLE),
        left_out=tuple(number for number in left_out if number is not None),
        summary=_text(data, "summary"),
        summed_up=tuple(number for number in summed_up if number is not None),
        excerpts=tuple(
            Excerpt(
                _whole(row.get("turn")),
                _text(row, "source")[:NAME_CHARS],
                _text(row, "text"),
                _or(_number(row.get("nearness")), NOT_KNOWN),
            )
            for row in _rows(data.get("excerpts"), MAX_EXCERPTS)
            if isinstance(row, dict)
        ),
        memory=_text(data, "memory"),
        memory_digest=_text(data, "memory_digest")[:NAME_CHARS],
        parts=ContextParts(
            **{name: _count(counts.get(name)) for name in ("system", "memory", "files", "messages", "template")},
            is_counted=counts.get("is_counted") is True,
        ),
        note=_text(data, "note"),
    )


def _choice_to_json(choice: TokenChoice) -> list[object]:
    others = [[token, _finite(logprob)] for token, logprob in choice.others[:MAX_TOP_LOGPROBS]]
    return [choice.token, _finite(choice.logprob), others]


def _choices(data: object) -> tuple[TokenChoice, ...]:
    found = []
    for row in _rows(data, MAX_CHOICES):
        if not isinstance(row, list) or len(row) != 3:
            continue
        others = tuple(
            (_str(other[0]), _or(_number(other[1]), NOT_KNOWN))
            for other in _rows(row[2], MAX_TOP_LOGPROBS)
            if isinstance(other, list) and len(other) == 2
        )
        found.append(TokenChoice(_str(row[0]), _or(_number(row[1]), NOT_KNOWN), others))
    return tuple(found)


def _sampling(stored: Mapping[str, Any]) -> Sampling:
    return Sampling(
        temperature=_number(stored.get("temperature")),
        top_p=_number(stored.get("top_p")),
        top_k=_count(stored.get("top_k")),
        min_p=_number(stored.get("min_p")),
        max_tokens=_whole(stored.get("max_tokens")) or None,
        seed=_count(stored.get("seed")),
        stop=_texts(stored.get("stop"), MAX_STOPS),
    )


def _form(stored: Mapping[str, Any]) -> AnswerForm:
    return AnswerForm(
        json_schema=_text(stored, "json_schema"),
        top_logprobs=min(_whole(stored.get("top_logprobs")), MAX_TOP_LOGPROBS),
        thinking=_member(Thinking, stored.get("thinking"), Thinking.DEFAULT),
        thinking_budget_tokens=_count(stored.get("thinking_budget_tokens")),
    )


def _queued(data: object) -> tuple[Message, ...]:
    found = []
    for row in _rows(data, MAX_QUEUED):
        try:
            found.append(Message(Role.USER, tuple(_part_from_json(part) for part in row)))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return tuple(message for message in found if message.parts)


def _numbers(value: AnswerTiming | Usage | ContextParts | Excerpt | TurnFailure) -> dict[str, Any]:
    found = {each.name: getattr(value, each.name) for each in fields(value)}
    return {name: number for name, number in found.items() if isinstance(number, int | float) and math.isfinite(number)}


def _failure(data: object) -> TurnFailure | None:
    if not isinstance(data, dict) or not _text(data, "kind"):
        return None
    prompt, context = _count(data.get("prompt_tokens")), _count(data.get("context_tokens"))
    return TurnFailure(_text(data, "kind")[:NAME_CHARS], prompt, context, _number(data.get("retry_after_s")))


def _timing(data: object) -> AnswerTiming | None:
    if not isinstance(data, dict):
        return None

    def seconds(name: str) -> float:
        return _or(_number(data.get(name)), NOT_KNOWN)

    return AnswerTiming(
        ttft_s=seconds("ttft_s"),
        tpot_s=seconds("tpot_s"),
        tokens_per_s=seconds("tokens_per_s"),
        prefill_tokens_per_s=seconds("prefill_tokens_per_s"),
        thinking_s=seconds("thinking_s"),
        total_s=seconds("total_s"),
        completion_tokens=_count(data.get("completion_tokens")),
        prompt_tokens=_count(data.get("prompt_tokens")),
        cached_tokens=_count(data.get("cached_tokens")),
        is_counted_by_server=data.get("is_counted_by_server") is True,
    )


def _usage(data: object) -> Usage | None:
    if not isinstance(data, dict):
        return None
    return Usage(
        prompt_tokens=_count(data.get("prompt_tokens")),
        completion_tokens=_count(data.get("completion_tokens")),
        cached_tokens=_count(data.get("cached_tokens")),
        prompt_ms=_number(data.get("prompt_ms")),
        predicted_ms=_number(data.get("predicted_ms")),
        reasoning_tokens=_count(data.get("reasoning_tokens")),
    )


def _bytes(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


def _text(data: Mapping[str, Any], name: str) -> str:
    return _str(data.get(name, ""))


def _str(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(data: object, limit: int) -> tuple[str, ...]:
    return tuple(text for text in _rows(data, limit) if isinstance(text, str))


def _rows(data: object, limit: int) -> list[Any]:
    return data[:limit] if isinstance(data, list) else []


def _member(kind: type[E], value: object, default: E) -> E:
    try:
        return kind(_str(value))
    except ValueError:
        return default


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53 else None


def _whole(value: object) -> int:
    return _count(value) or 0


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _or(value: N | None, default: N) -> N:
    return default if value is None else value
