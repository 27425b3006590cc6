"""A program that asks one question and sends on what it shows of the answer, to be killed at any moment.

The one rule: what goes down the pipe is exactly what a screen would have been given, at the moment it was given.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from sparkdesk.core.chat.event import ChatEvent, TextDelta
from sparkdesk.core.feed import Lost
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.ports import EndpointClient
from sparkdesk.infra.openai_api import OpenAiClients
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.chat.conversations import Conversations
from sparkdesk.services.chat.endpoint import ChatEndpoint
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.tasks import Tasks


def show_answer(folder: str, port: int, pipe: Connection) -> None:
    """Run until killed."""
    asyncio.run(_show(Path(folder), port, pipe))


async def _show(folder: Path, port: int, pipe: Connection) -> None:
    endpoint = Endpoint("n1", "127.0.0.1", port, "steady")

    @asynccontextmanager
    async def source() -> AsyncIterator[EndpointClient]:
        client = OpenAiClients().open(endpoint, None)
        try:
            yield client
        finally:
            await client.close()

    store, tasks = SqliteStore(folder), Tasks()
    await store.open()
    chats = Conversations(tasks=tasks, store=store, clock=SystemClock())
    conversation = chats.new(ChatEndpoint("job1", endpoint, source, "spark-a"))

    def send() -> None:
        pipe.send_bytes(_text(reader.drain()).encode())

    reader = conversation.events.read(send)
    await conversation.ask("Go on.")
    await conversation.finished()


def _text(items: list[ChatEvent | Lost]) -> str:
    return "".join(item.text for item in items if isinstance(item, TextDelta))
