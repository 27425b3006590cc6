"""`SqliteStore` is the `Store` port over app.db: each method is one question or one transaction.

The one rule: rows are read as if a stranger had written them; one that cannot be understood is skipped, counted and
named in `notice`, never an end of the program and never deleted.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sparkdesk.core.chat.search.said import said_in, said_of
from sparkdesk.core.chat.store.chat_store import FoundMessage
from sparkdesk.core.cluster.node import ClusterRecord
from sparkdesk.core.errors import StoreError
from sparkdesk.core.jobs.record import JobIntent, JobState
from sparkdesk.infra.store.chat_index import HEAD, ChatIndex, is_damaged_index
from sparkdesk.infra.store.database import Database
from sparkdesk.infra.store.piece import Unfinished, append_piece, forget_pieces, unfinished

T = TypeVar("T")
log = logging.getLogger(__name__)

FILE_NAME = "app.db"


class SqliteStore:
    """Clusters, jobs, journals and chats in one file of `folder`; `folder` None keeps them in memory only."""

    def __init__(self, folder: Path | None, *, index: ChatIndex | None = None) -> None:
        self._database = Database(None if folder is None else folder / FILE_NAME)
        self._index = ChatIndex() if index is None else index
        self._unread: list[str] = []

    async def open(self) -> None:
        """Open or begin the file. Raises StoreError: already running, full or read-only disk."""
        await self._database.open()
        await self._database.read(lambda db: self._index.prepare(db, is_read_only=self.is_read_only))

    async def close(self) -> None:
        """Close the file; safe to call twice."""
        await self._database.close()

    @property
    def notice(self) -> str:
        """What the person should know about the file (kept aside, read-only, unreadable rows); "" when all is well."""
        unread = f"Not understood and left alone: {', '.join(sorted(set(self._unread)))}." if self._unread else ""
        return " ".join(part for part in (self._database.notice, self._index.notice, unread) if part)

    @property
    def is_read_only(self) -> bool:
        """Whether a newer SparkDesk made the file, so that this one only reads it."""
        return self._database.is_read_only

    # Clusters -------------------------------------------------------------------------------------------------

    async def clusters(self) -> tuple[ClusterRecord, ...]:
        """Every cluster, oldest first, its nodes in order."""

        def ask(db: sqlite3.Connection) -> list[tuple[str, str, list[str]]]:
            nodes: dict[str, list[str]] = {}
            for cluster_id, data in db.execute("SELECT cluster_id, data FROM nodes ORDER BY cluster_id, position"):
                nodes.setdefault(cluster_id, []).append(data)
            rows = db.execute("SELECT id, data FROM clusters ORDER BY position, id").fetchall()
            return [(cluster_id, data, nodes.get(cluster_id, [])) for cluster_id, data in rows]

        found = []
        for cluster_id, data, nodes in await self._database.read(ask):
            record = self._understand(f"cluster {cluster_id}", partial(_cluster_from, data, nodes))
            if record is not None:
                found.append(record)
        return tuple(found)

    async def save_cluster(self, cluster: ClusterRecord) -> None:
        """Insert or replace a cluster with all its nodes."""
        data = cluster.to_json()
        nodes = data.pop("nodes")

        def change(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO clusters (id, position, data) VALUES "
                "(?, (SELECT coalesce(max(position), 0) + 1 FROM clusters), ?) "
                "ON CONFLICT (id) DO UPDATE SET data = excluded.data",
                (cluster.id, json.dumps(data)),
            )
            db.execute("DELETE FROM nodes WHERE cluster_id = ?", (cluster.id,))
            db.executemany(
                "INSERT INTO nodes (cluster_id, id, position, data) VALUES (?, ?, ?, ?)",
                [(cluster.id, node["id"], position, json.dumps(node)) for position, node in enumerate(nodes)],
            )

        await self._database.write(change)

    async def remove_cluster(self, cluster_id: str) -> None:
        """Forget a cluster and its nodes; its jobs' intents stay."""
        await self._execute("DELETE FROM clusters WHERE id = ?", cluster_id)

    # Jobs -----------------------------------------------------------------------------------------------------

    async def job_intents(self) -> tuple[JobIntent, ...]:
        """Every intent, newest first."""
        rows = await self._fetch(
            "SELECT job_id, cluster_id, created_ms, state, plan, message FROM job_intents "
            "ORDER BY created_ms DESC, rowid DESC"
        )
        found = (self._understand(f"job {row[0]}", partial(_intent_from, row)) for row in rows)
        return tuple(intent for intent in found if intent is not None)

    async def save_job_intent(self, intent: JobIntent) -> None:
        """Insert or replace an intent."""
        await self._execute(
            "INSERT INTO job_intents (job_id, cluster_id, created_ms, state, plan, message) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (job_id) DO UPDATE SET cluster_id = excluded.cluster_id, created_ms = excluded.created_ms, "
            "state = excluded.state, plan = excluded.plan, message = excluded.message",
            intent.job_id,
            intent.cluster_id,
            intent.created_ms,
            intent.state.value,
            intent.plan_json,
            _storable(intent.message),
        )

    async def remove_job_intent(self, job_id: str) -> None:
        """Forget an intent; no error when there is none."""
        await self._execute("DELETE FROM job_intents WHERE job_id = ?", job_id)

    # Journals -------------------------------------------------------------------------------------------------

    async def append_journal(self, run_id: str, entry: bytes) -> None:
        """Append one JSON entry to a run's journal, durably."""
        is_end = _kind_of(entry) == "run_ended"

        def change(db: sqlite3.Connection) -> None:
            db.execute("INSERT OR IGNORE INTO runs (id) VALUES (?)", (run_id,))
            db.execute("UPDATE runs SET is_ended = ? WHERE id = ?", (int(is_end), run_id))
            db.execute(
                "INSERT INTO journal (run_number, position, entry) SELECT number, "
                "(SELECT coalesce(max(position), 0) + 1 FROM journal WHERE run_number = number), ? "
                "FROM runs WHERE id = ?",
                (entry, run_id),
            )

        await self._database.write(change)

    async def journal(self, run_id: str) -> tuple[bytes, ...]:
        """A run's entries in order; empty when there is no such run."""
        rows = await self._fetch(
            "SELECT entry FROM journal JOIN runs ON number = run_number WHERE id = ? ORDER BY position", run_id
        )
        return tuple(_blob(row[0]) for row in rows)

    async def unfinished_runs(self) -> tuple[str, ...]:
        """Runs whose last entry is not their end, newest first."""
        return tuple(row[0] for row in await self._fetch("SELECT id FROM runs WHERE NOT is_ended ORDER BY number DESC"))

    async def recent_runs(self, limit: int) -> tuple[str, ...]:
        """The last runs, newest first."""
        return tuple(row[0] for row in await self._fetch("SELECT id FROM runs ORDER BY number DESC LIMIT ?", limit))

    # Chats ----------------------------------------------------------------------------------------------------

    async def save_session(self, session_id: str, title: str, meta: bytes) -> None:
        """Insert or replace a chat's title and meta JSON; its messages stay."""
        number, is_new = await self._database.write(lambda db: self._save_head(db, session_id, title, meta))
        if is_new:
            said = said_of(title, meta)
            await self._change_index(lambda db: self._index.put(db, number, HEAD, said))

    async def save_chat(self, session_id: str, title: str, meta: bytes, messages: Mapping[int, bytes]) -> None:
        """Insert a whole chat at once; its words wait for the index."""

        def change(db: sqlite3.Connection) -> None:
            number, _ = self._save_head(db, session_id, title, meta)
            rows = [(number, position) for position in messages]
            db.executemany(
                "INSERT OR REPLACE INTO messages (session_number, position, message) VALUES (?, ?, ?)",
                [(*row, messages[row[1]]) for row in rows],
            )
            db.executemany("INSERT OR IGNORE INTO to_index VALUES (?, ?)", rows)

        await self._database.write(change)

    async def sessions(self) -> Sequence[tuple[str, str, bytes]]:
        """(id, title, meta JSON), the newest first."""
        rows = await self._fetch("SELECT id, title, meta FROM sessions ORDER BY number DESC")
        return tuple((str(row[0]), str(row[1]), _blob(row[2])) for row in rows)

    async def session(self, session_id: str) -> tuple[str, bytes] | None:
        """A chat's title and meta JSON."""
        rows = await self._fetch("SELECT title, meta FROM sessions WHERE id = ?", session_id)
        return (str(rows[0][0]), _blob(rows[0][1])) if rows else None

    async def remove_session(self, session_id: str) -> None:
        """Forget a chat with all its messages; no error when there is none."""

        def change(db: sqlite3.Connection) -> int | None:
            number = _number_of(db, session_id)
            db.execute("DELETE FROM sessions WHERE id = ?", (session_id,))
            return number

        number = await self._database.write(change)
        if number is not None:
            await self._change_index(lambda db: self._index.forget(db, number))

    async def save_message(self, session_id: str, position: int, message: bytes) -> None:
        """Insert or replace one message (JSON) of a chat, which is begun if it is not there."""

        def change(db: sqlite3.Connection) -> int:
            db.execute("INSERT OR IGNORE INTO sessions (id, title, meta) VALUES (?, '', ?)", (session_id, b"{}"))
            number = _number_of(db, session_id) or 0
            db.execute(
                "INSERT OR REPLACE INTO messages (session_number, position, message) VALUES (?, ?, ?)",
                (number, position, message),
            )
            forget_pieces(db, session_id, position)
            self._index.wait(db, number, position)
            return number

        number = await self._database.write(change)
        said = said_in(message)
        if not said.is_open:
            await self._change_index(lambda db: self._index.put(db, number, position, said))

    async def append_piece(self, session_id: str, position: int, piece: bytes, *, is_synced: bool = False) -> None:
        """Add to a message that is being written; see `piece`."""
        await self._database.write(lambda db: append_piece(db, session_id, position, piece), is_synced=is_synced)

    async def unfinished_messages(self) -> tuple[Unfinished, ...]:
        """The messages that were being written when the program ended."""
        return await self._database.read(unfinished)

    async def remove_messages(self, session_id: str, from_position: int) -> None:
        """Forget a chat's messages from this position on (an answer that is made again)."""

        def change(db: sqlite3.Connection) -> int | None:
            number = _number_of(db, session_id)
            values = (number, from_position)
            db.execute("DELETE FROM messages WHERE session_number = ? AND position >= ?", values)
            db.execute("DELETE FROM to_index WHERE session_number = ? AND position >= ?", values)
            return number

        number = await self._database.write(change)
        if number is not None:
            await self._change_index(lambda db: self._index.forget(db, number, max(0, from_position)))

    async def messages(self, session_id: str) -> tuple[bytes, ...]:
        """A chat's messages in order."""
        wanted = "SELECT message FROM messages JOIN sessions ON number = session_number WHERE id = ? ORDER BY position"
        return await self._database.read(
            lambda db: tuple(_blob(message) for (message,) in db.execute(wanted, (session_id,)))
        )

    async def find_messages(self, words: str, *, limit: int = 50) -> tuple[FoundMessage, ...]:
        """Messages that have these words or words like them, the nearest first; a few of each chat."""
        try:
            return await self._database.read(lambda db: self._index.find(db, words, limit))
        except StoreError as error:
            if not is_damaged_index(error.__cause__):
                raise
            await self._rebuild_index(error)
            return await self._database.read(lambda db: self._index.read_through(db, words, limit))

    async def index_chats(self) -> int:
        """Index a batch of what waits; how much waits still."""
        if self.is_read_only or not self._index.is_there:
            return 0
        return await self._database.write(self._index.index_some, is_synced=False)

    async def _change_index(self, change: Callable[[sqlite3.Connection], None]) -> None:
        """Change the index after what it is of was kept. What fails here costs nothing: it waits for the index."""
        if not self._index.is_there:
            return
        try:
            await self._database.write(change, is_synced=False)
        except StoreError as error:
            if is_damaged_index(error.__cause__):
                await self._rebuild_index(error)
            else:
                log.warning("not indexed yet: %s", error.sentence())

    async def _rebuild_index(self, error: StoreError) -> None:
        log.warning("the index of chats is damaged and is made anew: %s", error.detail)
        try:
            await self._database.write(self._index.rebuild)
        except StoreError as worse:
            log.warning("the index of chats cannot be made anew: %s", worse.sentence())

    def _save_head(self, db: sqlite3.Connection, session_id: str, title: str, meta: bytes) -> tuple[int, bool]:
        """A chat's number in the file, and whether what is searched of its head is new."""
        old = db.execute("SELECT title, meta FROM sessions WHERE id = ?", (session_id,)).fetchone()
        db.execute(
            "INSERT INTO sessions (id, title, meta) VALUES (?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET title = excluded.title, meta = excluded.meta",
            (session_id, _storable(title), meta),
        )
        number = _number_of(db, session_id) or 0
        is_new = old is None or said_of(str(old[0]), _blob(old[1])) != said_of(title, meta)
        if is_new:
            self._index.wait(db, number, HEAD)
        return number, is_new

    async def save_attachment(self, session_id: str, digest: str, data: bytes) -> None:
        """Keep the bytes of an image of a chat, which is begun if it is not there."""

        def change(db: sqlite3.Connection) -> None:
            db.execute("INSERT OR IGNORE INTO sessions (id, title, meta) VALUES (?, '', ?)", (session_id, b"{}"))
            db.execute(
                "INSERT OR IGNORE INTO attachments SELECT number, ?, ? FROM sessions WHERE id = ?",
                (digest, data, session_id),
            )

        await self._database.write(change)

    async def drop_attachments(self, session_id: str, digests: Collection[str]) -> None:
        """Delete images of a chat."""

        def change(db: sqlite3.Connection) -> None:
            number = _number_of(db, session_id)
            rows = [(digest, number) for digest in digests]
            db.executemany("DELETE FROM attachments WHERE digest = ? AND session_number = ?", rows)

        await self._database.write(change)

    async def attachment(self, digest: str) -> bytes | None:
        """The bytes that were kept under this digest."""
        rows = await self._fetch("SELECT data FROM attachments WHERE digest = ? LIMIT 1", digest)
        return _blob(rows[0][0]) if rows else None

    async def save_vectors(self, session_id: str, model: str, vectors: Mapping[str, bytes]) -> None:
        """Insert or replace vectors of a chat's pieces; nothing is kept for a chat that is not stored."""

        def change(db: sqlite3.Connection) -> None:
            db.executemany(
                "INSERT OR REPLACE INTO vectors SELECT number, ?, ?, ? FROM sessions WHERE id = ?",
                [(model, piece, vector, session_id) for piece, vector in vectors.items()],
            )

        await self._database.write(change)

    async def vectors(self, session_id: str, model: str) -> dict[str, bytes]:
        """The vectors of a chat's pieces that this model made, by key."""
        rows = await self._fetch(
            "SELECT piece, vector FROM vectors JOIN sessions ON number = session_number WHERE id = ? AND model = ?",
            session_id,
            model,
        )
        return {str(row[0]): _blob(row[1]) for row in rows}

    # Documents ------------------------------------------------------------------------------------------------

    async def documents(self, kind: str) -> dict[str, bytes]:
        """Everything that was kept under this kind, JSON by id."""
        rows = await self._fetch("SELECT id, data FROM documents WHERE kind = ? ORDER BY id", kind)
        return {str(row[0]): _blob(row[1]) for row in rows}

    async def save_document(self, kind: str, document_id: str, data: bytes) -> None:
        """Insert or replace one JSON document."""
        await self._execute("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", kind, document_id, data)

    async def remove_document(self, kind: str, document_id: str) -> None:
        """Forget a document; no error when there is none."""
        await self._execute("DELETE FROM documents WHERE kind = ? AND id = ?", kind, document_id)

    # Inside ---------------------------------------------------------------------------------------------------

    async def _fetch(self, sql: str, *values: object) -> list[Any]:
        return await self._database.read(lambda db: db.execute(sql, values).fetchall())

    async def _execute(self, sql: str, *values: object) -> None:
        await self._database.write(lambda db: db.execute(sql, values))

    def _understand(self, what: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            log.warning("%s in the database is not understood: %s", what, error)
            self._unread.append(what)
            return None


def _cluster_from(data: str, nodes: list[str]) -> ClusterRecord:
    return ClusterRecord.from_json({**json.loads(data), "nodes": [json.loads(node) for node in nodes]})


def _intent_from(row: tuple[Any, ...]) -> JobIntent:
    job_id, cluster_id, created_ms, state, plan, message = row
    return JobIntent(
        job_id=str(job_id),
        cluster_id=str(cluster_id),
        created_ms=int(created_ms),
        state=JobState(state),
        plan_json=_blob(plan),
        message=str(message),
    )


def _number_of(db: sqlite3.Connection, session_id: str) -> int | None:
    row = db.execute("SELECT number FROM sessions WHERE id = ?", (session_id,)).fetchone()
    return None if row is None else int(row[0])


def _blob(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


def _storable(text: str) -> str:
    """Text that SQLite can hold: half characters, which a hostile name may have, become U+FFFD."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _kind_of(entry: bytes) -> str:
    try:
        value = json.loads(entry)
    except (ValueError, RecursionError):
        return ""
    return str(value.get("kind", "")) if isinstance(value, dict) else ""
