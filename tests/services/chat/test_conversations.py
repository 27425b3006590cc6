"""The list of conversations: searched, put in order, opened quickly, and never made newer by being tidied."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.core.chat.message import Message, Role, TextPart
from sparkdesk.core.chat.session import ChatSettings, Turn, TurnState
from sparkdesk.core.chat.store.session_json import settings_from_json, settings_to_json, turn_from_json, turn_to_json
from sparkdesk.core.chat.store.stored_turn import StoredTurn, stored_turn
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.chat.conversations import Conversations
from sparkdesk.services.tasks import Tasks

HOUR_MS = 3_600_000


class HandClock:
    """A clock that stands."""

    def now_ms(self) -> int:
        return 100 * HOUR_MS

    def monotonic_s(self) -> float:
        return 0.0


class Shelf:
    """Conversations over a real database."""

    def __init__(self, folder: Path) -> None:
        self.bugs: list[BaseException] = []
        self.tasks = Tasks(on_bug=lambda _name, bug: self.bugs.append(bug))
        self.store = SqliteStore(folder)
        self.chats = Conversations(tasks=self.tasks, store=self.store, clock=HandClock())

    async def keep(self, session_id: str, title: str, *said: str, hour: int = 1, **settings: object) -> None:
        """Store a chat of questions and answers in turn."""
        head = ChatSettings(label="m on n", updated_ms=hour * HOUR_MS, **settings)  # type: ignore[arg-type]
        turns = [
            Turn(
                Message((Role.USER, Role.ASSISTANT)[at % 2], (TextPart(text),)),
                number=at,
                parent=at - 1 if at else None,
            )
            for at, text in enumerate(said)
        ]
        rows = {turn.number: turn_to_json(turn) for turn in turns}
        await self.store.save_chat(session_id, title, settings_to_json(head), rows)

    async def load(self) -> None:
        while await self.store.index_chats():
            pass
        await self.chats.load()


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    shelf = Shelf(tmp_path)
    await shelf.store.open()
    yield shelf
    await shelf.tasks.close()
    await shelf.store.close()
    assert shelf.bugs == []


async def test_the_list_is_newest_first_with_folders_pins_and_tags(shelf: Shelf) -> None:
    await shelf.keep("a", "Old", "hi", hour=1, folder="Rust", is_pinned=True, tags=("x",))
    await shelf.keep("b", "New", "hi", hour=9)
    await shelf.keep("c", "Middle", "hi", hour=5)
    await shelf.load()
    assert [summary.id for summary in shelf.chats.sessions.value] == ["b", "c", "a"]
    old = shelf.chats.sessions.value[-1]
    assert (old.folder, old.is_pinned, old.tags) == ("Rust", True, ("x",))


@pytest.mark.parametrize("is_open", [False, True])
async def test_tidying_is_stored_and_does_not_make_a_chat_newer(shelf: Shelf, is_open: bool) -> None:
    await shelf.keep("a", "Old", "hi", hour=1)
    await shelf.keep("b", "New", "hi", hour=9)
    await shelf.load()
    if is_open:
        await shelf.chats.open("a")
    await shelf.chats.rename("a", "  Better \n title ")
    await shelf.chats.rename("a", "   ")
    await shelf.chats.set_folder("a", " Rust  port ")
    await shelf.chats.set_pinned("a", True)
    await shelf.chats.set_tags("a", ("b", " a ", "", "b"))
    line = shelf.chats.sessions.value[-1]
    assert (line.id, line.title, line.folder, line.is_pinned, line.tags) == (
        "a",
        "Better title",
        "Rust port",
        True,
        ("b", "a"),
    )
    head = await shelf.store.session("a")
    assert head is not None
    settings = settings_from_json(head[1])
    assert (head[0], settings.updated_ms, settings.label) == ("Better title", HOUR_MS, "m on n")
    assert (settings.folder, settings.is_pinned, settings.tags) == ("Rust port", True, ("b", "a"))
    assert [found.summary.id for found in await shelf.chats.search("better tag:A folder:rust")] == []
    assert [found.summary.id for found in await shelf.chats.search('better tag:A folder:"rust port"')] == ["a"]


async def test_a_search_says_where_and_marks_what(shelf: Shelf) -> None:
    await shelf.keep("a", "About fish", "What swims?", "The walrus swims", "And flies?", "No walrus flies", hour=1)
    await shelf.keep("b", "The walrus", "hi", hour=2, tags=("Sea",))
    await shelf.load()
    first, second = await shelf.chats.search("walrus")
    assert (first.summary.id, [first.summary.title[slice(*mark)] for mark in first.title_marks]) == ("b", ["walrus"])
    assert second.summary.id == "a"
    assert {excerpt.turn for excerpt in second.excerpts} == {1, 3}
    assert all(excerpt.text[slice(*excerpt.marks[0])] == "walrus" for excerpt in second.excerpts)
    assert [found.summary.id for found in await shelf.chats.search("walrus tag:sea")] == ["b"]
    assert [found.summary.id for found in await shelf.chats.search("tag:sea")] == ["b"]
    assert await shelf.chats.search("tag:nothing") == ()
    assert await shelf.chats.search("  ") == ()


async def test_chats_are_indexed_in_the_background(shelf: Shelf) -> None:
    await shelf.keep("a", "Many", *(f"walrus {at}" for at in range(250)))
    await shelf.chats.load()
    assert "index chats" in shelf.tasks.names
    while "index chats" in shelf.tasks.names:
        found = await shelf.chats.search("walrus 249")
    found = await shelf.chats.search("walrus 249")
    assert [excerpt.turn for excerpt in found[0].excerpts][:1] == [249]


async def test_a_removed_chat_is_gone_from_list_search_and_store(shelf: Shelf) -> None:
    await shelf.keep("a", "Fish", "walrus")
    await shelf.load()
    await shelf.chats.open("a")
    await shelf.chats.remove("a")
    assert shelf.chats.sessions.value == ()
    assert await shelf.chats.search("walrus") == ()
    assert await shelf.store.messages("a") == ()
    with pytest.raises(KeyError):
        await shelf.chats.open("a")


async def test_a_change_that_was_on_its_way_does_not_bring_a_removed_chat_back(shelf: Shelf) -> None:
    await shelf.keep("a", "Fish", "walrus")
    await shelf.load()
    await asyncio.gather(shelf.chats.rename("a", "Sea"), shelf.chats.remove("a"), shelf.chats.set_pinned("a", True))
    assert await shelf.store.sessions() == ()
    assert shelf.chats.sessions.value == ()


async def test_a_long_chat_is_opened_without_reading_each_turn(shelf: Shelf) -> None:
    await shelf.keep("a", "Long", *(f"line {at}" for at in range(1000)))
    await shelf.load()
    conversation = await shelf.chats.open("a")
    turns = conversation.turns.value
    assert len(turns) == 1000
    unread = [turn for turn in turns if isinstance(turn, StoredTurn) and turn._data]
    assert len(unread) > 900
    assert [turn.text for turn in turns[-2:]] == ["line 998", "line 999"]


def test_a_turn_that_is_read_late_is_the_same_turn() -> None:
    whole = Turn(Message(Role.ASSISTANT, (TextPart("Hello"),)), note="n", t_ms=7, number=5, parent=None)
    late = stored_turn(turn_to_json(whole))
    assert isinstance(late, StoredTurn)
    assert (late.number, late.parent) == (5, None)
    assert late == turn_from_json(turn_to_json(whole))
    assert turn_from_json(turn_to_json(whole)) == stored_turn(turn_to_json(whole))
    assert late != stored_turn(turn_to_json(Turn(whole.message, number=6)))


def test_a_turn_that_may_be_open_or_is_not_ours_is_read_at_once() -> None:
    answer = Turn(Message(Role.ASSISTANT, (TextPart("Hel"),)), state=TurnState.STREAMING, number=1)
    assert not isinstance(stored_turn(turn_to_json(answer)), StoredTurn)
    for data in (b"", b"{}", b'{"role": "user", "parts": []}', b"\xff", b'{"schema": 1, "number": 1'):
        assert not isinstance(stored_turn(data), StoredTurn)
    broken = stored_turn(turn_to_json(Turn(answer.message, number=1))[:-9])
    assert broken.state is TurnState.FAILED


class CountingPool(ThreadPoolExecutor):
    """Threads for what would hold the loop, and how often they were asked."""

    asked = 0

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        self.asked += 1
        return super().submit(*args, **kwargs)


async def test_a_long_chat_is_read_beside_the_loop(shelf: Shelf) -> None:
    await shelf.keep("a", "Plans", "question", "answer")
    await shelf.load()
    pool = CountingPool()
    asyncio.get_running_loop().set_default_executor(pool)
    chat = await shelf.chats.open("a")
    assert [turn.text for turn in chat.turns.value] == ["question", "answer"]
    assert pool.asked == 1


async def test_opening_a_chat_changes_nothing_in_the_list(shelf: Shelf) -> None:
    await shelf.keep("a", "A title of its own", "question", "answer")
    await shelf.load()
    told: list[object] = []
    shelf.chats.sessions.subscribe(told.append)
    chat = await shelf.chats.open("a")
    assert chat.title.value == "A title of its own"
    assert len(told) == 1
