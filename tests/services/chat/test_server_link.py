"""A server that somebody else runs can be talked to by its address."""

from __future__ import annotations

import pytest

from sparkdesk.core.chat.event import Finished, TextDelta
from sparkdesk.core.chat.message import ChatRequest, Message, Role, Sampling, TextPart
from sparkdesk.core.errors import EndpointError
from sparkdesk.infra.openai_api import OpenAiClients
from sparkdesk.services.chat.server_link import ServerLinks
from tests.servers.llamacpp import llama_server


async def test_a_real_server_is_offered_by_its_own_model_name_and_answers() -> None:
    links = ServerLinks(OpenAiClients())
    with llama_server() as server:
        offered = await links.connect(f"http://{server.host}:{server.port}/v1")
        assert links.endpoints.value == (offered,)
        assert offered.node == f"{server.host}:{server.port}"
        question = Message(Role.USER, (TextPart("ping"),))
        request = ChatRequest(offered.endpoint.model, (question,), Sampling(temperature=0.0, max_tokens=20))
        async with offered.source() as client:
            events = [event async for event in client.chat(request)]
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "pong"
    assert isinstance(events[-1], Finished)


async def test_connecting_twice_offers_a_server_once() -> None:
    links = ServerLinks(OpenAiClients())
    with llama_server() as server:
        for _ in range(2):
            await links.connect(f"{server.host}:{server.port}")
    assert len(links.endpoints.value) == 1


async def test_an_address_where_nothing_answers_is_told_with_a_remedy() -> None:
    links = ServerLinks(OpenAiClients())
    with pytest.raises(EndpointError) as failed:
        await links.connect("http://127.0.0.1:9/v1")
    assert failed.value.remedy
    assert links.endpoints.value == ()


async def test_a_path_without_models_is_told() -> None:
    links = ServerLinks(OpenAiClients())
    with llama_server() as server, pytest.raises(EndpointError, match="names no model"):
        await links.connect(f"http://{server.host}:{server.port}/nothing")
