"""The HTTP client of model servers, against a real llama.cpp server and against servers that misbehave."""

from __future__ import annotations

import asyncio
import inspect
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from sparkdesk.core.chat.event import ChatEvent, CutOff, Finished, PromptProgress, TextDelta, Usage
from sparkdesk.core.chat.message import ChatRequest, Message, Role, Sampling, TextPart
from sparkdesk.core.errors import EndpointError
from sparkdesk.core.jobs.backend import EndpointFailure
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.ports import LocalAddress
from sparkdesk.infra.openai_api import LARGE_BODY_CHARS, OpenAiClient, OpenAiClients, mapped
from tests.servers.llamacpp import LlamaServer, llama_server
from tests.servers.raw_http import answer, raw_server, stream

HELLO = b'data: {"choices":[{"index":0,"delta":{"content":"Hello"}}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"


@pytest.fixture(scope="module")
def llama() -> Iterator[LlamaServer]:
    with llama_server() as server:
        yield server


@pytest.fixture(scope="module")
def endless() -> Iterator[LlamaServer]:
    with llama_server(context_tokens=32_768, is_endless=True) as server:
        yield server


def client_of(port: int, *, engine: str = "", clients: OpenAiClients | None = None) -> OpenAiClient:
    return (clients or OpenAiClients()).open(Endpoint("spark-a", "127.0.0.1", port, "tiny", engine=engine), None)


def question(text: str = "What is SparkDesk?", *, max_tokens: int | None = None) -> ChatRequest:
    sampling = Sampling(temperature=0.0, max_tokens=max_tokens)
    return ChatRequest("tiny", (Message(Role.USER, (TextPart(text),)),), sampling)


async def ask(client: OpenAiClient, request: ChatRequest | None = None) -> list[ChatEvent]:
    try:
        async with aclosing(client.chat(request or question())) as events:
            return [event async for event in events]
    finally:
        await client.close()


