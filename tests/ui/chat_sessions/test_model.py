"""The list over real conversations: what it asks for is done, and what fails is told."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from pathlib import Path

import qasync
from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication

from sparkdesk.core.chat.message import Message, Role, TextPart
from sparkdesk.core.chat.session import ChatSettings, Turn
from sparkdesk.core.chat.store.session_json import settings_to_json, turn_to_json
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.chat.conversations import Conversations
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.tasks import Tasks
from ui.bridge import Bridge, watch
from ui.chat.sessions.list import SessionList
from ui.chat.sessions.model import SessionsModel
from ui.collector import collecting_here

WAIT_S = 10.0


class Desk:
    """A list joined with conversations in a database."""

    def __init__(self, folder: Path) -> None:
        self.bugs: list[BaseException] = []
        self.tasks = Tasks(on_bug=lambda _name, bug: self.bugs.append(bug))
        self.store = SqliteStore(folder)
        self.chats = Conversations(tasks=self.tasks, store=self.store, clock=SystemClock())
        self.list = SessionList()
        self.model = SessionsModel(self.chats, Bridge(self.tasks, self.list), self.list)
        self.list.use(self.model)
        self.gone: list[str] = []
        self.failed: list[object] = []
        self.model.removed.connect(self.gone.append)
        self.model.failed.connect(self.failed.append)
        watch(self.chats.sessions, self.list, lambda sessions: self.list.set_sessions(sessions, ""))

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not is_so():
                await asyncio.sleep(0.005)


def play(app: QApplication, folder: Path, story: Callable[[Desk], Awaitable[None]]) -> None:
    """Let a story happen over two stored chats."""

    async def run() -> None:
        desk = Desk(folder)
        await desk.store.open()
        try:
            for key, title, said in (("a", "Fish", "The walrus swims"), ("b", "Birds", "The heron flies")):
                turn = Turn(Message(Role.USER, (TextPart(said),)))
                await desk.store.save_chat(key, title, settings_to_json(ChatSettings()), {0: turn_to_json(turn)})
            await desk.store.index_chats()
            await desk.chats.load()
            await story(desk)
        finally:
            await desk.tasks.close()
            await desk.store.close()
            desk.list.deleteLater()
        assert desk.bugs == []

    loop = qasync.QEventLoop(app)
    with collecting_here(), loop:
        loop.run_until_complete(run())
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    # The loop's own timers lie in circles: found here, not in the thread of a later test's database.
    del loop
    gc.collect()


def test_what_was_said_is_found_and_a_tag_chooses(dressed: QApplication, tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.list.search.setText("walrus")
        assert desk.list.ids() == []
        await desk.until(lambda: desk.list.ids() == ["a"])
        desk.list.search.setText("")
        desk.list.tags_asked.emit("b", ("Feathers",))
        await desk.until(lambda: any(chat.tags for chat in desk.chats.sessions.value))
        desk.list.search.setText("tag:feathers")
        assert desk.list.ids() == ["b"]

    play(dressed, tmp_path, story)


def test_titles_pins_folders_and_removal_reach_the_store(dressed: QApplication, tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.list.rename_asked.emit("a", "Sea")
        desk.list.pin_asked.emit("a", True)
        desk.list.folder_asked.emit("b", "Air")
        desk.list.remove_asked.emit("b")
        await desk.until(lambda: desk.gone == ["b"] and desk.chats.sessions.value[0].is_pinned)
        (left,) = desk.chats.sessions.value
        assert (left.title, left.is_pinned) == ("Sea", True)
        assert desk.list.ids() == ["a"]
        assert [row[0] for row in await desk.store.sessions()] == ["a"]

    play(dressed, tmp_path, story)


def test_a_store_that_fails_is_told(dressed: QApplication, tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.store._database.read(lambda db: db.execute("PRAGMA query_only = 1").fetchone())
        desk.list.rename_asked.emit("a", "Sea")
        await desk.until(lambda: bool(desk.failed))

    play(dressed, tmp_path, story)


def test_messages_that_wait_for_the_index_are_counted_until_none_is_left(dressed: QApplication, tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        turns = {
            at: turn_to_json(Turn(Message(Role.USER, (TextPart(f"walrus {at}"),)), number=at)) for at in range(200)
        }
        await desk.store.save_chat("c", "Many", settings_to_json(ChatSettings()), turns)
        await desk.store._database.write(desk.store._index.rebuild)
        told: list[int] = []
        desk.model.unfindable_changed.connect(told.append)
        desk.list.search.setText("walrus")
        await desk.chats.load()
        await desk.until(lambda: "Indexing" in desk.list.foot.text())
        await desk.until(lambda: "Indexing" not in desk.list.foot.text())
        assert told[0] > 100
        assert told == sorted(told, reverse=True)
        await desk.until(lambda: set(desk.list.ids()) == {"a", "c"})

    play(dressed, tmp_path, story)
