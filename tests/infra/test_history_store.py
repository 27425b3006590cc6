"""The history: what was kept is there after a restart, it stays small, and a bad file ends nothing."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from sparkdesk.core.telemetry.past import STEP_MS, Means
from sparkdesk.core.telemetry.shelf import Batch, Kept
from sparkdesk.infra.store.history_store import FILE_NAME, SqliteHistory

NOW = 1_900_000_000_000
HOUR = 3_600_000


def means(first_ms: int, rows: int, keys: tuple[str, ...] = ("gpu_util", "load1")) -> Means:
    times = np.arange(rows, dtype=np.int64) * STEP_MS + first_ms
    return Means(times, keys, np.arange(rows * len(keys), dtype=np.float64).reshape(rows, len(keys)))


async def opened(folder: Path | None, now_ms: int = NOW, **limits: int) -> tuple[SqliteHistory, Kept]:
    store = SqliteHistory(folder, **limits)
    return store, await store.open(now_ms, HOUR)


async def test_what_was_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    store, kept = await opened(tmp_path)
    assert (kept.means, kept.closed, kept.sums) == ({}, (), {})
    rows = means(NOW, 6)
    rows.values[2, 1] = np.nan
    await store.write(Batch(NOW + 60_000, [("n1", rows)], {"n1": b'{"joule": 5}'}))
    await store.write(Batch(NOW + 80_000, [("n1", means(NOW + 60_000, 2, ("load1", "load5")))]))
    await store.close()
    again, kept = await opened(tmp_path, NOW + 600_000)
    found = kept.means["n1"]
    assert found.keys == ("gpu_util", "load1", "load5")
    assert found.times_ms.tolist() == [NOW + step * STEP_MS for step in range(8)]
    np.testing.assert_array_equal(found.values[:6, :2], rows.values)
    assert np.isnan(found.values[:6, 2]).all()
    assert np.isnan(found.values[6:, 0]).all()
    assert kept.closed == ((NOW + 80_000, NOW + 600_000),)
    assert kept.sums == {"n1": b'{"joule": 5}'}
    await again.close()


async def test_only_the_stretch_that_is_asked_for_is_read(tmp_path: Path) -> None:
    store, _ = await opened(tmp_path)
    await store.write(Batch(NOW, [("n1", means(NOW - 2 * HOUR, 10)), ("n2", means(NOW - HOUR // 2, 3))]))
    await store.close()
    again, kept = await opened(tmp_path, NOW + 1000)
    assert set(kept.means) == {"n2"}
    await again.close()


async def test_what_is_too_old_or_of_a_time_to_come_goes(tmp_path: Path) -> None:
    store, _ = await opened(tmp_path, keep_ms=2 * HOUR)
    parts = [means(NOW - 3 * HOUR, 5), means(NOW - HOUR, 5), means(NOW + 5 * HOUR, 5)]
    await store.write(Batch(NOW, [("n1", part) for part in parts]))
    rows = await store._database.read(lambda db: db.execute("SELECT t_ms FROM means ORDER BY t_ms").fetchall())
    assert [row[0] for row in rows] == parts[1].times_ms.tolist()
    await store.close()


async def test_the_oldest_rows_make_room_when_it_grows_too_large(tmp_path: Path) -> None:
    store, _ = await opened(tmp_path, max_bytes=200_000)
    for hour in range(20):
        nodes = [
            (f"n{node}", means(NOW + hour * 100_000, 10, tuple(f"k{key}" for key in range(40)))) for node in range(8)
        ]
        store._batches = 0  # as if it were time to look at the size
        await store.write(Batch(NOW + hour * 100_000, nodes))
    count, first, last = await store._database.read(
        lambda db: db.execute("SELECT count(*), min(t_ms), max(t_ms) FROM means").fetchone()
    )
    assert 600 < count < 1010
    assert first > NOW + 500_000
    assert last == NOW + 1_990_000
    await store.close()


async def test_names_that_nothing_uses_any_more_go(tmp_path: Path) -> None:
    store, _ = await opened(tmp_path, keep_ms=HOUR)
    await store.write(Batch(NOW, [("old", means(NOW, 2, ("a",)))]))
    store._batches = 0
    await store.write(Batch(NOW + 3 * HOUR, [("new", means(NOW + 3 * HOUR, 2, ("b",)))]))
    names = await store._database.read(lambda db: db.execute("SELECT id FROM sources").fetchall())
    layouts = await store._database.read(lambda db: db.execute("SELECT keys FROM layouts").fetchall())
    assert (names, layouts) == ([("new",)], [('["b"]',)])
    await store.write(Batch(NOW + 3 * HOUR, [("old", means(NOW + 3 * HOUR, 2, ("a",)))]))
    await store.close()
    again, kept = await opened(tmp_path, NOW + 3 * HOUR + 60_000)
    assert {source: found.keys for source, found in kept.means.items()} == {"new": ("b",), "old": ("a",)}
    await again.close()


async def test_a_source_can_be_forgotten(tmp_path: Path) -> None:
    store, _ = await opened(tmp_path)
    await store.write(Batch(NOW, [("n1", means(NOW, 2)), ("n2", means(NOW, 2))], {"n1": b"{}", "n2": b"{}"}))
    await store.forget("n1")
    await store.close()
    again, kept = await opened(tmp_path, NOW + 60_000)
    assert (set(kept.means), set(kept.sums)) == ({"n2"}, {"n2"})
    await again.close()


async def test_closed_times_stand_between_the_runs_also_after_the_clock_was_set_back(tmp_path: Path) -> None:
    for begun_ms, seen_ms in ((0, 100_000), (160_000, 200_000), (150_000, 150_000), (700_000, 700_000)):
        store, kept = await opened(tmp_path, NOW + begun_ms)
        await store.write(Batch(NOW + seen_ms))
        await store.close()
    expected = ((100_000, 150_000), (150_000, 160_000), (200_000, 700_000))
    assert kept.closed == tuple((NOW + start, NOW + end) for start, end in expected)


@pytest.mark.parametrize("damage", ["not a database", "torn"])
async def test_a_damaged_file_is_kept_aside_and_said(tmp_path: Path, damage: str) -> None:
    store, _ = await opened(tmp_path)
    await store.write(Batch(NOW, [("n1", means(NOW, 200))]))
    await store.close()
    path = tmp_path / FILE_NAME
    data = path.read_bytes()
    path.write_bytes(b"x" * 5000 if damage == "not a database" else data[: len(data) // 2])
    again, kept = await opened(tmp_path, NOW + 60_000)
    assert kept.means == {}
    assert again.notice.startswith("The history of charts was damaged. It is kept as history.db.damaged-")
    await again.write(Batch(NOW + 60_000, [("n1", means(NOW + 60_000, 2))]))
    await again.close()


async def test_rows_that_cannot_be_understood_are_left_out(tmp_path: Path) -> None:
    store, _ = await opened(tmp_path)
    await store.write(Batch(NOW, [("n1", means(NOW, 3))]))
    await store.close()
    db = sqlite3.connect(tmp_path / FILE_NAME)
    for number, keys in ((90, "no json"), (91, '["a", 5]'), (92, '{"a": 1}'), (93, '["a", "a"]'), (94, "[" * 60_000)):
        db.execute("INSERT INTO layouts VALUES (?, ?)", (number, keys))
        db.execute("INSERT INTO means VALUES (?, 1, ?, ?)", (NOW + 100_000 + number, number, b"1234"))
    db.execute("INSERT INTO means VALUES (?, 1, 1, ?)", (NOW + 200_000, b"123"))
    db.execute("INSERT INTO means VALUES ('soon', 1, 1, 'words')")
    db.execute("INSERT INTO means VALUES (?, 77, 1, ?)", (NOW + 200_001, b"12345678"))
    db.execute("INSERT INTO runs VALUES (70, 'then', 'now')")
    db.execute("INSERT INTO sums VALUES ('n1', 1, 'words')")
    db.commit()
    db.close()
    again, kept = await opened(tmp_path, NOW + 300_000)
    assert kept.means["n1"].times_ms.tolist() == [NOW, NOW + STEP_MS, NOW + 2 * STEP_MS]
    assert kept.sums == {}
    await again.close()


async def test_a_file_of_a_newer_release_is_only_read(tmp_path: Path) -> None:
    store, _ = await opened(tmp_path)
    await store.write(Batch(NOW, [("n1", means(NOW, 3))]))
    await store.close()
    db = sqlite3.connect(tmp_path / FILE_NAME)
    db.execute("PRAGMA user_version = 9")
    db.close()
    again, kept = await opened(tmp_path, NOW + 60_000)
    assert len(kept.means["n1"].times_ms) == 3
    assert "newer SparkDesk" in again.notice
    await again.write(Batch(NOW + 60_000, [("n1", means(NOW + 60_000, 3))]))
    await again.close()
    last, kept = await opened(tmp_path, NOW + 120_000)
    assert len(kept.means["n1"].times_ms) == 3
    await last.close()


WRITER = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    import numpy as np
    from sparkdesk.core.telemetry.past import STEP_MS, Means
    from sparkdesk.core.telemetry.shelf import Batch
    from sparkdesk.infra.store.history_store import SqliteHistory

    async def main():
        store = SqliteHistory(Path(sys.argv[1]))
        first = int(sys.argv[2])
        await store.open(first, 3_600_000)
        for number in range(300):
            t_ms = first + number * 2 * STEP_MS
            rows = Means(np.array([t_ms, t_ms + STEP_MS]), ("a",), np.full((2, 1), float(number)))
            await store.write(Batch(t_ms, [(f"n{node}", rows) for node in range(8)]))
            print(number, flush=True)

    asyncio.run(main())
    """
)


async def test_a_kill_amid_the_writing_loses_the_last_batch_at_most(tmp_path: Path) -> None:
    for attempt in range(4):
        begun_ms = NOW + attempt * 20_000_000
        child = subprocess.Popen(  # noqa: ASYNC220 - a real process that is killed
            [sys.executable, "-c", WRITER, str(tmp_path), str(begun_ms)], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        child.stdout.readline()
        await asyncio.sleep(0.01 * attempt)
        child.kill()
        told = 1 + len(child.stdout.read().splitlines())
        child.wait()
        child.stdout.close()
        store = SqliteHistory(tmp_path)
        kept = await store.open(begun_ms + 10_000_000, 10_000_000)
        assert store.notice == ""
        assert len(kept.means) == 8
        for found in kept.means.values():
            batches, rest = divmod(len(found.times_ms), 2)
            assert rest == 0  # a batch is whole or not there
            assert told <= batches <= told + 1
        await store.close()
