"""What was shown of an answer is on the disk, however the program ends, and costs the same at its end."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import sqlite3
import time
from collections.abc import AsyncIterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from sparkdesk.core.chat.event import ChatEvent, ReasoningDelta, TextDelta, ToolCallDelta, Usage
from sparkdesk.core.chat.message import Message, Role
from sparkdesk.core.chat.session import Turn, TurnState
from sparkdesk.core.chat.store.session_json import turn_from_json
from sparkdesk.core.errors import StoreError
from sparkdesk.infra.store import SqliteStore
from sparkdesk.infra.store.sqlite_store import FILE_NAME
from sparkdesk.services.chat.answering.answer import Answer
from sparkdesk.services.chat.answering.piece_log import PieceLog, recover_answers
from sparkdesk.services.chat.conversations import CUT_BY_EXIT, Conversations
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.tasks import Tasks
from tests.servers.shown_answer import show_answer
from tests.servers.token_server import token_server

KILLS = 20
BASE = Turn(Message(Role.ASSISTANT, ()), state=TurnState.SENT, number=1, parent=0)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path)
    await store.open()
    await store.save_session("s", "t", b"{}")
    yield store
    await store.close()


def drain(pipe: Connection) -> str:
    """All that was sent, to the end or to where it was cut."""
    shown = b""
    try:
        while True:
            shown += pipe.recv_bytes()
    except (EOFError, OSError):
        return shown.decode()


def kill_at_random(folder: Path, port: int, chance: random.Random) -> str:
    """Ask in a program of its own, kill it while it shows the answer; gives what it had shown."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.servers.shown_answer"])
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=show_answer, args=(str(folder), port, theirs))
    process.start()
    theirs.close()
    assert ours.poll(30), "nothing was ever shown"
    time.sleep(chance.uniform(0.0, 0.15))
    process.kill()
    shown = drain(ours)
    process.join(10)
    assert process.exitcode == -9
    return shown


async def kept_in(folder: Path) -> Turn:
    store, tasks = SqliteStore(folder), Tasks()
    await store.open()
    chats = Conversations(tasks=tasks, store=store, clock=SystemClock())
    await chats.load()
    (summary,) = chats.sessions.value
    kept = (await chats.open(summary.id)).turns.value[-1]
    await tasks.close()
    await store.close()
    return kept


async def test_a_program_killed_at_any_moment_has_lost_no_character_that_it_had_shown(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text(" ".join(f"word{number}" for number in range(5000)))
    chance = random.Random(7)
    with token_server(600.0, words) as port:
        for number in range(KILLS):
            folder = tmp_path / str(number)
            shown = await asyncio.to_thread(kill_at_random, folder, port, chance)
            kept = await kept_in(folder)
            assert shown
            assert kept.text.startswith(shown), f"{len(shown)} characters were shown, {len(kept.text)} are kept"
            assert (kept.state, kept.error) == (TurnState.CUT_OFF, CUT_BY_EXIT)
            assert kept.remedy.startswith("Continue where it ends, or retry")


def refuse(error: StoreError) -> None:
    raise error


async def run_log(log: PieceLog, events: list[ChatEvent]) -> None:
    for event in events:
        log.add(event)
    await log.flush()


async def test_pieces_of_text_thought_and_calls_come_back_as_the_answer_was(store: SqliteStore) -> None:
    events: list[ChatEvent] = [
        ReasoningDelta("hm", 1.0),
        TextDelta("a\u2028", 2.0),
        TextDelta("\ud800é", 3.0),
        ToolCallDelta(0, "id", "f", "{", 4.0),
        ToolCallDelta(0, "", "", "}", 5.0),
        Usage(1, 2),
    ]
    answer = Answer(BASE, 0.0)
    log = PieceLog("s", BASE, store=store, show=answer.add, fail=refuse)
    for event in events:
        await run_log(log, [event])
    assert turn_from_json((await store.messages("s"))[0]).message == BASE.message, "the message itself is not rewritten"
    assert await recover_answers(store) == 1
    assert await store.unfinished_messages() == ()
    (data,) = await store.messages("s")
    kept = turn_from_json(data)
    said = answer.turn(TurnState.SENT).message
    assert kept.message.parts[0] == said.parts[0]
    assert kept.text == said.text.replace("\ud800", "?")
    assert kept.message.parts[2] == said.parts[2]


async def test_an_event_is_shown_only_once_it_is_kept(store: SqliteStore, tmp_path: Path) -> None:
    reader = sqlite3.connect(tmp_path / FILE_NAME)
    kept_when_shown: list[bytes] = []

    def show(_event: ChatEvent) -> None:
        kept_when_shown.append(b"".join(row[0] for row in reader.execute("SELECT piece FROM pieces ORDER BY number")))

    log = PieceLog("s", BASE, store=store, show=show, fail=refuse)
    await run_log(log, [TextDelta("a", 1.0), TextDelta("b", 1.0)])
    await run_log(log, [TextDelta("c", 1.0)])
    reader.close()
    both = b'{"text": "ab"}'
    assert kept_when_shown == [both, both, both + b'{"text": "c"}']


async def fill_disk(store: SqliteStore) -> None:
    """The database may not grow any more: the same error of SQLite's as on a full disk."""

    def fill(db: sqlite3.Connection) -> None:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")

    await store._database.read(fill)


async def test_a_disk_that_fills_up_is_told_once_and_the_answer_goes_on_without_a_gap_on_the_disk(
    tmp_path: Path,
) -> None:
    store = SqliteStore(tmp_path)
    await store.open()
    await store.save_session("s", "t", b"{}")
    shown: list[ChatEvent] = []
    told: list[StoreError] = []
    log = PieceLog("s", BASE, store=store, show=shown.append, fail=told.append)
    await run_log(log, [TextDelta("kept ", 1.0)])

    await fill_disk(store)
    for _ in range(3):
        await run_log(log, [TextDelta("x" * 9000, 2.0)])
    await run_log(log, [TextDelta("short", 2.0)])
    assert len(shown) == 5
    assert [error.message for error in told] == ["The disk of this computer is full"]
    ((_, _, _, pieces),) = await store.unfinished_messages()
    assert pieces == (b'{"text": "kept "}',), "with a gap in front of it a later piece would be a lie"
    await store.close()


async def test_saving_an_answer_whole_takes_its_pieces_away_and_no_others(store: SqliteStore) -> None:
    for position in (1, 3):
        await store.save_message("s", position, b"{}")
        await store.append_piece("s", position, b'{"text": "a"}')
    await store.save_message("s", 1, b"{}")
    assert [row[1] for row in await store.unfinished_messages()] == [3]
    await store.remove_session("s")
    assert await store.unfinished_messages() == ()
    await store.append_piece("s", 3, b"nobody")
    assert await store.unfinished_messages() == ()
