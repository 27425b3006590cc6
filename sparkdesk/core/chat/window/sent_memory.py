"""The project's memory in the record of what was sent: its text once, and not with every answer.

The one rule: an answer whose memory is that of the answer before it in the branch names it by its digest alone. Such
an answer before has words: one without gives its place, and its record, to the next try.
"""

from __future__ import annotations

from dataclasses import replace

from sparkdesk.core.chat.context import SentContext
from sparkdesk.core.chat.session import Turn
from sparkdesk.core.digest import text_digest


def record_memory(sent: SentContext, text: str, before: tuple[Turn, ...]) -> SentContext:
    """What was sent, with this memory; `before` is the branch above the answer."""
    if not text:
        return replace(sent, memory="", memory_digest="")
    digest = text_digest(text)
    last = next((turn.sent for turn in reversed(before) if turn.sent is not None and turn.message.parts), None)
    is_known = last is not None and digest == _digest(last)
    return replace(sent, memory="" if is_known else text, memory_digest=digest)


def memory_of(sent: SentContext, turns: tuple[Turn, ...]) -> str | None:
    """The memory that was sent, where needed from the newest of these turns that has it; None is not kept any more."""
    if sent.memory or not sent.memory_digest:
        return sent.memory
    for turn in reversed(turns):
        if turn.sent is not None and turn.sent.memory and _digest(turn.sent) == sent.memory_digest:
            return turn.sent.memory
    return None


def _digest(sent: SentContext) -> str:
    """Of an older record too, which has none."""
    return sent.memory_digest or (text_digest(sent.memory) if sent.memory else "")
