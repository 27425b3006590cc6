"""What a simulated SGLang serves, and its memory by SGLang's own arithmetic.

The one rule: the KV pool is what the static share leaves beside the weights. Source: SGLang 0.5.23,
model_executor/pool_configurator.py and mem_cache/memory_pool.py; on a GB10 unverified on hardware [sglang-on-gb10].
"""

from __future__ import annotations

from typing import Any

from engine_start import GIB, Launch, available_bytes, context_of, listeners
from model_size import find_size
from spark_state import conditions

GRAPH_BYTES = GIB // 2
_SHARE = 0.85  # where none is asked for; SGLang works its own out from the GPU
_VALUE_BYTES = {"fp8_e4m3": 1.0, "fp8_e5m2": 1.0, "mxfp8": 1.0, "nvfp4": 0.5625, "fp4_mx_block16": 0.5625}


class Plan:
    """One server. Lengths in tokens."""

    def __init__(self, options: dict[str, Any], version: str, file: str, launch: Launch) -> None:
        self.options = options
        self.version = version
        self.file = file
        self.model = str(options["--model-path"])
        self.name = str(options.get("--served-model-name", self.model))
        self.size = find_size(self.model, launch.hub_cache, file)
        asked = str(options.get("--context-length", ""))
        self.asked_context = int(asked) if asked.isdigit() else 0
        self.requests = int(options.get("--max-running-requests", 48))
        self.context, self.slots = context_of(self.asked_context, self.requests)
        self.share = float(options.get("--mem-fraction-static", _SHARE))
        host, port = str(options.get("--host", "127.0.0.1")), int(options.get("--port", 30000))
        self.host, self.port = host, port
        self.listeners = listeners(launch, host, port)
        self.has_graphs = not options.get("--disable-cuda-graph")
        self.has_cache = not options.get("--disable-radix-cache")
        self.has_metrics = bool(options.get("--enable-metrics"))
        self.is_embedding = bool(options.get("--is-embedding"))
        self.key = str(options.get("--api-key", ""))
        self.free_bytes = available_bytes()

    @property
    def value_bytes(self) -> float:
        """One value of the KV cache."""
        return _VALUE_BYTES.get(str(self.options.get("--kv-cache-dtype", "auto")), 2.0)

    @property
    def kv_bytes(self) -> int:
        """What the static share leaves for the KV pool."""
        if "engine-no-kv" in conditions():
            return 0
        return int(self.free_bytes * self.share) - self.size.weights_bytes

    @property
    def kv_tokens(self) -> int:
        """Tokens of the pool."""
        return max(0, self.size.tokens_in(self.kv_bytes, self.value_bytes))

    @property
    def reserved_bytes(self) -> int:
        """What the server holds once it is up."""
        graphs = GRAPH_BYTES if self.has_graphs else 0
        return max(self.size.weights_bytes, int(self.free_bytes * self.share)) + graphs
