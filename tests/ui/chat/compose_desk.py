"""A composer over the real reader of files and a real database, run in Qt's and asyncio's one loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import qasync
from PySide6.QtCore import QEvent, QMimeData, QPointF, Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QVBoxLayout, QWidget

from sparkdesk.core.errors import SparkDeskError
from sparkdesk.infra.attachment_file import AttachmentFiles
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.chat.attaching import Attaching, Draft, Drafts
from sparkdesk.services.chat.context.token_count import TokenCount
from sparkdesk.services.tasks import Tasks
from tests.ui.picture import host_page
from ui.bridge import Bridge
from ui.chat.compose.command import SlashCommand
from ui.chat.compose.composer import Composer
from ui.chat.compose.model import ComposeModel
from ui.chat.compose.picture import make_picture
from ui.collector import collecting_here

WAIT_S = 30.0
Story = Callable[["ComposeDesk"], Coroutine[Any, Any, None]]


class ComposeDesk:
    """The composer in a window, and everything behind it."""

    def __init__(self, commands: tuple[SlashCommand, ...]) -> None:
        self.bugs: list[BaseException] = []
        self.errors: list[SparkDeskError] = []
        self.sent: list[Draft] = []
        self.asked: list[tuple[str, str]] = []
        self.words_a_token = 1
        self.store = SqliteStore(None)
        self.tasks = Tasks(
            on_error=lambda _name, error: self.errors.append(error), on_bug=lambda _name, bug: self.bugs.append(bug)
        )
        self.drafts = Drafts(tasks=self.tasks, store=self.store)
        attaching = Attaching(AttachmentFiles(), make_picture=make_picture, count=self.count)
        self.model = ComposeModel(attaching, Bridge(self.tasks), self.drafts)
        self.page = QWidget()
        self.composer = Composer(self.model, commands)
        column = QVBoxLayout(self.page)
        column.addStretch(1)
        column.addWidget(self.composer)
        self.composer.sent.connect(self.sent.append)
        self.composer.command_asked.connect(lambda name, argument: self.asked.append((name, argument)))
        self.window = host_page(self.page, 720, 640)
        self.window.activateWindow()
        self.composer.show_conversation("chat-a", has_begun=True)
        self.composer.setFocus()

    async def count(self, text: str) -> TokenCount:
        """A tokenizer that takes each word for a token; or several, and then it only estimates."""
        return TokenCount(len(text.split()) // self.words_a_token, self.words_a_token == 1)

    def resize(self, width: int, height: int) -> None:
        """Make the window another size."""
        self.window.resize(width, height)
        self.page.resize(width, height)

    @property
    def names(self) -> list[str]:
        """The attachments that are shown."""
        return [chip.face.name for chip in self.composer.row.chips]

    def paste(self, mime: QMimeData) -> None:
        """Put something into the clipboard and press Ctrl+V."""
        QGuiApplication.clipboard().setMimeData(mime)
        self.press(Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)

    def drop(self, mime: QMimeData) -> bool:
        """Drag something over the card and let it go there; gives whether it was taken."""
        at, none = QPointF(20, 5), Qt.KeyboardModifier.NoModifier
        left = Qt.MouseButton.LeftButton
        enter = QDragEnterEvent(at.toPoint(), Qt.DropAction.CopyAction, mime, left, none)
        QApplication.sendEvent(self.composer, enter)
        drop = QDropEvent(at, Qt.DropAction.CopyAction, mime, left, none)
        QApplication.sendEvent(self.composer, drop)
        return enter.isAccepted() and drop.isAccepted()

    def type(self, text: str) -> None:
        """Type into whatever has the keyboard."""
        QTest.keyClicks(self.composer.editor, text)

    def press(self, key: Qt.Key, modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        """Press a key where the keyboard is."""
        QTest.keyClick(QApplication.focusWidget() or self.composer.editor, key, modifiers)

    async def until(self, is_so: Callable[[], bool], what: str) -> None:
        """Wait until something can be seen."""
        try:
            async with asyncio.timeout(WAIT_S):
                while not is_so():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"not seen in time: {what}; {self.names} {self.composer.notice.text()!r}") from None

    async def ready(self, count: int) -> None:
        """Wait until so many attachments were read."""
        await self.until(
            lambda: len(self.model.items) == count and not self.model.is_reading, f"{count} attachments that were read"
        )


def play(app: QApplication, story: Story, commands: tuple[SlashCommand, ...] = ()) -> None:
    """Open a composer, let the story happen, close everything; a bug in a task fails."""

    async def run() -> None:
        desk = ComposeDesk(commands)
        await desk.store.open()
        try:
            await story(desk)
        finally:
            await desk.tasks.close()
            await desk.store.close()
            desk.window.close()
            desk.window.deleteLater()
            # An image that Python put there must not be found there after Python has ended.
            QGuiApplication.clipboard().clear()
        assert desk.bugs == []

    loop = qasync.QEventLoop(app)
    with collecting_here(), loop:
        loop.run_until_complete(run())
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
