"""What one server needs of each node's memory: weights, KV cache and runtime, and what a node has to give.

The one rule: the fullest node counts for KV cache. Every node of a replica is taken to hold an even share of the
weights; neglected is what does not divide evenly over a pipeline: a stage with one layer more, and the embedding and
the head at its ends (unquantized, together up to about 2 GB more on one node, for a model of 405B over four stages).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sparkdesk.core.jobs.plan import GIB
from sparkdesk.core.models.kv import node_kv_bytes
from sparkdesk.core.planning.parallelism import Parallelism
from sparkdesk.core.planning.place import NodeRoom, Place
from sparkdesk.core.planning.setup import Setup
from sparkdesk.core.planning.workload import Workload

VALUE_BYTES = {"": 2.0, "auto": 2.0, "f16": 2.0, "bf16": 2.0, "bfloat16": 2.0, "float16": 2.0, "f32": 4.0, "fp8": 1.0}
VALUE_BYTES |= {"fp8_e4m3": 1.0, "fp8_e5m2": 1.0, "nvfp4": 9 / 16, "q8_0": 34 / 32, "q5_0": 22 / 32, "q5_1": 24 / 32}
VALUE_BYTES |= {"q4_0": 18 / 32, "q4_1": 20 / 32, "iq4_nl": 18 / 32}
"""Bytes of one KV value by data type. The last six: blocks of 32 values with their scales (ggml's block sizes); nvfp4:
16 values with a scale of one byte."""

DEVICE_BYTES: Final = {"gb10": 130_595_926_016, "h100": 85_899_345_920, "b200": 193_273_528_320}
"""A device's memory where nobody read it of the node, the same as in resources/planning/devices.toml. gb10: MemTotal,
121.6 GiB. Source: /proc/meminfo of a DGX Spark of 2026; the others: NVIDIA's data sheets."""
SYSTEM_BYTES: Final = 4 * GIB
"""What the system, a desktop session and the services of an idle node take, where nobody read it: an allowance,
unverified on hardware [system-reserve]."""
NCCL_BYTES: Final = GIB // 2
"""Buffers of the collectives and the workers' own processes on each node of several: an allowance,
unverified on hardware [nccl-buffers]."""
DRAFT_SHARES: Final = {"draft": 0.15, "draft_model": 0.15, "eagle": 0.03, "eagle3": 0.03, "dflash": 0.03}
"""A draft model's weights over the model's own, by method: an allowance (8B beside 70B; one layer of 36),
unverified on hardware [draft-weights]. The heads of mtp are in the checkpoint; ngram and suffix have no weights."""
MOST_TOKENS: Final = 4_194_304
MOST_USERS: Final = 4096
"""Bounds of `LaunchRequest`."""


@dataclass(frozen=True, slots=True)
class Need:
    """What each node must hold for a workload, in bytes; `None` is not known."""

    weights_bytes: float | None
    kv_bytes: float | None
    runtime_bytes: float

    @property
    def total_bytes(self) -> float | None:
        """All of it; None when a part is not known."""
        if self.weights_bytes is None or self.kv_bytes is None:
            return None
        return self.weights_bytes + self.kv_bytes + self.runtime_bytes


@dataclass(frozen=True, slots=True)
class Room:
    """What a node has: `None` is not known. `system_bytes` is kept for the system where its use was not read."""

    total_bytes: int | None
    others_bytes: int | None
    system_bytes: int

    @property
    def left_bytes(self) -> int | None:
        """What a launch can get; None when a part is not known."""
        if self.total_bytes is None or self.others_bytes is None:
            return None
        return self.total_bytes - self.others_bytes - self.system_bytes


def is_count(value: object, most: int) -> bool:
    """Whether this is a whole number from 1 to `most`."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def is_divisible(parallelism: Parallelism) -> bool:
    """Whether its sizes are numbers that nodes can be counted with."""
    sizes = (parallelism.tensor_parallel_size, parallelism.pipeline_parallel_size, parallelism.data_parallel_size)
    return all(is_count(size, 1024) for size in sizes)


def need_of(setup: Setup, workload: Workload) -> Need:
    """What each node of this setup needs for this workload. Total: absurd figures give parts that are not known."""
    has_sizes = is_divisible(setup.parallelism)
    kv = None
    if has_sizes and is_count(workload.users, 1 << 30) and is_count(workload.context_tokens, 1 << 40):
        kv = sequences_bytes(setup, tokens=workload.context_tokens, users=workload.users)
    return Need(_weights_bytes(setup) if has_sizes else None, kv, runtime_bytes(setup))


def sequences_bytes(setup: Setup, *, tokens: int, users: int) -> float | None:
    """KV cache and state on the fullest node; None when the model's shape or the KV data type is not known.

    The cache of an mtp head (one layer more) is neglected.
    """
    value_bytes = VALUE_BYTES.get(setup.kv_dtype)
    if value_bytes is None:
        return None
    return node_kv_bytes(
        setup.spec, tokens=tokens, sequences=users, value_bytes=value_bytes, parallelism=setup.parallelism
    )


def runtime_bytes(setup: Setup) -> float:
    """CUDA context, graphs, activations, server; over several nodes also what their collectives hold."""
    has_peers = is_divisible(setup.parallelism) and setup.parallelism.replica_size > 1
    return setup.engine.runtime_bytes + (NCCL_BYTES if has_peers else 0)


def room_of(node: NodeRoom, place: Place) -> Room:
    """What a node has: as it was read, else the device's figure less what its deployments hold and the system."""
    total = node.total_bytes if node.total_bytes is not None else DEVICE_BYTES.get(node.device)
    if total is not None and total <= 0:
        total = None
    if total is not None and node.available_bytes is not None:
        return Room(total, max(0, total - max(0, node.available_bytes)), 0)
    held = [neighbour.bytes_held for neighbour in place.neighbours if node.node_id in neighbour.node_ids]
    known = [amount for amount in held if amount is not None]
    return Room(total, sum(known) if len(known) == len(held) else None, SYSTEM_BYTES)


def _weights_bytes(setup: Setup) -> float | None:
    if setup.weights.weight_bytes <= 0:
        return None
    draft = 1.0 + DRAFT_SHARES.get(setup.speculative, 0.0)
    return setup.weights.weight_bytes * draft / setup.parallelism.replica_size
