"""4, 64 and 256 nodes on the cluster page, fed by replayed lines of a real probe: lateness, stutter, CPU, memory.

Real telemetry, history and page in Qt's loop; the nodes are replayed (replay.py), so nothing of SSH is in here.
The one rule: each count of nodes runs in a process of its own, since memory once taken is seldom given back. A sample
is painted when the map or the table that is in sight has painted after the refresh that took it; it is late by the time
from its line's arrival. How the kernel's other programs delayed this one is not taken off there: a person waits for it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

import numpy as np
from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QApplication, QWidget

from sparkdesk.services.clock import SystemClock
from sparkdesk.services.tasks import Tasks
from sparkdesk.services.telemetry import Telemetry
from tests.bench.bench_heartbeat import Heartbeat, loop_of_qt
from tests.bench.figure import Figure
from tests.bench.replay import ReplayShell, record_lines
from tests.soak.count import resident_bytes
from tests.ui.stage import Stage
from ui.cluster.model import ClusterModel
from ui.cluster.view import ClusterPage
from ui.style import install_style

NAMES = (
    "many.sample_painted_p99_4_nodes",
    "many.heartbeat_p99_64_nodes",
    "many.cpu_64_nodes",
    "many.cpu_256_nodes",
    "many.memory_256_nodes",
    "many.paint_256_nodes",
)
COUNTS = (4, 64, 256)
SETTLE_S, RUN_S = 4.0, 20.0
PERIOD_MS, MARGIN_MS = 1000.0, 100.0
TIMEOUT_S = 120.0


class Told(TypedDict):
    """What a child found."""

    late_ms: list[float]
    own_ms: list[float]
    cpu_share: float
    memory_mb: float
    paint_ms: list[float]
    samples: int
    way: str


class Watch(QObject):
    """Notes how long after its line's arrival each sample was painted."""

    def __init__(self, page: ClusterPage, model: ClusterModel) -> None:
        super().__init__()
        self._waiting: dict[int, list[float]] = {}
        self._taken_s: list[float] = []
        self.late_ms: list[float] = []
        self.samples = 0
        self._shown: tuple[QWidget, ...] = (page.map, page.table.viewport())
        for widget in self._shown:
            widget.installEventFilter(self)
        model.scene_changed.connect(lambda _scene: self._take())

    def on_line(self, node: int) -> None:
        """A line of this node was handed over."""
        self.samples += 1
        self._waiting.setdefault(node, []).append(time.perf_counter())

    def _take(self) -> None:
        """A refresh has taken the newest sample of every node; those before it were never due on the screen."""
        self._taken_s += [arrived[0] for arrived in self._waiting.values() if arrived]
        self._waiting.clear()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() is QEvent.Type.Paint and self._taken_s:
            now_s = time.perf_counter()
            self.late_ms += [(now_s - arrived_s) * 1000 for arrived_s in self._taken_s]
            self._taken_s.clear()
        return False


async def run_nodes(count: int, folder: Path) -> Told:
    """Feed so many nodes, look at them, and measure."""
    lines = record_lines(folder)
    clock, tasks, stage = SystemClock(), Tasks(), Stage(count)
    stage.now_ms = clock.now_ms()
    telemetry = Telemetry(clock=clock, programs=[b"replayed"], hz=1.0)
    feeds = replace(
        stage.cluster_feeds(),
        sample=lambda node_id: telemetry.latest(node_id).value,
        now_ms=clock.now_ms,
        series=lambda node_id, key, span_s: telemetry.history(node_id).series(key, span_s),
    )
    before_bytes = resident_bytes()
    model = ClusterModel(feeds)
    page = ClusterPage(model)
    page.resize(1440, 900)
    watch, heart = Watch(page, model), Heartbeat()
    page.show()
    for number in range(count):
        shell = ReplayShell(number, lines)
        shell.on_line = watch.on_line
        tasks.start(telemetry.watch, f"node{number}", shell)
    await asyncio.sleep(SETTLE_S)
    watch.late_ms.clear()
    watch.samples = 0
    begun_s, cpu_s = time.perf_counter(), time.process_time()
    await heart.listen(RUN_S)
    took_s, cpu_s, samples = time.perf_counter() - begun_s, time.process_time() - cpu_s, watch.samples
    memory_mb = (resident_bytes() - before_bytes) / 1e6
    paint_ms = [cpu_of_refresh(page) for _ in range(10) if await asyncio.sleep(1.0, result=True)]
    told = Told(
        late_ms=watch.late_ms, own_ms=heart.own_ms, cpu_share=100 * cpu_s / took_s, memory_mb=memory_mb,
        paint_ms=paint_ms, samples=samples, way=page.ways.key(),
    )  # fmt: skip
    page.close()
    await tasks.close()
    return told


def cpu_of_refresh(page: ClusterPage) -> float:
    """CPU ms of taking all that is new and painting it."""
    begun_s = time.process_time()
    page.refresh()
    shown = page.map if page.ways.key() == "map" else page.table.viewport()
    shown.repaint()
    return (time.process_time() - begun_s) * 1000


async def measure_apart(count: int) -> Told:
    """Of so many nodes, in a child. Raises RuntimeError: it failed."""
    words = ["-m", "tests.bench.bench_many", str(count)]
    child = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=asyncio.subprocess.PIPE)
    told, _ = await asyncio.wait_for(child.communicate(), TIMEOUT_S)
    if child.returncode:
        raise RuntimeError(f"{count} nodes: exit code {child.returncode}")
    found: Told = json.loads(told)
    return found


def measure() -> list[Figure]:
    """All counts, one after another."""

    async def all_counts() -> list[Told]:
        return [await measure_apart(count) for count in COUNTS]

    few, some, many = asyncio.run(all_counts())
    late_ms = float(np.percentile(few["late_ms"], 99)) if few["late_ms"] else float("nan")
    rates = [told["samples"] / RUN_S for told in (few, some, many)]
    lateness = f"{len(few['late_ms'])} samples, median {np.median(few['late_ms']):.0f} ms; {rates[0]:.1f} samples/s"
    stutter = f"p50 {np.median(some['own_ms']):.2f}, worst {max(some['own_ms']):.1f} ms; shown as {some['way']}"
    replayed = f"replayed lines, no SSH, at 1 Hz, page of 1440x900, shown as {many['way']}"
    heard = f"{rates[2]:.0f} samples/s; heartbeat p99 {np.percentile(many['own_ms'], 99):.1f} ms; {replayed}"
    fresh = f"scene of all new samples and painting what is in sight, CPU; most {max(many['paint_ms']):.1f} ms"
    return [
        Figure.at_most(NAMES[0], late_ms, "ms", PERIOD_MS + MARGIN_MS, baseline=PERIOD_MS, note=lateness),
        Figure.told(NAMES[1], float(np.percentile(some["own_ms"], 99)), "ms", note=stutter),
        Figure.told(NAMES[2], some["cpu_share"], "% of a core", note=f"{rates[1]:.0f} samples/s"),
        Figure.told(NAMES[3], many["cpu_share"], "% of a core", note=heard),
        Figure.told(NAMES[4], many["memory_mb"], "MB", note=f"more than before the page and its nodes; {RUN_S:g} s"),
        Figure.told(NAMES[5], float(np.median(many["paint_ms"])), "ms", note=fresh),
    ]


def main(count: int) -> Told:
    """In the child."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    with tempfile.TemporaryDirectory() as name, loop_of_qt() as (app, loop):
        assert isinstance(app, QApplication)
        install_style(app, "dark")
        told: Told = loop.run_until_complete(run_nodes(count, Path(name)))
    return told


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
