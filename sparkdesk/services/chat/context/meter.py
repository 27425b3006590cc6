"""How full a conversation's window is: what the last prompt was made of, the real limit, and the server's cache.

The one rule: every figure has a source. The prompt is the server's own count, the limit what it tells, the cache its
metrics. What nobody counted yet is estimated and said to be; nobody else's share of the cache is claimed.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

from sparkdesk.core.chat.context import ContextUse, PoolUse
from sparkdesk.core.chat.session import Turn
from sparkdesk.core.chat.window.estimate import calibrate
from sparkdesk.core.chat.window.use import use_of
from sparkdesk.core.errors import EndpointError
from sparkdesk.services.chat.context.fitter import WindowFitter
from sparkdesk.services.chat.context.token_count import TokenCount
from sparkdesk.services.chat.conversation import Conversation
from sparkdesk.services.chat.endpoint import ChatEndpoint, open_client

ASK_TIMEOUT_S = 10.0


class ContextMeter:
    """Tells how full windows are. `learn` and `count` ask the server: call them beside the chat, not in it."""

    def __init__(self, fitter: WindowFitter) -> None:
        self._fitter = fitter
        self._shared: dict[str, PoolUse | None] = {}
        """By conversation: its server's metrics from while it was answered; None while it is."""

    def use(self, conversation: Conversation) -> ContextUse:
        """By what is known now, without asking anybody."""
        target = conversation.target.value
        limit = self._fitter.limits.known(target) if target is not None else None
        pool = self._of_others(conversation, target.pool() if target is not None else None)
        if limit is not None and limit.slots is not None:
            pool = replace(pool or PoolUse(), slots=limit.slots)
        use = use_of(_as_they_are(conversation))
        told = limit.context_tokens if limit is not None else None
        return replace(use, limit=use.limit if use.limit is not None else told, pool=pool)

    def _of_others(self, conversation: Conversation, pool: PoolUse | None) -> PoolUse | None:
        """The queue without this conversation's own question: metrics that are as old as its answer may count it."""
        key = conversation.id
        if conversation.is_answering.value:
            self._shared[key] = None
        elif key in self._shared and self._shared[key] is None:
            self._shared[key] = pool
        elif key in self._shared and self._shared[key] != pool:
            del self._shared[key]
        if pool is None or not pool.waiting or key not in self._shared:
            return pool
        return replace(pool, waiting=pool.waiting - 1)

    async def learn(self, target: ChatEndpoint) -> None:
        """Ask the server for its limit: when it is chosen, or refused what should fit. Never raises."""
        try:
            async with asyncio.timeout(ASK_TIMEOUT_S), AsyncExitStack() as stack:
                client = await open_client(stack, target.source)
                await self._fitter.limits.learn(target, client, is_anew=True)
        except (EndpointError, TimeoutError):
            return

    async def count(self, conversation: Conversation, text: str) -> TokenCount:
        """Tokens of a text that may be sent in this conversation, a file's say: counted or estimated. Never raises."""
        target = conversation.target.value
        estimate = calibrate(conversation.turns.value, conversation.settings.value.system_prompt)
        if target is None:
            return TokenCount(estimate.tokens(text), False)
        engine = self._fitter.limits.known(target).engine
        try:
            async with asyncio.timeout(ASK_TIMEOUT_S), AsyncExitStack() as stack:
                client = await open_client(stack, target.source)
                return await self._fitter.counter.count(client, target.endpoint, text, engine=engine, estimate=estimate)
        except (EndpointError, TimeoutError):
            return TokenCount(estimate.tokens(text), False)


def _as_they_are(conversation: Conversation) -> tuple[Turn, ...]:
    """The turns that are shown, the answer that is being written with all that it has so far."""
    turns, live = conversation.turns.value, conversation.live_turn()
    if live is None or not turns or turns[-1].number != live.number:
        return turns
    return (*turns[:-1], live)
