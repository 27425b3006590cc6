"""Our chat requests against a real vLLM: it takes what we write for it, and its words are understood.

The one rule: our own client sends what `to_body` writes. The model is random, so what it says means nothing; what it
was given is known from the server's own count of the prompt.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backends import vllm
from sparkdesk.core.chat.event import ChatEvent, CutOff, Finished, TextDelta, TokenChoices, Usage
from sparkdesk.core.chat.message import (
    AnswerForm,
    ChatRequest,
    ImagePart,
    Message,
    Part,
    Role,
    Sampling,
    TextPart,
    Thinking,
)
from sparkdesk.core.errors import EndpointError
from sparkdesk.core.jobs.backend import EndpointFailure
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.infra.openai_api import OpenAiClient, OpenAiClients
from sparkdesk.services.chat.context.limits import ServerLimits
from sparkdesk.services.chat.context.token_count import TokenCounter
from sparkdesk.services.chat.endpoint import ChatEndpoint
from tests.vllm.server import Server
from tests.vllm.test_real_vllm import engine_of

SHORT = Sampling(temperature=0.0, max_tokens=6, seed=3)
YES_OR_NO = '{"type":"object","properties":{"a":{"type":"boolean"}},"required":["a"],"additionalProperties":false}'


def said(role: Role, text: str, *parts: Part) -> Message:
    return Message(role, (*parts, TextPart(text)))


HI = said(Role.USER, "hi")
HELLO = said(Role.ASSISTANT, "Hello the")


def endpoint(server: Server) -> Endpoint:
    return Endpoint("n1", "127.0.0.1", server.port, "tiny", engine="vllm")


@pytest.fixture
async def client(server: Server) -> AsyncIterator[OpenAiClient]:
    client = OpenAiClients(failures={"vllm": vllm.backend.failure}).open(endpoint(server), None)
    yield client
    await client.close()


async def events(client: OpenAiClient, *messages: Message, **more: Any) -> list[ChatEvent]:
    """All that comes of a question."""
    asked = ChatRequest(more.pop("model", "tiny"), messages or (HI,), more.pop("sampling", SHORT), **more)
    async with aclosing(client.chat(asked)) as stream:
        return [event async for event in stream]


async def refusal(client: OpenAiClient, *messages: Message, **more: Any) -> EndpointFailure:
    with pytest.raises(EndpointError) as caught:
        await events(client, *messages, **more)
    assert caught.value.failure is not None
    return caught.value.failure


def prompt_tokens(found: list[ChatEvent]) -> int:
    assert isinstance(found[-1], Finished), found[-1]
    return next(event.prompt_tokens or 0 for event in found if isinstance(event, Usage))


def text(found: list[ChatEvent]) -> str:
    return "".join(event.text for event in found if isinstance(event, TextDelta))


async def test_an_answer_is_written_on_where_it_ends_to_its_last_blank(client: OpenAiClient) -> None:
    """A token of this model is a byte: the prompt is longer by the answer's bytes alone, and has no new turn."""
    asked = prompt_tokens(await events(client))
    for begun in ("Hello the", "Hello the ", "Hello the\n"):
        found = await events(client, HI, said(Role.ASSISTANT, begun), is_continuing=True)
        assert prompt_tokens(found) == asked + len(begun)


async def test_every_wish_is_taken_at_once(client: OpenAiClient) -> None:
    sampling = replace(SHORT, top_p=0.9, top_k=5, min_p=0.1, stop=("zz",), is_endless=True)
    form = AnswerForm(top_logprobs=20, thinking=Thinking.ON)
    assert isinstance((await events(client, sampling=sampling, form=form))[-1], Finished)


async def test_a_seed_makes_the_same_answer_again_and_a_stop_word_ends_it(client: OpenAiClient) -> None:
    wild = Sampling(temperature=1.5, max_tokens=32, seed=11)
    first, second = [text(await events(client, sampling=wild)) for _ in range(2)]
    assert first == second
    assert text(await events(client, sampling=replace(wild, seed=12))) != first
    letter = next(char for char in first if char.isascii() and char.isprintable() and char != " ")
    stopped = await events(client, sampling=replace(wild, stop=(letter,)))
    assert text(stopped) == first[: first.index(letter)]
    assert isinstance(stopped[-1], Finished)
    assert stopped[-1].reason == "stop"


async def test_how_sure_it_was_comes_for_each_token_with_the_likeliest_first(client: OpenAiClient) -> None:
    found = await events(client, form=AnswerForm(top_logprobs=3))
    choices = [choice for event in found if isinstance(event, TokenChoices) for choice in event.choices]
    assert len(choices) == 6
    for choice in choices:
        assert [logprob for _, logprob in choice.others] == sorted((row[1] for row in choice.others), reverse=True)
        assert len(choice.others) == 3
        assert choice.others[0] == (choice.token, choice.logprob), "without chance the likeliest is taken"


