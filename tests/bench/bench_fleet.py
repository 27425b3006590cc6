"""How long until 64 simulated nodes are live with a first sample each, against a plain script with the same probes.

The script is what a person would write: asyncssh's defaults, all 64 at once, the probe's source by standard input, and
done when each probe has printed its first readings. The one rule: same nodes, same key, same probe, same process, in
turns; the median of the rounds' ratios counts.
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

from sparkdesk.core.cluster.node import ClusterRecord
from sparkdesk.core.program import python_command
from sparkdesk.infra.simulation import read_cluster
from sparkdesk.infra.ssh import SshConnector
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.fleet.inventory import Inventory
from sparkdesk.services.tasks import Tasks
from sparkdesk.services.telemetry import Telemetry
from sparkdesk.services.wait import wait_for_value
from tests.bench.figure import Figure
from tests.simulator.conftest import running

NAMES = ("fleet.many_nodes_live",)
NODES = 64
ROUNDS = 5
TIMEOUT_S = 60.0
LIVE_LIMIT = 1.5
REST_S = 2.0
"""Between two arms: the probes of the one before leave their nodes."""
REMOTE = Path(__file__).resolve().parents[2] / "sparkdesk" / "remote"
PROGRAMS = tuple((REMOTE / name).read_bytes() for name in ("gpu.py", "probe.py"))


async def start_probe(node: dict[str, object], key: str, done: asyncio.Event) -> None:
    """One node of the plain script: until its first readings, then until all have theirs."""
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
            done.set()


async def run_script(nodes: list[dict[str, object]], key: str) -> float:
    """Seconds until all nodes have shown first readings."""
    events = [asyncio.Event() for _ in nodes]
    begun_s = time.perf_counter()
    async with asyncio.timeout(TIMEOUT_S):
        await asyncio.gather(*(start_probe(node, key, done) for node, done in zip(nodes, events, strict=True)))
    return time.perf_counter() - begun_s


async def open_fleet(cluster: ClusterRecord) -> float:
    """Seconds from opening the cluster until every node is live with a first sample."""
    tasks, store, clock = Tasks(), SqliteStore(None), SystemClock()
    await store.open()
    inventory = Inventory(tasks=tasks, connector=SshConnector(), store=store, clock=clock)
    telemetry = Telemetry(clock=clock, programs=PROGRAMS, on_facts=inventory.set_facts)
    inventory.on_live.append(telemetry.watch)
    inventory.follow(telemetry.pulse)
    try:
        begun_s = time.perf_counter()
        await inventory.open(cluster)
        for node in cluster.nodes:
            await wait_for_value(telemetry.latest(node.id), lambda sample: sample is not None, timeout_s=TIMEOUT_S)
        await wait_for_value(inventory.nodes, lambda nodes: all(n.is_live for n in nodes), timeout_s=TIMEOUT_S)
        return time.perf_counter() - begun_s
    finally:
        await inventory.close()
        await tasks.close()
        await store.close()


def measure() -> list[Figure]:
    """The median of the rounds' ratios. Raises RuntimeError: the simulator does not start, a probe ends."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        home = Path(name)
        os.environ.update(HOME=name, SPARKDESK_HOME=str(home / "sparkdesk"))
        os.environ.pop("SSH_AUTH_SOCK", None)
        with running(home, home / "sparks", "--nodes", str(NODES)) as simulator:
            key = str(simulator.state / "client_ed25519")
            cluster = read_cluster(json.dumps(simulator.line).encode(), key_path=key)
            order = random.Random(3)
            rounds = []
            for number in range(ROUNDS + 1):
                script_s = fleet_s = 0.0
                for is_script in order.sample([True, False], 2):
                    if is_script:
                        script_s = asyncio.run(run_script(simulator.line["nodes"], key))
                    else:
                        fleet_s = asyncio.run(open_fleet(cluster))
                    time.sleep(REST_S)
                if number:  # the first round warms the page cache up
                    rounds.append((script_s, fleet_s))
    script_s, fleet_s = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratio = statistics.median(fleet / script for script, fleet in rounds)
    note = f"{NODES} simulated nodes, {ROUNDS} rounds, medians; the script {script_s:.2f} s, SparkDesk {fleet_s:.2f} s"
    return [Figure.at_most(NAMES[0], ratio, "x of a plain script", LIVE_LIMIT, baseline=1.0, note=note)]
