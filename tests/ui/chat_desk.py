"""A chat page over real conversations, a real database and real model servers, run in Qt's and asyncio's one loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import qasync
from PySide6.QtCore import QEvent, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from sparkdesk.core.chat.message import Sampling
from sparkdesk.core.errors import SparkDeskError
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.ports import EndpointClient
from sparkdesk.infra.openai_api import OpenAiClients
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.chat.conversation import Conversation
from sparkdesk.services.chat.conversations import Conversations
from sparkdesk.services.chat.endpoint import ChatEndpoint
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.tasks import Tasks
from tests.ui.picture import host_page
from ui.bridge import Bridge
from ui.chat.model import ChatModel
from ui.chat.turn.figure_row import StatsLine
from ui.chat.turn.problem_row import Note, Problem
from ui.chat.turn.question_row import Question
from ui.chat.turn.sent_row import Sent
from ui.chat.view import ChatPage
from ui.chat.words.code_row import CodeBlock
from ui.chat.words.text_row import AnswerText, OpenText
from ui.collector import collecting_here

WAIT_S = 60.0
Story = Callable[["ChatDesk"], Coroutine[Any, Any, None]]


def endpoint_at(port: int, *, id: str = "job1", model: str = "tiny", note: str = "") -> ChatEndpoint:
    """A server on this computer as a deployment on spark-a."""
    endpoint = Endpoint("n1", "127.0.0.1", port, model, engine="llamacpp", context_tokens=4096, note=note)

    @asynccontextmanager
    async def source() -> AsyncIterator[EndpointClient]:
        client = OpenAiClients().open(endpoint, None)
        try:
            yield client
        finally:
            await client.close()

    return ChatEndpoint(id, endpoint, source, "spark-a", "", Sampling(temperature=0.0))


class ChatDesk:
    """The page and everything behind it."""

    def __init__(self, endpoints: tuple[ChatEndpoint, ...]) -> None:
        self.errors: list[SparkDeskError] = []
        self.bugs: list[BaseException] = []
        self.store = SqliteStore(None)
        self.tasks = Tasks(
            on_error=lambda name, error: self.errors.append(error), on_bug=lambda name, bug: self.bugs.append(bug)
        )
        self.chats = Conversations(tasks=self.tasks, store=self.store, clock=SystemClock())
        self.endpoints: Latest[tuple[ChatEndpoint, ...]] = Latest(endpoints)
        self.model = ChatModel(self.chats, self.endpoints, Bridge(self.tasks))
        self.page = ChatPage(self.model)
        self.host = host_page(self.page, 1232, 852)

    @property
    def conversation(self) -> Conversation:
        """The one that is shown."""
        assert self.model.conversation is not None
        return self.model.conversation

    def type(self, text: str) -> None:
        """Type and press Enter."""
        QTest.keyClicks(self.page.composer.editor, text)
        QTest.keyClick(self.page.composer.editor, Qt.Key.Key_Return)

    async def until(self, is_so: Callable[[], bool], what: str) -> None:
        """Wait until something can be seen."""
        try:
            async with asyncio.timeout(WAIT_S):
                while not is_so():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"not seen within {WAIT_S:g} s: {what}; the page says {self.said()!r}") from None

    async def answered(self) -> None:
        """Wait until the answer has ended and its figures are shown."""
        await self.until(lambda: bool(self.model.turns) and not self.model.is_answering, "the end of the answer")
        await asyncio.sleep(0.05)

    def said(self) -> str:
        """Every word of the transcript that is made now."""
        words = []
        for row in self.page.transcript.column.widgets():
            if isinstance(row, AnswerText):
                words.append(row.words.toPlainText())
            elif isinstance(row, OpenText | CodeBlock | Question | Sent):
                words.append(row.text())
            elif isinstance(row, StatsLine):
                words.append(row.figures.text())
            elif isinstance(row, Problem):
                words.append(row.accessibleName())
            elif isinstance(row, Note):
                words.append(row.label.text())
        return "\n".join(words)


def play(app: QApplication, story: Story, *endpoints: ChatEndpoint) -> None:
    """Open a page, let the story happen, close everything; a bug in a task fails."""

    async def run() -> None:
        desk = ChatDesk(endpoints)
        await desk.store.open()
        try:
            await desk.chats.load()
            await story(desk)
        finally:
            await desk.tasks.close()
            await desk.store.close()
            desk.host.close()
            desk.host.deleteLater()
        assert desk.bugs == []

    loop = qasync.QEventLoop(app)
    # The store works in a thread of its own; garbage of a page must not be found there.
    with collecting_here(), loop:
        loop.run_until_complete(run())
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
