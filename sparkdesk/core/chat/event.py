"""What comes out of a model server while it answers, one event after the other.

The one rule: an answer has ended well only after `Finished` with a reason; a stream that ends without is `CutOff`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the answer. `t_s` is monotonic seconds at arrival."""

    text: str
    t_s: float


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of the reasoning."""

    text: str
    t_s: float


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """More of a tool call; `id` and `name` come once, `arguments` in pieces."""

    index: int
    id: str
    name: str
    arguments: str
    t_s: float


MAX_TOP_LOGPROBS = 20
"""Alternatives of one token. Source: the OpenAI API's reference, top_logprobs."""


@dataclass(frozen=True, slots=True)
class TokenChoice:
    """One token that was written, and what might have stood there instead."""

    token: str
    logprob: float
    """Natural logarithm of its probability."""
    others: tuple[tuple[str, float], ...] = ()
    """Alternatives with their logprobs, the likeliest first; may name the token itself."""


@dataclass(frozen=True, slots=True)
class TokenChoices:
    """How sure the model was of the tokens that came with the delta before."""

    choices: tuple[TokenChoice, ...]
    t_s: float


@dataclass(frozen=True, slots=True)
class PromptProgress:
    """How much of the prompt the server has read, in tokens."""

    processed: int
    cached: int
    total: int
    t_s: float
    spent_s: float | None = None
    """How long the server has been reading; None is not told."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The server's own count. None is not told."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    prompt_ms: float | None = None
    """Server-side prefill time, where the server tells it (llama.cpp timings)."""
    predicted_ms: float | None = None
    reasoning_tokens: int | None = None
    """How many of `completion_tokens` were reasoning."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """Another model answers than was asked for: a server of one model takes any name. Comes once, before the text."""

    model: str
    asked: str
    t_s: float


@dataclass(frozen=True, slots=True)
class Finished:
    """The server said that the answer is complete: "stop", "length", "tool_calls", ..."""

    reason: str
    t_s: float


@dataclass(frozen=True, slots=True)
class CutOff:
    """The stream ended or failed before the answer was complete; what came stays."""

    message: str
    remedy: str
    t_s: float
    kind: str = ""
    """stalled, lost, ended_early, too_long, unreadable, aborted, or the kind of an EndpointFailure that came in the
    stream; "" is not known."""
    prompt_tokens: int | None = None
    context_tokens: int | None = None
    """Both of a context_overflow, where the server tells them."""


ChatEvent = (
    TextDelta | ReasoningDelta | ToolCallDelta | TokenChoices | PromptProgress | Usage | ServedModel | Finished | CutOff
)
