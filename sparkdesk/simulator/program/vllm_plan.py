"""What a simulated vLLM serves, and its memory by vLLM's own arithmetic, from the options and the model's size.

The one rule: the arithmetic is vLLM's (share of the total, minus weights, activations and graphs, is KV cache); the
allowances for activations and graphs are ours and unverified on hardware [vllm-outside-memory].
Source: vLLM 0.33.0, v1/worker/gpu_worker.py and v1/core/kv_cache_planning.py.
"""

from __future__ import annotations

from typing import Any

from engine_start import GIB, REAL_CONTEXT, Launch, available_bytes, context_of, listeners, meminfo_bytes
from model_size import find_size
from spark_state import conditions

ACTIVATION_BYTES = 2 * GIB
GRAPH_BYTES = GIB // 2
_NO_KV_BYTES = 64 * 2**20  # what the fault engine-no-kv leaves
_VALUE_BYTES = {"fp8": 1.0, "fp8_e4m3": 1.0, "fp8_e5m2": 1.0, "nvfp4": 0.5625}
_SEE = "See https://docs.vllm.ai/en/latest/configuration/conserving_memory/ for more details."


class Plan:
    """One server. Lengths in tokens."""

    def __init__(self, options: dict[str, Any], version: str, file: str, launch: Launch) -> None:
        self.options = options
        self.version = version
        self.file = file
        self.model = str(options["model"])
        self.names = [str(name) for name in options.get("--served-model-name", [self.model])]
        self.size = find_size(self.model, launch.hub_cache, file)
        self.asked_context = length_of(str(options.get("--max-model-len", "") or "")) or REAL_CONTEXT
        self.context, self.slots = context_of(self.asked_context, int(options.get("--max-num-seqs", 256)))
        self.share = float(options.get("--gpu-memory-utilization", 0.92))
        host, port = str(options.get("--host", "0.0.0.0") or "0.0.0.0"), int(options.get("--port", 8000))
        self.listeners = listeners(launch, host, port)
        self.is_eager = bool(options.get("--enforce-eager"))
        self.is_pooling = options.get("--runner") == "pooling" or options.get("--convert") in ("embed", "classify")
        self.has_prefix_cache = options.get("--enable-prefix-caching", True) is not False
        self.keys = tuple(options.get("--api-key", [])) or _words(launch.environment.get("VLLM_API_KEY", ""))
        self.total_bytes = meminfo_bytes("MemTotal")
        self.requested_bytes = int(self.total_bytes * self.share)

    @property
    def value_bytes(self) -> float:
        """One value of the KV cache."""
        return _VALUE_BYTES.get(str(self.options.get("--kv-cache-dtype", "auto")), 2.0)

    @property
    def graph_bytes(self) -> int:
        """What captured graphs take."""
        return 0 if self.is_eager or self.is_pooling else GRAPH_BYTES

    @property
    def kv_bytes(self) -> int:
        """What is left for the KV cache."""
        if "engine-no-kv" in conditions():
            return _NO_KV_BYTES
        asked = str(self.options.get("--kv-cache-memory-bytes", ""))
        if asked.isdigit():
            return int(asked)
        return self.requested_bytes - self.size.weights_bytes - ACTIVATION_BYTES - self.graph_bytes

    @property
    def kv_need_bytes(self) -> float:
        """What one request of the full length keeps."""
        return self.size.kv_bytes(self.asked_context, self.value_bytes)

    @property
    def concurrency(self) -> float:
        """How many requests of the full length the cache holds."""
        return self.kv_bytes / max(1.0, self.kv_need_bytes)

    @property
    def kv_tokens(self) -> int:
        """What vLLM calls the cache's size."""
        return int(self.concurrency * self.asked_context)

    @property
    def reserved_bytes(self) -> int:
        """What the server holds once it is up."""
        if "--kv-cache-memory-bytes" in self.options:
            return self.size.weights_bytes + ACTIVATION_BYTES + self.graph_bytes + self.kv_bytes
        return max(self.requested_bytes, self.size.weights_bytes)

    def free_problem(self) -> str:
        """vLLM's words when less is free than its share, or ""."""
        free, wanted = available_bytes() / GIB, self.requested_bytes / GIB
        if free >= wanted or "--kv-cache-memory-bytes" in self.options:
            return ""
        return (
            f"Free memory on device cuda:0 ({free:.2f}/{self.total_bytes / GIB:.2f} GiB) on startup is less than "
            f"desired GPU memory utilization ({self.share}, {wanted:.2f} GiB). Decrease GPU memory utilization or "
            "reduce GPU memory used by other processes."
        )

    def kv_problem(self) -> str:
        """vLLM's words when the KV cache is too small for one request, or ""."""
        if self.is_pooling:
            return ""
        if self.kv_bytes <= 0:
            return (
                "No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing "
                "the engine (this flag also controls CPU memory reservation on the CPU backend, despite its name). "
                + _SEE
            )
        if self.kv_need_bytes <= self.kv_bytes:
            return ""
        most = self.size.tokens_in(self.kv_bytes, self.value_bytes)
        hint = f"Based on the available memory, the estimated maximum model length is {most}. " if most > 0 else ""
        return (
            f"To serve at least one request with the model's max seq len ({self.asked_context}), "
            f"({self.kv_need_bytes / GIB:.2f} GiB KV cache is needed, which is larger than the available KV cache "
            f"memory ({self.kv_bytes / GIB:.2f} GiB). {hint}Try increasing `gpu_memory_utilization` (which also "
            "controls CPU memory on the CPU backend) or decreasing `max_model_len` when initializing the engine. "
            + _SEE
        )


def _words(text: str) -> tuple[str, ...]:
    return (text,) if text else ()


def length_of(text: str) -> int:
    """`32768`, `32k` (1000s) or `32K` (1024s), as vLLM reads them."""
    factors = {"k": 1000, "K": 1024, "m": 10**6, "M": 2**20}
    factor = factors.get(text[-1:], 1)
    digits = text[:-1] if factor != 1 else text
    return int(float(digits) * factor) if digits.replace(".", "", 1).isdigit() else 0
