"""Memory that training takes of one node: weights, gradients, optimizer, activations.

The one rule: mixed precision with AdamW, as the frameworks do it by default, and everything that is assumed is a named
constant; what a shape does not tell stays None.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sparkdesk.core.jobs.plan import GIB, Fit, MemoryLedger
from sparkdesk.core.models.spec import LayerKind, ModelSpec
from sparkdesk.core.planning.memory.need import room_of
from sparkdesk.core.planning.place import NodeRoom, Place

WEIGHT_BYTES = 2.0
"""A parameter in 16 bit."""
GRADIENT_BYTES = 2.0
OPTIMIZER_BYTES = 12.0
"""AdamW in mixed precision: two moments and the master copy, 4 bytes each."""
QLORA_WEIGHT_BYTES = 0.55
"""4 bit with its scales."""
RUNTIME_BYTES = 4 * GIB
"""CUDA context, kernels' workspaces, NCCL's buffers, the program. An allowance; with what stands around it:
unverified on hardware [training-memory]."""
VOCABULARY = 131_072
"""Where logits are computed; an assumption, as a shape does not tell it."""
LOGIT_BYTES = 6.0
"""Of one logit: 16 bit and its float copy."""
WORKING_VALUES = 34.0
"""Values a token and width of the one layer that is computed anew. Source: Korthikanti et al., 2022, section 4."""
ADAPTER_FACTOR = 20.0
"""Parameters of LoRA on all linear layers over layers x rank x width. Computed from two shapes (4B and 8B)."""
ADAPTER_SHARE = 0.0005
"""Of a model's parameters for each rank, where its shape is not known."""


@dataclass(frozen=True, slots=True)
class TrainingMemory:
    """One node after the start, in bytes; None is not known. Parts and free sum to the total."""

    node_id: str
    total_bytes: int | None
    others_bytes: int | None
    weights_bytes: int | None
    gradients_bytes: int | None
    optimizer_bytes: int | None
    activations_bytes: int | None
    runtime_bytes: int = RUNTIME_BYTES
    reserve_bytes: int = 0

    @property
    def free_bytes(self) -> int | None:
        """What is left; negative: too big; None: a part is not known."""
        return self._ledger.free_bytes

    @property
    def fit(self) -> Fit:
        """The word, as for a server."""
        return self._ledger.fit

    @property
    def _ledger(self) -> MemoryLedger:
        model = (self.weights_bytes, self.gradients_bytes, self.optimizer_bytes)
        known = [part for part in model if part is not None]
        return MemoryLedger(
            node_id=self.node_id,
            total_bytes=self.total_bytes,
            others_bytes=self.others_bytes,
            weights_bytes=sum(known) if len(known) == len(model) else None,
            kv_bytes=self.activations_bytes,
            runtime_bytes=self.runtime_bytes,
            reserve_bytes=self.reserve_bytes,
        )


@dataclass(frozen=True, slots=True)
class TrainedShape:
    """What training must know of a model; None is not known."""

    parameters: int | None
    layers: int | None = None
    hidden_size: int | None = None
    working_bytes: int | None = None
    """In place of activations, for what is no language model."""


@dataclass(frozen=True, slots=True)
class TrainingLoad:
    """What is trained how. `shards`: over how many nodes weights and optimizer are divided."""

    method: str
    shards: int
    tokens: int | None
    """Of one node and pass; None: not known."""
    rank: int


def trained_shape_of(spec: ModelSpec) -> TrainedShape:
    """The shape of a model of the catalogue: layers that keep nothing (feed-forward alone) count half a layer."""
    count = sum(
        group.count if group.kind is not LayerKind.NONE else math.ceil(group.count / 2) for group in spec.layers
    )
    return TrainedShape(spec.parameters, count or None, spec.hidden_size)


def adapter_parameters(shape: TrainedShape, rank: int) -> float | None:
    """Parameters that LoRA of this rank trains."""
    if shape.layers is not None and shape.hidden_size is not None:
        return ADAPTER_FACTOR * shape.layers * rank * shape.hidden_size
    return None if shape.parameters is None else ADAPTER_SHARE * rank * shape.parameters


def trained_parameters(method: str, shape: TrainedShape, rank: int) -> float | None:
    """Parameters that have gradients."""
    if method in ("lora", "qlora"):
        return adapter_parameters(shape, rank)
    return None if shape.parameters is None else float(shape.parameters)


def training_memory(node: NodeRoom, place: Place, shape: TrainedShape, load: TrainingLoad) -> TrainingMemory:
    """Memory of one node of the place."""
    room = room_of(node, place)
    trained = trained_parameters(load.method, shape, load.rank)
    weight = QLORA_WEIGHT_BYTES if load.method == "qlora" else WEIGHT_BYTES
    own = 0.0 if trained is None or load.method not in ("lora", "qlora") else trained * WEIGHT_BYTES
    weights = None if shape.parameters is None else shape.parameters * weight + own
    return TrainingMemory(
        node_id=node.node_id,
        total_bytes=room.total_bytes,
        others_bytes=room.others_bytes,
        weights_bytes=_divided(weights, load.shards),
        gradients_bytes=_divided(None if trained is None else trained * GRADIENT_BYTES, load.shards),
        optimizer_bytes=_divided(None if trained is None else trained * OPTIMIZER_BYTES, load.shards),
        activations_bytes=_activations(shape, load.tokens),
        reserve_bytes=room.system_bytes,
    )


def _activations(shape: TrainedShape, tokens: int | None) -> int | None:
    """With gradient checkpoints: each layer's input, one layer's inside, the logits."""
    if shape.working_bytes is not None:
        return shape.working_bytes
    if shape.layers is None or shape.hidden_size is None or tokens is None:
        return None
    values = tokens * shape.hidden_size * (shape.layers * WEIGHT_BYTES + WORKING_VALUES)
    return math.ceil(values + tokens * VOCABULARY * LOGIT_BYTES)


def _divided(amount: float | None, shards: int) -> int | None:
    return None if amount is None else math.ceil(amount / shards)
