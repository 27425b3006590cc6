"""The ways on from an answer that failed because the conversation did not fit into the model's window.

Rule: no Qt here; what is offered is the core's to say.
"""

from __future__ import annotations

from dataclasses import replace

from sparkdesk.core.chat.session import ChatSettings, Turn
from sparkdesk.core.chat.window.overflow import Server, WindowOffer, offers
from sparkdesk.services.chat.endpoint import ChatEndpoint


def ways_on(turn: Turn, settings: ChatSettings, target: ChatEndpoint, server: Server) -> tuple[WindowOffer, ...]:
    """What is offered for this turn; nothing where it failed for another reason, or not at all."""
    failure = turn.failure
    if failure is None:
        return ()
    return offers(failure, settings, replace(server, has_vectors=target.embed() is not None))
