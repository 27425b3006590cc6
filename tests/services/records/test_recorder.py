"""What was measured is kept and comes back, and a history that cannot be kept ends nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from sparkdesk.core.jobs.rate import GENERATED_RATE
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.telemetry.past import STEP_MS
from sparkdesk.infra.store.history_store import FILE_NAME, SqliteHistory
from sparkdesk.services.records.energies import Energies
from sparkdesk.services.records.recorder import SPAN_MS, Recorder
from sparkdesk.services.records.series import SeriesParts
from tests.services.records.test_series import NOW, Desk


class Kept(Desk):
    """The book with a recorder; `restart` gives the next run of the program."""

    def __init__(self, folder: Path | None, now_ms: int = NOW) -> None:
        super().__init__()
        self.folder = folder
        self.clock.ms = now_ms
        self.energies = Energies(telemetry=self.telemetry, nodes=self.nodes, jobs=self.jobs)
        parts: SeriesParts = self.book._parts
        self.shelf = SqliteHistory(folder)
        self.recorder = Recorder(
            shelf=self.shelf,
            telemetry=self.telemetry,
            nodes=self.nodes,
            readings=(parts.job_readings, parts.server_readings),
            energies=self.energies,
            absences=self.absences,
            past=self.past,
            clock=self.clock,
            every_s=0.01,
        )

    async def restart(self, away_ms: int) -> Kept:
        await self.recorder.close()
        again = Kept(self.folder, self.clock.ms + away_ms)
        await again.recorder.open()
        return again


@pytest.fixture
async def desk(tmp_path: Path) -> Kept:
    desk = Kept(tmp_path)
    await desk.recorder.open()
    return desk


async def test_an_hour_s_chart_has_its_past_after_a_restart(desk: Kept) -> None:
    desk.sample(seconds=600, power_w=40.0)
    again = await desk.restart(300_000)
    again.sample(seconds=30, power_w=10.0)
    times, values = again.book.series("n1", "gpu_power_w", 3600)
    assert (values[:59] == 40.0).all()
    assert values[-30:].tolist() == [10.0] * 30
    assert (np.diff(times) > 0).all()
    (gap,) = again.book.gaps("n1", 3600)
    assert gap.words == "SparkDesk was closed"
    assert 300_000 <= gap.end_ms - gap.start_ms <= 325_000
    view = again.energies.energy("n1")
    assert view is not None
    assert pytest.approx(view.joule) == 599 * 40 + 29 * 10
    assert view.covered == pytest.approx(628 / 929, abs=0.005)
    await again.recorder.close()


async def test_each_mean_is_kept_once_and_is_of_whole_steps(desk: Kept) -> None:
    for second in range(84):
        desk.sample(power_w=float(second))
        if second % 7 == 0:
            await desk.recorder.save()
    changes = await desk.shelf._database.read(lambda db: db.total_changes)
    assert changes < 50  # 12 batches of a run's end, a sum and at most two rows, and the names
    again = await desk.restart(1000)
    found = again.past.means["n1"]
    assert (np.diff(found.times_ms) == STEP_MS).all()
    assert (found.times_ms % STEP_MS == STEP_MS // 2).all()
    powers = found.values[1:-1, found.keys.index("gpu_power_w")]
    assert np.diff(powers).tolist() == [10.0] * (len(powers) - 1)
    await again.recorder.close()


async def test_engines_readings_are_kept_too(desk: Kept) -> None:
    def tell(rate: float) -> tuple[JobStatus, ...]:
        readings = ((GENERATED_RATE, rate),)
        return (JobStatus("j1", "gpt-oss", "vLLM", ("n1",), JobState.READY, 0, readings=readings),)

    for second in range(0, 60, 2):
        desk.clock.ms = NOW + second * 1000
        desk.jobs.set(tell(100.0 + second))
    again = await desk.restart(60_000)
    again.jobs.set(tell(7.0))
    values = again.book.series("j1", GENERATED_RATE, 3600)[1]
    assert values[0] == pytest.approx(104.5)
    assert values[-1] == 7.0
    await again.recorder.close()


async def test_what_is_kept_is_forgotten_with_its_node(desk: Kept) -> None:
    desk.sample(seconds=60)
    again = await desk.restart(1000)
    await again.recorder.forget("n1")
    assert again.book.series("n1", "gpu_power_w", 3600)[0].tolist() == []
    last = await again.restart(1000)
    assert (dict(last.past.means), last.energies.energy("n1")) == ({}, None)
    await last.recorder.close()


async def test_batches_are_kept_while_it_runs(desk: Kept) -> None:
    desk.sample(seconds=60)
    running = asyncio.ensure_future(desk.recorder.run())
    async with asyncio.timeout(20):
        while not await desk.shelf._database.read(lambda db: db.execute("SELECT count(*) FROM means").fetchone()[0]):
            await asyncio.sleep(0.01)
    running.cancel()
    await desk.recorder.close()


async def test_earlier_runs_are_let_go_when_no_chart_reaches_back_to_them(desk: Kept) -> None:
    desk.sample(seconds=60)
    again = await desk.restart(1000)
    running = asyncio.ensure_future(again.recorder.run())
    await asyncio.sleep(0)
    assert again.past.means
    again.clock.ms += SPAN_MS + 1000
    async with asyncio.timeout(20):
        while again.past.means:
            await asyncio.sleep(0.01)
    running.cancel()
    await again.recorder.close()


async def test_the_sleep_of_this_computer_is_noticed(desk: Kept) -> None:
    running = asyncio.ensure_future(desk.recorder.run())
    await asyncio.sleep(0)
    desk.clock.ms += 600_000
    async with asyncio.timeout(20):
        while desk.absences.reason("n1", NOW + 1000, NOW + 2000) != "this computer slept":
            await asyncio.sleep(0.01)
    running.cancel()
    await desk.recorder.close()


async def test_after_the_clock_was_set_back_it_goes_on(desk: Kept) -> None:
    desk.sample(seconds=60)
    await desk.recorder.save()
    desk.clock.ms -= 3_600_000
    desk.sample(seconds=60, boot="other")
    again = await desk.restart(1000)
    times = again.past.means["n1"].times_ms
    assert times.max() <= again.clock.ms
    assert len(times) >= 5
    await again.recorder.close()


async def test_without_its_file_everything_else_goes_on(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    desk = Kept(tmp_path)
    await desk.recorder.open()
    assert desk.recorder.notice.startswith("What charts show is not kept: ")
    desk.sample(seconds=60)
    await desk.recorder.save()
    assert len(desk.book.series("n1", "gpu_power_w", 300)[0]) == 60
    await desk.recorder.close()


async def test_a_full_disk_is_said_and_the_next_batch_is_tried_again(desk: Kept) -> None:
    desk.sample(seconds=60)

    def fill(db: sqlite3.Connection) -> None:
        db.execute("PRAGMA max_page_count = 1")

    await desk.shelf._database.read(fill)
    desk.sample(seconds=3000)
    await desk.recorder.save()
    assert "is full" in desk.recorder.notice
    await desk.shelf._database.read(lambda db: db.execute("PRAGMA max_page_count = 100000").fetchone())
    desk.sample(seconds=60)
    await desk.recorder.save()
    assert desk.recorder.notice == ""
    again = await desk.restart(1000)
    assert len(again.past.means["n1"].times_ms) > 3
    await again.recorder.close()


async def test_a_damaged_file_is_said(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"no database" * 500)
    desk = Kept(tmp_path)
    await desk.recorder.open()
    assert "was damaged. It is kept as" in desk.recorder.notice
    await desk.recorder.close()


def test_more_is_read_back_than_a_chart_can_show() -> None:
    assert SPAN_MS > 3_600_000
