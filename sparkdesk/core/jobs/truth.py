"""What an engine says of itself, held beside what its plan said: weights, KV cache, graphs, seconds.

The one rule: a figure that the engine did not tell has no row; nothing is reckoned here that could pass for a reading.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TruthRow:
    """One figure, planned and told. `unit` is "bytes", "tokens" or "s"; NaN where the plan had none."""

    key: str
    """Of core/jobs/reading.py ENGINE_KEYS."""
    title: str
    planned: float
    told: float
    unit: str


@dataclass(frozen=True, slots=True)
class Correction:
    """What earlier starts taught about one model, engine and build; planned figures are multiplied by the factors."""

    model: str
    engine: str
    build: str
    starts: int
    weights_factor: float = 1.0
    kv_factor: float = 1.0
    runtime_bytes: float = float("nan")
    load_s: float = float("nan")
    is_applied: bool = True
    """A person can take it back; it is kept all the same."""
