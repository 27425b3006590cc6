"""What of a conversation is sent with a question, so that it fits into the model's window.

The one rule: what is left out is named in what was sent; it stays in the conversation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from sparkdesk.core.chat.context import SentContext
from sparkdesk.core.chat.message import Message
from sparkdesk.core.chat.session import ChatSettings, Turn, request_messages
from sparkdesk.core.ports import EndpointClient
from sparkdesk.services.chat.endpoint import ChatEndpoint


@dataclass(frozen=True, slots=True)
class FitQuestion:
    """A question that is about to be sent: `turns` is the branch shown, the question last."""

    session_id: str
    turns: tuple[Turn, ...]
    settings: ChatSettings
    target: ChatEndpoint
    client: EndpointClient
    tell: Callable[[str], None] = lambda _words: None
    """Called with what takes its time ("The model sums up 12 older turns"), and with "" when that is over."""
    begun: str = ""
    """The answer so far, when it is continued: it goes along after the question, and takes room."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What is sent."""

    messages: tuple[Message, ...]
    sent: SentContext = field(default_factory=SentContext)


class ContextFitter(Protocol):
    """Chooses what is sent."""

    async def fit(self, question: FitQuestion) -> Fitted:
        """What to send. Never raises for what merely could not be counted or summed up: `sent.note` says so.

        Raises EndpointError when the server is gone.
        """
        ...


class WholeConversation:
    """Sends all of it."""

    async def fit(self, question: FitQuestion) -> Fitted:
        """Every turn, without reasoning."""
        return Fitted(request_messages(question.turns, question.settings.system_prompt))
