"""Real conversations over a real database and the real client, for tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sparkdesk.core.errors import SparkDeskError
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.ports import EndpointClient
from sparkdesk.infra.openai_api import OpenAiClients
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.chat.conversation import Conversation
from sparkdesk.services.chat.conversations import Conversations
from sparkdesk.services.chat.endpoint import ChatEndpoint
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.tasks import Tasks


class Desk:
    """Store, supervisor and conversations, as the program has them."""

    def __init__(self, folder: Path) -> None:
        self.errors: list[SparkDeskError] = []
        self.bugs: list[BaseException] = []
        self.folder = folder
        self.store = SqliteStore(folder)
        self.tasks = self._tasks()
        self.chats = Conversations(tasks=self.tasks, store=self.store, clock=SystemClock())

    def _tasks(self) -> Tasks:
        return Tasks(
            on_error=lambda name, error: self.errors.append(error), on_bug=lambda name, bug: self.bugs.append(bug)
        )

    async def restart(self) -> None:
        """As if the program was closed and opened again."""
        await self.tasks.close()
        await self.store.close()
        self.store = SqliteStore(self.folder)
        await self.store.open()
        self.tasks = self._tasks()
        self.chats = Conversations(tasks=self.tasks, store=self.store, clock=SystemClock())
        await self.chats.load()


@asynccontextmanager
async def chat_desk(folder: Path) -> AsyncIterator[Desk]:
    """An open desk; a bug that was met on it fails the test."""
    desk = Desk(folder)
    await desk.store.open()
    yield desk
    await desk.tasks.close()
    await desk.store.close()
    assert desk.bugs == []


def target(port: int, *, engine: str = "llamacpp", **more: Any) -> ChatEndpoint:
    """The server on this port of this computer."""
    endpoint = Endpoint("n1", "127.0.0.1", port, "tiny", engine=engine, context_tokens=4096)

    @asynccontextmanager
    async def source() -> AsyncIterator[EndpointClient]:
        client = OpenAiClients().open(endpoint, None)
        try:
            yield client
        finally:
            await client.close()

    return ChatEndpoint("job1", endpoint, source, "spark-a", **more)


async def done(conversation: Conversation) -> None:
    """Wait until nothing is answered."""
    await asyncio.wait_for(conversation.finished(), 20)


def bodies(requests: list[bytes]) -> list[dict[str, Any]]:
    """What was asked of a raw server."""
    return [json.loads(request.partition(b"\r\n\r\n")[2]) for request in requests]


def words(text: str) -> bytes:
    """An event of a stream that says this."""
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}).encode() + b"\n\n"


def end(reason: str = "stop") -> bytes:
    """The event that ends an answer."""
    body = json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    return b"data: " + body.encode() + b"\n\ndata: [DONE]\n\n"
