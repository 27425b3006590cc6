"""Sends requests that are measured to one server, and takes down when their answers came.

The one rule: it measures from here, through the forward, as a person's program would; tokens are the server's count.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import aclosing

from sparkdesk.core.bench.prompt import PROBE_WORDS, WordRate, make_prompt, read_word_rate
from sparkdesk.core.bench.sample import BenchSample
from sparkdesk.core.chat.event import ChatEvent, CutOff
from sparkdesk.core.chat.message import ChatRequest, Message, Role, Sampling, TextPart
from sparkdesk.core.chat.stream.timing import AnswerClock
from sparkdesk.core.errors import EndpointError, SparkDeskError
from sparkdesk.core.ports import EndpointClient
from sparkdesk.services.clock import Clock

REQUEST_TIMEOUT_S = 1800.0
PROBE_TIMEOUT_S = 300.0
NOT_COUNTED = "The server did not say how many tokens its answer has"
NO_ANSWER = "The answer has no tokens"


class Sender:
    """Measures requests to one server, whose model is `model`."""

    def __init__(self, client: EndpointClient, model: str, clock: Clock) -> None:
        self._client = client
        self._model = model
        self._clock = clock

    async def find_word_rate(self, seed: int) -> WordRate:
        """How its model cuts our words, by two short requests; they warm the server up as well.

        Raises EndpointError when it does not answer.
        """
        counts = []
        for index, words in enumerate(PROBE_WORDS):
            sample = await self.send(make_prompt(seed, -1 - index, words), 1, timeout_s=PROBE_TIMEOUT_S)
            if sample.failure and sample.failure not in (NOT_COUNTED, NO_ANSWER):
                raise EndpointError(sample.failure, remedy="Look at the deployment's log, then measure again.")
            counts.append(sample.prompt_tokens or None)
        return read_word_rate(*counts)

    async def send(
        self, prompt: str, answer_tokens: int, *, timeout_s: float = REQUEST_TIMEOUT_S, begun_s: float | None = None
    ) -> BenchSample:
        """One request of `answer_tokens` out; what goes wrong is told in the sample. `begun_s`: from when it counts."""
        request = ChatRequest(
            self._model,
            (Message(Role.USER, (TextPart(prompt),)),),
            Sampling(temperature=0.0, max_tokens=answer_tokens, is_endless=True),
        )
        sent_s = self._clock.monotonic_s()
        answer, last, failure = AnswerClock(sent_s), None, ""
        try:
            async with asyncio.timeout(timeout_s), aclosing(self._client.chat(request)) as events:
                async for event in events:
                    answer.add(event)
                    last = event
        except SparkDeskError as error:
            failure = error.message  # also a line that fell: what runs beside it must not be lost with it
        except TimeoutError:
            failure = f"The answer was not complete after {timeout_s:g} s"
        return _sample(answer, last, failure, sent_s if begun_s is None else begun_s)


def _sample(answer: AnswerClock, last: ChatEvent | None, failure: str, begun_s: float) -> BenchSample:
    timing, sent_s = answer.timing(), answer.sent_s
    if not failure and isinstance(last, CutOff):
        failure = last.message
    if not failure and not timing.is_counted_by_server:
        failure = NOT_COUNTED if answer.usage.completion_tokens is None else NO_ANSWER
    if not failure and math.isnan(timing.ttft_s):
        failure = NO_ANSWER
    return BenchSample(
        sent_s=sent_s - begun_s,
        first_s=sent_s + timing.ttft_s - begun_s,
        last_s=sent_s + timing.total_s - begun_s,
        prompt_tokens=timing.prompt_tokens or 0,
        cached_tokens=timing.cached_tokens or 0,
        answer_tokens=(timing.completion_tokens or 0) if timing.is_counted_by_server else 0,
        failure=failure,
    )
