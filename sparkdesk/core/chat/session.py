"""A conversation as a value: its turns with their states, and its settings.

The one rule: a turn is what was said and how it came to be; which turns are shown is the tree's affair.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from sparkdesk.core.chat.context import SentContext, WindowPolicy
from sparkdesk.core.chat.event import TokenChoice, Usage
from sparkdesk.core.chat.message import (
    AnswerForm,
    Attachment,
    Message,
    Part,
    ReasoningPart,
    Role,
    Sampling,
    TextPart,
)
from sparkdesk.core.chat.stream.timing import NOT_KNOWN, AnswerTiming

OWN_TITLE_CHARS = 60
"""Of the title that a conversation has by itself."""
_READ_CHARS = 600
"""Of a question, for its title."""
_LINE_MARK = re.compile(r"^[ \t]{0,3}(?:(?:#{1,6}|>|[-*+])[ \t]+|(?:`{3,}|~{3,})[^`\n]*$)", re.MULTILINE)
"""Of a heading, a quotation, an item of a list, or a fence of code."""
_EMPHASIS = re.compile(r"(?<![\w*~`])(\*{1,3}|~~|`{1,2})(?=\S)(.{1,400}?)(?<=\S)\1(?![\w*~`])", re.DOTALL)
"""Not `_`: names in code begin and end with it."""
_LINK = re.compile(r"!?\[([^\]\n]{1,200})\]\([^)\n]{0,300}\)")
MAX_TITLE_CHARS = 200
"""Of the one that a person gives it."""
MAX_NAME_CHARS = 80
"""Of a folder and of a tag."""
MAX_TAGS = 16
NOT_NUMBERED = -1
"""Stands for a number that was not given; the tree gives one."""


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
class TurnFailure:
    """Why an answer failed or was cut off, as far as it is understood. None is not told."""

    kind: str
    """A kind of `EndpointFailure` or of `CutOff`."""
    prompt_tokens: int | None = None
    context_tokens: int | None = None
    """Both of a context_overflow."""
    retry_after_s: float | None = None


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
    failure: TurnFailure | None = None
    """Of an error, where it is understood."""
    label: str = ""
    """Which model on which node answered."""
    t_ms: int = 0
    finish_reason: str = ""
    number: int = 0
    """Its own number in the conversation, given once."""
    parent: int | None = None
    """The number of the turn that it follows; None begins the conversation. Turns with one parent are branches."""
    energy_j: float = NOT_KNOWN
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

    @property
    def has_images(self) -> bool:
        """Whether an image goes along with it."""
        return bool(self.message.images)

    @property
    def files_count(self) -> int:
        """How many files go along with it."""
        return len(self.message.files)


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
    queued: tuple[Message, ...] = ()
    """Questions that wait to be sent."""
    caution: str = ""
    """What stands beside each answer: "A model's opinion, not checked by SparkDesk"."""
    comparison: str = ""
    """The id of the comparison that it is a column of; "" is none."""
    column: int = 0
    """Its place in that comparison, from the left."""


def title_of(text: str) -> str:
    """The title of a conversation that begins with these words, without the marks of Markdown."""
    words = " ".join(_plain(text[:_READ_CHARS]).split())
    return words if len(words) <= OWN_TITLE_CHARS else words[: OWN_TITLE_CHARS - 1].rstrip() + "…"


def _plain(text: str) -> str:
    """The words that Markdown would show; as they stand where nothing would be left of them."""
    plain = _LINK.sub(r"\1", _LINE_MARK.sub("", text))
    for _ in range(2):  # Strong words may have slanted ones inside.
        plain = _EMPHASIS.sub(r"\2", plain)
    return plain if plain.strip() else text


def given_title(text: str) -> str:
    """A title that a person gives, on one line; "" when it is none."""
    return " ".join(text.split())[:MAX_TITLE_CHARS]


def request_messages(turns: tuple[Turn, ...], system_prompt: str) -> tuple[Message, ...]:
    """What is sent: the system prompt and every turn that says something, with its files and images, no reasoning.

    A question that got no answer is left out when a later one follows, since many chat templates refuse two questions
    in a row.
    """
    sent: list[Message] = []
    for turn in turns:
        parts = sent_parts(turn.message)
        if not parts:
            continue
        if turn.message.role is Role.USER and sent and sent[-1].role is Role.USER:
            sent.pop()
        sent.append(turn.message if parts is turn.message.parts else Message(turn.message.role, parts))
    if system_prompt.strip():
        sent.insert(0, Message(Role.SYSTEM, (TextPart(system_prompt),)))
    return tuple(sent)


def sent_parts(message: Message) -> tuple[Part, ...]:
    """What of a message goes to a server: its attachments and its words, no reasoning; empty when it says nothing."""
    if len(message.parts) == 1 and isinstance(message.parts[0], TextPart):
        return message.parts if message.parts[0].text.strip() else ()  # Nearly every turn, and there may be thousands.
    attachments, text = message.attachments, message.text
    return (*attachments, TextPart(text)) if attachments or text.strip() else ()


def question(text: str, attachments: tuple[Attachment, ...] = ()) -> Message:
    """What a person says, with what goes along."""
    return Message(Role.USER, (*attachments, *((TextPart(text),) if text else ())))


def has_images(turns: Iterable[Turn]) -> bool:
    """Whether an image goes along with any of these turns."""
    return any(turn.has_images for turn in turns)


def image_digests(messages: tuple[Message, ...]) -> frozenset[str]:
    """The digests of all images in these messages."""
    return frozenset(image.digest for message in messages for image in message.images)
