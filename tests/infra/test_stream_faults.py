"""What a model server, or something in front of it, can do wrong while it is talked to: each fault is a sentence.

The one rule: real sockets and the real client. Of each is told what stays of the answer, the kind of the fault, what is
said and what to do.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import pytest

from sparkdesk.core.chat.event import ChatEvent, CutOff, Finished, ReasoningDelta, ServedModel, TextDelta
from sparkdesk.core.chat.message import ChatRequest, Message, Role, TextPart
from sparkdesk.core.errors import EndpointError
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.ports import LocalAddress
from sparkdesk.infra.openai_api import OpenAiClient, OpenAiClients
from tests.servers.llamacpp import llama_server
from tests.servers.raw_http import Answerer, answer, raw_server, stream

CAPTURES = Path(__file__).resolve().parents[1] / "data" / "captures"
JSON = "application/json"
ASKED = ChatRequest("m", (Message(Role.USER, (TextPart("hi"),)),))
DONE = b"data: [DONE]\n\n"


def event(**delta: object) -> bytes:
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta}]}, ensure_ascii=False)}\n\n".encode()


HELLO = event(content="Hello")
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'


def recorded(name: str) -> bytes:
    return (CAPTURES / name).read_bytes()


def reset(*pieces: bytes) -> Answerer:
    """Send these and end the connection as a router that forgot it does: with a reset."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + b"".join(pieces))
        await writer.drain()
        await asyncio.sleep(0.1)
        raw: socket.socket = writer.get_extra_info("socket")
        raw = getattr(raw, "_sock", raw)
        if raw.family == socket.AF_INET:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return send


