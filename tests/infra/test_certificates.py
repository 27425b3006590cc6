"""Of HTTPS servers, one whose certificate can be verified is talked to, and every other is refused with the reason."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import aclosing
from pathlib import Path

import pytest

from sparkdesk.core.chat.event import ChatEvent, Finished, TextDelta
from sparkdesk.core.chat.message import ChatRequest, Message, Role, TextPart
from sparkdesk.core.errors import EndpointError
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.infra.openai_api import OpenAiClients
from tests.servers.authority import Authority, make_authority
from tests.servers.raw_http import raw_server, stream

ANSWER = (
    b'data: {"choices":[{"index":0,"delta":{"content":"Hello"}}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
)
ASKED = ChatRequest("m", (Message(Role.USER, (TextPart("hi"),)),))
KEY = "sk-a-key-that-nobody-may-see"


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """One that this computer trusts."""
    made = make_authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    return made


async def ask(tls: ssl.SSLContext | None, *, is_https: bool = True) -> tuple[list[ChatEvent], list[bytes]]:
    async with raw_server(stream(*ANSWER), tls=tls) as server:
        endpoint = Endpoint("", "127.0.0.1", server.port, "m", is_tls=is_https)
        client = OpenAiClients().open(endpoint, None, api_key=KEY)
        try:
            async with aclosing(client.chat(ASKED)) as events:
                return [event async for event in events], server.requests
        except EndpointError:
            assert server.requests == []
            raise
        finally:
            await client.close()


async def test_a_server_whose_certificate_is_verified_answers(authority: Authority) -> None:
    events, requests = await ask(authority.server())
    assert [type(event) for event in events] == [TextDelta, Finished]
    assert f"authorization: bearer {KEY}".encode() in requests[0].lower()


async def test_a_certificate_of_an_unknown_authority_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(EndpointError, match="does not know who signed") as refused:
        await ask(make_authority(tmp_path).server())
    assert refused.value.kind == "untrusted"
    assert "SSL_CERT_FILE" in refused.value.remedy


@pytest.mark.parametrize(
    ("name", "from_days", "to_days", "words"),
    [
        ("other.example", -1, 30, "another name"),
        ("127.0.0.2", -1, 30, "another name"),
        ("127.0.0.1", -30, -1, "has expired"),
        ("127.0.0.1", 1, 30, "not valid yet"),
    ],
)
async def test_a_bad_certificate_of_a_known_authority_is_refused_with_what_is_bad_in_it(
    authority: Authority, name: str, from_days: float, to_days: float, words: str
) -> None:
    with pytest.raises(EndpointError, match=words) as refused:
        await ask(authority.server(name, from_days=from_days, to_days=to_days))
    assert refused.value.kind == "untrusted"
    assert KEY not in refused.value.sentence() + refused.value.detail


async def test_https_to_a_plain_server_says_to_write_http(authority: Authority) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = OpenAiClients().open(Endpoint("", "127.0.0.1", port, "m", is_tls=True), None)
        with pytest.raises(EndpointError, match="does not speak HTTPS") as refused:
            await client.get("/v1/models")
    assert "http://" in refused.value.remedy


async def test_plain_http_to_an_https_server_is_an_error_and_no_answer(authority: Authority) -> None:
    with pytest.raises(EndpointError):
        await ask(authority.server(), is_https=False)


async def test_a_header_that_cannot_be_sent_is_not_quoted() -> None:
    async with raw_server(stream(*ANSWER)) as server:
        client = OpenAiClients().open(Endpoint("", "127.0.0.1", server.port, "m"), None, api_key="broken\nkey")
        with pytest.raises(EndpointError) as error:
            await client.get("/v1/models")
        await client.close()
    assert "broken" not in error.value.sentence() + error.value.detail + repr(error.value.__cause__)
