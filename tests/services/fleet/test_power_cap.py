"""The share of time at the power cap comes from two readings of the driver's counter, read by the real program."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sparkdesk.core.telemetry.probe import RawSample
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.fleet.power_cap import PowerCaps
from sparkdesk.services.fleet.reader import Reader
from sparkdesk.services.telemetry import Telemetry
from tests.fakes.shell import LocalShell
from tests.remote.spark_root import make_spark, write

PROGRAM = (Path(__file__).resolve().parents[3] / "sparkdesk" / "remote" / "reader.py").read_bytes()
ROW = "        SW Power Capping                  : {us} us\n"


class Node:
    """A node whose counter and uptime a test sets."""

    def __init__(self, folder: Path) -> None:
        self.root, home = folder / "root", folder / "home"
        make_spark(self.root)
        (home / "bin").mkdir(parents=True)
        smi = home / "bin" / "nvidia-smi"
        smi.write_text('#!/bin/sh\nexec cat "$HOME/performance"\n')
        smi.chmod(0o755)
        self._performance = home / "performance"
        path = f"{home / 'bin'}:/usr/bin:/bin"
        self.shell = LocalShell(home, env={"SPARKDESK_ROOT": str(self.root), "PATH": path})
        self.telemetry = Telemetry(clock=SystemClock(), programs=())
        reader = Reader(program=PROGRAM, shells=lambda _: self.shell, clock=SystemClock())
        self.caps = PowerCaps(reader=reader, telemetry=self.telemetry, every_s=0.05)
        self.set(1000.0, "0")

    def set(self, uptime_s: float, capped_us: str) -> None:
        """From now on it says so."""
        write(self.root, "proc/uptime", f"{uptime_s:.2f} 0.00\n")
        self._performance.write_text(ROW.format(us=capped_us))

    async def until_asked(self, times: int = 2) -> None:
        """Until it has been read so often again."""
        wanted = len(self.shell.lines) + times
        async with asyncio.timeout(20):
            while len(self.shell.lines) < wanted:
                await asyncio.sleep(0.01)


@pytest.fixture
async def node(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Node]:
    found = Node(tmp_path)
    watch = asyncio.create_task(found.caps.watch("n1", found.shell))
    yield found
    caplog.set_level("INFO")
    found.telemetry.feed("n1").latest.set(None)
    found.shell.is_full = True
    async with asyncio.timeout(20):
        while "power counters of n1" not in caplog.text:  # until no program of the node runs any more
            await asyncio.sleep(0.01)
    watch.cancel()
    await asyncio.wait([watch])
    assert found.caps.share("n1") != found.caps.share("n1"), "a node that is gone has no share"


async def share_of(node: Node) -> float:
    """The first share that is known."""
    async with asyncio.timeout(20):
        while (share := node.caps.share("n1")) != share:
            await asyncio.sleep(0.005)
    return share


async def test_it_is_the_counters_growth_over_the_nodes_own_time(node: Node) -> None:
    await node.until_asked()
    assert node.caps.share("n1") != node.caps.share("n1")  # one reading, or two of the same moment, tell nothing
    node.set(1010.0, "4000000")
    assert await share_of(node) == 0.4


async def test_a_counter_that_is_not_there_or_went_back_is_not_known(node: Node) -> None:
    node.set(1000.0, "9000000")
    await node.until_asked()
    for uptime_s, us in ((1010.0, "1"), (1020.0, "[N/A]"), (1030.0, "99000000000"), (5.0, "0")):
        node.set(uptime_s, us)
        await node.until_asked()
        assert node.caps.share("n1") != node.caps.share("n1")


async def test_nothing_is_asked_where_samples_tell_it(node: Node) -> None:
    for second in (1.0, 2.0):
        gpu = {"u": 50.0, "vp": 4e8 * second}
        raw = RawSample(sequence=1, boot_id="b", monotonic_s=second, wall_s=1000.0 + second, gpus=(gpu,))
        node.telemetry.feed("n1").take_reading(raw)
    await asyncio.sleep(0.3)
    asked = len(node.shell.lines)
    await asyncio.sleep(0.5)
    assert len(node.shell.lines) == asked
