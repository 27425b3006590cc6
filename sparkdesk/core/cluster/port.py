"""QSFP cages and the cables in them: how a Spark's network hardware is named and read.

Source: NVIDIA/dgx-spark-playbooks, connect-two-sparks: each cage has two PCIe halves, each half a netdev and an RDMA
device; group them by the f0/f1 (npN) suffix, never by name order.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

CAGES = ("P0", "P1")
"""The two QSFP cages, P0 next to the RJ45."""

CAGE_NETDEVS = {"P0": ("enp1s0f0np0", "enP2p1s0f0np0"), "P1": ("enp1s0f1np1", "enP2p1s0f1np1")}
CAGE_RDMA_DEVICES = {"P0": ("rocep1s0f0", "roceP2p1s0f0"), "P1": ("rocep1s0f1", "roceP2p1s0f1")}


class PortState(StrEnum):
    """A cage's cable as the node sees it."""

    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Port:
    """One QSFP cage now. `speed_gbps` and the rates are NaN when unknown; rates add both halves."""

    cage: str
    state: PortState
    speed_gbps: float = float("nan")
    rx_gbps: float = float("nan")
    tx_gbps: float = float("nan")
    mtu: int | None = None
