"""How much goes over the RDMA devices of a node: by the ports as they are now, and by what units were measured at.

The one rule: a figure of a healthy port, or of a known fault, has a source; what is made up says so.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from spark_state import ROOT, conditions, read_json, read_text

GOOD_GBPS = (92.57, 97.28)
"""By half. Source: NVIDIA/dgx-spark-playbooks, connect-two-sparks (perftest)."""
DEGRADED_GBPS = (12.86, 13.23)
"""A port that came up wrongly. Source: NVIDIA/dgx-spark-playbooks, pull request 108."""
_NARROW_SHARE = 0.5  # of two PCIe lanes instead of four; made up for the simulator
_FULL_MBPS = 200_000

PAIR_GBS = 23.74
"""busbw of an all_gather, NCCL 2.28.9, MTU 9000, both halves. Source: NVIDIA/dgx-spark-playbooks issue 103."""
SMALL_MTU_GBS = 18.94  # Source: the same, issue 25
ONE_HALF_GBS = 12.0  # Source: tonyd2wild/DeepSeek-v4-Flash issue 35
RING_GBS = 12.4  # made up for the simulator; NVIDIA's mark for a ring is 10
MANAGEMENT_GBS = 1.17  # arithmetic: 10 Gb/s, and a little for what is around the data
SOCKET_GBS = 8.0  # TCP over a fast port; made up for the simulator


def devices() -> list[str]:
    """The RDMA devices of the node."""
    return sorted(os.listdir(f"{ROOT}/sys/class/infiniband"))


def netdev_of(device: str) -> str:
    """The network device of an RDMA device."""
    (netdev,) = os.listdir(f"{ROOT}/sys/class/infiniband/{device}/device/net")
    return netdev


def is_active(device: str) -> bool:
    """Whether its port has a link."""
    return read_text(f"/sys/class/infiniband/{device}/ports/1/state") == "4: ACTIVE"


def port_of(netdev: str) -> dict[str, Any]:
    """What the model of the cables says of a port."""
    found: dict[str, Any] = next(port for port in read_json("ports")["ports"] if port["netdev"] == netdev)
    return found


def half_gbps(netdev: str) -> float:
    """What one half gives, Gb/s."""
    port = port_of(netdev)
    half = int(port["half"])
    if "rdma-degraded" in port.get("faults", ()):
        return DEGRADED_GBPS[half]
    share = _NARROW_SHARE if half and "pcie-width" in conditions() else 1.0
    return GOOD_GBPS[half] * share * min(1.0, max(0, int(port["speed_mbps"])) / _FULL_MBPS)


def gather_gbs(halves: int, least_mtu: int, share: float, *, is_ring: bool) -> float:
    """busbw of an all_gather over so many halves between two neighbours, each at this share of what it should give."""
    whole = RING_GBS if is_ring else PAIR_GBS if least_mtu >= 9000 else SMALL_MTU_GBS
    return min(whole, ONE_HALF_GBS * halves) * share


def common_halves(one: Sequence[str], other: Sequence[str]) -> int:
    """How many halves of two nodes are on a wire that both are on; a switch is one wire for all halves."""
    shared = set(one) & set(other)
    return min(sum(segment in shared for segment in one), sum(segment in shared for segment in other))
