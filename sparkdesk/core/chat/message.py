"""Chat content as pure values: a message is a role and parts; identity and storage live elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """Who speaks."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class TextPart:
    """What is said."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningPart:
    """What the model thought before it spoke."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallPart:
    """A call that the model asks for. `arguments` is its own JSON text, unchecked."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolResultPart:
    """What a call gave."""

    call_id: str
    text: str
    is_error: bool = False


Part = TextPart | ReasoningPart | ToolCallPart | ToolResultPart


@dataclass(frozen=True, slots=True)
class Message:
    """One turn."""

    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """What is said, without reasoning and tools."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. None is the server's own default."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    is_endless: bool = False
    """Go on to `max_tokens` although the model has ended its answer, for measuring; where the engine knows how."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question to a server: the whole conversation so far."""

    model: str
    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
