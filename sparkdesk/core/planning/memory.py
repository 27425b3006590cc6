"""The memory ledger of one server on one node: what weights, KV cache and runtime take of unified memory."""

from __future__ import annotations

from sparkdesk.core.jobs.backend import NodeContext
from sparkdesk.core.models.spec import ModelSpec

VALUE_BYTES = {"": 2.0, "auto": 2.0, "f16": 2.0, "bf16": 2.0, "bfloat16": 2.0, "float16": 2.0, "f32": 4.0, "fp8": 1.0}
VALUE_BYTES |= {"fp8_e4m3": 1.0, "fp8_e5m2": 1.0, "q8_0": 34 / 32, "q4_0": 18 / 32, "q4_1": 20 / 32}
"""Bytes of one KV value by data type. q8_0, q4_0, q4_1: blocks of 32 values with their scales (ggml's block sizes)."""


def kv_bytes(spec: ModelSpec | None, *, tokens: int, kv_dtype: str) -> int | None:
    """Bytes of KV cache for this many tokens; None when the model's shape or the data type is not known."""
    if spec is None or spec.kv is None or kv_dtype not in VALUE_BYTES:
        return None
    return round(spec.kv.bytes_per_token(VALUE_BYTES[kv_dtype]) * tokens)


def used_bytes(node: NodeContext) -> int | None:
    """What is in use on the node now: total less available (page cache counts as free)."""
    if node.mem_total_bytes is None or node.mem_available_bytes is None:
        return None
    return max(0, node.mem_total_bytes - node.mem_available_bytes)
