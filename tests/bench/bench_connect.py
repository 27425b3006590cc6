"""How long until four nodes are connected, and until each shows a first sample, against ONE `ssh host true`.

Servers: real OpenSSH, four of them on loopback, with one login shell and one key for all; the arms take turns in an
order that a fixed seed shuffles, and the median of the rounds' ratios counts. The one rule: both sides do what a
person waits for, from nothing: `ssh` starts as a program, SparkDesk's inventory opens the cluster; and both run `true`.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from sparkdesk.core.cluster.node import ClusterRecord
from sparkdesk.core.command import Command
from sparkdesk.infra.ssh import SshConnector
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.fleet.inventory import Inventory
from sparkdesk.services.tasks import Tasks
from sparkdesk.services.telemetry import Telemetry
from sparkdesk.services.wait import wait_for_value
from tests.bench.figure import Figure
from tests.infra.sshd import Sshd, running_sshd

NAMES = ("connect.four_nodes", "connect.four_first_samples")
ROUNDS = 15
NODES = 4
TIMEOUT_S = 30.0
CONNECT_LIMIT, SAMPLE_LIMIT = 1.0, 3.0
REMOTE = Path(__file__).resolve().parents[2] / "sparkdesk" / "remote"


def run_ssh(server: Sshd) -> float:
    """Seconds that one `ssh host true` takes, as a program of its own, with nothing of the user's settings."""
    words = [
        "ssh", "-F", "none", "-i", str(server.key_path), "-p", str(server.port), "-o", "IdentitiesOnly=yes",
        "-o", f"UserKnownHostsFile={server.folder / 'known'}", "-o", "GlobalKnownHostsFile=none", "-o", "BatchMode=yes",
        f"{server.user}@127.0.0.1", "true",
    ]  # fmt: skip
    (server.folder / "known").write_text(f"[127.0.0.1]:{server.port} {server.host_key}\n")
    begun_s = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True, timeout=TIMEOUT_S)
    return time.perf_counter() - begun_s


async def open_cluster(servers: list[Sshd]) -> tuple[float, float]:
    """Seconds from opening the cluster until every node has run `true`, and until each has shown a first sample."""
    tasks, store, clock = Tasks(), SqliteStore(None), SystemClock()
    await store.open()
    inventory = Inventory(tasks=tasks, connector=SshConnector(), store=store, clock=clock)
    programs = [(REMOTE / name).read_bytes() for name in ("gpu.py", "probe.py")]
    telemetry = Telemetry(clock=clock, programs=programs, on_facts=inventory.set_facts)
    inventory.on_live.append(telemetry.watch)
    try:
        begun_s = time.perf_counter()
        await inventory.open(ClusterRecord(id="bench", name="Bench", nodes=tuple(s.record() for s in servers)))
        await wait_for_value(inventory.nodes, lambda nodes: all(n.is_live for n in nodes), timeout_s=TIMEOUT_S)
        answers = (inventory.shell(s.name).run(Command(("true",)), timeout_s=TIMEOUT_S) for s in servers)
        if not all(outcome.is_ok for outcome in await asyncio.gather(*answers)):
            raise RuntimeError("a node is live and does not run `true`")
        connected_s = time.perf_counter() - begun_s
        for server in servers:
            await wait_for_value(telemetry.latest(server.name), lambda sample: sample is not None, timeout_s=TIMEOUT_S)
        return connected_s, time.perf_counter() - begun_s
    finally:
        await inventory.close()
        await tasks.close()
        await store.close()


def measure_rounds(servers: list[Sshd]) -> list[tuple[float, float, float]]:
    """One (ssh, connected, first samples) a round, in seconds; a first round of each warms the page cache up."""
    order = random.Random(2)
    rounds = []
    for number in range(ROUNDS + 1):
        ssh_s = connected_s = sample_s = 0.0
        for is_ssh in order.sample([True, False], 2):
            if is_ssh:
                ssh_s = run_ssh(servers[number % NODES])
            else:
                connected_s, sample_s = asyncio.run(open_cluster(servers))
        if number:
            rounds.append((ssh_s, connected_s, sample_s))
    return rounds


def measure() -> list[Figure]:
    """The medians of the rounds' ratios.

    Raises:
        RuntimeError: the servers do not start; `pytest.skip`'s own exception where OpenSSH's server is missing.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        os.environ.update(HOME=str(folder), SPARKDESK_HOME=str(folder / "sparkdesk"))
        os.environ.pop("SSH_AUTH_SOCK", None)
        servers = []
        for number in range(NODES):
            server = stack.enter_context(running_sshd(folder / str(number), name=f"spark-{number + 1}"))
            servers.append(server)
        rounds = measure_rounds(servers)
    ssh_ms, connected_ms, sample_ms = (1000 * statistics.median(column) for column in zip(*rounds, strict=True))
    note = (
        f"real OpenSSH on loopback, {ROUNDS} rounds, medians of ratios; "
        f"ssh {ssh_ms:.0f} ms, four connected and `true` run {connected_ms:.0f} ms, first samples {sample_ms:.0f} ms"
    )
    connect = statistics.median(connected_s / ssh_s for ssh_s, connected_s, _ in rounds)
    sample = statistics.median(sample_s / ssh_s for ssh_s, _, sample_s in rounds)
    return [
        Figure.at_most("connect.four_nodes", connect, "x of one ssh", CONNECT_LIMIT, baseline=1.0, note=note),
        Figure.at_most("connect.four_first_samples", sample, "x of one ssh", SAMPLE_LIMIT, baseline=1.0, note=note),
    ]
