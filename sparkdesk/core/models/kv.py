"""What sequences keep in memory: KV cache and fixed state, of the whole model and of one node's share.

The one rule: every layer counts by its own kind; a model whose layers are not known gives `None`, never zero.
"""

from __future__ import annotations

import math

from sparkdesk.core.models.spec import LayerGroup, LayerKind, ModelSpec
from sparkdesk.core.planning.parallelism import Parallelism


def kv_bytes_per_sequence(spec: ModelSpec, *, tokens: float, value_bytes: float) -> float | None:
    """Bytes that one sequence of this length keeps, over all layers; None when the layers are not known.

    `value_bytes` is the size of one cached value (2.0 for 16 bit, 1.0 for FP8). State of linear layers keeps its own
    size, whatever the cache's data type.
    """
    return layers_bytes(spec.layers, tokens, value_bytes) if spec.layers else None


def layers_bytes(layers: tuple[LayerGroup, ...], tokens: float, value_bytes: float) -> float:
    """Bytes that one sequence of this length keeps in these layers."""
    return math.fsum(group.count * _layer_bytes(group, tokens, value_bytes) for group in layers)


def growing_bytes_per_token(spec: ModelSpec, *, value_bytes: float) -> float | None:
    """Bytes that each further token of a long sequence adds: windows are full and states stay as they are."""
    if not spec.layers:
        return None
    grows = [group for group in spec.layers if group.kind in (LayerKind.FULL, LayerKind.LATENT)]
    return math.fsum(group.count * _layer_bytes(group, 1.0, value_bytes) for group in grows)


def node_kv_bytes(
    spec: ModelSpec, *, tokens: float, sequences: int, value_bytes: float, parallelism: Parallelism
) -> float | None:
    """Bytes on the fullest node with so many sequences of this length; None when the layers are not known.

    Data parallel groups share the sequences. The fullest pipeline stage holds the larger half of what does not divide,
    of each kind of layer. Tensor parallel ranks share KV heads while there are enough (each has one at least); what is
    latent lies on every rank whole.
    """
    if not spec.layers:
        return None
    tensor, pipeline = parallelism.tensor_parallel_size, parallelism.pipeline_parallel_size
    own_sequences = math.ceil(sequences / parallelism.data_parallel_size)
    return own_sequences * math.fsum(
        math.ceil(group.count / pipeline) * _layer_bytes(group, tokens, value_bytes, tensor) for group in spec.layers
    )


def stage_share(spec: ModelSpec, pipeline: int) -> float:
    """The largest share of the layers that one of so many pipeline stages holds: 1 divided evenly when not known."""
    count = sum(group.count for group in spec.layers)
    return math.ceil(count / pipeline) / count if count else 1.0 / pipeline


def _layer_bytes(group: LayerGroup, tokens: float, value_bytes: float, tensor: int = 1) -> float:
    """Bytes that one layer keeps for a sequence, on the fullest of its tensor parallel ranks."""
    match group.kind:
        case LayerKind.FULL | LayerKind.SLIDING:
            kept = min(tokens, group.window_tokens) if group.kind is LayerKind.SLIDING else tokens
            heads = math.ceil(group.kv_heads / tensor)
            return kept * ((1 if group.has_shared_kv else 2) * heads * group.head_dim + group.latent_dim) * value_bytes
        case LayerKind.LATENT:
            return tokens * group.latent_dim * value_bytes
        case LayerKind.LINEAR:
            return group.state_bytes / tensor
        case LayerKind.NONE:
            return 0.0
