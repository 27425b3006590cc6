"""Which server a conversation may talk to without anybody choosing it.

Rule: what was said to one server goes to no other by itself, whoever runs that one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sparkdesk.services.chat.conversation import Conversation
from sparkdesk.services.chat.endpoint import ChatEndpoint


def settle_server(conversation: Conversation, listed: Sequence[ChatEndpoint], *, is_bound: bool = False) -> None:
    """Have it talk to the server that it talked to, where that is listed; else to none.

    One without a word in it takes the first that is listed, save when it is bound to its own.
    """
    target = conversation.target.value
    found = next((each for each in listed if target is not None and each.id == target.id), None)
    if target is not None and not _is_same(target, found):
        conversation.use(found)
    if conversation.target.value is not None or not listed:
        return
    # A server that was started again has another id.
    same = next((each for each in listed if each.label == conversation.endpoint_label.value), None)
    is_free = not is_bound and not conversation.turns.value
    chosen = same or (listed[0] if is_free else None)
    if chosen is not None:
        conversation.use(chosen)


def _is_same(target: ChatEndpoint, found: ChatEndpoint | None) -> bool:
    """Whether a server that is listed anew is the one talked to; the way to it may be another object."""
    return found is not None and replace(found, source=target.source) == target
