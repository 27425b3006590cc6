"""One way to serve a model: which weights, on which engine and build, divided how, with what cache.

The one rule: everything that changes memory or speed is named here; nothing about the load is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sparkdesk.core.models.spec import ModelSpec, WeightFormat
from sparkdesk.core.planning.parallelism import Parallelism

OF_TOTAL: Final = "total"
OF_AVAILABLE: Final = "available"


@dataclass(frozen=True, slots=True)
class Build:
    """A build or mode of an engine, of those that differ in speed on the same weights (stock, tuned, eager)."""

    key: str
    title: str
    note: str = ""
    """What makes it: the flags or the image."""
    source: str = ""


@dataclass(frozen=True, slots=True)
class EngineProfile:
    """What the planner must know of an engine (resources/planning/engines.toml, or an adapter's own)."""

    key: str
    title: str
    formats: tuple[str, ...]
    """Keys of `WeightFormat` that it runs."""
    kv_dtypes: tuple[str, ...]
    parallelisms: tuple[str, ...]
    """Of tensor, pipeline, data."""
    speculatives: tuple[str, ...]
    """none, and the methods that it has (draft, eagle3, mtp, ngram, dflash)."""
    builds: tuple[Build, ...]
    runtime_bytes: int
    """CUDA context, graphs, server: outside of weights and KV; an allowance."""
    memory_fraction: float | None = None
    """The share of unified memory that it takes by default, for engines that take one."""
    share_of: str = OF_TOTAL
    """What that is a share of: the node's memory, runtime within it (OF_TOTAL), or what is available when the engine
    starts, with the runtime on top (OF_AVAILABLE)."""
    is_launchable: bool = True
    """False: SparkDesk has no adapter for it yet; its plans are shown and exported only."""
    source: str = ""

    def can_run(self, weights: WeightFormat) -> bool:
        """Whether it can serve this checkpoint; an engine of GGUF files runs any of them."""
        if weights.engines and self.key not in weights.engines:
            return False
        keys = {key.casefold() for key in self.formats}
        return weights.key.casefold() in keys or (bool(weights.file) and "gguf" in keys)


@dataclass(frozen=True, slots=True)
class Setup:
    """A model, made to run."""

    spec: ModelSpec
    weights: WeightFormat
    engine: EngineProfile
    build: Build
    parallelism: Parallelism
    kv_dtype: str = ""
    """"" is the engine's own choice: 16 bit."""
    speculative: str = "none"
    memory_fraction: float | None = None
    """None: the share that the workload needs (`ledger.fraction_for`), of an engine that takes one."""
