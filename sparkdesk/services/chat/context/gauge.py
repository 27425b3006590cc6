"""How much of a server's window one prompt takes: measured no more often than it matters.

The one rule: a prompt that is far below the limit is never counted, so that a short question is not delayed; one near
it is counted as a whole, by one request, and what that teaches holds for its parts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from sparkdesk.core.chat.context import ContextParts
from sparkdesk.core.chat.window.estimate import MOST_BYTES_PER_TOKEN, Estimate, calibrate, calibrated, size_bytes
from sparkdesk.core.chat.window.exchange import FILE_TOKENS, MESSAGE_TOKENS, turn_tokens
from sparkdesk.core.chat.window.prompt import Prompt
from sparkdesk.services.chat.context.limits import ServerLimit
from sparkdesk.services.chat.context.token_count import TokenCounter
from sparkdesk.services.chat.fitting import FitQuestion

NEAR = 0.6
"""Of what a prompt may take: below it an estimate is enough."""
FAR = 1.5
"""Of the same: beyond it no estimate is so wrong that the prompt fits."""
ANSWER_SHARE, MAX_ANSWER_TOKENS = 4, 8192
"""Room for an answer whose length nobody set: a quarter of the limit, at most so much."""


MANY_TURNS = 500
"""A longer conversation is looked through in a thread: 10,000 messages would hold the loop for a tenth of a second."""
T = TypeVar("T")


async def beside(turns: int, work: Callable[[], T]) -> T:
    """What `work` gives; in a thread where it looks through many turns."""
    return await asyncio.to_thread(work) if turns > MANY_TURNS else work()


class Gauge:
    """Measures the prompts of one question."""

    def __init__(self, counter: TokenCounter, question: FitQuestion, limit: ServerLimit) -> None:
        self._counter = counter
        self._question = question
        self._engine = limit.engine
        self.limit = limit.context_tokens or 0
        """Of prompt and answer; 0 is not known."""
        self.estimate: Estimate = calibrate(question.turns, question.settings.system_prompt)

    @property
    def allowed(self) -> int:
        """Tokens that the prompt may take, so that an answer has room."""
        asked = self._question.settings.sampling.max_tokens
        room = asked if asked is not None else min(self.limit // ANSWER_SHARE, MAX_ANSWER_TOKENS)
        begun = self.estimate.tokens(self._question.begun)
        return max(1, self.limit - min(room, self.limit * 3 // 4) - begun)

    def count(self, text: str) -> int:
        """Tokens of a text, estimated by all that is known."""
        return self.estimate.tokens(text)

    def guess(self, prompt: Prompt) -> int:
        """Tokens of a prompt, estimated."""
        files = sum(len(turn.message.files) for turn in prompt.turns)
        texts = sum(self.count(text) for part in prompt.texts().values() for text in part)
        return texts + files * FILE_TOKENS + (len(prompt.turns) + 1) * MESSAGE_TOKENS

    def fixed(self, prompt: Prompt) -> int:
        """Tokens of what stays whichever turns are left out."""
        system = sum(self.count(text) for text in (prompt.system_prompt, prompt.memory, prompt.summary))
        return system + 2 * MESSAGE_TOKENS

    def turn_counts(self, prompt: Prompt) -> list[int]:
        """Tokens of each turn."""
        return [turn_tokens(turn, self.count) for turn in prompt.turns]

    def is_near(self, prompt: Prompt) -> bool:
        """Whether the prompt may be near what it may take. What nobody counted yet may have a token for each byte."""
        if self.estimate.is_calibrated:
            return self.guess(prompt) > NEAR * self.allowed
        size = sum(size_bytes(text) for part in prompt.texts().values() for text in part)
        return size + (len(prompt.turns) + 1) * MESSAGE_TOKENS > NEAR * self.allowed

    def is_far_over(self, prompt: Prompt) -> bool:
        """Whether the prompt is so much too long that counting it would only cost time."""
        ratio = self.estimate.bytes_per_token if self.estimate.is_calibrated else MOST_BYTES_PER_TOKEN
        size = sum(size_bytes(text) for part in prompt.texts().values() for text in part)
        return size / ratio > FAR * self.allowed

    async def fits(self, prompt: Prompt, share: float = 1.0) -> bool:
        """Whether the prompt leaves room for an answer and takes at most this share of the limit.

        Counted where an estimate leaves a doubt.
        """
        if not self.is_near(prompt):
            return True
        if self.is_far_over(prompt):
            return False
        tokens = await self.measure(prompt)  # before `allowed`, which it makes more exact
        return tokens <= min(self.limit * share, self.allowed)

    async def measure(self, prompt: Prompt) -> int:
        """Tokens of a prompt: counted by the server where it counts, else estimated. Never raises."""
        messages = prompt.messages()
        client, endpoint = self._question.client, self._question.target.endpoint
        texts = [text for part in prompt.texts().values() for text in part if text]
        found = await self._counter.count_messages(client, endpoint, messages, engine=self._engine)
        if found is None:
            told = await self._counter.count(client, endpoint, "\n".join(texts), engine=self._engine)
            found = told.tokens + len(messages) * MESSAGE_TOKENS if told.is_counted else None
        if found is None:
            return self.guess(prompt)
        learned = calibrated(sum(map(size_bytes, texts)), found, len(messages))
        self.estimate = learned if learned is not None else self.estimate
        return found

    async def parts(self, prompt: Prompt, *, is_near: bool) -> ContextParts:
        """The prompt's parts; counted by the server only when it is near the limit anyway."""
        if not is_near:
            return await beside(len(prompt.turns), lambda: prompt.parts(self.count, is_counted=False))
        client, endpoint = self._question.client, self._question.target.endpoint
        sizes: dict[str, int] = {}
        for name, texts in prompt.texts().items():
            told = await self._counter.count(client, endpoint, "\n".join(filter(None, texts)), engine=self._engine)
            if not told.is_counted:
                return prompt.parts(self.count, is_counted=False)
            sizes[name] = told.tokens
        return ContextParts(sizes["system"], sizes["memory"], sizes["files"], sizes["messages"], is_counted=True)
