"""What the figures of a proof are held against, who says so, and what is said of GPUDirect RDMA.

The one rule: every limit names who measured or set it; no limit is ours without saying so.
All of them are unverified on hardware [link-speed, rdma-rate, cage-rdma-devices].
"""

from __future__ import annotations

import math

from sparkdesk.core.bringup.proof.measurement import Band
from sparkdesk.core.cluster.topology import Shape

GPUDIRECT = (
    "GPUDirect RDMA is not supported on GB10 (NVIDIA's FAQ for DGX Spark): NCCL goes through host memory. There is "
    "nothing to switch on for it."
)
"""Stands in every report. Source: NVIDIA's FAQ and knowledge base article 5780, as others quote them."""

_PLAYBOOKS = "NVIDIA/dgx-spark-playbooks"
_HALVES = f"{_PLAYBOOKS}, connect-two-sparks: 92.57 and 97.28 Gb/s on the two halves of one cable"

RDMA_BOTH = Band("Gb/s", 185.0, 175.0, 200.0, source=f"{_HALVES}; 175 Gb/s is the mark of its cluster script")
"""Both halves at once, added; of the two ways the weaker one counts."""
RDMA_HALF = Band("Gb/s", 90.0, 87.5, 112.0, source=f"{_HALVES}; others report up to 112 on one half alone")
"""One half, of which the whole is made."""
DEGRADED_GBPS = (8.0, 25.0)
"""A half that gives so little on a line that says 200 Gb/s came up wrongly. Source: NVIDIA/dgx-spark-playbooks, pull
request 108: 12.86 and 13.23 Gb/s on four Sparks, and this range as the sign of it."""
WEAK_HALF_GBPS = 60.0
"""A half below this, beside a good one, has half its PCIe lanes or half its line. Own choice, between 46 (a line of
100 Gb/s over two halves) and 90."""
ONE_SIDED_SHARE = 0.75
"""A way of a half that gives less than this share of the way back is told as slow that way only. Own choice."""
RDMA_LATENCY = Band(
    "µs", 5.0, 20.0, 25.0, is_lower_better=True,
    source="Own choice: Mellanox/ngc_multinode_perf takes 2.5 µs for servers as the sign of a fault",
)  # fmt: skip
TCP = Band(
    "Gb/s", 90.0, 25.0, 200.0,
    source="iperf3 gives 96 to 106 Gb/s on a Spark's half as it comes, by several reviews; 25 ends the degraded range",
)  # fmt: skip
LINK = Band("Gb/s", 200.0, 100.0, 200.0, source=f"{_PLAYBOOKS}, multi-sparks-through-switch: 200000Mb/s is good")
PING = Band("% lost", 0.0, 0.0, 100.0, is_lower_better=True, source="A cable loses nothing")

GATHER = Band("GB/s", 21.875, 18.9, 25.0, source=f"{_PLAYBOOKS}, its cluster script: 175 Gb/s; below it issue 25")
"""busbw of a pair and behind a switch. 18.9 is what issue 25 measured with an MTU of 1500."""
GATHER_RING = Band("GB/s", 10.0, math.nan, 25.0, source=f"{_PLAYBOOKS}, its cluster script: 80 Gb/s in a ring")

ONE_HCA_GBS = (10.5, 13.5)
"""One RDMA device only: about 98 Gb/s. Source: tonyd2wild/DeepSeek-v4-Flash issue 35; the width is ours."""
WRONG_NCCL_GBS = (2.4, 3.6)
"""A build of NCCL that does not fit: 3.04 GB/s at every size. Source: NVIDIA/dgx-spark-playbooks 103; width ours."""
SMALL_MTU_GBS = (18.0, 21.875)
"""MTU 1500: 18.9 to 21. Source: NVIDIA/dgx-spark-playbooks issue 25; the width is ours."""
MANAGEMENT_GBS = 1.3
"""10 Gb/s are 1.2 GB/s at most: no more goes over the management network. Source: arithmetic."""

GOOD_NCCL = "2.28.9"
"""The release with which 23.74 GB/s were measured. Source: NVIDIA/dgx-spark-playbooks 103."""


def gather_band(shape: Shape) -> Band:
    """What an all_gather over nodes joined in this shape is held against. Of other shapes than these three nobody tells
    a mark; the stricter one holds there, so that a slow cable is not passed."""
    return GATHER_RING if shape is Shape.RING else GATHER
