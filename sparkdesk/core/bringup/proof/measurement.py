"""A measurement of a bring-up's proof: what was measured where, its value, the band it is held against, and the grade.

The one rule: a value that was not measured is None with the reason; a grade other than PASS names causes or a remedy.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """How a measurement stands against its band."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    UNREAD = "unread"
    """It could not be measured, or its end is not known."""
    SKIPPED = "skipped"
    """Left out, for the reason in `message`."""


class ProofKind(StrEnum):
    """What is measured."""

    LINK = "link"
    """Carrier and line speed of both ends."""
    PING = "ping"
    """Sized pings that may not be split, both ways."""
    DUPLICATE = "duplicate"
    RDMA_BANDWIDTH = "rdma_bandwidth"
    RDMA_LATENCY = "rdma_latency"
    TCP = "tcp"
    """iperf3, where there is no RDMA."""
    NCCL_HOST = "nccl_host"
    NCCL_IMAGE = "nccl_image"
    ALL_GATHER = "all_gather"
    GPU_CLOCK = "gpu_clock"
    """Of each node's GPU while it is loaded."""


@dataclass(frozen=True, slots=True)
class Band:
    """What a value is held against; higher is better unless `is_lower_better`. NaN where there is no such limit."""

    unit: str
    pass_at: float
    warn_at: float
    top: float
    """The end of the drawn scale."""
    is_lower_better: bool = False
    source: str = ""
    is_unverified: bool = True
    """It leans on an assumption of the table (core/probes/assumption_table.py)."""


@dataclass(frozen=True, slots=True)
class ProofEnd:
    """One half of a cage as it takes part; `address` has no prefix, `mac` is lower-case or "", as it was read."""

    node_id: str
    name: str
    """What SparkDesk calls the node."""
    netdev: str = ""
    address: str = ""
    mac: str = ""
    rdma_device: str = ""
    mtu: int | None = None
    """What the plan leaves it at."""


@dataclass(frozen=True, slots=True)
class ProofPart:
    """One look of an item: the step that prints it, and between which ends. `target` None: it is of one node."""

    step_id: str
    source: ProofEnd
    target: ProofEnd | None = None
    half: int = 0


@dataclass(frozen=True, slots=True)
class ProofItem:
    """One thing to be measured: the steps of the proof's playbook whose output it is read from."""

    id: str
    kind: ProofKind
    title: str
    node_ids: tuple[str, ...]
    """The two ends, or all nodes of a collective."""
    step_ids: tuple[str, ...] = ()
    cable: str = ""
    """The key of the cable; "" for what is of nodes or of the cluster."""
    band: Band | None = None
    skipped: str = ""
    """Why it is not measured."""
    parts: tuple[ProofPart, ...] = ()
    """What its figure is made of; their steps are `step_ids`."""
    facts: tuple[tuple[str, str], ...] = ()
    """What was known when it was planned: hardware address -> its node's id (DUPLICATE), name -> version (NCCL)."""
    names: tuple[tuple[str, str], ...] = ()
    """Node id -> what SparkDesk calls it, of the nodes in `facts` (DUPLICATE): two nodes may have one name."""
    note: str = ""
    """A sentence that stands beside its result, e.g. that a job runs on one of its nodes."""
    image: str = ""
    """The container image that it is of: whose NCCL is asked for, or in which the all_gather runs."""


@dataclass(frozen=True, slots=True)
class NodeFigure:
    """What a measurement that is of nodes comes to on one of them. `value` None: it was not measured there."""

    node_id: str
    grade: Grade
    value: float | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What came of an item."""

    item: ProofItem
    grade: Grade
    value: float | None = None
    unit: str = ""
    message: str = ""
    """One line: "92.6 + 97.3, both halves · passes at 185"."""
    causes: tuple[str, ...] = ()
    """The likely causes of a value outside its band, the likeliest first."""
    remedy: str = ""
    detail: str = ""
    """What the tools printed, plain and bounded."""
    is_simulated: bool = False
    by_node: tuple[NodeFigure, ...] = ()
    """The same, node by node, where it is of nodes and not of the ways between them."""
