"""The store: what was acknowledged is there after a kill, and a bad file is told and kept, never lost."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sparkdesk.core.cluster.node import ClusterRecord, NodeRecord
from sparkdesk.core.errors import StoreError
from sparkdesk.core.jobs.record import JobIntent, JobState
from sparkdesk.infra.store import SqliteStore, schema
from sparkdesk.infra.store.database import foreign_errors

NODE = NodeRecord("n1", "spark-1", "127.77.0.1", 22, "spark", host_key="ssh-ed25519 AAAA")
CLUSTER = ClusterRecord("c1", "Mine", (NODE, NodeRecord("n2", "spark-2", "::1", 2222, "bob")), is_simulated=True)
INTENT = JobIntent("job1", "c1", 5, JobState.STARTING, b'{"schema":1}', "a message")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(folder)
    await store.open()
    yield store
    await store.close()


def modes_in(folder: Path) -> dict[str, int]:
    """The permission bits of a folder and of each file in it."""
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}


def start_writer(folder: Path) -> subprocess.Popen[bytes]:
    """A process that appends to the journal and prints a line for each entry that was acknowledged."""
    return subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(folder)], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": "."}
    )


async def reopened(folder: Path) -> SqliteStore:
    store = SqliteStore(folder)
    await store.open()
    return store


async def test_clusters_come_back_with_their_nodes_in_order(store: SqliteStore) -> None:
    await store.save_cluster(CLUSTER)
    await store.save_cluster(ClusterRecord("c0", "Later", ()))
    assert await store.clusters() == (CLUSTER, ClusterRecord("c0", "Later", ()))
    fewer = ClusterRecord("c1", "Renamed", (NODE,))
    await store.save_cluster(fewer)
    assert (await store.clusters())[0] == fewer
    await store.remove_cluster("c1")
    assert [cluster.id for cluster in await store.clusters()] == ["c0"]


async def test_intents_come_back_newest_first_and_are_replaced(store: SqliteStore) -> None:
    await store.save_job_intent(INTENT)
    newer = JobIntent("job2", "c1", 9, JobState.READY, b"\xff\x00", "half \ud800 character")
    await store.save_job_intent(newer)
    ended = JobIntent("job1", "c1", 5, JobState.STOPPED, INTENT.plan_json)
    await store.save_job_intent(ended)
    first, second = await store.job_intents()
    assert first.plan_json == b"\xff\x00"
    assert first.message == "half ? character"
    assert second == ended
    await store.remove_job_intent("job2")
    assert await store.job_intents() == (ended,)


async def test_a_run_is_unfinished_until_its_last_entry_says_its_end(store: SqliteStore) -> None:
    await store.append_journal("r1", b'{"kind":"run_started"}')
    await store.append_journal("r2", b'{"kind":"run_started"}')
    assert await store.unfinished_runs() == ("r2", "r1")
    await store.append_journal("r2", b'{"kind":"run_ended","result":"done"}')
    assert await store.unfinished_runs() == ("r1",)
    await store.append_journal("r2", b'{"kind":"step_started"}')
    assert await store.unfinished_runs() == ("r2", "r1")
    assert await store.journal("r1") == (b'{"kind":"run_started"}',)
    assert len(await store.journal("r2")) == 3
    assert await store.journal("none") == ()


async def test_chats_keep_their_messages_until_they_are_removed(store: SqliteStore) -> None:
    await store.save_session("s1", "Old", b"{}")
    await store.save_message("s2", 1, b'"b"')
    await store.save_message("s2", 0, b'"a"')
    await store.save_session("s2", "New", b'{"x":1}')
    await store.save_message("s2", 1, b'"c"')
    assert await store.sessions() == (("s2", "New", b'{"x":1}'), ("s1", "Old", b"{}"))
    assert await store.messages("s2") == (b'"a"', b'"c"')
    await store.remove_messages("s2", 1)
    assert await store.messages("s2") == (b'"a"',)
    await store.remove_session("s2")
    assert await store.messages("s2") == ()


async def test_everything_is_there_after_opening_again(folder: Path) -> None:
    store = await reopened(folder)
    await store.save_cluster(CLUSTER)
    await store.save_job_intent(INTENT)
    await store.close()
    again = await reopened(folder)
    assert await again.clusters() == (CLUSTER,)
    assert await again.job_intents() == (INTENT,)
    assert again.notice == ""
    await again.close()


async def test_the_file_is_for_its_owner_alone(store: SqliteStore, folder: Path) -> None:
    await store.save_cluster(CLUSTER)
    modes = modes_in(folder)
    assert modes.pop(folder.name) == 0o700
    assert {"app.db", "app.db-wal", "app.db.lock"} <= modes.keys()
    assert set(modes.values()) == {0o600}


async def test_a_second_program_is_told_that_one_runs(store: SqliteStore, folder: Path) -> None:
    with pytest.raises(StoreError, match="already running"):
        await reopened(folder)
    await store.save_cluster(CLUSTER)


async def test_a_full_disk_is_told_as_such_and_what_was_there_stays(store: SqliteStore, folder: Path) -> None:
    await store.save_cluster(CLUSTER)
    # SQLite's own limit gives the code that a full disk gives.
    await store._database.read(lambda db: db.execute("PRAGMA max_page_count = 1").fetchone())
    with pytest.raises(StoreError, match="disk of this computer is full"):
        await store.append_journal("r", b"x" * 100_000)
    assert await store.clusters() == (CLUSTER,)
    assert await store.journal("r") == ()


async def test_a_transaction_that_fails_half_way_leaves_nothing(store: SqliteStore) -> None:
    twice = ClusterRecord("c9", "Twice", (NODE, NODE))
    with pytest.raises(StoreError):
        await store.save_cluster(twice)
    assert await store.clusters() == ()
    await store.save_cluster(CLUSTER)


@pytest.mark.parametrize("damage", ["not a database", "a torn page", "empty pages"])
async def test_a_damaged_file_is_kept_aside_and_a_fresh_one_begun(folder: Path, damage: str) -> None:
    store = await reopened(folder)
    await store.save_cluster(CLUSTER)
    for number in range(50):
        await store.append_journal("r", b"y" * 500 + str(number).encode())
    await store.close()
    path = folder / "app.db"
    content = bytearray(path.read_bytes())
    if damage == "not a database":
        content[:] = b"hello" * 1000
    elif damage == "a torn page":
        content[4096:12288] = os.urandom(8192)
    else:
        content[100:] = bytes(len(content) - 100)
    path.write_bytes(content)
    again = await reopened(folder)
    (kept,) = [name for name in modes_in(folder) if "damaged" in name]
    assert (folder / kept).read_bytes() == bytes(content)
    assert kept in again.notice
    assert await again.clusters() == ()
    await again.save_cluster(CLUSTER)
    await again.close()


async def test_a_newer_file_is_read_and_never_written(folder: Path) -> None:
    store = await reopened(folder)
    await store.save_cluster(CLUSTER)
    await store.close()
    with sqlite3.connect(folder / "app.db") as db:
        db.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
    db.close()
    newer = await reopened(folder)
    assert newer.is_read_only
    assert await newer.clusters() == (CLUSTER,)
    with pytest.raises(StoreError, match="newer SparkDesk"):
        await newer.save_cluster(CLUSTER)
    await newer.close()


async def test_an_older_file_is_copied_before_it_is_changed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await reopened(folder)
    await store.save_cluster(CLUSTER)
    await store.close()
    later = (*schema.MIGRATIONS, "CREATE TABLE more (id TEXT);")
    monkeypatch.setattr(schema, "MIGRATIONS", later)
    again = await reopened(folder)
    assert await again.clusters() == (CLUSTER,)
    assert await again._database.read(schema.version) == len(later)
    await again.close()
    copy = sqlite3.connect(folder / f"app.db.before-{len(later)}")
    assert schema.version(copy) == len(later) - 1
    assert copy.execute("SELECT count(*) FROM clusters").fetchone() == (1,)
    copy.close()


def test_a_migration_that_fails_changes_nothing() -> None:
    db = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(db)
    with pytest.raises(sqlite3.Error):
        schema.migrate(db, (*schema.MIGRATIONS, "CREATE TABLE more (id TEXT); CREATE TABLE clusters (id TEXT);"))
    assert schema.version(db) == len(schema.MIGRATIONS)
    assert db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'more'").fetchone() == (0,)
    db.close()


async def test_rows_that_are_not_understood_are_named_and_left_alone(folder: Path) -> None:
    store = await reopened(folder)
    await store.save_cluster(CLUSTER)
    await store.save_cluster(ClusterRecord("c2", "Bad", ()))
    await store.save_job_intent(INTENT)
    await store.close()
    with sqlite3.connect(folder / "app.db") as db:
        db.execute("UPDATE clusters SET data = '[1' WHERE id = 'c2'")
        db.execute("UPDATE job_intents SET state = 'dancing'")
    db.close()
    again = await reopened(folder)
    assert await again.clusters() == (CLUSTER,)
    assert await again.job_intents() == ()
    assert "cluster c2" in again.notice
    assert "job job1" in again.notice
    await again.close()


async def test_without_a_folder_everything_is_kept_in_memory() -> None:
    store = SqliteStore(None)
    await store.open()
    await store.save_cluster(CLUSTER)
    assert await store.clusters() == (CLUSTER,)
    await store.close()
    await store.close()
    with pytest.raises(StoreError, match="closed"):
        await store.clusters()


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as caught:
        await reopened(tmp_path / "file" / "data")
    assert caught.value.remedy


def test_no_error_of_sqlite_escapes() -> None:
    def all_of(kind: type[BaseException]) -> set[type[BaseException]]:
        return {kind}.union(*(all_of(child) for child in kind.__subclasses__()))

    kinds = all_of(sqlite3.Error)
    assert len(kinds) >= 9
    for kind in kinds:
        with pytest.raises(StoreError), foreign_errors(Path("app.db")):
            raise kind("seen")


_WRITER = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from sparkdesk.infra.store import SqliteStore

    async def main():
        store = SqliteStore(Path(sys.argv[1]))
        await store.open()
        for number in range(1_000_000):
            await store.append_journal("r", b'{"kind":"n","n":%d}' % number)
            print(number, flush=True)

    asyncio.run(main())
    """
)


