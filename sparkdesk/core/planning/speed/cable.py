"""What it takes to send something between nodes: all-reduces of tensor parallel, hops of pipeline parallel.

The one rule: every message costs a latency and its bytes; small and middling messages run at a lower rate than large.
"""

from __future__ import annotations

import math

from sparkdesk.core.planning.place import Link

DEFAULT_LINK = Link(gb_per_s=23.7, latency_s=32e-6, title="200G cable, assumed")
"""Source: nccl-tests over one 200G cable between two nodes: 23.74 GB/s bus bandwidth at 16 GB, an all-reduce of 8 KiB
in 30 to 35 us (NVIDIA/dgx-spark-playbooks issue 103)."""
SMALL_GB_PER_S = 1.69
"""Up to `SMALL_BYTES` an all-reduce runs at this rate. Source: the same run, 64 KiB in 65 to 68 us."""
SMALL_BYTES = 131_072.0
"""Where the pipelined protocol takes over: assumed, between the 64 KiB and the 16 GB that were measured."""


def all_reduce_s(nodes: int, message_bytes: float, link: Link, *, overhead_s: float, rate_share: float) -> float:
    """One all-reduce of `message_bytes` over `nodes` nodes, in seconds.

    Latency grows with the depth of a tree, bytes with the ring's 2 (n - 1) / n. `overhead_s` is the engine's own,
    `rate_share` the share of the cable's rate that it reaches with large messages.
    """
    if nodes < 2:
        return 0.0
    crossing = message_bytes * 2.0 * (nodes - 1) / nodes
    rate = link.gb_per_s * 1e9 * rate_share
    small_rate = min(SMALL_GB_PER_S * 1e9, rate)
    small = min(crossing, SMALL_BYTES)
    return overhead_s + link.latency_s * math.log2(nodes) + small / small_rate + (crossing - small) / rate


def hop_s(message_bytes: float, link: Link, *, rate_share: float) -> float:
    """One message from a pipeline stage to the next, in seconds."""
    rate = link.gb_per_s * 1e9 * rate_share
    small = min(message_bytes, SMALL_BYTES)
    return link.latency_s + small / min(SMALL_GB_PER_S * 1e9, rate) + (message_bytes - small) / rate
