"""What a database of 10,000 messages costs: to search, to open, to keep one more; each beside bare sqlite3.

The one rule: every arm runs in the same process on rows of the same bytes. CPU time of the process is compared, the
store's thread included; only where a disk is waited for it is wall time, as a ratio. The bare arm does the least that
could be done: it scans every row for the words, reads every row and parses its JSON, writes one row durably.
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from sparkdesk.core.chat.message import Message, Role, TextPart
from sparkdesk.core.chat.session import ChatSettings, Turn
from sparkdesk.core.chat.store.session_json import settings_to_json, turn_to_json
from sparkdesk.core.chat.stream.timing import AnswerTiming
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.chat.conversations import Conversations
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.tasks import Tasks
from tests.bench.figure import Figure

NAMES = (
    "chat_store.search_10k",
    "chat_store.search_10k_alike",
    "chat_store.open_10k",
    "chat_store.open_10k_ms",
    "chat_store.save",
    "chat_store.index_batch",
    "chat_store.start_10k_ms",
)
MESSAGES = 10_000
ROUNDS = 7
SAVES = 41
SEARCH_LIMIT_RATIO = 2.0
OPEN_LIMIT_RATIO = 1.0
OPEN_LIMIT_MS = 200.0
"""Of the 300 that the whole page may take."""
SAVE_LIMIT_RATIO = 4.0
BATCH_LIMIT_RATIO = 2.0
START_LIMIT_MS = 500.0


def make_rows() -> dict[int, bytes]:
    """Questions and answers of a few hundred made words of different frequency, about 1 kB each."""
    rng = random.Random(7)
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    words = ["".join(rng.choices(letters, k=rng.randint(2, 11))) for _ in range(4000)]
    weights = [1 / (at + 1) for at in range(len(words))]
    rows = {}
    for at in range(MESSAGES):
        text = " ".join(rng.choices(words, weights, k=rng.randint(20, 260)))
        if at == MESSAGES // 2:
            text += " the zephyrwort tokenizer"
        role = (Role.USER, Role.ASSISTANT)[at % 2]
        timing = AnswerTiming(ttft_s=0.2, tokens_per_s=30.0) if at % 2 else None
        turn = Turn(Message(role, (TextPart(text),)), number=at, parent=at - 1 if at else None, timing=timing, t_ms=at)
        rows[at] = turn_to_json(turn)
    return rows


async def median_ms(work: Callable[[], Awaitable[object]]) -> float:
    """The median CPU time of one round of it."""
    took = []
    for _ in range(ROUNDS):
        began_s = time.process_time()
        await work()
        took.append((time.process_time() - began_s) * 1000)
    return statistics.median(took)


async def side_by_side_ms(*works: Callable[[], Awaitable[object]]) -> list[float]:
    """The median wall times of these, in turn, so that a busy disk is busy for each."""
    took: list[list[float]] = [[] for _ in works]
    for _ in range(SAVES):
        for at, work in enumerate(works):
            began_s = time.perf_counter()
            await work()
            took[at].append((time.perf_counter() - began_s) * 1000)
    return [statistics.median(each) for each in took]


class BareArm:
    """The same rows in a file of sqlite3's own."""

    def __init__(self, path: Path, rows: dict[int, bytes]) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("CREATE TABLE messages (position INTEGER PRIMARY KEY, message BLOB NOT NULL)")
        self._db.execute("BEGIN")
        self._db.executemany("INSERT INTO messages VALUES (?, ?)", rows.items())
        self._db.execute("COMMIT")
        self._row = rows[1]
        self._next = MESSAGES

    async def search(self) -> object:
        """Scan every row for the words."""
        sql = "SELECT position FROM messages WHERE instr(lower(CAST(message AS TEXT)), ?) LIMIT 50"
        return self._db.execute(sql, ("zephyrwort",)).fetchall()

    async def open(self) -> object:
        """Read every row and parse its JSON."""
        return [json.loads(row[0]) for row in self._db.execute("SELECT message FROM messages ORDER BY position")]

    async def save(self) -> object:
        """Write one row durably."""
        self._next += 1
        return self._db.execute("INSERT INTO messages VALUES (?, ?)", (self._next, self._row))


async def fill(folder: Path, rows: dict[int, bytes]) -> tuple[float, float]:
    """Make the store and index it; ms of the start with everything waiting, and of the longest batch."""
    store = SqliteStore(folder)
    await store.open()
    await store.save_chat("long", "A long chat", settings_to_json(ChatSettings(updated_ms=1)), rows)
    await store.close()
    store = SqliteStore(folder)
    began_s = time.process_time()
    await store.open()
    await store.sessions()
    start_ms = (time.process_time() - began_s) * 1000
    longest_ms, left = 0.0, 1
    while left:
        began_s = time.process_time()
        left = await store.index_chats()
        longest_ms = max(longest_ms, (time.process_time() - began_s) * 1000)
    await store.close()
    return start_ms, longest_ms


async def run(folder: Path) -> list[Figure]:
    """All figures."""
    rows = make_rows()
    bare = BareArm(folder / "bare.db", rows)
    start_ms, batch_ms = await fill(folder / "app", rows)
    store, tasks = SqliteStore(folder / "app"), Tasks()
    await store.open()

    async def open_new() -> object:
        chats = Conversations(tasks=tasks, store=store, clock=SystemClock())
        conversation = await chats.open("long")
        return conversation.turns.value[-1].text

    async def save() -> object:
        save.at += 1  # type: ignore[attr-defined]
        return await store.save_message("long", save.at, rows[1])  # type: ignore[attr-defined]

    save.at = MESSAGES  # type: ignore[attr-defined]
    exact_ms = await median_ms(lambda: store.find_messages("zephyrwort tokenizer"))
    alike_ms = await median_ms(lambda: store.find_messages("zephirwort tokeniser"))
    scan_ms = await median_ms(bare.search)
    open_ms, parse_ms = await median_ms(open_new), await median_ms(bare.open)
    save_ms, write_ms = await side_by_side_ms(save, bare.save)
    await tasks.close()
    await store.close()
    search, alike, opened, open_all, saved, batch, start = NAMES
    return [
        Figure.at_most(
            search, exact_ms / scan_ms, "x", SEARCH_LIMIT_RATIO, note=f"{exact_ms:.1f} ms; a scan {scan_ms:.1f}"
        ),
        Figure.at_most(alike, alike_ms / scan_ms, "x", 2 * SEARCH_LIMIT_RATIO, note=f"{alike_ms:.1f} ms, two slips"),
        Figure.at_most(
            opened, open_ms / parse_ms, "x", OPEN_LIMIT_RATIO, note=f"reading and parsing all: {parse_ms:.0f} ms"
        ),
        Figure.at_most(open_all, open_ms, "ms", OPEN_LIMIT_MS, note="rows read, tree built, the newest turn looked at"),
        Figure.at_most(saved, save_ms / write_ms, "x", SAVE_LIMIT_RATIO, note=f"{save_ms:.2f} ms with its index"),
        Figure.at_most(batch, batch_ms / scan_ms, "x", BATCH_LIMIT_RATIO, note=f"the longest wait: {batch_ms:.0f} ms"),
        Figure.at_most(start, start_ms, "ms", START_LIMIT_MS, note="with nothing indexed yet"),
    ]


def measure() -> list[Figure]:
    """The figures."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(run(Path(folder)))


if __name__ == "__main__":
    for figure in measure():
        print(figure)