def chunked(*pieces: bytes) -> Answerer:
    """Send these as HTTP chunks, and never the last one."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in pieces:
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()

    return send


@dataclass(frozen=True, slots=True)
class Fault:
    """What is sent, and what must come of it: the text that stays, and a reason of the end or the kind of a fault."""

    sentence: str
    answerer: Answerer
    text: str
    end: str
    words: str = ""


def refused(status: str, body: bytes, *extra: str, content_type: str = JSON) -> Answerer:
    return answer(status, content_type, body, *extra)


PADDED = b'data: {"pad":"' + b"x" * 5_000_000 + b'","choices":[{"index":0,"delta":{"content":"big"}}]}\n\n'
FAULTS = [
    Fault("a stream cut inside a token", stream(HELLO, event(content="lost")[:-14]), "Hello", "ended_early", "cut off"),
    Fault("a stream cut inside a character", stream(HELLO, event(content="é")[:45]), "Hello", "ended_early"),
    Fault("a stream cut inside its JSON", stream(HELLO, b'data: {"choi'), "Hello", "ended_early"),
    Fault("an event of half a JSON", stream(HELLO, b'data: {"choices":[{"ind\n\n', STOP), "Hello", "unreadable"),
    Fault("a line separator in JSON", stream(event(content="a\u2028b\u0085"), STOP, DONE), "a\u2028b\u0085", "stop"),
    Fault("an event of 5 MB", stream(HELLO, PADDED, STOP, DONE), "Hellobig", "stop"),
    Fault("an event without an end", stream(HELLO, b"data: " + b"x" * 6_000_000), "Hello", "too_long", "5 MiB"),
    Fault(
        "line ends of another system, a byte order mark and comments",
        stream(b"\xef\xbb\xbf: hi\r\n\r\n", HELLO.replace(b"\n", b"\r\n"), b":\r\n", STOP.replace(b"\n", b"\r"), DONE),
        "Hello",
        "stop",
    ),
    Fault(
        "vLLM dies inside a stream that began well, and says DONE (recorded)",
        stream(recorded("vllm_cpu/shutdown_midstream_SIGTERM.sse")),
        "The night was a dark and stormy night, and the",
        "engine_dead",
        "EngineCore encountered an issue",
    ),
    Fault("a first piece whose content is null", stream(event(content=None), HELLO, STOP), "Hello", "stop"),
    Fault("an end with a reason and without DONE", stream(HELLO, STOP), "Hello", "stop"),
    Fault("an end without either", stream(HELLO), "Hello", "ended_early", "without a reason"),
    Fault("nothing at all in a stream", stream(), "", "ended_early"),
    Fault("a socket that falls silent", stream(HELLO, is_held=True), "Hello", "stalled", "nothing came for 0.3 s"),
    Fault("a connection that is reset", reset(HELLO), "Hello", "lost", "connection"),
    Fault("an HTTP chunk that never comes", chunked(HELLO), "Hello", "lost"),
    Fault("a gateway's web page", refused("502 Bad Gateway", b"<html><b>nginx</b>", content_type="text/html"), "",
          "not_model_server", "web page (502)"),
    Fault("a sign-in page that answers 200", refused("200 OK", b"<!doctype html>Sign in", content_type="text/html"), "",
          "not_model_server", "web page (200)"),
    Fault("a redirect to a sign-in", refused("302 Found", b"", "Location: https://login.example/?next=/v1"), "",
          "not_model_server", "https://login.example"),
    Fault("too many requests", refused("429 Too Many", b"{}", "Retry-After: 12"), "", "overloaded", "Retry in 12 s."),
    Fault("an overloaded server", refused("503 Busy", b"{}", "Retry-After: 3"), "", "overloaded", "Retry in 3 s."),
    Fault("a model that still loads", refused("503 No", b'{"error":{"message":"Loading model","code":503}}'), "",
          "loading", "still loading"),
    Fault("llama.cpp's overflow (recorded)",
          refused("400 Bad", recorded("llamacpp_smollm2/err_context_overflow_stream.json")), "",
          "context_overflow", "6,031 tokens are more than the model's context of 2,048"),
    Fault("vLLM's overflow (recorded)", refused("400 Bad", recorded("vllm_cpu/err_context_overflow_stream.json")), "",
          "context_overflow", "more than the model's context of 2,048 tokens"),
    Fault("a model that vLLM does not know (recorded)",
          refused("404 No", recorded("vllm_cpu/err_model_not_found.json")), "", "model_not_found", "no-such-model"),
    Fault("a model that llama.cpp's router does not know (recorded)",
          refused("400 No", recorded("llamacpp_router/router_err_model_not_found.json")), "",
          "model_not_found", "no-such-model"),
    Fault("JSON where a stream should be", refused("200 OK", b'{"choices":[]}'), "",
          "not_model_server", "not with a stream"),
]  # fmt: skip


def client_of(port: int) -> OpenAiClient:
    clients = OpenAiClients(first_token_timeout_s=20.0, stall_timeout_s=0.3)
    return clients.open(Endpoint("", "127.0.0.1", port, "m"), None)


async def outcome(client: OpenAiClient) -> tuple[str, str, str]:
    """What stays of the answer, how it ended, and what is said."""
    events: list[ChatEvent] = []
    try:
        async with aclosing(client.chat(ASKED)) as answering:
            async for each in answering:
                events.append(each)
    except EndpointError as error:
        return "", error.kind, f"{error.message}. {error.remedy}"
    finally:
        await client.close()
    text = "".join(each.text for each in events if isinstance(each, TextDelta))
    last = events[-1]
    assert [isinstance(each, Finished | CutOff) for each in events].index(True) == len(events) - 1
    if isinstance(last, Finished):
        return text, last.reason, ""
    assert isinstance(last, CutOff)
    assert last.remedy
    return text, last.kind, last.message


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.sentence for fault in FAULTS])
async def test_a_fault_keeps_what_came_and_is_told_for_what_it_is(fault: Fault) -> None:
    async with raw_server(fault.answerer) as server:
        text, end, words = await outcome(client_of(server.port))
        assert (text, end) == (fault.text, fault.end)
        assert fault.words in words
        assert len(server.requests) == 1


async def test_the_seconds_to_wait_come_with_the_error() -> None:
    date = ("Date: Wed, 21 Oct 2026 07:28:00 GMT", "Retry-After: Wed, 21 Oct 2026 07:28:30 GMT")
    for extra, seconds in ((("Retry-After: 12",), 12.0), (date, 30.0), ((), None)):
        async with raw_server(refused("503 Busy", b"{}", *extra)) as server:
            with pytest.raises(EndpointError) as error:
                async for _ in client_of(server.port).chat(ASKED):
                    pass
        assert error.value.failure is not None
        assert error.value.failure.retry_after_s == seconds


async def test_a_server_that_accepts_and_never_answers_is_left_at_once_when_it_is_stopped() -> None:
    async def say_nothing(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async with raw_server(say_nothing) as server:
        client = client_of(server.port)
        asking = asyncio.ensure_future(outcome(client))
        await asyncio.wait_for(server.asked.wait(), 10)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asking, 10)
        await asyncio.wait_for(server.hung_up.wait(), 10)


async def test_a_tunnel_that_falls_in_the_middle_keeps_the_text(tmp_path: Path) -> None:
    path = tmp_path / "tunnel"
    async with raw_server(reset(HELLO), socket_path=path):
        client = OpenAiClients().open(Endpoint("n", "spark-a", 8000, "m"), LocalAddress(os.fspath(path)))
        text, end, words = await outcome(client)
    assert (text, end) == ("Hello", "ended_early")
    assert "cut off" in words


async def test_a_real_llama_cpp_that_is_asked_for_another_model_is_marked_as_the_one_that_answers() -> None:
    with llama_server() as server:
        client = OpenAiClients().open(Endpoint("", server.host, server.port, "m"), None)
        async with aclosing(client.chat(ChatRequest("no-such-model", ASKED.messages))) as answering:
            events = [each async for each in answering]
        await client.close()
    (served,) = [each for each in events if isinstance(each, ServedModel)]
    assert served.asked == "no-such-model"
    assert "tinytool" in served.model
    assert events.index(served) < min(
        number for number, each in enumerate(events) if isinstance(each, TextDelta | ReasoningDelta)
    )
