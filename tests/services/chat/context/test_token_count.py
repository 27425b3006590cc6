"""Counts of tokens: by the server's own tokenizer, remembered, and called estimates where they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from sparkdesk.core.chat.message import ImagePart, Message, Role, TextPart
from sparkdesk.services.chat.context.token_count import TokenCount, TokenCounter
from tests.servers.llamacpp import LlamaServer, llama_server
from tests.services.chat.context.window_desk import serving, target

ASKED = (Message(Role.SYSTEM, (TextPart("be"),)), Message(Role.USER, (TextPart("hi"),)))


@pytest.fixture(scope="module")
def llama() -> Iterator[LlamaServer]:
    with llama_server() as server:
        yield server


async def test_a_real_llama_server_counts_texts_and_whole_prompts(llama: LlamaServer) -> None:
    counter, at = TokenCounter(), target(llama.port)
    async with at.source() as client:
        assert await counter.count(client, at.endpoint, "hello world") == TokenCount(11, True)
        counted = await counter.count_messages(client, at.endpoint, ASKED)
    # One token a character, and the template's marks: see the model's own template.
    assert counted == len("system\nbe\nuser\nhi\nassistant\n") + 5


async def test_what_was_counted_is_not_asked_again_and_an_image_is_not_counted() -> None:
    def tokenize(body: Mapping[str, Any]) -> tuple[int, object]:
        return 200, {"count": 7 if "messages" in body else len(body["prompt"].split()), "max_model_len": 9}

    async with serving({"/tokenize": tokenize}) as server:
        counter, at = TokenCounter(), target(server.port, engine="vllm")
        async with at.source() as client:
            for _ in range(3):
                assert await counter.count(client, at.endpoint, "one two three") == TokenCount(3, True)
                assert await counter.count_messages(client, at.endpoint, ASKED) == 7
            image = Message(Role.USER, (ImagePart("a.png", "d", "image/png", 1, 1, 1),))
            assert await counter.count_messages(client, at.endpoint, (image,)) is None
        assert server.paths() == ["/tokenize", "/tokenize"]
        assert server.asked[0][1] == {"model": "tiny", "prompt": "one two three", "add_special_tokens": False}
        assert server.asked[1][1]["messages"][1] == {"role": "user", "content": "hi"}


async def test_a_server_that_does_not_count_is_asked_once_and_the_estimate_says_so() -> None:
    async with serving({}) as server:
        counter, at = TokenCounter(), target(server.port, engine="sglang")
        async with at.source() as client:
            for text in ("a" * 35, "b" * 70):
                assert await counter.count(client, at.endpoint, text) == TokenCount(len(text) * 2 // 7, False)
        assert server.paths() == ["/tokenize"]


@pytest.mark.parametrize("answer", [b"nonsense", {}, {"count": -1}, {"tokens": "abc"}, {"count": True}, []])
async def test_a_count_that_is_none_is_an_estimate(answer: object) -> None:
    async with serving({"/tokenize": lambda _body: (200, answer)}) as server:
        counter, at = TokenCounter(), target(server.port)
        async with at.source() as client:
            assert not (await counter.count(client, at.endpoint, "hello")).is_counted
            assert await counter.count(client, at.endpoint, "") == TokenCount(0, True)


async def test_engines_without_a_tokenizer_are_not_asked() -> None:
    async with serving({}) as server:
        counter = TokenCounter()
        for engine in ("", "ollama", "trtllm", "lmstudio"):
            at = target(server.port, engine=engine)
            async with at.source() as client:
                assert not (await counter.count(client, at.endpoint, "hello")).is_counted
                assert await counter.count_messages(client, at.endpoint, ASKED) is None
        assert server.asked == []
