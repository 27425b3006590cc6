"""The tables of app.db and how an older file becomes a newer one.

The one rule: forward only. A migration that was released is never changed; a new one is added at the end, and the file
is copied before it runs. `PRAGMA user_version` is the number of the last migration that ran.
"""

from __future__ import annotations

import sqlite3

MIGRATIONS: tuple[str, ...] = (
    # 1: clusters with their trusted nodes, intents, journals, chats.
    """
    CREATE TABLE clusters (
        id TEXT PRIMARY KEY,
        position INTEGER NOT NULL,
        data TEXT NOT NULL
    );
    CREATE TABLE nodes (
        cluster_id TEXT NOT NULL REFERENCES clusters(id) ON DELETE CASCADE,
        id TEXT NOT NULL,
        position INTEGER NOT NULL,
        data TEXT NOT NULL,
        PRIMARY KEY (cluster_id, id)
    );
    CREATE TABLE job_intents (
        job_id TEXT PRIMARY KEY,
        cluster_id TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        state TEXT NOT NULL,
        plan BLOB NOT NULL,
        message TEXT NOT NULL
    );
    CREATE TABLE runs (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        is_ended INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE journal (
        run_number INTEGER NOT NULL REFERENCES runs(number) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        entry BLOB NOT NULL,
        PRIMARY KEY (run_number, position)
    ) WITHOUT ROWID;
    CREATE TABLE sessions (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        title TEXT NOT NULL,
        meta BLOB NOT NULL
    );
    CREATE TABLE messages (
        session_number INTEGER NOT NULL REFERENCES sessions(number) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        message BLOB NOT NULL,
        PRIMARY KEY (session_number, position)
    ) WITHOUT ROWID;
    """,
    # 2: what is kept about nodes beside their records: forwards, details, field reports.
    """
    CREATE TABLE documents (
        kind TEXT NOT NULL,
        id TEXT NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (kind, id)
    ) WITHOUT ROWID;
    """,
    # 3: what goes along with chats: images, vectors of their pieces, what of them waits for the
    # search index, and the pieces of answers that are being written.
    """
    CREATE TABLE to_index (
        session_number INTEGER NOT NULL REFERENCES sessions(number) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        PRIMARY KEY (session_number, position)
    ) WITHOUT ROWID;
    INSERT INTO to_index SELECT number, -1 FROM sessions;
    INSERT INTO to_index SELECT session_number, position FROM messages;
    CREATE TABLE attachments (
        session_number INTEGER NOT NULL REFERENCES sessions(number) ON DELETE CASCADE,
        digest TEXT NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (digest, session_number)
    );
    CREATE TABLE vectors (
        session_number INTEGER NOT NULL REFERENCES sessions(number) ON DELETE CASCADE,
        model TEXT NOT NULL,
        piece TEXT NOT NULL,
        vector BLOB NOT NULL,
        PRIMARY KEY (session_number, model, piece)
    ) WITHOUT ROWID;
    CREATE TABLE pieces (
        number INTEGER PRIMARY KEY,
        session_number INTEGER NOT NULL REFERENCES sessions(number) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        piece BLOB NOT NULL
    );
    """,
)


def version(connection: sqlite3.Connection) -> int:
    """The number of the last migration that ran on this file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, migrations: tuple[str, ...] = MIGRATIONS) -> None:
    """Run what is missing, each migration whole or not at all."""
    for number in range(version(connection) + 1, len(migrations) + 1):
        script = f"BEGIN IMMEDIATE;\n{migrations[number - 1]}\nPRAGMA user_version = {number};\nCOMMIT;"
        try:
            connection.executescript(script)
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
