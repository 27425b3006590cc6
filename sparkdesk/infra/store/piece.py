"""Pieces of answers that are being written: what was shown is on the disk before it is shown.

The one rule: a piece is added behind the others and never touched again, so that a token costs the same however long
the answer is. The pieces go when their message is saved whole, in the same transaction.

A piece is handed to the operating system when `append_piece` returns: the end of the program, however hard, loses
none. Only the death of the whole computer can lose the pieces since the last one that was synced.
"""

from __future__ import annotations

import sqlite3

Unfinished = tuple[str, int, bytes, tuple[bytes, ...]]
"""Session, position, the message as it was saved before, the pieces in order."""

_APPEND = "INSERT INTO pieces (session_number, position, piece) SELECT number, ?, ? FROM sessions WHERE id = ?"
_UNFINISHED = (
    "SELECT sessions.id, pieces.position, messages.message, pieces.piece FROM pieces "
    "JOIN sessions ON sessions.number = pieces.session_number "
    "JOIN messages ON messages.session_number = pieces.session_number AND messages.position = pieces.position "
    "ORDER BY pieces.number"
)


def append_piece(db: sqlite3.Connection, session_id: str, position: int, piece: bytes) -> None:
    """Add a piece to a message that is being written; nothing is kept for a chat that is not stored."""
    db.execute(_APPEND, (position, piece, session_id))


def forget_pieces(db: sqlite3.Connection, session_id: str, position: int) -> None:
    """The message is saved whole."""
    db.execute(
        "DELETE FROM pieces WHERE position = ? AND session_number = (SELECT number FROM sessions WHERE id = ?)",
        (position, session_id),
    )


def unfinished(db: sqlite3.Connection) -> tuple[Unfinished, ...]:
    """The messages that have pieces, each once."""
    found: dict[tuple[str, int], tuple[bytes, list[bytes]]] = {}
    for session_id, position, message, piece in db.execute(_UNFINISHED):
        if isinstance(message, bytes) and isinstance(piece, bytes):
            found.setdefault((str(session_id), int(position)), (message, []))[1].append(piece)
    return tuple((*key, message, tuple(pieces)) for key, (message, pieces) in found.items())
