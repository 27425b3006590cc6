"""How long after a node is live its servers that run already are listed, with the models that each serves.

A simulated Spark with three servers of somebody else's: vLLM in a container, Ollama, llama.cpp. The one rule: nothing
is known before; each round connects anew with a store of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from sparkdesk.app.stack import Stack
from sparkdesk.core.cluster.found_server import FoundServer
from sparkdesk.core.cluster.node import ClusterRecord, NodeStatus
from sparkdesk.infra.simulation import read_cluster
from sparkdesk.services.wait import wait_for_value
from tests.bench.figure import Figure
from tests.simulator.conftest import TINY_MODEL, running

NAMES = ("found.first_list",)
ENGINES = ("vllm", "ollama", "llamacpp")
ROUNDS = 5
TIMEOUT_S = 60.0
LIMIT_S = 5.0
WARM_S = 20.0
"""The servers load their models first: here it is measured how fast they are found, not how fast they start."""


async def find_servers(cluster: ClusterRecord) -> float:
    """Seconds from live until all three are listed with a model."""
    stack = Stack(folder=None)
    live_s = 0.0

    def note_live(nodes: tuple[NodeStatus, ...]) -> None:
        nonlocal live_s
        if nodes and nodes[0].is_live and not live_s:
            live_s = time.perf_counter()

    def are_listed(servers: tuple[FoundServer, ...]) -> bool:
        return len([server for server in servers if server.models]) >= len(ENGINES)

    await stack.open()
    try:
        stack.inventory.nodes.subscribe(note_live)
        await stack.inventory.open(cluster)
        await wait_for_value(stack.fleet.servers.servers, are_listed, timeout_s=TIMEOUT_S)
        return time.perf_counter() - live_s
    finally:
        await stack.close()


def measure() -> list[Figure]:
    """The median of the rounds. Raises RuntimeError: the simulator does not start; TimeoutError: nothing is found."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        home = Path(name)
        os.environ.update(HOME=name, SPARKDESK_HOME=str(home / "sparkdesk"))
        words = [word for engine in ENGINES for word in ("--running", engine)]
        with running(home, home / "sparks", "--nodes", "1", "--model", str(TINY_MODEL), *words) as simulator:
            key = str(simulator.state / "client_ed25519")
            cluster = read_cluster(json.dumps(simulator.line).encode(), key_path=key)
            asyncio.run(find_servers(cluster))
            time.sleep(WARM_S)
            rounds = [asyncio.run(find_servers(cluster)) for _ in range(ROUNDS)]
    note = f"{len(ENGINES)} servers, {ROUNDS} rounds, slowest {max(rounds):.2f} s"
    return [Figure.at_most(NAMES[0], statistics.median(rounds), "s after live", LIMIT_S, note=note)]
