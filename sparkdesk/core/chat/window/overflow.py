"""What can be done when a conversation no longer fits: raise the limit, sum up, drop, or search.

The one rule: an offer says what it costs and is made only where it would help; nothing is done before the person
chooses.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sparkdesk.core.chat.context import WindowPolicy
from sparkdesk.core.chat.session import ChatSettings, TurnFailure
from sparkdesk.core.jobs.backend import EndpointFailure

Failure = EndpointFailure | TurnFailure
"""As it came, or as it is kept with an answer."""
OVERFLOW_KIND = "context_overflow"
STEP_TOKENS = 1024
MAX_CONTEXT_TOKENS = 4_194_304
"""As a launch request may ask for. Source: LaunchRequest.context_tokens."""


class Remedy(StrEnum):
    """What an offer does."""

    RAISE = "raise"
    """Launch the model again with a longer context."""
    SUMMARISE = "summarise"
    DROP = "drop"
    RETRIEVE = "retrieve"
    EDIT = "edit"
    """Change the question itself."""


POLICIES = {
    Remedy.SUMMARISE: WindowPolicy.SUMMARISE,
    Remedy.DROP: WindowPolicy.SLIDING,
    Remedy.RETRIEVE: WindowPolicy.RETRIEVE,
}


@dataclass(frozen=True, slots=True)
class WindowOffer:
    """One way on. `policy` is what the conversation is set to; with `context_tokens` the model is launched anew."""

    remedy: Remedy
    title: str
    """For a button."""
    words: str
    """What it does and what it costs."""
    policy: WindowPolicy | None = None
    context_tokens: int | None = None
    reason: str = ""
    """Why it cannot be taken; "" when it can."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the prompt held: whether anything stands before the question, and whether files go along with it."""

    has_older: bool = True
    has_files: bool = False


@dataclass(frozen=True, slots=True)
class Server:
    """What of a server bears on the offers. `max_context_tokens`: what the model was made for; None is not known."""

    can_relaunch: bool = False
    max_context_tokens: int | None = None
    has_vectors: bool = False


def offers(failure: Failure, settings: ChatSettings, server: Server, held: Held = Held()) -> tuple[WindowOffer, ...]:
    """What is offered for this failure, the likeliest help first; none when it is no overflow.

    The policy that the conversation has already is not offered again. Where nothing is older than the question,
    nothing can be summed up or left out: the question is to be changed, or the limit to be raised.
    """
    if failure.kind != OVERFLOW_KIND:
        return ()
    longer = _raise(failure, settings, server)
    if held.has_older:
        ways = [longer, _summarise(), _retrieve() if server.has_vectors else None, _drop()]
    else:
        search = _search_files() if server.has_vectors and held.has_files else None
        ways = [longer or _no_raise(server), search, _edit(held)]
    return tuple(way for way in ways if way is not None and (way.policy is None or way.policy is not settings.window))


def needed_tokens(failure: Failure, max_tokens: int | None = None) -> int | None:
    """The context that would hold this prompt and an answer, in whole steps; None when the prompt's size is not told.

    The answer is as long as `max_tokens`, else a quarter of the prompt.
    """
    if failure.prompt_tokens is None or failure.prompt_tokens < 1:
        return None
    answer = max_tokens if max_tokens is not None and max_tokens > 0 else failure.prompt_tokens // 4
    wanted = failure.prompt_tokens + answer
    return min(-(-wanted // STEP_TOKENS) * STEP_TOKENS, MAX_CONTEXT_TOKENS)


def _raise(failure: Failure, settings: ChatSettings, server: Server) -> WindowOffer | None:
    if not server.can_relaunch:
        return None
    needed, most = needed_tokens(failure, settings.sampling.max_tokens), server.max_context_tokens
    told = failure.prompt_tokens
    if needed is None and failure.context_tokens is not None:
        # Not told how much more: the next power is a try, and is called one.
        needed = min(2 * failure.context_tokens, MAX_CONTEXT_TOKENS)
    if most is not None and ((told or 0) > most or failure.context_tokens == most):
        return None
    if needed is None:
        return WindowOffer(Remedy.RAISE, "Longer context …", "Launch the model again with a longer context.")
    needed = min(needed, most) if most is not None else needed
    why = f"This conversation has {told:,} tokens" if told is not None else "How many this one has was not told"
    words = f"Launch the model again with {needed:,} tokens of context. {why}; its KV cache grows with it."
    return WindowOffer(Remedy.RAISE, f"Context of {needed:,} …", words, context_tokens=needed)


def _no_raise(server: Server) -> WindowOffer:
    reason = "SparkDesk did not launch this server, or no longer knows how. Whoever runs it can give it more."
    if server.can_relaunch and server.max_context_tokens is not None:
        reason = f"The model was made for {server.max_context_tokens:,} tokens at most."
    return WindowOffer(Remedy.RAISE, "Longer context …", reason, reason=reason)


def _edit(held: Held) -> WindowOffer:
    words = "Nothing is older than this question, so there is nothing to leave out: make it shorter"
    words += ". To attach less, ask it in a new chat." if held.has_files else "."
    return WindowOffer(Remedy.EDIT, "Change the question", words)


def _search_files() -> WindowOffer:
    words = "Of the attached files only what is near to the question is sent. All of them stay here."
    return WindowOffer(Remedy.RETRIEVE, "Search the files", words, POLICIES[Remedy.RETRIEVE])


def _summarise() -> WindowOffer:
    words = "The model sums up the older messages once, which takes it as long as reading them. All of them stay here."
    return WindowOffer(Remedy.SUMMARISE, "Sum up older messages", words, POLICIES[Remedy.SUMMARISE])


def _drop() -> WindowOffer:
    words = "The oldest messages are no longer sent: the model forgets them at once. All of them stay here."
    return WindowOffer(Remedy.DROP, "Leave out the oldest", words, POLICIES[Remedy.DROP])


def _retrieve() -> WindowOffer:
    words = "Of older messages and files only what is near to the question is sent. All of them stay here."
    return WindowOffer(Remedy.RETRIEVE, "Search older messages", words, POLICIES[Remedy.RETRIEVE])
