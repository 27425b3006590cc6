"""The ways on from an answer that failed because the conversation did not fit into the model's window.

Rule: no Qt here; what is offered is the core's to say.
"""

from __future__ import annotations

from dataclasses import replace

from sparkdesk.core.chat.message import Role
from sparkdesk.core.chat.session import ChatSettings, Turn
from sparkdesk.core.chat.window.overflow import Held, Server, WindowOffer, offers
from sparkdesk.services.chat.endpoint import ChatEndpoint


def ways_on(
    turns: tuple[Turn, ...], settings: ChatSettings, target: ChatEndpoint, server: Server
) -> tuple[WindowOffer, ...]:
    """What is offered for the last of these turns; nothing where it failed for another reason, or not at all."""
    failure = turns[-1].failure
    if failure is None:
        return ()
    asked = next((at for at in range(len(turns) - 1, -1, -1) if turns[at].message.role is Role.USER), 0)
    has_older = any(turn.message.parts for turn in turns[:asked])
    held = Held(has_older, has_files=bool(turns[asked].message.files))
    return offers(failure, settings, replace(server, has_vectors=target.embed() is not None), held)
