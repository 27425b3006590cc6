"""How long until 64 simulated nodes are live with a first sample each, against a plain script with the same probes.

SparkDesk is the whole application with its window and the cluster page in sight, in Qt's loop. The script is what a
person would write: asyncssh's defaults, all 64 at once, the probe's source by standard input, and done when each probe
has printed its first readings; probes that have go on until then, as SparkDesk's do. The one rule: same nodes, same
key, same probe, same process, in turns; the median of the rounds' ratios counts. Meanwhile a timer beats in the
window's loop: how late its worst beat came, without the time in which the kernel ran other programs, is the stall that
a person feels; of the rounds the median counts.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import statistics
import tempfile
import time
from pathlib import Path

import asyncssh
from PySide6.QtWidgets import QApplication

from sparkdesk.app.desktop import Desktop
from sparkdesk.app.window import WindowOptions
from sparkdesk.core.cluster.node import ClusterRecord
from sparkdesk.core.program import python_command
from sparkdesk.infra.simulation import read_cluster
from sparkdesk.services.wait import wait_for_value
from tests.app.desk import play
from tests.bench.bench_heartbeat import Heartbeat
from tests.bench.figure import Figure
from tests.simulator.conftest import running
from ui.style import install_style

NAMES = ("fleet.many_nodes_live", "fleet.worst_stall")
NODES = 64
ROUNDS = 3
TIMEOUT_S = 60.0
LIVE_LIMIT = 1.5
STALL_LIMIT_MS = 50.0
SETTLE_S = 1.0
"""The pages are made before the clock starts."""
REST_S = 2.0
"""Between two arms: the probes of the one before leave their nodes."""
REMOTE = Path(__file__).resolve().parents[2] / "sparkdesk" / "remote"
PROGRAMS = tuple((REMOTE / name).read_bytes() for name in ("gpu.py", "probe.py"))


async def start_probe(node: dict[str, object], key: str, all_here: asyncio.Barrier) -> None:
    """One node of the plain script: its probe runs until all have shown their first readings."""
    marker = secrets.token_hex(8)
    trusted = asyncssh.import_public_key(str(node["host_key"]))
    async with asyncssh.connect(
        str(node["address"]), int(str(node["port"])), username=str(node["user"]), client_keys=[key],
        known_hosts=([trusted], [], []), config=[],
    ) as connection:  # fmt: skip
        command = python_command(PROGRAMS, marker, "1").to_shell()
        async with connection.create_process(command, encoding=None) as process:
            process.stdin.write(b"".join(PROGRAMS))
            lines = 0
            while lines < 2:  # the hello and the first readings
                line = await process.stdout.readline()
                if not line:
                    raise RuntimeError("a probe ended")
                lines += marker.encode() in line
            await all_here.wait()


async def run_script(nodes: list[dict[str, object]], key: str) -> float:
    """Seconds until all nodes have shown first readings."""
    all_here = asyncio.Barrier(len(nodes) + 1)
    begun_s = time.perf_counter()
    async with asyncio.timeout(TIMEOUT_S), asyncio.TaskGroup() as group:
        for node in nodes:
            group.create_task(start_probe(node, key, all_here))
        await all_here.wait()
        return time.perf_counter() - begun_s


class Opening:
    """One opening of the cluster in the application: how long it took, and how the window's timer beat."""

    def __init__(self, cluster: ClusterRecord) -> None:
        self._cluster = cluster
        self.took_s = 0.0
        self.worst_ms = 0.0

    async def story(self, desktop: Desktop) -> None:
        """From opening the cluster until every node is live with a first sample."""
        await wait_for_value(desktop.is_filled, bool, timeout_s=TIMEOUT_S)
        desktop.pages.add_all()
        desktop.window.show_page("cluster")
        await asyncio.sleep(SETTLE_S)
        heart = Heartbeat()
        listening = asyncio.ensure_future(heart.listen(TIMEOUT_S))
        await asyncio.sleep(0)
        begun_s = time.perf_counter()
        stack = desktop.stack
        await stack.inventory.open(self._cluster)
        for node in self._cluster.nodes:
            latest = stack.telemetry.latest(node.id)
            await wait_for_value(latest, lambda sample: sample is not None, timeout_s=TIMEOUT_S)
        await wait_for_value(stack.inventory.nodes, lambda nodes: all(n.is_live for n in nodes), timeout_s=TIMEOUT_S)
        self.took_s = time.perf_counter() - begun_s
        listening.cancel()
        self.worst_ms = max(heart.own_ms, default=float("nan"))


def measure() -> list[Figure]:
    """The median of the rounds' ratios, and of their worst stalls.

    Raises:
        RuntimeError: the simulator does not start, a probe ends.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        home = Path(name)
        os.environ.update(HOME=name, SPARKDESK_HOME=str(home / "sparkdesk"))
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
        os.environ.pop("SSH_AUTH_SOCK", None)
        app = QApplication([])
        app.setQuitOnLastWindowClosed(False)
        install_style(app, "dark")
        with running(home, home / "sparks", "--nodes", str(NODES)) as simulator:
            key = str(simulator.state / "client_ed25519")
            cluster = read_cluster(json.dumps(simulator.line).encode(), key_path=key)
            order = random.Random(3)
            rounds: list[tuple[float, float, float]] = []
            for number in range(ROUNDS + 1):
                script_s, opening = 0.0, Opening(cluster)
                for is_script in order.sample([True, False], 2):
                    if is_script:
                        script_s = asyncio.run(run_script(simulator.line["nodes"], key))
                    else:
                        play(app, opening.story, WindowOptions(is_forgetful=True))
                    time.sleep(REST_S)
                if number:  # the first round warms the page cache up
                    rounds.append((script_s, opening.took_s, opening.worst_ms))
    return figures(rounds)


def figures(rounds: list[tuple[float, float, float]]) -> list[Figure]:
    """Of rounds of (script s, SparkDesk s, worst stall ms)."""
    script_s, fleet_s, worst_ms = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratio = statistics.median(fleet / script for script, fleet, _ in rounds)
    note = f"{NODES} simulated nodes, {ROUNDS} rounds, medians; the script {script_s:.2f} s, SparkDesk {fleet_s:.2f} s"
    stalls = "worst beat of each round: " + ", ".join(f"{stall_ms:.0f}" for _, _, stall_ms in rounds)
    return [
        Figure.at_most(NAMES[0], ratio, "x of a plain script", LIVE_LIMIT, baseline=1.0, note=note),
        Figure.at_most(NAMES[1], worst_ms, "ms", STALL_LIMIT_MS, note=stalls),
    ]
