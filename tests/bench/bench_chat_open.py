"""How long a conversation of 10,000 messages takes from the click to its first painted frame, and one of 100 beside it.

Both are read from the real store's file by the real page, in one run. The one rule: the frame counts that has the last
answer in it; the page is in sight and warm, as it is for a person who goes from chat to chat.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
import tracemalloc
from pathlib import Path

import qasync
from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QApplication

from sparkdesk.core.chat.event import Usage
from sparkdesk.core.chat.message import Message, Role, TextPart
from sparkdesk.core.chat.session import ChatSettings, Turn
from sparkdesk.core.chat.store.session_json import settings_to_json, turn_to_json
from sparkdesk.core.chat.stream.timing import AnswerTiming
from sparkdesk.core.feed import Latest
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.chat.conversations import Conversations
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.tasks import Tasks
from tests.bench.figure import Figure
from tests.ui.picture import host_page
from ui.bridge import Bridge
from ui.chat.model import ChatModel
from ui.chat.view import ChatPage
from ui.chat.words.text_row import AnswerText
from ui.style import install_style

NAMES = ("chat.open_10k", "chat.open_10k_widgets", "chat.open_10k_memory")
ROUNDS = 5
MANY, FEW = 10_000, 100
LIMIT_MS = 300.0
WIDGETS_LIMIT = 200.0
MEMORY_LIMIT_MB = 120.0
WAIT_S = 60.0
ANSWER = """The pattern of question {n} maps one to one, because `regex` has no look-around.

- whitespace runs are split by hand
- offsets stay **byte-exact**

```python
def split(text: str) -> list[str]:
    return PATTERN.findall(text)  # {n}
```

That is all of number {n}."""


def measure() -> list[Figure]:
    """The page as in a window of 1440x900."""
    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    app.setQuitOnLastWindowClosed(False)
    install_style(app, "dark")
    with tempfile.TemporaryDirectory() as folder, qasync.QEventLoop(app) as loop:
        return loop.run_until_complete(_measure(Path(folder)))


async def _measure(folder: Path) -> list[Figure]:
    store = SqliteStore(folder)
    await store.open()
    try:
        for name, messages in (("many", MANY), ("few", FEW), ("other", 4)):
            await _keep(store, name, messages)
        times: dict[str, list[float]] = {"few": [], "many": []}
        widgets = 0
        for _ in range(ROUNDS):
            for name, taken in times.items():
                desk = await Desk.make(store)
                taken.append(await desk.open(name))
                widgets = max(widgets, desk.widgets())
                await desk.close()
        memory_mb = await _memory_mb(store)
    finally:
        await store.close()
    many, few = (statistics.median(times[name]) for name in ("many", "few"))
    note = f"worst of {ROUNDS}: {max(times['many']):.0f} ms; baseline: the same page with {FEW} messages"
    return [
        Figure.at_most(NAMES[0], many, "ms", LIMIT_MS, baseline=few, note=note),
        Figure.at_most(NAMES[1], float(widgets), "rows", WIDGETS_LIMIT, note="that exist as widgets"),
        Figure.at_most(NAMES[2], memory_mb, "MB", MEMORY_LIMIT_MB, note="Python's own, of an open conversation"),
    ]


async def _memory_mb(store: SqliteStore) -> float:
    desk = await Desk.make(store)
    tracemalloc.start()
    try:
        await desk.open("many")
        return tracemalloc.get_traced_memory()[0] / 1e6
    finally:
        tracemalloc.stop()
        await desk.close()


async def _keep(store: SqliteStore, name: str, messages: int) -> None:
    timing = AnswerTiming(0.4, 0.03, 33.0, 900.0, float("nan"), 5.0, 120, 800, 700, True)
    rows: dict[int, bytes] = {}
    for number in range(messages):
        parent = number - 1 if number else None
        if number % 2:
            said = Message(Role.ASSISTANT, (TextPart(ANSWER.format(n=number)),))
            usage = Usage(800, 120, 700)
            turn = Turn(said, timing=timing, usage=usage, label="tiny on spark-a", number=number, parent=parent)
        else:
            turn = Turn(
                Message(Role.USER, (TextPart(f"Question {number}: how is it split?"),)), number=number, parent=parent
            )
        rows[number] = turn_to_json(turn)
    settings = ChatSettings(label="tiny on spark-a", created_ms=1, updated_ms=messages)
    await store.save_chat(name, f"{messages} messages", settings_to_json(settings), rows)


class Desk:
    """A page over conversations that know nothing yet."""

    def __init__(self, store: SqliteStore) -> None:
        self._tasks = Tasks(on_error=lambda _name, _error: None, on_bug=lambda _name, _bug: None)
        chats = Conversations(tasks=self._tasks, store=store, clock=SystemClock())
        self.chats = chats
        self.model = ChatModel(chats, Latest(()), Bridge(self._tasks))
        self.page = ChatPage(self.model)
        self._host = host_page(self.page, 1232, 852)

    @classmethod
    async def make(cls, store: SqliteStore) -> Desk:
        """With another, short chat in sight."""
        desk = cls(store)
        await desk.chats.load()
        await desk.open("other")
        return desk

    async def open(self, name: str) -> float:
        """Milliseconds from the wish to the frame with the last answer in it."""
        watch = _FrameWatch(self.page, name)
        began_s = time.perf_counter()
        self.model.open_session(name)
        async with asyncio.timeout(WAIT_S):
            await watch.painted.wait()
        took_ms = (time.perf_counter() - began_s) * 1000
        watch.deleteLater()
        return took_ms

    def widgets(self) -> int:
        """Rows that exist now."""
        return len(self.page.transcript.column.widgets())

    async def close(self) -> None:
        """Put it away."""
        await self.chats.close()
        await self._tasks.close()
        self._host.close()
        self._host.deleteLater()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


class _FrameWatch(QObject):
    """Sees the first paint of an answer of the wanted conversation."""

    def __init__(self, page: ChatPage, name: str) -> None:
        super().__init__(page)
        self._page = page
        self._name = name
        self.painted = asyncio.Event()
        page.transcript.column.page().installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        model = self._page.model
        if event.type() is QEvent.Type.Paint and model.conversation is not None and model.conversation.id == self._name:
            last = f"number {len(model.turns) - 1}."
            widgets = self._page.transcript.column.widgets()
            if any(isinstance(each, AnswerText) and last in each.words.toPlainText() for each in widgets):
                # After this event: its children paint in the same pass of the window.
                asyncio.get_running_loop().call_soon(self.painted.set)
        return False
