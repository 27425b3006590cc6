"""A server that somebody else runs can be talked to by its address and key, and is there again after a restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sparkdesk.core.chat.event import Finished, TextDelta
from sparkdesk.core.chat.message import ChatRequest, Message, Role, Sampling, TextPart
from sparkdesk.core.errors import EndpointError, SettingsError
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.infra.keychain import KeyringSecrets
from sparkdesk.infra.openai_api import OpenAiClients
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.chat.endpoint import ChatEndpoint
from sparkdesk.services.chat.server_link import IN_CLEAR, UNTIL_END, ServerLinks, _clear_note
from sparkdesk.services.tasks import Tasks
from tests.servers.llamacpp import llama_server
from tests.servers.raw_http import answer, raw_server

KEY = "sk-s3cret-of-a-test"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def secrets() -> KeyringSecrets:
    """Kept in memory: no keyring counts as encrypted."""
    return KeyringSecrets(encrypted=())


@pytest.fixture
def links(store: SqliteStore, secrets: KeyringSecrets) -> ServerLinks:
    return ServerLinks(OpenAiClients(), secrets=secrets, store=store, tasks=Tasks())


async def answer_of(offered: ChatEndpoint) -> str:
    question = Message(Role.USER, (TextPart("ping"),))
    request = ChatRequest(offered.endpoint.model, (question,), Sampling(temperature=0.0, max_tokens=20))
    async with offered.source() as client:
        events = [event async for event in client.chat(request)]
    assert isinstance(events[-1], Finished)
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_a_real_server_is_offered_by_its_own_model_name_and_answers(links: ServerLinks) -> None:
    with llama_server() as server:
        offered = await links.connect(f"http://{server.host}:{server.port}/v1")
        assert links.endpoints.value == (offered,)
        assert offered.node == f"{server.host}:{server.port}"
        assert await answer_of(offered) == "pong"


async def test_connecting_twice_offers_a_server_once(links: ServerLinks) -> None:
    with llama_server() as server:
        for url in (f"{server.host}:{server.port}", f"http://{server.host}:{server.port}/v1/"):
            await links.connect(url)
    assert len(links.endpoints.value) == len(links.links.value) == 1


async def test_an_address_where_nothing_answers_is_told_with_a_remedy_and_not_kept(
    links: ServerLinks, store: SqliteStore
) -> None:
    with pytest.raises(EndpointError) as failed:
        await links.connect("http://127.0.0.1:9/v1", KEY)
    assert failed.value.remedy
    assert links.endpoints.value == ()
    assert links.links.value == ()
    assert await store.documents("server_link") == {}


async def test_a_path_without_models_is_told(links: ServerLinks) -> None:
    with llama_server() as server, pytest.raises(EndpointError, match="names no model"):
        await links.connect(f"http://{server.host}:{server.port}/nothing")


async def test_a_server_with_a_key_answers_by_it_and_only_by_it(links: ServerLinks) -> None:
    with llama_server(api_key=KEY) as server:
        url = f"http://{server.host}:{server.port}/v1"
        with pytest.raises(EndpointError, match="wants a key"):
            await links.connect(url)
        with pytest.raises(EndpointError, match="does not accept this key"):
            await links.connect(url, "sk-wrong")
        assert await answer_of(await links.connect(url, f" {KEY}\n")) == "pong"
    (link,) = links.links.value
    assert link.has_key
    assert link.note == UNTIL_END


async def test_a_server_and_its_key_are_there_again_after_a_restart(
    links: ServerLinks, store: SqliteStore, secrets: KeyringSecrets
) -> None:
    with llama_server(api_key=KEY) as server:
        await links.connect(f"{server.host}:{server.port}", KEY)
        later = ServerLinks(OpenAiClients(), secrets=secrets, store=store, tasks=Tasks())
        await later.restore()
        (offered,) = later.endpoints.value
        assert await answer_of(offered) == "pong"
        assert [link.problem for link in later.links.value] == [""]
    await later.restore()
    assert len(later.links.value) == 1


async def test_a_remembered_server_that_is_gone_says_so_and_can_be_asked_again(
    links: ServerLinks, store: SqliteStore, secrets: KeyringSecrets
) -> None:
    with llama_server() as server:
        await links.connect(f"{server.host}:{server.port}")
        port = server.port
    later = ServerLinks(OpenAiClients(), secrets=secrets, store=store, tasks=Tasks())
    await later.restore()
    (link,) = later.links.value
    assert "cannot be reached" in link.problem
    assert later.endpoints.value == ()
    with llama_server(port=port):
        await later.ask(link.id)
        (offered,) = later.endpoints.value
        assert offered.node == f"127.0.0.1:{port}"


async def test_a_forgotten_server_is_gone_with_its_key(
    links: ServerLinks, store: SqliteStore, secrets: KeyringSecrets
) -> None:
    with llama_server(api_key=KEY) as server:
        offered = await links.connect(f"{server.host}:{server.port}", KEY)
        await links.forget(links.links.value[0].id)
        assert links.endpoints.value == ()
        assert links.links.value == ()
        assert await store.documents("server_link") == {}
        assert secrets._memory == {}
        with pytest.raises(EndpointError):
            await answer_of(offered)
    with pytest.raises(EndpointError, match="not known any more"):
        await links.ask("http://127.0.0.1:9/v1")


async def test_the_key_is_nowhere_but_in_the_header(
    links: ServerLinks, store: SqliteStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with llama_server(api_key=KEY) as server:
        offered = await links.connect(f"{server.host}:{server.port}", KEY)
    await store.close()
    shown = [repr(links.links.value), repr(links.endpoints.value), offered.id, offered.label, caplog.text]
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(KEY in text for text in shown)
    assert written
    assert not any(KEY.encode() in data for data in written)


@pytest.mark.parametrize("status", ["200 OK", "401 No", "500 Oh", "404 No"])
async def test_a_server_that_says_the_key_back_does_not_bring_it_into_a_message(
    links: ServerLinks, status: str
) -> None:
    said = f'{{"error": {{"message": "Incorrect key: {KEY}"}}}}'.encode()
    async with raw_server(answer(status, "application/json", said)) as server:
        with pytest.raises(EndpointError) as failed:
            await links.connect(f"127.0.0.1:{server.port}", KEY)
        client = OpenAiClients().open(Endpoint("", "127.0.0.1", server.port, "m"), None, api_key=KEY)
        with pytest.raises(EndpointError) as refused:
            async for _ in client.chat(ChatRequest("m", (Message(Role.USER, (TextPart("hi"),)),))):
                pass
        await client.close()
    for error in (failed.value, refused.value):
        assert KEY not in error.sentence() + error.detail


async def test_a_redirect_is_refused_and_the_key_goes_nowhere_else(links: ServerLinks) -> None:
    async with raw_server(answer("200 OK", "application/json", b"{}")) as other:
        sent_on = answer("302 Found", "text/html", b"", f"Location: http://127.0.0.1:{other.port}/v1/models")
        async with raw_server(sent_on) as server:
            with pytest.raises(EndpointError, match="another address"):
                await links.connect(f"127.0.0.1:{server.port}", KEY)
        assert other.requests == []


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "ünïcode", "x" * 600, "nul\0"])
async def test_what_is_no_key_is_refused_without_saying_it(links: ServerLinks, key: str) -> None:
    with pytest.raises(SettingsError) as refused:
        await links.connect("127.0.0.1:9", key)
    assert key not in refused.value.sentence()


def test_a_key_that_goes_unencrypted_over_a_public_network_is_told() -> None:
    far = Endpoint("", "api.example.com", 80, "")
    assert _clear_note(far, KEY) == (IN_CLEAR,)
    assert _clear_note(far, "") == ()
    assert _clear_note(Endpoint("", "api.example.com", 443, "", is_tls=True), KEY) == ()
    assert _clear_note(Endpoint("", "192.168.1.5", 80, ""), KEY) == ()


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"url": 5}', b'{"url": "ftp://a"}', b"[" * 10_000, b"\xff"])
async def test_a_damaged_memory_of_a_server_is_left_out(links: ServerLinks, store: SqliteStore, data: bytes) -> None:
    await store.save_document("server_link", "x", data)
    await links.restore()
    assert links.links.value == ()


async def test_a_server_whose_answer_failed_is_asked_again_and_offered_no_more_when_it_is_gone(
    links: ServerLinks,
) -> None:
    with llama_server() as server:
        offered = await links.connect(f"{server.host}:{server.port}")
        link_id = links.links.value[0].id
    offered.doubt()
    async with asyncio.timeout(20):
        while links.endpoints.value:
            await asyncio.sleep(0.01)
    assert "cannot be reached" in links.links.value[0].problem
    await links.forget(link_id)
    offered.doubt()
    await asyncio.sleep(0.05)
    assert links.links.value == ()


async def test_a_server_that_is_forgotten_while_it_is_asked_does_not_come_back(links: ServerLinks) -> None:
    async with raw_server(answer("200 OK", "application/json", b'{"data": [{"id": "tiny"}]}')) as server:
        await links.connect(f"http://127.0.0.1:{server.port}")
        link_id = links.links.value[0].id
        asked = asyncio.ensure_future(links.ask(link_id))
        await asyncio.sleep(0)
        await links.forget(link_id)
        await asked
    assert links.links.value == ()
    assert links.endpoints.value == ()
