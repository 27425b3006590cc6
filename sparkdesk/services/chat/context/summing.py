"""Older turns summed up by the model that answers.

The one rule: a summary that was cut off or came empty is none; the caller then goes on without, and says so.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass

from sparkdesk.core.chat.event import CutOff, Finished, TextDelta
from sparkdesk.core.chat.message import AnswerForm, ChatRequest, Message, Sampling, Thinking
from sparkdesk.core.chat.session import Turn
from sparkdesk.core.chat.window.estimate import Estimate
from sparkdesk.core.chat.window.exchange import MESSAGE_TOKENS
from sparkdesk.core.chat.window.summary import (
    pieces_of_record,
    record_of,
    summary_messages,
    summary_tokens,
    without_fence,
)
from sparkdesk.core.errors import EndpointError
from sparkdesk.core.plain_text import lower_first
from sparkdesk.core.ports import EndpointClient

TOTAL_TIMEOUT_S = 600.0
"""For all rounds: a long conversation is read at the speed of a prompt."""
MAX_ROUNDS = 16
MIN_PIECE_TOKENS = 64
MARGIN = 0.9
"""Of what is left of the limit for the record: the estimate of its tokens may be short."""


@dataclass(frozen=True, slots=True)
class Summed:
    """A summary, or why there is none."""

    text: str = ""
    problem: str = ""


async def sum_up(
    client: EndpointClient, model: str, before: str, turns: tuple[Turn, ...], *, limit: int, estimate: Estimate
) -> Summed:
    """A summary of the last one (`before`) and these turns, read in as many rounds as the limit needs. Never raises."""
    try:
        async with asyncio.timeout(TOTAL_TIMEOUT_S):
            return await _sum_up(client, model, before, record_of(turns), limit, estimate)
    except TimeoutError:
        return Summed(problem=f"the summary was not ready within {TOTAL_TIMEOUT_S:g} s")
    except EndpointError as error:
        return Summed(problem=lower_first(error.message))


async def _sum_up(
    client: EndpointClient, model: str, before: str, record: str, limit: int, estimate: Estimate
) -> Summed:
    most = summary_tokens(limit)
    frame = sum(estimate.tokens(message.text) for message in summary_messages("", "", most)) + 3 * MESSAGE_TOKENS
    room = int((limit - 2 * most - frame) * MARGIN)
    if room < MIN_PIECE_TOKENS:
        return Summed(problem=f"{limit:,} tokens of context are too few for it")
    pieces = pieces_of_record(record, int(room * estimate.bytes_per_token))
    if len(pieces) > MAX_ROUNDS:
        return Summed(problem=f"it would take {len(pieces)} rounds")
    for piece in pieces:
        told = await _ask(client, model, summary_messages(before, piece, most), most)
        if not told.text:
            return told
        before = told.text
    return Summed(before)


async def _ask(client: EndpointClient, model: str, messages: tuple[Message, ...], max_tokens: int) -> Summed:
    sampling, form = Sampling(max_tokens=max_tokens), AnswerForm(thinking=Thinking.OFF)
    said: list[str] = []
    async with aclosing(client.chat(ChatRequest(model, messages, sampling, form))) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                said.append(event.text)
            elif isinstance(event, CutOff):
                return Summed(problem=lower_first(event.message))
            elif isinstance(event, Finished):
                # Some models think in the text itself.
                text = without_fence("".join(said).rpartition("</think>")[2])
                ended = text + " …" if event.reason == "length" and text else text
                return Summed(ended) if text else Summed(problem="the model said nothing")
    return Summed(problem="the answer was cut off")
