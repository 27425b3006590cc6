"""Nodes as judges see them: healthy ones, whose readings and details a test changes one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from sparkdesk.core.cluster.details import CageHalf, NodeDetails
from sparkdesk.core.cluster.port import CAGE_NETDEVS
from sparkdesk.core.findings.concern import Concern
from sparkdesk.core.findings.judge_cage import read_cages
from sparkdesk.core.findings.table import judge_cluster, judge_one
from sparkdesk.core.findings.view import NodeNow, Past
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.step import Playbook

GIB = 2.0**30
GB = 1e9
NOW_MS = 1_790_000_000_000
SPAN_S = 120
NAN = float("nan")

Value = float | Callable[[float], float]
"""A reading, or one by the seconds before now (0 is the newest)."""

HEALTHY: dict[str, Value] = {
    "gpu_util": 0.96,
    "gpu_temp_c": 68.0,
    "gpu_power_w": 61.0,
    "gpu_sm_clock_mhz": 2418.0,
    "gpu_power_capped": 0.02,
    "cpu_temp_c": 71.0,
    "mem_total_bytes": 121.6 * GIB,
    "mem_available_bytes": 60 * GIB,
    "mem_page_cache_bytes": 4 * GIB,
    "swap_total_bytes": 16 * GIB,
    "swap_used_bytes": 0.0,
    "disk_total_bytes": 4000 * GB,
    "disk_used_bytes": 900 * GB,
    "psi_memory_some_avg10": 0.0,
    "psi_memory_full_avg10": 0.0,
    "cage_up.P0": 0.0,
    "cage_up.P1": 2.0,
    "cage_speed_gbps.P1": 200.0,
}
KEYS = tuple(HEALTHY)
PCI = {
    "enp1s0f0np0": "0000:01:00.0",
    "enp1s0f1np1": "0000:01:00.1",
    "enP2p1s0f0np0": "0002:01:00.0",
    "enP2p1s0f1np1": "0002:01:00.1",
}


def make_past(values: dict[str, Value], *, span_s: int = SPAN_S, period_s: int = 1) -> Past:
    """Readings once a period up to now."""

    def read(key: str, _span_s: float) -> tuple[Iterable[int], Iterable[float]]:
        value = values.get(key)
        if value is None:
            return (), ()
        ages = range(span_s - period_s, -1, -period_s)
        return [NOW_MS - 1000 * age for age in ages], [value(age) if callable(value) else value for age in ages]

    return Past(read, NOW_MS)


def make_details(node_id: str = "n1", *, width: int = 4, **known: Any) -> NodeDetails:
    """A healthy node's details."""
    halves = tuple(
        CageHalf(cage, netdev, pci_address=PCI[netdev], pcie_width=width if "P2" in netdev else 4, pcie_gts=32.0)
        for cage, netdevs in CAGE_NETDEVS.items()
        for netdev in netdevs
    )
    healthy = NodeDetails(
        node_id, t_ms=NOW_MS, dgx_os="DGX OS 7.5.0", kernel="6.17.0-1014-nvidia", driver="580.142", cuda="13.0",
        nccl="2.28.9", bios="5.36", nic_firmware="28.45.4028", halves=halves, needs_reboot=False,
    )  # fmt: skip
    return replace(healthy, **known)


def make_node(node_id: str = "n1", readings: dict[str, Value] | None = None, **fields: Any) -> NodeNow:
    """A healthy node under load but for these readings and fields; a reading of NaN is missing."""
    past = make_past({**HEALTHY, **(readings or {})})
    node = NodeNow(node_id, f"spark-{node_id}", past, details=make_details(node_id), cages=read_cages(past))
    return replace(node, **fields)


def make_job(job_id: str, created_ms: int, state: JobState = JobState.READY) -> JobStatus:
    """A job on a node."""
    return JobStatus(job_id, f"model {job_id}", "llamacpp", ("n1",), state, created_ms)


def stop_plan(job_id: str) -> Playbook:
    """What stops it."""
    return Playbook(f"Stop {job_id}", ())


def concerns_of(*nodes: NodeNow) -> dict[str, Concern]:
    """What is so in this moment, by id."""
    found = [judgement for node in nodes for judgement in judge_one(node, nodes)]
    found += judge_cluster(nodes)
    return {judgement.id: judgement.concern for judgement in found if judgement.concern is not None}


def known_of(*nodes: NodeNow) -> dict[str, bool]:
    """Whether each could be told."""
    found = [judgement for node in nodes for judgement in judge_one(node, nodes)]
    return {judgement.id: judgement.is_known for judgement in [*found, *judge_cluster(nodes)]}
