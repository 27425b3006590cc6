"""A conversation as a value: its turns with their states, its settings, and both as JSON for the database.

The one rule: reading what was stored is total. A turn that cannot be read becomes a turn that says so; nothing that a
person wrote is dropped because one field is from another release.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from sparkdesk.core.chat.context import SentContext, WindowPolicy
from sparkdesk.core.chat.event import TokenChoice, Usage
from sparkdesk.core.chat.message import (
    AnswerForm,
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    Role,
    Sampling,
    TextPart,
    ToolCallPart,
)
from sparkdesk.core.chat.timing import NOT_KNOWN, AnswerTiming

TITLE_CHARS = 60
SCHEMA = 1


class TurnState(StrEnum):
    """Where a turn stands. A person's own words are always DONE."""

    SENT = "sent"
    """The request is out; nothing has come yet."""
    STREAMING = "streaming"
    DONE = "done"
    STOPPED = "stopped"
    """By the person; what was said stays."""
    CUT_OFF = "cut_off"
    """The answer ended before it was complete; what was said stays."""
    FAILED = "failed"
    """No answer began."""

    @property
    def is_open(self) -> bool:
        """Whether more may come."""
        return self in (TurnState.SENT, TurnState.STREAMING)


@dataclass(frozen=True, slots=True)
class Turn:
    """One message with what is known about how it came to be."""

    message: Message
    state: TurnState = TurnState.DONE
    timing: AnswerTiming | None = None
    usage: Usage | None = None
    note: str = ""
    """What must stand beside it: "simulated vLLM, real llama.cpp", or that the limit of tokens was reached."""
    error: str = ""
    remedy: str = ""
    label: str = ""
    """Which model on which node answered."""
    t_ms: int = 0
    finish_reason: str = ""
    number: int = 0
    """Its own number in the conversation, given once."""
    parent: int | None = None
    """The number of the turn that it follows; None begins the conversation. Turns with one parent are branches."""
    energy_j: float = float("nan")
    """What the GPUs of its nodes drew while it was made, whatever else they did; NaN is not known."""
    sent: SentContext | None = None
    """What the server was given for this answer."""
    choices: tuple[TokenChoice, ...] = ()
    """How sure the model was of each token, where it was asked for."""

    @property
    def text(self) -> str:
        """What is said."""
        return self.message.text

    @property
    def reasoning(self) -> str:
        """What was thought."""
        return "".join(part.text for part in self.message.parts if isinstance(part, ReasoningPart))


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """What a person sets for one conversation."""

    system_prompt: str = ""
    sampling: Sampling = field(default_factory=Sampling)
    label: str = ""
    """The model it last talked to."""
    created_ms: int = 0
    updated_ms: int = 0
    form: AnswerForm = field(default_factory=AnswerForm)
    window: WindowPolicy = WindowPolicy.WHOLE
    folder: str = ""
    """The project that it belongs to; "" is none."""
    has_memory: bool = True
    """Whether the project's memory is sent along."""
    is_pinned: bool = False
    tags: tuple[str, ...] = ()
    leaf: int | None = None
    """The number of the last turn of the branch that is shown; None is the newest."""


def title_of(text: str) -> str:
    """The title of a conversation that begins with these words."""
    words = " ".join(text.split())
    return words if len(words) <= TITLE_CHARS else words[: TITLE_CHARS - 1].rstrip() + "…"


def request_messages(turns: tuple[Turn, ...], system_prompt: str) -> tuple[Message, ...]:
    """What is sent: the system prompt and every turn that says something, without reasoning.

    A question that got no answer is left out when a later one follows, since many chat templates refuse two questions
    in a row.
    """
    sent: list[Message] = []
    for turn in turns:
        if not turn.text.strip():
            continue
        if turn.message.role is Role.USER and sent and sent[-1].role is Role.USER:
            sent.pop()
        sent.append(Message(turn.message.role, (TextPart(turn.text),)))
    if system_prompt.strip():
        sent.insert(0, Message(Role.SYSTEM, (TextPart(system_prompt),)))
    return tuple(sent)


def turn_to_json(turn: Turn) -> bytes:
    """The turn as one JSON object."""
    data = {
        "schema": SCHEMA,
        "role": turn.message.role.value,
        "parts": [_part_to_json(part) for part in turn.message.parts],
        "state": turn.state.value,
        "timing": None if turn.timing is None else _numbers(turn.timing),
        "usage": None if turn.usage is None else _numbers(turn.usage),
        "t_ms": turn.t_ms,
        **{name: getattr(turn, name) for name in ("note", "error", "remedy", "label", "finish_reason")},
    }
    return json.dumps(data, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


def turn_from_json(data: bytes) -> Turn:
    """The turn that was stored. What cannot be read becomes a turn with an error."""
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
        )
    return Turn(
        Message(role, parts),
        state=state,
        timing=_timing(stored.get("timing")),
        usage=_usage(stored.get("usage")),
        t_ms=_whole(stored.get("t_ms")),
        note=_text(stored, "note"),
        error=_text(stored, "error"),
        remedy=_text(stored, "remedy"),
        label=_text(stored, "label"),
        finish_reason=_text(stored, "finish_reason"),
    )


def settings_to_json(settings: ChatSettings) -> bytes:
    """The settings as one JSON object."""
    sampling = settings.sampling
    data = {
        "schema": SCHEMA,
        "system_prompt": settings.system_prompt,
        "label": settings.label,
        "created_ms": settings.created_ms,
        "updated_ms": settings.updated_ms,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
    }
    return json.dumps(data, ensure_ascii=False).encode("utf-8", "replace")


def settings_from_json(data: bytes) -> ChatSettings:
    """The settings that were stored; what cannot be read is the default."""
    try:
        stored = json.loads(data)
    except (ValueError, RecursionError):
        return ChatSettings()
    if not isinstance(stored, dict):
        return ChatSettings()
    max_tokens = stored.get("max_tokens")
    return ChatSettings(
        system_prompt=_text(stored, "system_prompt"),
        sampling=Sampling(
            temperature=_number(stored.get("temperature")),
            top_p=_number(stored.get("top_p")),
            max_tokens=_whole(max_tokens) or None,
        ),
        label=_text(stored, "label"),
        created_ms=_whole(stored.get("created_ms")),
        updated_ms=_whole(stored.get("updated_ms")),
    )


def _part_to_json(part: Part) -> dict[str, Any]:
    if isinstance(part, ToolCallPart):
        return {"kind": "tool_call", "id": part.id, "name": part.name, "arguments": part.arguments}
    if isinstance(part, ImagePart):
        return {"kind": "image", "name": part.name}
    return {"kind": "reasoning" if isinstance(part, ReasoningPart) else "text", "text": part.text}


def _part_from_json(data: Mapping[str, Any]) -> Part:
    kind = data["kind"]
    if kind == "tool_call":
        return ToolCallPart(_text(data, "id"), _text(data, "name"), _text(data, "arguments"))
    text = _text(data, "text")
    return ReasoningPart(text) if kind == "reasoning" else TextPart(text)


def _numbers(value: AnswerTiming | Usage) -> dict[str, Any]:
    found = {item.name: getattr(value, item.name) for item in fields(value)}
    return {name: number for name, number in found.items() if number is not None and math.isfinite(number)}


def _timing(data: object) -> AnswerTiming | None:
    if not isinstance(data, dict):
        return None

    def seconds(name: str) -> float:
        number = _number(data.get(name))
        return NOT_KNOWN if number is None else number

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
    )


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name, "")
    return value if isinstance(value, str) else ""


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53 else None


def _whole(value: object) -> int:
    return _count(value) or 0


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
