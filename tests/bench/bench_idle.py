"""What SparkDesk costs while nobody looks: CPU time with four live nodes and a hidden window.

The whole application, its window hidden, over real OpenSSH on loopback; beside it, at the same time, an idle Qt program
in the same event loop (qasync): one window whose clock moves once a second, and the same four SSH connections, kept
open by asyncssh's keepalive, on which nothing happens. A Qt program that does nothing at all takes next to no time, so
that no program with a line is twice of it; the ratios to it and to one with a clock alone are told in the note. The one
rule: CPU seconds of the processes over the same stretches, after everything has settled; samples of every node must go
on coming, or the figure says nothing. What a hidden window does every few minutes is not in stretches so short.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import asyncssh
from PySide6.QtWidgets import QApplication, QLabel

from sparkdesk.app.desktop import Desktop
from sparkdesk.app.window import WindowOptions
from sparkdesk.core.cluster.node import ClusterRecord
from sparkdesk.infra.ssh.error import KEEPALIVE_INTERVAL_S
from sparkdesk.services.wait import wait_for_value
from tests.app.desk import all_live, play
from tests.bench.bench_heartbeat import loop_of_qt
from tests.bench.figure import Figure
from tests.infra.sshd import Sshd, running_sshd
from ui.style import install_style

NAMES = ("idle.hidden_window", "idle.samples_read")
NODES = 4
STRETCHES, STRETCH_S, SETTLE_S = 3, 12.0, 6.0
"""Settled: found servers, details and jobs were read, and the window has been out of sight for a while."""
TIMEOUT_S = 30.0
LIMIT = 2.0
LEAST_SAMPLES_PER_S = 0.08
"""Of each node."""


async def cpu_over(seconds: float) -> float:
    """CPU seconds that this process takes in so many seconds."""
    begun_s = time.process_time()
    await asyncio.sleep(seconds)
    return time.process_time() - begun_s


async def idle_beside(servers: list[Sshd], *, has_clock: bool) -> list[float]:
    """The CPU seconds of an idle Qt program with lines to these, a stretch each."""
    lines = [[server.port, server.user, str(server.key_path), server.host_key] for server in servers]
    words = ["-m", "tests.bench.bench_idle", json.dumps(lines), json.dumps(has_clock)]
    child = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=asyncio.subprocess.PIPE)
    told, _ = await asyncio.wait_for(child.communicate(), STRETCHES * STRETCH_S + TIMEOUT_S)
    cpu_s: list[float] = json.loads(told)
    return cpu_s


class Trial:
    """One run of the application, and what it took."""

    def __init__(self, servers: list[Sshd]) -> None:
        self._servers = servers
        self.own_s: list[float] = []
        self.lines_s: list[float] = []
        self.clock_s: list[float] = []
        self.bare_s: list[float] = []
        self.samples = 0

    async def story(self, desktop: Desktop) -> None:
        """Connect, hide the window, and be idle."""
        await wait_for_value(desktop.is_filled, bool, timeout_s=TIMEOUT_S)
        desktop.pages.add_all()
        desktop.window.show_page("cluster")
        cluster = ClusterRecord("bench", "Bench", tuple(server.record() for server in self._servers))
        await desktop.stack.inventory.open(cluster)
        await all_live(desktop, NODES)
        desktop.window.hide()
        await asyncio.sleep(SETTLE_S)
        for server in self._servers:
            desktop.stack.telemetry.latest(server.name).subscribe(self._count)
        self.samples = 0
        programs: tuple[tuple[list[Sshd], bool], ...] = ((self._servers, True), ([], True), ([], False))
        beside = [asyncio.ensure_future(idle_beside(lines, has_clock=has_clock)) for lines, has_clock in programs]
        for _ in range(STRETCHES):
            self.own_s.append(await cpu_over(STRETCH_S))
        self.lines_s, self.clock_s, self.bare_s = await asyncio.gather(*beside)
        await all_live(desktop, NODES)

    def _count(self, _sample: object) -> None:
        self.samples += 1


def measure() -> list[Figure]:
    """The median stretch of the application over that of the idle program.

    Raises:
        RuntimeError: the servers do not start; `pytest.skip`'s own exception where OpenSSH's server is missing.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        os.environ.update(HOME=str(folder), SPARKDESK_HOME=str(folder / "sparkdesk"))
        os.environ.pop("SSH_AUTH_SOCK", None)
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
        servers = [stack.enter_context(running_sshd(folder / str(i), name=f"spark-{i + 1}")) for i in range(NODES)]
        app = QApplication([])
        app.setQuitOnLastWindowClosed(False)
        install_style(app, "dark")
        trial = Trial(servers)
        play(app, trial.story, WindowOptions(is_forgetful=True))
    return figures(trial)


def figures(trial: Trial) -> list[Figure]:
    """What the trial shows."""
    taken_s = (trial.own_s, trial.lines_s, trial.clock_s, trial.bare_s)
    own_s, lines_s, clock_s, bare_s = (statistics.median(each) for each in taken_s)
    share, lines_share, clock_share, bare_share = (100 * each / STRETCH_S for each in (own_s, lines_s, clock_s, bare_s))
    note = (
        f"{NODES} live nodes, window hidden, {STRETCHES} stretches of {STRETCH_S:g} s, medians; SparkDesk {share:.3f} "
        f"% of a core, an idle Qt program with a clock and {NODES} SSH connections {lines_share:.3f} %; one with a "
        f"clock alone {clock_share:.3f} % (SparkDesk {own_s / clock_s:.1f}x of it), one that does nothing at all "
        f"{bare_share:.4f} % (SparkDesk {own_s / bare_s:.0f}x of it)"
    )
    samples_per_s = trial.samples / (STRETCHES * STRETCH_S * NODES)
    return [
        Figure.at_most(
            NAMES[0], own_s / lines_s, "x of an idle Qt program with 4 lines", LIMIT, baseline=1.0, note=note
        ),
        Figure.at_least(NAMES[1], samples_per_s, "samples/s of each node", LEAST_SAMPLES_PER_S),
    ]


async def show_clock(label: QLabel) -> None:
    """For ever."""
    while True:
        label.setText(time.strftime("%H:%M:%S"))
        await asyncio.sleep(1.0)


async def be_idle(lines: list[tuple[int, str, str, str]], label: QLabel, *, has_clock: bool) -> list[float]:
    """In the program beside: CPU seconds a stretch."""
    ticking = asyncio.ensure_future(show_clock(label) if has_clock else asyncio.sleep(0))
    async with AsyncExitStack() as stack:
        for port, user, key_path, host_key in lines:
            trusted = asyncssh.import_public_key(host_key)
            line = asyncssh.connect(
                "127.0.0.1", port, username=user, client_keys=[key_path], known_hosts=([trusted], [], []), config=[],
                keepalive_interval=KEEPALIVE_INTERVAL_S,
            )  # fmt: skip
            await stack.enter_async_context(line)
        await asyncio.sleep(1.0)
        taken = [await cpu_over(STRETCH_S) for _ in range(STRETCHES)]
    ticking.cancel()
    return taken


if __name__ == "__main__":
    with loop_of_qt() as (_, loop):
        label = QLabel("00:00:00")
        label.resize(640, 400)
        label.show()
        idling = be_idle(json.loads(sys.argv[1]), label, has_clock=json.loads(sys.argv[2]))
        print(json.dumps(loop.run_until_complete(idling)))
        label.close()
