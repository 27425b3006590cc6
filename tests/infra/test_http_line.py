"""The client's own HTTP/1.1: every framing of a body, however it is cut, and answers that are none."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.infra.http_line import Chunked, StreamTransport, framing_of
from tests.servers.raw_http import Answerer, answer, raw_server, stream

PIECES = [b"data: one\n\n", b"x" * 300, b"\r\n", b"0\r\n\r\n", b"end"]
CHUNKED = b"".join(b"%X;ext=1\r\n%s\r\n" % (len(piece), piece) for piece in PIECES) + b"0\r\nTrailer: t\r\n\r\n"


def send(data: bytes) -> Answerer:
    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return write


async def get(answerer: Answerer, *, max_connections: int = 4) -> httpx.Response:
    async with raw_server(answerer) as server:
        transport = StreamTransport(socket_path=None, tls=None, max_connections=max_connections)
        async with httpx.AsyncClient(transport=transport, timeout=10) as client:
            return await client.get(f"http://127.0.0.1:{server.port}/")


def test_a_chunked_body_reads_the_same_cut_at_every_two_places() -> None:
    whole = b"".join(PIECES)
    for first in range(len(CHUNKED) + 1):
        for second in range(first, len(CHUNKED) + 1, 7):
            body = Chunked()
            cut = (CHUNKED[:first], CHUNKED[first:second], CHUNKED[second:])
            assert b"".join(body.feed(piece) for piece in cut) == whole
            assert body.is_over


@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"\r\n", b"5\r\n", b"ffffffffffffffff\r\n", b"-1\r\n"])))
def test_any_bytes_as_chunks_are_a_body_or_an_error(pieces: list[bytes]) -> None:
    body = Chunked()
    with suppress(httpx.DecodingError):
        for piece in pieces:
            body.feed(piece)


def test_a_size_without_an_end_takes_no_more_than_a_heads_memory() -> None:
    body = Chunked()
    for _ in range(6):
        body.feed(b"0" * 10_000)
    with pytest.raises(httpx.DecodingError):
        body.feed(b"0" * 10_000)


async def test_a_body_ends_by_its_length_by_its_last_chunk_or_with_the_connection() -> None:
    head = b"HTTP/1.1 200 OK\r\n"
    assert (await get(send(head + b"Content-Length: 3\r\n\r\nabcdef"))).content == b"abc"
    assert (await get(send(head + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED))).content == b"".join(PIECES)
    assert (await get(send(head + b"\r\nto the end"))).content == b"to the end"
    assert (await get(send(b"HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n"))).content == b""
    assert (await get(send(b"HTTP/1.1 100 Go on\r\n\r\n" + head + b"Content-Length: 2\r\n\r\nok"))).content == b"ok"


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
        b"HTTP/1.1 " + b"2" * 100_000,
        b"HTTP/2 200\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ],
)
async def test_an_answer_that_is_none_is_an_error_of_the_transport(data: bytes) -> None:
    with pytest.raises((httpx.RemoteProtocolError, httpx.DecodingError)):
        await get(send(data))


async def test_a_connection_that_is_let_go_is_free_for_the_next_request() -> None:
    transport = StreamTransport(socket_path=None, tls=None, max_connections=1)
    async with raw_server(stream(b"x", is_held=True)) as server, httpx.AsyncClient(transport=transport) as client:
        url = f"http://127.0.0.1:{server.port}/"
        for _ in range(3):
            async with client.stream("GET", url, timeout=10) as response:
                with pytest.raises(httpx.PoolTimeout):
                    await client.get(url, timeout=httpx.Timeout(10, pool=0.05))
                assert response.status_code == 200


async def test_closing_the_client_cuts_what_runs() -> None:
    transport = StreamTransport(socket_path=None, tls=None, max_connections=1)
    async with raw_server(stream(b"x", is_held=True)) as server:
        client = httpx.AsyncClient(transport=transport)
        async with client.stream("GET", f"http://127.0.0.1:{server.port}/", timeout=10):
            await client.aclose()
            await asyncio.wait_for(server.hung_up.wait(), 10)


async def test_a_refused_connection_frees_its_place() -> None:
    transport = StreamTransport(socket_path=None, tls=None, max_connections=1)
    async with httpx.AsyncClient(transport=transport) as client:
        for _ in range(3):
            with pytest.raises(httpx.ConnectError):
                await client.get("http://127.0.0.1:9/", timeout=10)


async def test_what_is_asked_is_one_request_on_a_connection_of_its_own() -> None:
    async with raw_server(answer("200 OK", "text/plain", b"hi")) as server:
        transport = StreamTransport(socket_path=None, tls=None, max_connections=1)
        async with httpx.AsyncClient(transport=transport, timeout=10) as client:
            await client.post(f"http://127.0.0.1:{server.port}/a?b=c", json={"x": 1})
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"Connection: close" in head
    assert body == b'{"x":1}'


def test_a_length_that_is_no_number_is_not_believed() -> None:
    for length in (b"-1", b"x", b"9" * 30, "²".encode()):
        assert framing_of([(b"Content-Length", length)], has_body=True).feed(b"abc") == b"abc"
