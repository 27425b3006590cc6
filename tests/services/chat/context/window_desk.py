"""Conversations whose window is fitted: real store, real client, real servers.

The one rule: nothing of ours is replaced; where no program at hand answers as an engine does, a server says its words.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sparkdesk.core.chat.context import WindowPolicy
from sparkdesk.core.chat.message import Attachment, Message, Part, Role, Sampling, TextPart
from sparkdesk.core.chat.session import ChatSettings, Turn
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.ports import EndpointClient
from sparkdesk.infra.openai_api import OpenAiClients
from sparkdesk.services.chat.context.fitter import WindowFitter
from sparkdesk.services.chat.endpoint import ChatEndpoint
from sparkdesk.services.chat.fitting import FitQuestion, Fitted

Page = Callable[[Mapping[str, Any]], tuple[int, object]]
"""What a page answers to a body: a status and JSON."""


@dataclass(slots=True)
class Pages:
    """A server of JSON pages, by path; it keeps what it was asked."""

    pages: Mapping[str, Page]
    port: int = 0
    asked: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [path for path, _ in self.asked]


@asynccontextmanager
async def serving(pages: Mapping[str, Page]) -> AsyncIterator[Pages]:
    """Serve the pages on a free port; any other is 404."""
    server = Pages(pages)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _answer(server, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listener = await asyncio.start_server(handle, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield server


async def _answer(server: Pages, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    lengths = [int(line.partition(":")[2]) for line in head.lower().splitlines() if line.startswith("content-length:")]
    body = await reader.readexactly(lengths[0]) if lengths else b""
    path = head.split()[1]
    told: Mapping[str, Any] = json.loads(body) if body else {}
    server.asked.append((path, told))
    page = server.pages.get(path)
    status, answer = page(told) if page is not None else (404, {"detail": "Not Found"})
    data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    kind = "text/event-stream" if data.startswith(b"data:") else "application/json"
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(data)}", "", ""]
    writer.write("\r\n".join(lines).encode() + data)
    await writer.drain()


def spoken(text: str, *, reason: str = "stop") -> bytes:
    """A stream that says the text; without a reason it is cut off."""
    chunks: list[dict[str, Any]] = [{"index": 0, "delta": {"content": text}}]
    if reason:
        chunks.append({"index": 0, "delta": {}, "finish_reason": reason})
    lines = [f"data: {json.dumps({'choices': [chunk]})}\n\n" for chunk in chunks]
    return "".join([*lines, "data: [DONE]\n\n" if reason else ""]).encode()


def target(
    port: int,
    *,
    engine: str = "llamacpp",
    context_tokens: int | None = None,
    model: str = "tiny",
    embed: ChatEndpoint | None = None,
) -> ChatEndpoint:
    """A server on this computer."""
    endpoint = Endpoint("", "127.0.0.1", port, model, engine=engine, context_tokens=context_tokens)

    @asynccontextmanager
    async def source() -> AsyncIterator[EndpointClient]:
        client = OpenAiClients().open(endpoint, None)
        try:
            yield client
        finally:
            await client.close()

    return ChatEndpoint(f"{port} {model}", endpoint, source, "spark-a", embed=lambda: embed)


def said(number: int, role: Role, text: str, *attachments: Attachment) -> Turn:
    """A turn of a branch."""
    parts: tuple[Part, ...] = (TextPart(text), *attachments) if text else attachments
    return Turn(Message(role, parts), number=number, parent=number - 1 if number else None)


def talk(*texts: str) -> tuple[Turn, ...]:
    """Question, answer, question, ..."""
    return tuple(said(at, (Role.USER, Role.ASSISTANT)[at % 2], text) for at, text in enumerate(texts))


async def fit(
    fitter: WindowFitter,
    server: ChatEndpoint,
    turns: tuple[Turn, ...],
    policy: WindowPolicy,
    *,
    told: list[str] | None = None,
    begun: str = "",
    **settings: Any,
) -> Fitted:
    """What this fitter sends for the last question of these turns."""
    chosen = ChatSettings(window=policy, **({"sampling": Sampling(max_tokens=32)} | settings))
    async with server.source() as client:
        tell = told.append if told is not None else lambda _words: None
        return await fitter.fit(FitQuestion("chat1", turns, chosen, server, client, tell, begun))
