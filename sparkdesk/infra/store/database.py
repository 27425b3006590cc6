"""One SQLite file with one thread that reads and writes it.

The one rule: a method that returned has its change on the disk (WAL, synchronous=FULL); what fails is a StoreError that
says what to do, and no file is ever deleted: a damaged one is kept aside under its own name.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sparkdesk.core.errors import StoreError
from sparkdesk.infra.store import schema
from sparkdesk.infra.store.lock import FileLock

T = TypeVar("T")

BUSY_TIMEOUT_S = 5.0
_SIDE_FILES = ("", "-wal", "-shm")
_DAMAGE_CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

# Primary result code -> what happened, what to do. Source: sqlite.org/rescode.html.
_MEANINGS: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_FULL: ("The disk of this computer is full", "Free some space, then try again."),
    sqlite3.SQLITE_BUSY: ("Another program holds SparkDesk's database", "Close it, then try again."),
    sqlite3.SQLITE_LOCKED: ("SparkDesk's database is locked", "Try again in a moment."),
    sqlite3.SQLITE_CORRUPT: (
        "SparkDesk's database is damaged",
        "Start SparkDesk again: it keeps the damaged file aside.",
    ),
    sqlite3.SQLITE_NOTADB: (
        "SparkDesk's database is damaged",
        "Start SparkDesk again: it keeps the damaged file aside.",
    ),
    sqlite3.SQLITE_READONLY: ("SparkDesk's database cannot be written", "Check the rights of its folder."),
    sqlite3.SQLITE_PERM: ("SparkDesk may not open its database", "Check the rights of its folder."),
    sqlite3.SQLITE_CANTOPEN: ("SparkDesk's database cannot be opened", "Check its folder and the free space."),
    sqlite3.SQLITE_IOERR: ("The disk of this computer failed", "Check the disk and the free space."),
    sqlite3.SQLITE_NOMEM: ("This computer has no memory left", "Close other programs, then try again."),
    sqlite3.SQLITE_TOOBIG: ("This is too long to be saved", "Make it shorter."),
    sqlite3.SQLITE_CONSTRAINT: ("This does not fit into SparkDesk's database", "Please report this with the details."),
}


@contextmanager
def foreign_errors(path: Path) -> Iterator[None]:
    """Every error of sqlite3, and of the file system under it, becomes a StoreError here and nowhere else."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        usual = ("SparkDesk's database failed", "Start SparkDesk again; if it stays, report this with the details.")
        message, remedy = _MEANINGS.get(code & 0xFF, usual) if code is not None else usual
        raise StoreError(message, remedy=remedy, detail=f"{path}: {type(error).__name__}: {error}") from error
    except OSError as error:
        raise StoreError(
            f"{error.strerror or 'The disk failed'}: {path}",
            remedy="Check the folder's rights and the free space, then start SparkDesk again.",
            detail=str(error),
        ) from error


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the error says that the file is not a sound database."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DAMAGE_CODES


