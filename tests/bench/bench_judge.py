"""What it costs to judge 64 nodes for findings, and to make a topology of what 64 nodes told.

Pure core on plain values: five minutes of readings a node, and a switch with every node on both cages. The one rule:
CPU time of this process, the median of several; one node's share is what holds up the window, since nodes are judged
one after another, each in its own moment.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from sparkdesk.core.cluster.topology import build_topology
from sparkdesk.core.findings.table import NODE_JUDGES, judge_cluster, judge_one
from sparkdesk.core.findings.view import NodeNow, Past
from sparkdesk.core.telemetry.history import History
from sparkdesk.core.telemetry.sample import Sample
from tests.bench.figure import Figure
from tests.core.cluster.cabling import switch
from tests.core.findings.nodes import HEALTHY, NOW_MS, make_details

NAMES = ("judge.one_of_64_nodes", "judge.64_nodes", "judge.topology_64_nodes")
NODES, SECONDS, ROUNDS = 64, 300, 7
ONE_LIMIT_MS = 8.0


def cpu_ms(work: Callable[[], object]) -> float:
    """The median CPU time of one call, in ms, after one that does not count."""
    times = []
    for _ in range(ROUNDS + 1):
        begun_s = time.process_time()
        work()
        times.append((time.process_time() - begun_s) * 1000)
    return statistics.median(times[1:])


def make_history(node_id: str) -> History:
    """Five minutes of a healthy node."""
    history = History()
    values = {key: value for key, value in HEALTHY.items() if isinstance(value, float)}
    for second in range(SECONDS):
        t_ms = NOW_MS - (SECONDS - second) * 1000
        history.append(Sample(node_id, t_ms, second, "boot", values))
    return history


def measure() -> list[Figure]:
    """All three."""
    histories = {f"n{number}": make_history(f"n{number}") for number in range(NODES)}
    details = make_details()

    def view(node_id: str) -> NodeNow:
        past = Past(histories[node_id].series, NOW_MS - 1000)
        return NodeNow(node_id=node_id, name=f"spark-{node_id}", past=past, details=details)

    others = tuple(view(node_id) for node_id in histories)

    def judge_all() -> None:
        views = tuple(view(node_id) for node_id in histories)
        for each in views:
            tuple(judge_one(each, views, NODE_JUDGES))
        tuple(judge_cluster(views))

    told = switch(NODES, ("P0", "P1")).views()
    one_ms = cpu_ms(lambda: tuple(judge_one(view("n7"), others, NODE_JUDGES)))
    all_ms = cpu_ms(judge_all)
    topology_ms = cpu_ms(lambda: build_topology(told, {}))
    note = f"{SECONDS} readings of {len(HEALTHY)} quantities a node; all judges"
    return [
        Figure.at_most(NAMES[0], one_ms, "ms", ONE_LIMIT_MS, note=note),
        Figure.told(NAMES[1], all_ms, "ms", note=f"{note}; spread over 8 s by the service"),
        Figure.told(NAMES[2], topology_ms, "ms", note="both cages of each on one switch; in a thread of its own"),
    ]
