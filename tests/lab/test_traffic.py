"""Real traffic on a real cable is seen and drawn on that cable, at both ends, in its direction, and on no other."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sparkdesk.core.telemetry.sample import Sample
from tests.infra.sshd import require
from tests.lab.desk import Desk, opened_desk
from tests.lab.drawing import draw
from tests.lab.lab import CAGE_PORTS, Cable, Lab, LabNode
from tests.lab.looker import Looker

pytestmark = pytest.mark.lab

RING = (Cable(0, 0, 1, 1), Cable(1, 0, 2, 1), Cable(2, 0, 0, 1))
RATE_GBPS = 0.2
SEEN_GBPS = 0.05
QUIET_GBPS = 0.005
"""What beacons, pings and neighbours' questions come to, and more."""
WAIT_S = 60.0
"""Until traffic begins and samples come, however slow the machine is. What is judged counts in samples."""
LATEST = 2
"""At 1 Hz the second sample after a change is at most 2 s after it, and its whole second lies behind the change."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Three nodes in a ring; the first cable has an address at each end, on one half."""
    require(shutil.which("iperf3") is not None, "iperf3 is not installed")
    with Lab(3, tmp_path_factory.mktemp("traffic"), marker="traffic", cables=RING) as lab:
        lab.nodes[0].run("ip", "addr", "add", "192.168.100.10/24", "dev", CAGE_PORTS[0][0])
        lab.nodes[1].run("ip", "addr", "add", "192.168.100.11/24", "dev", CAGE_PORTS[1][0])
        yield lab


@contextmanager
def iperf(node: LabNode, *words: str) -> Iterator[subprocess.Popen[str]]:
    """iperf3 in the node's network for the length of the block."""
    argv = ["nsenter", "-t", str(node.holder.pid), "-n", "iperf3", "--forceflush", *words]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def wait_for_line(process: subprocess.Popen[str], words: str) -> int:
    """Until it says so; gives that moment, Unix ms."""
    said = []
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        if words in line:
            return time.time_ns() // 1_000_000
    raise AssertionError(f"iperf3 never said {words!r}: {said}")


class Watch:
    """Every sample of every node, as it comes."""

    def __init__(self, desk: Desk) -> None:
        self.samples: dict[str, list[Sample]] = {node.name: [] for node in desk.lab.nodes}
        for node in desk.lab.nodes:
            desk.telemetry.latest(node.name).subscribe(self._take)

    def _take(self, sample: Sample | None) -> None:
        if sample is not None:
            self.samples[sample.node_id].append(sample)

    async def after(self, moment_ms: int, count: int = LATEST) -> dict[str, Sample]:
        """The so-many-th sample of each node that was taken after a moment."""
        async with asyncio.timeout(WAIT_S):
            while True:
                later = {name: [one for one in all_ if one.t_ms > moment_ms] for name, all_ in self.samples.items()}
                if all(len(found) >= count for found in later.values()):
                    return {name: found[count - 1] for name, found in later.items()}
                await asyncio.sleep(0.02)


def rates(samples: dict[str, Sample]) -> dict[tuple[str, str, str], float]:
    """Gb/s by node, cage and direction."""
    return {
        (name, cage, way): sample.value(f"cage_{way}_gbps.{cage}")
        for name, sample in samples.items()
        for cage in ("P0", "P1")
        for way in ("tx", "rx")
    }


async def test_traffic_shows_within_2_s_on_its_cable_at_both_ends_in_its_direction_and_nowhere_else(lab: Lab) -> None:
    loud = {("spark-1", "P0", "tx"), ("spark-2", "P1", "rx")}
    answers = {("spark-1", "P0", "rx"), ("spark-2", "P1", "tx")}
    with lab.workstation():
        async with opened_desk(lab, hz=1.0) as desk:
            looker = Looker(lab)
            await looker.open()
            topology = await looker.look([node.name for node in lab.nodes])
            await looker.close()
            watch = Watch(desk)
            quiet = rates(await watch.after(0, 3))
            assert all(rate < QUIET_GBPS for rate in quiet.values()), quiet
            with iperf(lab.nodes[1], "-s", "-B", "192.168.100.11") as server:
                await asyncio.to_thread(wait_for_line, server, "Server listening")
                target = ("-c", "192.168.100.11", "-b", f"{RATE_GBPS}G", "-t", "600")
                with iperf(lab.nodes[0], *target) as client:
                    begun_ms = await asyncio.to_thread(wait_for_line, client, "connected to")
                    samples = await watch.after(begun_ms)
                    print("seen after", {name: f"{one.t_ms - begun_ms} ms" for name, one in samples.items()})
                    busy = rates(samples)
                    assert {key for key, rate in busy.items() if rate > SEEN_GBPS} == loud, busy
                    assert all(
                        busy[key] < busy[key[0], key[1], "tx" if key[2] == "rx" else "rx"] / 5 for key in answers
                    )
                    scene = draw(topology, desk.inventory.nodes.value, samples, "ring")
                    told = {cable.key: (float(cable.tx) > 0, float(cable.rx) > 0) for cable in scene.cables}
                    assert told.pop("spark-1:P0-spark-2:P1") == (True, False)
                    assert set(told.values()) == {(False, False)}
                    assert set(told) == {"spark-1:P1-spark-3:P0", "spark-2:P0-spark-3:P1"}
                    others = {key: rate for key, rate in busy.items() if key not in loud | answers}
                    assert all(rate < QUIET_GBPS for rate in others.values()), others
            ended_ms = time.time_ns() // 1_000_000
            after = rates(await watch.after(ended_ms))
            assert all(rate < QUIET_GBPS for rate in after.values()), after
