"""What of a conversation goes to the server, and how full its window is.

The one rule: nothing is deleted by what is left out. A `SentContext` names each turn that was not sent and keeps what
stood in its place, so that a person can open both.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum


class WindowPolicy(StrEnum):
    """What is done when a conversation grows beyond the model's context. Chosen for each conversation."""

    WHOLE = "whole"
    """Send all of it; when it does not fit, ask the person."""
    SLIDING = "sliding"
    """Leave out the oldest turns."""
    SUMMARISE = "summarise"
    """Have the model sum up the older turns once they no longer fit."""
    RETRIEVE = "retrieve"
    """Send the newest turns, and of the older ones and of the files what is nearest to the question."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A piece of an older turn or of a file that was sent because it is near to the question."""

    turn: int
    """The number of the turn that it stands in."""
    source: str
    """The file's name; "" when it is the turn's own words."""
    text: str
    nearness: float
    """Cosine of the angle between the two vectors."""


@dataclass(frozen=True, slots=True)
class ContextParts:
    """Tokens of the prompt by what they are for. None is not known."""

    system: int | None = None
    memory: int | None = None
    files: int | None = None
    messages: int | None = None
    """What was said by both, with summaries and excerpts of it."""
    is_counted: bool = False
    """Whether the server's tokenizer counted; else they are estimated from the characters."""
    template: int | None = None
    """The rest of the server's own count: the marks around messages, and images. Known after the answer only."""

    @property
    def total(self) -> int | None:
        """Tokens of all parts that are known; None when none is."""
        known = [n for n in (self.system, self.memory, self.files, self.messages, self.template) if n is not None]
        return sum(known) if known else None


@dataclass(frozen=True, slots=True)
class SentContext:
    """What went to the server with one question."""

    policy: WindowPolicy = WindowPolicy.WHOLE
    left_out: tuple[int, ...] = ()
    """Numbers of the turns that were not sent as they are."""
    summary: str = ""
    """What was sent for those, in the model's own words."""
    summed_up: tuple[int, ...] = ()
    """Those of `left_out` that `summary` stands for; the others were left out without a word."""
    excerpts: tuple[Excerpt, ...] = ()
    memory: str = ""
    """The project's memory as it was sent; "" where an answer before it has the same (core/chat/window/sent_memory)."""
    parts: ContextParts = field(default_factory=ContextParts)
    note: str = ""
    """What must be known of it: "No embedding server runs: only the newest turns were sent"."""
    memory_digest: str = ""
    """Which memory it was; "" is none, or a record of an older release."""


@dataclass(frozen=True, slots=True)
class PoolUse:
    """A server's KV cache, by its own metrics. None is not told."""

    used_fraction: float | None = None
    capacity_tokens: int | None = None
    running: int | None = None
    waiting: int | None = None
    slots: int | None = None
    """How many requests it answers at once."""


@dataclass(frozen=True, slots=True)
class ContextUse:
    """How much of the window a chat takes: the server's own count, and what was written since. None is not known."""

    prompt: int | None = None
    answer: int | None = None
    cached: int | None = None
    limit: int | None = None
    """The real limit of one request (llama.cpp: of one slot)."""
    parts: ContextParts = field(default_factory=ContextParts)
    pool: PoolUse | None = None
    since: int | None = None
    """What was written after the server's last count, estimated; None is nothing."""
    is_refused: bool = False
    """Whether the server refused this prompt as too long; then `prompt` and `limit` are its own words."""

    @property
    def used(self) -> int | None:
        """Tokens in use; of a prompt that nobody counted yet, what its parts are estimated to have."""
        prompt = self.prompt if self.prompt is not None else self.parts.total
        return None if prompt is None else prompt + (self.answer or 0) + (self.since or 0)

    @property
    def is_about(self) -> bool:
        """Whether `used` is estimated, in part or as a whole."""
        return self.used is not None and (self.prompt is None or bool(self.since))

    @property
    def fraction(self) -> float | None:
        """What of the window is in use, 0..1; beyond 1 where a server took more than it told."""
        return None if self.used is None or not self.limit else self.used / self.limit

    @property
    def own_share(self) -> float | None:
        """What the last exchange takes of the server's KV cache, 0..1; None when the cache's size is not told."""
        capacity = None if self.pool is None else self.pool.capacity_tokens
        return None if self.used is None or not capacity else min(1.0, self.used / capacity)


def reconcile(parts: ContextParts, prompt: int | None, *, has_images: bool = False) -> ContextParts:
    """The parts so that they add up to the server's own count of the prompt, exactly; as they are when that is None.

    Counted parts stay, and the rest is the template's. Estimated parts share the count in their proportion: then how
    much is the template's is not known, and it stays None. With images they stay too: the rest is the images'.
    """
    names = ("system", "memory", "files", "messages")
    known = {name: value for name in names if (value := getattr(parts, name)) is not None}
    total = sum(known.values())
    if prompt is None or not known:
        return parts
    if (parts.is_counted or has_images) and total <= prompt:
        return replace(parts, template=prompt - total)
    if total == 0:
        return replace(parts, template=prompt)
    shares = {name: value * prompt // total for name, value in known.items()}
    largest = max(known, key=lambda name: known[name])
    shares[largest] += prompt - sum(shares.values())
    return replace(parts, **shares, is_counted=False, template=None)
