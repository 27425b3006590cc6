"""How a model is divided over nodes (each has one GPU): tensor, pipeline and data parallel.

The one rule: tensor x pipeline x data is the number of nodes; nothing is left idle and nothing is shared.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Parallelism:
    """TP divides each layer, PP gives each node some of the layers, DP gives each group a whole copy."""

    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    data_parallel_size: int = 1

    @property
    def world_size(self) -> int:
        """Nodes that it takes."""
        return self.tensor_parallel_size * self.pipeline_parallel_size * self.data_parallel_size

    @property
    def replica_size(self) -> int:
        """Nodes that hold one copy of the model."""
        return self.tensor_parallel_size * self.pipeline_parallel_size

    @property
    def label(self) -> str:
        """As engineers write it: TP 2, TP 2 x PP 2, one node."""
        sizes = (
            ("TP", self.tensor_parallel_size),
            ("PP", self.pipeline_parallel_size),
            ("DP", self.data_parallel_size),
        )
        return " \u00d7 ".join(f"{name} {size}" for name, size in sizes if size > 1) or "One node"
