"""How soon a dead link is shown and its connection closed, and how soon the line is back after the link is.

Real OpenSSH on eight nodes in network namespaces (tests/lab; needs Linux and root), sampled once a second as in the
window. Links fall at moments that a fixed seed draws and stay down until every node is "unreachable", when the pauses
between attempts have long been at their longest. The one rule: the worst of all repeats counts, not the median.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from sparkdesk.core.cluster.node import NodeState, NodeStatus
from sparkdesk.services.telemetry import PulseState
from tests.bench.figure import Figure
from tests.lab.desk import Desk, opened_desk
from tests.lab.lab import Lab, LabNode

NAMES = ("line.reconnect", "line.stale", "line.closed")
NODES, ROUNDS = 8, 3
HZ = 1.0
RECONNECT_LIMIT_S, CLOSED_LIMIT_S = 3.0, 16.0
STALE_LIMIT_PERIODS = 3.1
"""Three periods, and a tenth for the event loop and whoever draws the screen."""
SPREAD_S = 5.0
"""Links fall and rise at moments within so long: the keepalive's whole interval."""
AWAY_S, BACK_S = 90.0, 30.0
SSH_OPTIONS = ("ServerAliveInterval=5", "ServerAliveCountMax=2", "BatchMode=yes", "GlobalKnownHostsFile=none")


@dataclass
class Times:
    """What was measured, in seconds but for `stale_periods`."""

    stale_periods: list[float] = field(default_factory=list)
    closed_s: list[float] = field(default_factory=list)
    back_s: list[float] = field(default_factory=list)
    sample_s: list[float] = field(default_factory=list)
    ssh_connect_s: list[float] = field(default_factory=list)
    ssh_closed_s: list[float] = field(default_factory=list)


def ssh_words(node: LabNode, command: str, folder: Path) -> list[str]:
    """A plain ssh with none of the user's settings."""
    known = folder / f"known-{node.name}"
    known.write_text(f"{node.address} {node.host_key}\n")
    options = [word for option in (*SSH_OPTIONS, f"UserKnownHostsFile={known}") for word in ("-o", option)]
    return ["ssh", "-F", "none", "-i", str(node.key_path), *options, f"nvidia@{node.address}", command]


async def run_ssh(node: LabNode, command: str, folder: Path) -> float:
    """Seconds from now until a plain ssh that runs this ends."""
    begun_s = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *ssh_words(node, command, folder), stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    await process.wait()
    return time.perf_counter() - begun_s


class Meter:
    """Notes when each node's state changed, at the moment when it did."""

    def __init__(self, desk: Desk) -> None:
        self._states: dict[str, NodeState] = {}
        self._since_s: dict[tuple[str, NodeState], float] = {}
        desk.inventory.nodes.subscribe(self._look)

    def _look(self, nodes: tuple[NodeStatus, ...]) -> None:
        for status in nodes:
            if self._states.get(status.record.id) is not status.state:
                self._states[status.record.id] = status.state
                self._since_s[status.record.id, status.state] = time.perf_counter()

    def since_s(self, node: LabNode, state: NodeState) -> float:
        """When it was last in this state for the first time."""
        return self._since_s[node.name, state]


async def fall_and_rise(desk: Desk, node: LabNode, meter: Meter, lot: random.Random, times: Times) -> None:
    """One node's link: down until it is long unreachable, then up until samples come again."""
    index = node.index
    down_s, up_s = lot.uniform(0, SPREAD_S), lot.uniform(0, SPREAD_S)
    await asyncio.sleep(down_s)
    await asyncio.to_thread(node.set_link, False)
    fallen_s = time.perf_counter()
    await desk.wait_for(index, NodeState.STALE, timeout_s=AWAY_S)
    # The last sample came before the link fell: its age counts, for it is what is shown as live meanwhile.
    times.stale_periods.append(desk.telemetry.feed(node.name).age_s() * HZ)
    await desk.wait_for(index, NodeState.UNREACHABLE, timeout_s=AWAY_S)
    times.closed_s.append(meter.since_s(node, NodeState.RECONNECTING) - fallen_s)
    await asyncio.sleep(up_s)
    await asyncio.to_thread(node.set_link, True)
    risen_s = time.perf_counter()
    await desk.wait_for(index, NodeState.LIVE, timeout_s=BACK_S)
    times.back_s.append(meter.since_s(node, NodeState.LIVE) - risen_s)
    await desk.wait_for_pulse(index, PulseState.LIVE, timeout_s=BACK_S)
    times.sample_s.append(time.perf_counter() - risen_s)


async def watch_plain_ssh(node: LabNode, folder: Path, times: Times) -> None:
    """The last node's link falls under a plain ssh with the same keepalive."""
    sleeping = asyncio.ensure_future(run_ssh(node, "sleep 600", folder))
    await asyncio.sleep(3.0)
    await asyncio.to_thread(node.set_link, False)
    fallen_s = time.perf_counter()
    await sleeping
    times.ssh_closed_s.append(time.perf_counter() - fallen_s)
    await asyncio.to_thread(node.set_link, True)


async def measure_rounds(lab: Lab, folder: Path) -> Times:
    """All rounds, on one desk; the last node belongs to the plain ssh."""
    lot, times = random.Random(3), Times()
    *ours, reference = lab.nodes
    async with opened_desk(lab, *(node.record() for node in ours), hz=HZ) as desk:
        meter = Meter(desk)
        for _ in range(ROUNDS):
            for node in ours:
                await desk.wait_for_pulse(node.index, PulseState.LIVE)
                times.ssh_connect_s.append(await run_ssh(node, "true", folder))
            async with asyncio.TaskGroup() as group:
                group.create_task(watch_plain_ssh(reference, folder, times))
                for node in ours:
                    group.create_task(fall_and_rise(desk, node, meter, lot, times))
    return times


def measure() -> list[Figure]:
    """The worst of all repeats.

    Raises:
        RuntimeError: the lab does not start; `pytest.skip`'s own exception, with the reason, where it cannot run.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        os.environ.update(HOME=name, SPARKDESK_HOME=str(folder / "sparkdesk"))
        os.environ.pop("SSH_AUTH_SOCK", None)
        with Lab(NODES, folder, marker="bench") as lab, lab.workstation():
            times = asyncio.run(measure_rounds(lab, folder))
    ssh_s, ssh_closed_s = statistics.median(times.ssh_connect_s), max(times.ssh_closed_s)
    note = (
        f"worst of {len(times.back_s)}, median {statistics.median(times.back_s):.2f} s, first sample at most "
        f"{max(times.sample_s):.2f} s; baseline: a plain ssh's time to connect while the link stands"
    )
    closed = f"worst of {len(times.closed_s)}, median {statistics.median(times.closed_s):.1f} s"
    stale = f"worst of {len(times.stale_periods)} at {HZ:g} Hz, by the age of the last sample; baseline: what is due"
    return [
        Figure.at_most("line.reconnect", max(times.back_s), "s", RECONNECT_LIMIT_S, baseline=ssh_s, note=note),
        Figure.at_most(
            "line.stale", max(times.stale_periods), "periods", STALE_LIMIT_PERIODS, baseline=3.0, note=stale
        ),
        Figure.at_most(
            "line.closed", max(times.closed_s), "s", CLOSED_LIMIT_S, baseline=ssh_closed_s,
            note=f"{closed}; baseline: a plain ssh with the same keepalive of 5 s x 2",
        ),
    ]  # fmt: skip
