"""How much of the window a branch takes, by the newest figure that a server gave and by what was written since.

The one rule: a server's count stays what it is; what it did not count is estimated, apart from it, and said to be so.
"""

from __future__ import annotations

from sparkdesk.core.chat.context import ContextParts, ContextUse, reconcile
from sparkdesk.core.chat.message import Role
from sparkdesk.core.chat.session import Turn, has_images, request_messages
from sparkdesk.core.chat.window.estimate import Estimate, calibrated, size_bytes
from sparkdesk.core.chat.window.exchange import FILE_TOKENS, MESSAGE_TOKENS

OVERFLOW = "context_overflow"
"""The kind of an `EndpointFailure` that says that a prompt was too long."""


def use_of(turns: tuple[Turn, ...]) -> ContextUse:
    """What these turns take; the last may be an answer that is being written. `limit` is told by a refusal alone."""
    last = turns[-1] if turns and turns[-1].message.role is Role.ASSISTANT else None
    if last is not None and last.failure is not None and last.failure.kind == OVERFLOW:
        prompt = last.failure.prompt_tokens
        parts = reconcile(_parts(last), prompt, has_images=has_images(turns))
        return ContextUse(prompt, limit=last.failure.context_tokens, parts=parts, is_refused=True)
    at = next((i for i in range(len(turns) - 1, -1, -1) if _is_counted(turns[i])), None)
    is_cut = last is not None and last.sent is not None and bool(last.sent.left_out)
    if last is not None and not _is_counted(last) and _parts(last).total is not None and (at is None or is_cut):
        # No count holds for it: the last one was of a prompt with more in it.
        estimate = _ratio(turns[at]) if at is not None else Estimate()
        return ContextUse(parts=_parts(last), since=_said(last, estimate))
    return ContextUse() if at is None else _counted(turns, at)


def _counted(turns: tuple[Turn, ...], at: int) -> ContextUse:
    turn, after = turns[at], turns[at + 1 :]
    usage = turn.usage
    assert usage is not None
    parts = _parts(turn)
    # Asked only where it changes something: it looks at every turn.
    with_images = parts.total is not None and not parts.is_counted and has_images(turns[:at])
    parts = reconcile(parts, usage.prompt_tokens, has_images=with_images)
    use = ContextUse(usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, parts=parts)
    if not after:
        return use
    # What was thought is not sent again.
    kept = max(0, (use.answer or 0) - (usage.reasoning_tokens or 0))
    return ContextUse(use.prompt, kept, parts=parts, since=_written(after, _ratio(turn)))


def _is_counted(turn: Turn) -> bool:
    return turn.message.role is Role.ASSISTANT and turn.usage is not None and turn.usage.prompt_tokens is not None


def _parts(turn: Turn) -> ContextParts:
    return turn.sent.parts if turn.sent is not None else ContextParts()


def _ratio(turn: Turn) -> Estimate:
    """What a counted answer teaches of bytes and tokens; the whole prompt would be read for more."""
    tokens = turn.usage.completion_tokens if turn.usage is not None else None
    return calibrated(size_bytes(turn.text) + size_bytes(turn.reasoning), tokens or 0, 0) or Estimate()


def _said(turn: Turn, estimate: Estimate) -> int:
    return estimate.tokens(turn.text) + estimate.tokens(turn.reasoning)


def _written(turns: tuple[Turn, ...], estimate: Estimate) -> int:
    """Tokens of these turns as the next question sends them, and of what the last one thought."""
    messages = request_messages(turns, "")
    texts = sum(estimate.tokens(message.text) + MESSAGE_TOKENS for message in messages)
    files = sum(estimate.tokens(file.text) + FILE_TOKENS for message in messages for file in message.files)
    last = turns[-1]
    thought = estimate.tokens(last.reasoning) if last.message.role is Role.ASSISTANT else 0
    return texts + files + thought