async def test_what_was_acknowledged_is_there_after_a_kill(folder: Path) -> None:
    rng = random.Random(20)
    expected = 0
    for _ in range(20):
        child = start_writer(folder)
        assert child.stdout is not None
        child.stdout.readline()  # it has opened and begun
        await asyncio.sleep(rng.uniform(0.0, 0.05))
        child.kill()
        expected += 1 + len(child.stdout.read().splitlines())
        child.wait()
        child.stdout.close()
    store = await reopened(folder)
    assert store.notice == ""
    entries = await store.journal("r")
    # At most one more for each kill: on the disk, but not yet acknowledged.
    assert expected <= len(entries) <= expected + 20
    assert await store._database.read(lambda db: db.execute("PRAGMA integrity_check").fetchone()) == ("ok",)
    await store.close()


async def test_writing_never_blocks_the_loop(store: SqliteStore) -> None:
    late: list[float] = []

    async def beat() -> None:
        for _ in range(20):
            before = time.monotonic()
            await asyncio.sleep(0.001)
            late.append(time.monotonic() - before)

    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(_: sqlite3.Connection) -> None:
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(10)

    writing = asyncio.gather(store._database.write(slow))
    await beat()  # would never end if the loop waited for the thread
    assert not writing.done()
    release.set()
    await writing


async def test_documents_are_kept_by_kind(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    await store.open()
    await store.save_document("forward", "a", b"{}")
    await store.save_document("forward", "a", b'{"port":1}')
    await store.save_document("details", "a", b"{}")
    await store.remove_document("details", "a")
    await store.close()
    again = SqliteStore(tmp_path)
    await again.open()
    assert await again.documents("forward") == {"a": b'{"port":1}'}
    assert await again.documents("details") == {}
    await again.close()
