"""An answer that is left half read is let go of in order: no message from the garbage collector, and an idle server.

The loop is the application's, Qt's, which ends no generator by itself as asyncio's own does.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing

import pytest
import qasync
from PySide6.QtWidgets import QApplication

from sparkdesk.core.chat.event import ChatEvent, CutOff, Finished, TextDelta
from sparkdesk.core.chat.message import ChatRequest, Message, Role, Sampling, TextPart
from sparkdesk.core.errors import EndpointError
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.infra.openai_api import OpenAiClient, OpenAiClients
from tests.servers.llamacpp import LlamaServer, llama_server
from tests.servers.raw_http import answer, raw_server, stream

HELLO = b'data: {"choices":[{"index":0,"delta":{"content":"Hello"}}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"

Story = Callable[[OpenAiClient], Awaitable[None]]


@pytest.fixture(scope="module")
def llama() -> Iterator[LlamaServer]:
    with llama_server() as server:
        yield server


@pytest.fixture(scope="module")
def endless() -> Iterator[LlamaServer]:
    with llama_server(context_tokens=32_768, is_endless=True) as server:
        yield server


@pytest.fixture
def complaints(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the garbage collector could not put away."""
    found: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda seen: found.append(f"{seen.err_msg} {seen.object!r}"))
    return found


def in_qt_loop(app: QApplication, run: Callable[[], Awaitable[None]]) -> None:
    with qasync.QEventLoop(app) as loop:
        loop.run_until_complete(asyncio.wait_for(run(), 30))
    gc.collect()


def open_client(port: int) -> OpenAiClient:
    return OpenAiClients(stall_timeout_s=0.3).open(Endpoint("n", "127.0.0.1", port, "tiny"), None)


def question() -> ChatRequest:
    return ChatRequest("tiny", (Message(Role.USER, (TextPart("What is SparkDesk?"),)),), Sampling(temperature=0.0))


async def read_some(client: OpenAiClient, *, is_last: Callable[[ChatEvent], bool]) -> list[ChatEvent]:
    """Read up to an event, leave the rest, close the client."""
    seen = []
    async with aclosing(client.chat(question())) as events:
        async for event in events:
            seen.append(event)
            if is_last(event):
                break
    await client.close()
    return seen


def test_a_finished_answer_leaves_nothing_to_complain_about(
    qapp: QApplication, llama: LlamaServer, complaints: list[str]
) -> None:
    async def run() -> None:
        for _ in range(3):
            seen = await read_some(open_client(llama.port), is_last=lambda event: isinstance(event, Finished))
            assert isinstance(seen[-1], Finished)
            gc.collect()

    in_qt_loop(qapp, run)
    assert complaints == []


def test_an_aborted_answer_leaves_nothing_and_the_server_stops(
    qapp: QApplication, endless: LlamaServer, complaints: list[str]
) -> None:
    async def run() -> None:
        for _ in range(3):
            await read_some(open_client(endless.port), is_last=lambda event: isinstance(event, TextDelta))
            gc.collect()
            assert await asyncio.to_thread(endless.wait_idle, 2.0)

    in_qt_loop(qapp, run)
    assert complaints == []


def test_a_cancelled_answer_leaves_nothing_and_the_server_stops(
    qapp: QApplication, endless: LlamaServer, complaints: list[str]
) -> None:
    async def run() -> None:
        has_begun = asyncio.Event()

        def see(event: ChatEvent) -> bool:
            has_begun.set()
            return False

        async with asyncio.TaskGroup() as group:
            task = group.create_task(read_some(open_client(endless.port), is_last=see))
            await has_begun.wait()
            task.cancel()
        gc.collect()
        assert await asyncio.to_thread(endless.wait_idle, 2.0)

    in_qt_loop(qapp, run)
    assert complaints == []


def test_a_cut_a_stall_and_a_page_that_is_too_large_leave_nothing(qapp: QApplication, complaints: list[str]) -> None:
    async def run() -> None:
        for pieces, is_held in (((HELLO,), False), ((HELLO,), True), ((HELLO, STOP, DONE), True)):
            async with raw_server(stream(*pieces, is_held=is_held)) as server:
                seen = await read_some(open_client(server.port), is_last=lambda _: False)
                await asyncio.wait_for(server.hung_up.wait(), 5)
            assert isinstance(seen[-1], CutOff if DONE not in pieces else Finished)
        async with raw_server(answer("200 OK", "text/plain", b"x" * 300_000)) as server:
            client = open_client(server.port)
            with pytest.raises(EndpointError, match="more than 100 bytes"):
                await client.get("/metrics", max_bytes=100)
            await client.close()
        gc.collect()

    in_qt_loop(qapp, run)
    assert complaints == []