async def test_a_schema_shapes_even_a_random_answer(client: OpenAiClient) -> None:
    found = await events(client, sampling=Sampling(max_tokens=200, seed=5), form=AnswerForm(json_schema=YES_OR_NO))
    said_text = text(found)
    assert said_text.lstrip().startswith("{")
    assert set(said_text) <= set('{}":atruefls \t\n\r'), "nothing but what the schema lets through"


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (AnswerForm(json_schema='{"type":"nonsense"}'), "Invalid type: nonsense"),
        (AnswerForm(thinking_budget_tokens=5), "reasoning"),
    ],
)
async def test_a_wish_that_it_refuses_is_an_error_inside_a_stream_and_no_answer(
    client: OpenAiClient, form: AnswerForm, words: str
) -> None:
    (only,) = await events(client, form=form)
    assert isinstance(only, CutOff)
    assert only.kind == "bad_request"
    assert words in only.message


async def test_what_does_not_fit_or_is_not_there_is_understood(client: OpenAiClient) -> None:
    overflow = await refusal(client, said(Role.USER, "word " * 400))
    assert (overflow.kind, overflow.context_tokens) == ("context_overflow", 1024)
    limit = await refusal(client, sampling=Sampling(max_tokens=4000))
    assert (limit.kind, limit.context_tokens) == ("answer_limit", 1024)
    assert (await refusal(client, model="other")).kind == "model_not_found"
    image = said(Role.USER, "what?", ImagePart("a.png", "d", "image/png", 1, 1, 3))
    told = await refusal(client, image, images={"d": b"png"})
    assert told.kind == "bad_request"
    assert "not a multimodal model" in told.message


async def test_what_it_counts_beforehand_is_what_it_counts_afterwards(server: Server, client: OpenAiClient) -> None:
    counter, messages = TokenCounter(), (said(Role.SYSTEM, "be"), HI, HELLO, HI)
    told = await counter.count(client, endpoint(server), "five!")
    assert (told.tokens, told.is_counted) == (5, True)
    counted = await counter.count_messages(client, endpoint(server), messages)
    assert counted == prompt_tokens(await events(client, *messages))


async def test_it_tells_its_limit_and_its_name(server: Server, client: OpenAiClient) -> None:
    adopted = ChatEndpoint("a", endpoint(server), lambda: nullcontext(client))
    found = await ServerLimits().learn(adopted, client)
    assert (found.context_tokens, found.engine) == (1024, "vllm")


async def test_tokens_out_of_its_cache_are_told_because_our_plan_asks_for_it(client: OpenAiClient) -> None:
    for expected in (0, 384):
        found = await events(client, said(Role.USER, "the same words, twice. " * 20))
        (usage,) = (event for event in found if isinstance(event, Usage))
        assert (usage.cached_tokens or 0) == expected, "a block of its cache holds 128 tokens here"


def test_what_we_recorded_of_it_is_still_what_it_sends(server: Server) -> None:
    body = {"messages": [{"role": "user", "content": "hi"}], "stream": True, "max_tokens": 2, "temperature": 0.0}
    more = {"logprobs": True, "top_logprobs": 2, "stream_options": {"include_usage": True}}
    status, raw = server.ask("/v1/chat/completions", {"model": "tiny", **body, **more})
    assert status == 200
    recorded = Path(__file__).parents[1] / "data" / "captures" / "vllm_cpu" / "chat_stream_logprobs.sse"
    shapes = [{_shape(line) for line in data.decode().splitlines() if line} for data in (raw, recorded.read_bytes())]
    assert shapes[0] <= shapes[1] | {"data: [DONE]"}


async def test_the_death_of_its_engine_amid_an_answer_is_a_cut(server: Server, client: OpenAiClient) -> None:
    """The last of this file: the server ends by it."""
    endless = ChatRequest("tiny", (HI,), Sampling(max_tokens=900, is_endless=True))
    last: ChatEvent | None = None
    async with aclosing(client.chat(endless)) as stream:
        async for event in stream:
            if isinstance(event, TextDelta) and last is None:
                os.kill(engine_of(server), signal.SIGKILL)
            last = event
    assert isinstance(last, CutOff)
    assert last.kind in ("engine_dead", "lost", "ended_early")


def _shape(line: str) -> str:
    """The names in an event, without its values."""
    return line if line == "data: [DONE]" else json.dumps(_names(json.loads(line.removeprefix("data: "))))


def _names(value: object) -> object:
    if isinstance(value, dict):
        return {name: _names(found) for name, found in sorted(value.items())}
    return [_names(value[0])] if isinstance(value, list) and value and isinstance(value[0], dict) else ""
