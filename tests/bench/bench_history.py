"""What keeping the measurements of 64 nodes with 40 quantities each costs: the event loop, the disk, and a chart.

The one rule: CPU time of the loop's own thread, so that what the store's thread does beside it does not count; the
samples themselves (parsing, the rings in memory) are another benchmark's. Bytes on the disk are printed, not judged.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from sparkdesk.core.cluster.node import NodeFacts, NodeRecord, NodeState, NodeStatus
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.record import JobStatus
from sparkdesk.core.telemetry.sample import Sample
from sparkdesk.infra.store.history_store import FILE_NAME, SqliteHistory
from sparkdesk.services.records.absence import Absences
from sparkdesk.services.records.energies import Energies
from sparkdesk.services.records.reading_book import ReadingBook
from sparkdesk.services.records.recorder import EVERY_S, Recorder
from sparkdesk.services.records.series import Past, SeriesBook, SeriesParts
from sparkdesk.services.telemetry import Telemetry
from tests.bench.figure import Figure

NAMES = (
    "history.loop_share_64_nodes",
    "history.batch_64_nodes",
    "history.disk_an_hour_64_nodes",
    "history.chart_1_h",
    "history.restart_64_nodes",
)
NODES, KEYS = 64, 40
BATCHES = 15
SHARE_LIMIT_PERCENT = 1.0
BATCH_LIMIT_MS = 50.0
CHART_LIMIT_MS = 5.0
RESTART_LIMIT_MS = 1000.0
START_MS = 1_900_000_000_000


class HandClock:
    """A clock that the benchmark moves."""

    def __init__(self) -> None:
        self.ms = START_MS

    def now_ms(self) -> int:
        return self.ms

    def monotonic_s(self) -> float:
        return self.ms / 1000.0


class Rig:
    """The services over telemetry that is fed by hand."""

    def __init__(self, folder: Path, clock: HandClock) -> None:
        self.clock = clock
        records = [NodeRecord(f"n{at}", f"spark-{at}", "a", 22, "me") for at in range(NODES)]
        facts = NodeFacts(gpu_name="NVIDIA GB10")
        nodes = Latest(tuple(NodeStatus(record, NodeState.LIVE, 0, facts=facts) for record in records))
        jobs: Latest[tuple[JobStatus, ...]] = Latest(())
        self.telemetry = Telemetry(clock=clock, programs=())
        absences = Absences(nodes, self.telemetry.pulse, clock.now_ms)
        book = ReadingBook(clock.now_ms)
        past = Past()
        self.energies = Energies(telemetry=self.telemetry, nodes=nodes, jobs=jobs)
        parts = SeriesParts(self.telemetry, nodes, jobs, Latest(()), book, book, absences, past, clock.now_ms)
        self.series = SeriesBook(parts)
        self.recorder = Recorder(
            shelf=SqliteHistory(folder),
            telemetry=self.telemetry,
            nodes=nodes,
            readings=(book,),
            energies=self.energies,
            absences=absences,
            past=past,
            clock=clock,
        )

    def sample(self) -> float:
        """A second of samples; CPU seconds that telling of them took."""
        self.clock.ms += 1000
        told_s = 0.0
        for at in range(NODES):
            keys = ("gpu_power_w", *(f"net_rx_gbps.if{key}" for key in range(KEYS - 1)))
            sample = Sample(f"n{at}", self.clock.ms, 0, "b", {key: float(at) for key in keys})
            feed = self.telemetry.feed(f"n{at}")
            feed.history.append(sample)
            began_s = time.thread_time()
            feed.latest.set(sample)
            told_s += time.thread_time() - began_s
        return told_s


async def run(folder: Path) -> list[Figure]:
    """All figures of one history."""
    clock = HandClock()
    rig = Rig(folder, clock)
    await rig.recorder.open()
    shares, batches_ms = [], []
    for _ in range(BATCHES):
        told_s = sum(rig.sample() for _ in range(int(EVERY_S)))
        began_s = time.thread_time()
        await rig.recorder.save()
        save_s = time.thread_time() - began_s
        shares.append((told_s + save_s) / EVERY_S * 100.0)
        batches_ms.append(save_s * 1000.0)
    await rig.recorder.close()
    size_bytes = (folder / FILE_NAME).stat().st_size
    an_hour_mb = size_bytes / 1e6 * 3600.0 / (BATCHES * EVERY_S)
    clock.ms += 60_000
    again = Rig(folder, clock)
    began_s = time.process_time()
    await again.recorder.open()
    restart_ms = (time.process_time() - began_s) * 1000.0
    again.sample()
    charts_ms = []
    for at in range(NODES):
        began_s = time.process_time()
        again.series.series(f"n{at}", "gpu_power_w", 3600.0)
        again.series.gaps(f"n{at}", 3600.0)
        charts_ms.append((time.process_time() - began_s) * 1000.0)
    await again.recorder.close()
    share, batch_ms = statistics.median(shares[1:]), max(batches_ms[1:])
    return [
        Figure.at_most(NAMES[0], share, "% of a core", SHARE_LIMIT_PERCENT, note="energies and batches, 1 Hz"),
        Figure.at_most(NAMES[1], batch_ms, "ms", BATCH_LIMIT_MS, note="the loop's thread, in pieces of 8 nodes"),
        Figure.at_most(NAMES[2], an_hour_mb, "MB", 50.0, note="bounded by 32 MiB of rows"),
        Figure.at_most(NAMES[3], statistics.median(charts_ms), "ms", CHART_LIMIT_MS, note="one series with its gaps"),
        Figure.at_most(NAMES[4], restart_ms, "ms", RESTART_LIMIT_MS, note="5 minutes of 64 nodes, off the loop"),
    ]


def measure() -> list[Figure]:
    """The figures."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(run(Path(folder)))


if __name__ == "__main__":
    for figure in measure():
        print(figure)
