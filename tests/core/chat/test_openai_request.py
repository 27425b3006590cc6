"""A chat request says only what every server takes, and more only where the engine is known to take it."""

from __future__ import annotations

import pytest

from sparkdesk.core.chat.message import ChatRequest, Message, Role, Sampling, TextPart
from sparkdesk.core.chat.openai_request import to_body

HELLO = (Message(Role.USER, (TextPart("hi"),)),)


@pytest.mark.parametrize(
    ("engine", "takes_it"), [("vllm", True), ("trtllm", True), ("llamacpp", True), ("ollama", False), ("", False)]
)
def test_an_answer_without_end_is_asked_of_engines_that_know_how(engine: str, takes_it: bool) -> None:
    body = to_body(ChatRequest("m", HELLO, Sampling(max_tokens=128, is_endless=True)), engine=engine)
    assert ("ignore_eos" in body) is takes_it
    assert body["max_tokens"] == 128


def test_a_usual_request_has_no_field_that_a_strict_server_refuses() -> None:
    body = to_body(ChatRequest("m", HELLO), engine="vllm")
    assert set(body) == {"model", "messages", "stream", "stream_options"}