class Database:
    """The file, its lock and its thread. `path` None keeps everything in memory (a disk that cannot be written)."""

    def __init__(
        self, path: Path | None, migrations: tuple[str, ...] | None = None, *, is_durable: bool = True
    ) -> None:
        """`migrations` None: those of app.db. Unless `is_durable` a power cut may undo the last changes, no more."""
        self.path = path
        self._migrations = schema.MIGRATIONS if migrations is None else migrations
        self._is_durable = is_durable
        self.notice = ""
        """What the person should be told about how the file was opened; "" when all is well."""
        self.is_read_only = False
        self._lock = FileLock(path.with_name(path.name + ".lock")) if path is not None else None
        self._connection: sqlite3.Connection | None = None
        self._is_closed = False
        # Made on first use, ended by close(): one thread, so that every order of calls is the order on the disk.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")

    @property
    def _newest(self) -> int:
        return len(self._migrations)

    async def open(self) -> None:
        """Lock, check, migrate. Raises StoreError, also when another SparkDesk runs."""
        await self._do(self._open)

    async def read(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        """Run a question on the database's thread. Raises StoreError."""
        return await self._do(lambda: ask(self._opened()))

    async def write(self, change: Callable[[sqlite3.Connection], T], *, is_synced: bool = True) -> T:
        """Run a change in one transaction; it is on the disk when this returns. Raises StoreError.

        Unless `is_synced` it is with the operating system, and on the disk with the next change that is.
        """
        return await self._do(lambda: self._write(change) if is_synced else self._write_unsynced(change))

    async def close(self) -> None:
        """Close the file and give the lock back; safe to call twice."""
        if self._is_closed:
            return
        await self._do(self._close)
        self._is_closed = True
        self._thread.shutdown(wait=False)

    async def _do(self, work: Callable[[], T]) -> T:
        if self._is_closed:
            raise StoreError("SparkDesk's database is closed", remedy="Start SparkDesk again.")

        def mapped() -> T:
            with foreign_errors(self.path or Path(":memory:")):
                return work()

        return await asyncio.get_running_loop().run_in_executor(self._thread, mapped)

    # On the thread -------------------------------------------------------------------------------------------

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError("SparkDesk's database is not open", remedy="Start SparkDesk again.")
        return self._connection

    def _write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._opened()
        if self.is_read_only:
            raise StoreError(self.notice, remedy="Nothing is saved. Install the newer SparkDesk again.")
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = change(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return result

    def _write_unsynced(self, change: Callable[[sqlite3.Connection], T]) -> T:
        # In WAL mode NORMAL leaves out only the sync after a commit. Source: sqlite.org/pragma.html#pragma_synchronous.
        connection = self._opened()
        connection.execute("PRAGMA synchronous = NORMAL")
        try:
            return self._write(change)
        finally:
            if self._is_durable:
                connection.execute("PRAGMA synchronous = FULL")

    def _open(self) -> None:
        if self.path is None:
            self._connection = self._prepare(sqlite3.connect(":memory:", isolation_level=None))
            schema.migrate(self._connection, self._migrations)
            return
        self._secure_folder(self.path)
        if self._lock is not None and not self._lock.take():
            raise StoreError(
                "SparkDesk is already running",
                remedy="Use the window that is open, or close it first.",
                detail=f"{self.path}.lock is held by another process",
            )
        try:
            self._connection = self._open_file(self.path)
        except BaseException:
            if self._lock is not None:
                self._lock.release()
            raise

    def _open_file(self, path: Path) -> sqlite3.Connection:
        try:
            return self._open_sound(path)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            kept = keep_aside(path)
            self.notice = f"The database was damaged. It is kept as {kept.name}, and a new one was begun."
            return self._open_sound(path)

    def _open_sound(self, path: Path) -> sqlite3.Connection:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # so that it is never open to others, not even briefly
        if os.name == "posix":
            path.chmod(0o600)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_S)
        try:
            found = schema.version(connection)
            if found > self._newest:
                connection.close()
                return self._open_newer(path, found)
            self._prepare(connection)
            check = damage_in([str(row[0]) for row in connection.execute("PRAGMA quick_check(8)")])
            if check:
                raise _Damaged(check)
            if 0 < found < self._newest:
                back_up(connection, path.with_name(f"{path.name}.before-{self._newest}"))
            schema.migrate(connection, self._migrations)
        except BaseException:
            connection.close()
            raise
        return connection

    def _open_newer(self, path: Path, found: int) -> sqlite3.Connection:
        self.is_read_only = True
        self.notice = f"The database is from a newer SparkDesk (schema {found}; this one knows {self._newest})"
        uri = path.absolute().as_uri() + "?mode=ro"
        connection = sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_S
        )
        connection.text_factory = _decode
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        connection.text_factory = _decode
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if self._is_durable else 'NORMAL'}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")  # a file may come from a stranger
        return connection

    def _secure_folder(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name == "posix":
            path.parent.chmod(0o700)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._lock is not None:
            self._lock.release()


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def damage_in(lines: list[str]) -> str:
    """What a check of the file found; "" when it is sound.

    An index of text that is unsound is made anew from the messages; it is no damage of the file. Checks name one from
    SQLite 3.44 on. Source: sqlite.org/releaselog/3_44_0.html (xIntegrity), ext/fts5/fts5_main.c (its words).
    """
    return next((line for line in lines if line != "ok" and "inverted index for FTS5" not in line), "")


class _Damaged(sqlite3.DatabaseError):
    """`quick_check` found something; it reports in words, not by an error code of its own."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def keep_aside(path: Path) -> Path:
    """Rename a damaged database (with its side files) to a free name; gives the new name."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    target = path.with_name(f"{path.name}.damaged-{stamp}")
    number = 1
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}.damaged-{stamp}-{number}")
    for suffix in _SIDE_FILES:
        side = path.with_name(path.name + suffix)
        if side.exists():
            side.rename(target.with_name(target.name + suffix))
    return target


def back_up(connection: sqlite3.Connection, target: Path) -> None:
    """Copy the whole database to `target` (0600), replacing an older copy."""
    target.unlink(missing_ok=True)
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    copy = sqlite3.connect(target)
    try:
        connection.backup(copy)
    finally:
        copy.close()
