"""What survives the end of the program, in SQLite. The one rule: sqlite3 is known nowhere but in this package."""

from sparkdesk.infra.store.sqlite_store import SqliteStore

__all__ = ["SqliteStore"]
