"""Means of what was measured, in history.db: for the charts after a restart.

The one rule: it stays small and is never in the way. Rows that are too old or too many go with every batch; a batch is
kept whole or not at all; the loss of the last one is no harm.
One row is one source's means of one moment: the keys of its values stand in a layout that many rows share, the values
lie packed, 4 bytes each. So 64 nodes with 40 quantities take about 4 MB an hour.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from sparkdesk.core.telemetry.past import Means, pack_row, stack_rows, unpack_rows
from sparkdesk.core.telemetry.series import Stretch
from sparkdesk.core.telemetry.shelf import Batch, Kept
from sparkdesk.infra.store.database import Database

log = logging.getLogger(__name__)

FILE_NAME = "history.db"
KEEP_MS = 48 * 3_600_000
MAX_BYTES = 32 << 20
"""Of rows; the file is a little larger."""
ROW_BYTES = 40
"""What SQLite takes for a row beside its values, about."""
MAX_RUNS = 200
MAX_SUMS = 1024
MAX_LAYOUT_BYTES = 64 << 10
PRUNE_EVERY = 30
"""Batches."""

MIGRATIONS: tuple[str, ...] = (
    # 1: means, the runs that wrote them, sums.
    """
    CREATE TABLE layouts (
        number INTEGER PRIMARY KEY,
        keys TEXT NOT NULL UNIQUE
    );
    CREATE TABLE sources (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE
    );
    CREATE TABLE means (
        t_ms INTEGER NOT NULL,
        source INTEGER NOT NULL,
        layout INTEGER NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (t_ms, source)
    ) WITHOUT ROWID;
    CREATE TABLE runs (
        number INTEGER PRIMARY KEY,
        begun_ms INTEGER NOT NULL,
        seen_ms INTEGER NOT NULL
    );
    CREATE TABLE sums (
        id TEXT PRIMARY KEY,
        t_ms INTEGER NOT NULL,
        data BLOB NOT NULL
    ) WITHOUT ROWID;
    """,
)


class SqliteHistory:
    """The means in one file of `folder`; `folder` None keeps them in memory only."""

    def __init__(self, folder: Path | None, *, keep_ms: int = KEEP_MS, max_bytes: int = MAX_BYTES) -> None:
        path = None if folder is None else folder / FILE_NAME
        self._database = Database(path, MIGRATIONS, is_durable=False)
        self._keep_ms = keep_ms
        self._max_bytes = max_bytes
        self._run = 0
        self._batches = 0
        self._layouts: dict[tuple[str, ...], int] = {}
        self._sources: dict[str, int] = {}

    @property
    def notice(self) -> str:
        """What a person should know about the file; "" when all is well."""
        return self._database.notice.replace("The database", "The history of charts", 1)

    async def open(self, now_ms: int, span_ms: int) -> Kept:
        """Open or begin the file; what it has of the last `span_ms`. A new run begins now. Raises StoreError."""
        await self._database.open()
        since_ms = now_ms - span_ms
        kept = await self._database.read(lambda db: _read(db, since_ms, now_ms))
        if not self._database.is_read_only:
            self._run = await self._database.write(lambda db: _begin_run(db, now_ms))
        return kept

    async def write(self, batch: Batch) -> None:
        """Keep a batch. Raises StoreError; then nothing of it is kept."""
        if not self._database.is_read_only:
            self._batches += 1
            await self._database.write(lambda db: self._write(db, batch))

    async def forget(self, source_id: str) -> None:
        """Let go of everything about a source. Raises StoreError."""

        def change(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM means WHERE source = (SELECT number FROM sources WHERE id = ?)", (source_id,))
            db.execute("DELETE FROM sums WHERE id = ?", (source_id,))

        if not self._database.is_read_only:
            await self._database.write(change)

    async def close(self) -> None:
        """Close the file; safe to call twice."""
        await self._database.close()

    # On the thread ------------------------------------------------------------------------------------------------

    def _write(self, db: sqlite3.Connection, batch: Batch) -> None:
        try:
            for source_id, means in batch.means:
                source, layout = self._number_source(db, source_id), self._number_layout(db, means.keys)
                rows = zip(means.times_ms.tolist(), means.values, strict=True)
                db.executemany(
                    "INSERT OR REPLACE INTO means VALUES (?, ?, ?, ?)",
                    [(t_ms, source, layout, pack_row(row)) for t_ms, row in rows],
                )
            db.executemany(
                "INSERT OR REPLACE INTO sums VALUES (?, ?, ?)",
                [(key, batch.t_ms, data) for key, data in batch.sums.items()],
            )
            db.execute("UPDATE runs SET seen_ms = max(seen_ms, ?) WHERE number = ?", (batch.t_ms, self._run))
            if self._batches % PRUNE_EVERY == 1:
                self._prune(db, batch.t_ms)
        except BaseException:
            # Numbers that were given in this batch are taken back with it.
            self._layouts.clear()
            self._sources.clear()
            raise

    def _number_layout(self, db: sqlite3.Connection, keys: tuple[str, ...]) -> int:
        if keys not in self._layouts:
            self._layouts[keys] = _number(db, "layouts", "keys", json.dumps(keys))
        return self._layouts[keys]

    def _number_source(self, db: sqlite3.Connection, source_id: str) -> int:
        if source_id not in self._sources:
            self._sources[source_id] = _number(db, "sources", "id", source_id)
        return self._sources[source_id]

    def _prune(self, db: sqlite3.Connection, now_ms: int) -> None:
        """Let go of the old, of a time to come (a clock was set back), and of the oldest beyond the size."""
        db.execute("DELETE FROM means WHERE t_ms < ? OR t_ms > ?", (now_ms - self._keep_ms, now_ms + self._keep_ms))
        taken = db.execute("SELECT coalesce(sum(length(data) + ?), 0), count(*) FROM means", (ROW_BYTES,)).fetchone()
        if taken[0] > self._max_bytes:
            # A tenth more than must go, so that it is not done for every batch.
            rows = int(taken[1] * (1.0 - 0.9 * self._max_bytes / taken[0]))
            limit = db.execute("SELECT t_ms FROM means ORDER BY t_ms LIMIT 1 OFFSET ?", (rows,)).fetchone()
            db.execute("DELETE FROM means WHERE t_ms < ?", (limit[0],))
        db.execute("DELETE FROM runs WHERE number <= ? AND number != ?", (self._run - MAX_RUNS, self._run))
        db.execute("DELETE FROM sums WHERE id NOT IN (SELECT id FROM sums ORDER BY t_ms DESC LIMIT ?)", (MAX_SUMS,))
        for table, column in (("layouts", "layout"), ("sources", "source")):
            db.execute(f"DELETE FROM {table} WHERE number NOT IN (SELECT DISTINCT {column} FROM means)")
        self._layouts.clear()
        self._sources.clear()


def _number(db: sqlite3.Connection, table: str, column: str, value: str) -> int:
    """The number of a layout or source, given when it is new."""
    value = value.encode("utf-8", "replace").decode()
    db.execute(f"INSERT OR IGNORE INTO {table} ({column}) VALUES (?)", (value,))
    return int(db.execute(f"SELECT number FROM {table} WHERE {column} = ?", (value,)).fetchone()[0])


def _begin_run(db: sqlite3.Connection, now_ms: int) -> int:
    db.execute("INSERT INTO runs (begun_ms, seen_ms) VALUES (?, ?)", (now_ms, now_ms))
    return int(db.execute("SELECT max(number) FROM runs").fetchone()[0])


def _read(db: sqlite3.Connection, since_ms: int, now_ms: int) -> Kept:
    """What there is of this stretch. What cannot be understood is left out: a file may come from anywhere."""
    layouts = {number: keys for number, text in db.execute("SELECT * FROM layouts") if (keys := _read_keys(text))}
    sources: dict[object, object] = dict(db.execute("SELECT * FROM sources").fetchall())
    found: dict[tuple[object, object], list[tuple[int, bytes]]] = {}
    rows = db.execute(
        "SELECT t_ms, source, layout, data FROM means WHERE t_ms >= ? AND t_ms <= ? ORDER BY t_ms", (since_ms, now_ms)
    )
    for t_ms, source, layout, data in rows:
        if isinstance(t_ms, int) and isinstance(data, bytes) and source in sources and layout in layouts:
            found.setdefault((source, layout), []).append((t_ms, data))
    parts: dict[str, list[Means]] = {}
    for (source, layout), means in found.items():
        parts.setdefault(str(sources[source]), []).append(unpack_rows(layouts[layout], means))
    return Kept(
        means={source_id: stack_rows(every) for source_id, every in parts.items()},
        closed=_closed(db.execute("SELECT begun_ms, seen_ms FROM runs ORDER BY begun_ms").fetchall(), since_ms, now_ms),
        sums={
            key: data
            for key, data in db.execute("SELECT id, data FROM sums ORDER BY t_ms DESC LIMIT ?", (MAX_SUMS,))
            if isinstance(key, str) and isinstance(data, bytes)
        },
    )


def _read_keys(text: object) -> tuple[str, ...]:
    try:
        keys = json.loads(text) if isinstance(text, str) and len(text) <= MAX_LAYOUT_BYTES else None
    except (ValueError, RecursionError):
        return ()
    is_sound = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    return tuple(keys) if is_sound and keys is not None and len(set(keys)) == len(keys) else ()


def _closed(runs: Sequence[tuple[object, object]], since_ms: int, now_ms: int) -> tuple[Stretch, ...]:
    """From the end of each run to the beginning of the next, the one of now included."""
    closed: list[Stretch] = []
    end_ms = 0
    for begun, seen in (*runs, (now_ms, now_ms)):
        if not isinstance(begun, int) or not isinstance(seen, int) or begun > now_ms:
            continue
        if end_ms and begun - end_ms > 0 and begun > since_ms:
            closed.append((end_ms, begun))
        end_ms = max(end_ms, min(seen, now_ms))
    return tuple(closed)
