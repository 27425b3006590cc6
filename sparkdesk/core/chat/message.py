"""Chat content as pure values: a message is a role and parts; identity and storage live elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


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

    def with_more(self, call_id: str, name: str, arguments: str) -> ToolCallPart:
        """With a further piece of it: the first id and name hold, the arguments grow."""
        return ToolCallPart(self.id or call_id, self.name or name, self.arguments + arguments)


@dataclass(frozen=True, slots=True)
class ToolResultPart:
    """What a call gave."""

    call_id: str
    text: str
    is_error: bool = False


MAX_FILE_BYTES = 1 << 20
"""Of a file's text that goes along: a quarter of a million tokens or more."""
MAX_IMAGE_PIXELS = 64 << 20
"""Of an image that is decoded at all: 256 MiB of memory."""


def cut_note(kept_bytes: int, of_bytes: int) -> str:
    """What stands beside a file of which only the beginning goes along."""
    return f"only the first {kept_bytes / 1e6:,.2f} of {of_bytes / 1e6:,.2f} MB"


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file whose text goes along with what is said. All of it is untrusted text."""

    name: str
    text: str
    media_type: str = "text/plain"
    size_bytes: int = 0
    """Of the file as it was given; a PDF's text is another size."""
    note: str = ""
    """What of it is missing, in words: "cut after 1 MiB", "2 of 9 pages have no text"."""


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image that goes along. Its bytes lie in the store under `digest` (SHA-256, hex)."""

    name: str
    digest: str
    media_type: str
    width_px: int
    height_px: int
    size_bytes: int


Attachment = FilePart | ImagePart
Part = TextPart | ReasoningPart | ToolCallPart | ToolResultPart | FilePart | ImagePart

NO_IMAGES: Mapping[str, bytes] = MappingProxyType({})
"""Bytes of images by digest, where there are none."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn."""

    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """What is said, without reasoning and tools."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """The files and images that go along."""
        return tuple(part for part in self.parts if isinstance(part, FilePart | ImagePart))

    @property
    def files(self) -> tuple[FilePart, ...]:
        """The files that go along."""
        return tuple(part for part in self.parts if isinstance(part, FilePart))

    @property
    def images(self) -> tuple[ImagePart, ...]:
        """The images that go along."""
        return tuple(part for part in self.parts if isinstance(part, ImagePart))

    @property
    def calls(self) -> tuple[ToolCallPart, ...]:
        """The calls that the model asks for, in order."""
        return tuple(part for part in self.parts if isinstance(part, ToolCallPart))


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. None is the server's own default."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    is_endless: bool = False
    """Go on to `max_tokens` although the model has ended its answer, for measuring; where the engine knows how."""


class Thinking(StrEnum):
    """Whether the model may think before it speaks."""

    DEFAULT = "default"
    """As the server does by itself."""
    OFF = "off"
    ON = "on"


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """What shape the answer shall have, where the server knows how."""

    json_schema: str = ""
    """A JSON schema as text that the answer must follow; "" is free text."""
    top_logprobs: int = 0
    """How many alternatives are told for each token; 0 asks for none."""
    thinking: Thinking = Thinking.DEFAULT
    thinking_budget_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question to a server: what it shall know of the conversation so far."""

    model: str
    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    form: AnswerForm = field(default_factory=AnswerForm)
    images: Mapping[str, bytes] = field(default_factory=lambda: NO_IMAGES)
    """The bytes of the images in `messages`, by digest."""
    is_continuing: bool = False
    """The last message is an answer that was cut off: the server shall write on where it ends."""
