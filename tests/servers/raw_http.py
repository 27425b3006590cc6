"""A server that answers HTTP with exactly the bytes a test gives it, and says when its caller hung up.

The one rule: it is for what a good server never does; for the rest there is a real one in llamacpp.py.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

Answerer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class RawServer:
    """A running server: where it is, what was asked, and whether a caller hung up."""

    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def raw_server(
    answerer: Answerer, *, socket_path: Path | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawServer]:
    """Serve `answerer` on a free port, with TLS where it is given, or on a unix socket."""
    server = RawServer()

    running: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await _serve_one(server, answerer, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # Cancelled only by the block's end; asyncio would log it as an error of this server.
            server.hung_up.set()
        finally:
            writer.close()

    if socket_path is not None:
        listener = await asyncio.start_unix_server(handle, str(socket_path))
    else:
        listener = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
        server.port = listener.sockets[0].getsockname()[1]
    async with listener:
        try:
            yield server
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


async def _serve_one(
    server: RawServer, answerer: Answerer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    server.requests.append(head + await reader.readexactly(int(lengths[0]) if lengths else 0))
    server.asked.set()
    async with asyncio.TaskGroup() as group:
        watch = group.create_task(reader.read(1))
        watch.add_done_callback(lambda _: server.hung_up.set())
        await answerer(writer)
        writer.close()
        watch.cancel()


def answer(status: str, content_type: str, body: bytes, *extra: str) -> Answerer:
    """Answer once, whole."""

    async def send(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *extra, "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()

    return send


def stream(*pieces: bytes | float, is_held: bool = False) -> Answerer:
    """Answer with an event stream: bytes are sent, numbers are seconds to wait, then the connection is closed."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        for piece in pieces:
            if isinstance(piece, bytes):
                writer.write(piece)
                await writer.drain()
            else:
                await asyncio.sleep(piece)
        if is_held:
            await asyncio.sleep(60)

    return send