def text_of(events: list[ChatEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_a_real_server_answers_and_counts(llama: LlamaServer) -> None:
    events = await ask(client_of(llama.port, engine="llamacpp"))
    assert text_of(events) == "SparkDesk is a control center for DGX Spark clusters."
    assert any(isinstance(event, PromptProgress) for event in events)
    (usage,) = [event for event in events if isinstance(event, Usage)]
    assert usage.completion_tokens == len(text_of(events)) + 1
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "stop"


async def test_the_token_limit_is_the_reason_of_the_end(llama: LlamaServer) -> None:
    events = await ask(client_of(llama.port), question(max_tokens=4))
    assert text_of(events) == "Spar"
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "length"


async def test_a_real_overflow_of_the_context_is_told_with_both_numbers(llama: LlamaServer) -> None:
    with pytest.raises(EndpointError) as error:
        await ask(client_of(llama.port), question("word " * 2000))
    assert "of 4,096" in error.value.message
    assert "exceed_context_size_error" in error.value.detail
    assert error.value.node == "spark-a"


async def test_a_key_that_is_wanted_and_not_there_is_an_error_with_a_remedy() -> None:
    with llama_server(api_key="secret") as server, pytest.raises(EndpointError) as error:
        await ask(client_of(server.port))
    assert "401" in error.value.message
    assert "secret" not in error.value.sentence() + error.value.detail


async def test_closing_the_answer_stops_the_real_server(endless: LlamaServer) -> None:
    client = client_of(endless.port)
    async with aclosing(client.chat(question())) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                break
        assert await asyncio.to_thread(endless.busy_slots) == 1
    assert await asyncio.to_thread(endless.wait_idle, 2.0)
    await client.close()


async def test_a_cancelled_task_stops_the_real_server(endless: LlamaServer) -> None:
    client = client_of(endless.port)
    has_begun = asyncio.Event()

    async def read() -> None:
        async with aclosing(client.chat(question())) as events:
            async for _ in events:
                has_begun.set()

    async with asyncio.TaskGroup() as group:
        reading = group.create_task(read())
        await asyncio.wait_for(has_begun.wait(), 10)
        assert await asyncio.to_thread(endless.busy_slots) == 1
        reading.cancel()
    assert await asyncio.to_thread(endless.wait_idle, 2.0)
    await client.close()


async def test_a_server_killed_while_answering_is_cut_off_and_its_text_stays() -> None:
    with llama_server(context_tokens=32_768, is_endless=True) as server:
        client = client_of(server.port)
        events = []
        async with aclosing(client.chat(question())) as answering:
            async for event in answering:
                events.append(event)
                if len(events) == 20:
                    await asyncio.to_thread(server.kill)
        await client.close()
    assert text_of(events)
    assert isinstance(events[-1], CutOff)
    assert "cut off" in events[-1].message


async def test_metrics_are_fetched_whole_or_not_at_all(llama: LlamaServer) -> None:
    client = client_of(llama.port)
    status, body = await client.get("/metrics")
    assert status == 200
    assert b"llamacpp:prompt_tokens_total" in body
    with pytest.raises(EndpointError, match="more than 100 bytes"):
        await client.get("/metrics", max_bytes=100)
    assert (await client.get("/no-such-page"))[0] == 404
    await client.close()


async def test_a_forwards_unix_socket_leads_to_the_server(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with raw_server(stream(HELLO, STOP, DONE), socket_path=path) as server:
        client = OpenAiClients().open(Endpoint("n", "spark-a", 8000, "m"), LocalAddress(str(path)))
        assert text_of(await ask(client)) == "Hello"
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\nHost: spark-a:8000")
    assert json.loads(body)["stream_options"] == {"include_usage": True}


async def test_no_proxy_and_no_saved_login_of_this_computer_is_used(
    monkeypatch: pytest.MonkeyPatch, own_home: Path
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.delenv("no_proxy")
    (own_home / ".netrc").write_text("default login me password hidden\n")
    async with raw_server(stream(HELLO, STOP, DONE)) as server:
        assert text_of(await ask(client_of(server.port))) == "Hello"
    assert b"authorization" not in server.requests[0].lower()


async def test_a_web_page_in_the_way_is_named_and_not_shown() -> None:
    async with raw_server(answer("502 Bad Gateway", "text/html", b"<html><b>nginx</b></html>")) as server:
        with pytest.raises(EndpointError, match=r"web page \(502\)"):
            await ask(client_of(server.port))


async def test_a_redirect_is_not_followed() -> None:
    async with raw_server(answer("302 Found", "text/html", b"", "Location: /login")) as server:
        with pytest.raises(EndpointError):
            await ask(client_of(server.port))
    assert len(server.requests) == 1


async def test_an_overloaded_server_says_when_to_retry() -> None:
    async with raw_server(answer("429 Too Many", "application/json", b"{}", "Retry-After: 12")) as server:
        with pytest.raises(EndpointError) as error:
            await ask(client_of(server.port))
    assert error.value.remedy == "Retry in 12 s."


async def test_the_backends_own_words_come_first() -> None:
    own = EndpointFailure("engine_dead", "Rank 1 died", "Launch it again.")
    clients = OpenAiClients(failures={"vllm": lambda status, body: own if status == 500 else None})
    async with raw_server(answer("500 Oh", "application/json", b"{}")) as server:
        with pytest.raises(EndpointError, match="Rank 1 died"):
            await ask(client_of(server.port, engine="vllm", clients=clients))


async def test_a_packed_stream_is_refused_instead_of_unpacked() -> None:
    packed = answer("200 OK", "text/event-stream", b"\x1f\x8b" + bytes(100), "Content-Encoding: gzip")
    async with raw_server(packed) as server:
        with pytest.raises(EndpointError):
            await ask(client_of(server.port))


async def test_a_cut_inside_a_character_keeps_the_text_before() -> None:
    async with raw_server(stream(HELLO, 'data: {"choices":[{"delta":{"content":"é'.encode()[:-1])) as server:
        events = await ask(client_of(server.port))
    assert text_of(events) == "Hello"
    assert isinstance(events[-1], CutOff)


async def test_pieces_cut_anywhere_read_the_same() -> None:
    whole = HELLO + STOP + DONE
    pieces = [part for i in range(len(whole)) for part in (whole[i : i + 1],)]
    async with raw_server(stream(*pieces)) as server:
        events = await ask(client_of(server.port))
    assert text_of(events) == "Hello"
    assert isinstance(events[-1], Finished)


async def test_each_piece_keeps_the_time_at_which_it_came_though_many_are_looked_at_together() -> None:
    sent_s: list[float] = []

    async def write_in_steps(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for _ in range(12):
            sent_s.append(time.monotonic())
            writer.write(HELLO)
            await writer.drain()
            await asyncio.sleep(0.008)
        writer.write(STOP + DONE)
        await writer.drain()

    async with raw_server(write_in_steps) as server:
        came_s = [event.t_s for event in await ask(client_of(server.port)) if isinstance(event, TextDelta)]
    assert len(came_s) == len(set(came_s)) == 12
    assert all(came >= sent for came, sent in zip(came_s, sent_s, strict=True))
    # Looked at together they would come in lumps: then most steps would be none.
    assert sum(later - before > 0.002 for before, later in pairwise(came_s)) >= 8


async def test_what_came_before_a_broken_chunk_is_told_before_the_break() -> None:
    framed = b"%x\r\n%s\r\n" % (len(HELLO), HELLO)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

    async def write_and_break(writer: asyncio.StreamWriter) -> None:
        for piece in (head, framed, framed, b"no size\r\n"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.004)
        await asyncio.sleep(5)

    async with raw_server(write_and_break) as server:
        events = await ask(client_of(server.port))
    assert text_of(events) == "HelloHello"
    assert isinstance(events[-1], CutOff)


async def test_silence_in_the_middle_is_cut_off_after_the_stall_limit_and_the_server_is_let_go() -> None:
    clients = OpenAiClients(stall_timeout_s=0.2)
    async with raw_server(stream(HELLO, is_held=True)) as server:
        events = await ask(client_of(server.port, clients=clients))
        await asyncio.wait_for(server.hung_up.wait(), 5)
    assert text_of(events) == "Hello"
    assert isinstance(events[-1], CutOff)
    assert "0.2 s" in events[-1].message


async def test_pings_count_as_life() -> None:
    clients = OpenAiClients(stall_timeout_s=0.5)
    pings: list[bytes | float] = [b": ping\n\n", 0.2] * 4
    async with raw_server(stream(HELLO, *pings, STOP, DONE)) as server:
        events = await ask(client_of(server.port, clients=clients))
    assert isinstance(events[-1], Finished)


async def test_the_first_token_may_take_longer_than_a_stall() -> None:
    clients = OpenAiClients(first_token_timeout_s=20.0, stall_timeout_s=0.1)
    async with raw_server(stream(0.5, HELLO, STOP, DONE)) as server:
        events = await ask(client_of(server.port, clients=clients))
    assert isinstance(events[-1], Finished)


async def test_a_server_that_takes_the_request_and_says_nothing_is_an_error() -> None:
    async def say_nothing(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async with raw_server(say_nothing) as server:
        with pytest.raises(EndpointError, match=r"did not answer within 0\.2 s"):
            await ask(client_of(server.port, clients=OpenAiClients(first_token_timeout_s=0.2)))
        await asyncio.wait_for(server.hung_up.wait(), 5)


async def test_a_closed_port_is_an_error_with_a_remedy() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(EndpointError, match="cannot be reached"):
        await ask(client_of(port))


async def test_a_server_by_its_address_has_no_deployment_to_look_at() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(EndpointError) as gone:
        await ask(OpenAiClients().open(Endpoint("", "127.0.0.1", port, "m"), None))
    assert gone.value.remedy == "Check the address and that the server runs there. Then retry."
    with pytest.raises(EndpointError) as ours:
        await ask(OpenAiClients().open(Endpoint("n", "127.0.0.1", port, "m"), None))
    assert "its deployment Ready" in ours.value.remedy


async def test_a_forward_that_is_gone_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    client = OpenAiClients().open(Endpoint("n", "h", 1, "m"), LocalAddress(str(tmp_path / "gone")))
    with pytest.raises(EndpointError, match="cannot be reached"):
        await ask(client)


async def test_something_that_is_not_http_is_an_error() -> None:
    async def babble(writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")

    async with raw_server(babble) as server:
        with pytest.raises(EndpointError):
            await ask(client_of(server.port))


async def test_an_address_that_is_none_is_an_error() -> None:
    with pytest.raises(EndpointError, match="address"):
        OpenAiClients().open(Endpoint("n", "a\nb", 8000, "m"), None)


def _exceptions_of_httpx() -> list[type[Exception]]:
    found = [item for _, item in inspect.getmembers(httpx, inspect.isclass) if issubclass(item, Exception)]
    assert len(found) > 20
    return found


@pytest.mark.parametrize("kind", _exceptions_of_httpx(), ids=lambda kind: kind.__name__)
def test_every_exception_of_the_library_becomes_an_endpoint_error(kind: type[Exception]) -> None:
    request = httpx.Request("GET", "http://h/")
    arguments: dict[str, object] = {}
    if kind is httpx.HTTPStatusError:
        arguments = {"request": request, "response": httpx.Response(500, request=request)}
    takes_words = "message" in inspect.signature(kind).parameters
    with pytest.raises(EndpointError) as error, mapped("n"):
        raise kind("boom", **arguments) if takes_words else kind()
    assert error.value.remedy
    assert error.value.node == "n"


class CountingPool(ThreadPoolExecutor):
    """Threads, and how often they were asked."""

    asked = 0

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        self.asked += 1
        return super().submit(*args, **kwargs)


@pytest.mark.parametrize(("length", "threads"), [(10, 0), (LARGE_BODY_CHARS, 1)])
async def test_a_long_conversation_is_written_beside_the_loop_and_arrives_as_a_short_one(
    length: int, threads: int
) -> None:
    pool = CountingPool()
    async with raw_server(stream(HELLO, STOP, DONE)) as server:
        client = client_of(server.port)
        asyncio.get_running_loop().set_default_executor(pool)
        await ask(client, question("\u00e9\u2028" + "a" * length))
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert b"content-type: application/json\r\n" in head.lower() + b"\r\n"
    assert json.loads(body)["messages"][0]["content"] == "\u00e9\u2028" + "a" * length
    assert b'": ' not in body
    assert pool.asked == threads
