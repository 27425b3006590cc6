"""What a model is, as far as arithmetic needs it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class KvGeometry:
    """What one token costs in the KV cache: `layers` x 2 x `kv_heads` x `head_dim` values."""

    layers: int
    kv_heads: int
    head_dim: int

    def bytes_per_token(self, value_bytes: float) -> float:
        """Bytes of KV cache for one token with values of this size (2.0 for 16 bit, 1.0 for FP8)."""
        return self.layers * 2 * self.kv_heads * self.head_dim * value_bytes


@dataclass(frozen=True, slots=True)
class Experts:
    """A mixture's routed experts in each of its layers: how many there are, and how many a token goes through."""

    total: int
    active: int

    @property
    def is_valid(self) -> bool:
        """Whether a model can be made so."""
        return 0 < self.active <= self.total

    def distinct(self, tokens: float) -> float:
        """Experts of a layer that so many tokens (1 or more) touch together, on average; never more than there are.

        Taken as if every token chose evenly and by itself; real routers prefer some, so it is a little high.
        """
        untouched = math.pow(1.0 - self.active / self.total, tokens)
        return min(self.total * (1.0 - untouched), float(self.total))


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model: size, shape, formats. `None` is not known. `source` says where the figures come from."""

    name: str
    title: str
    parameters: int | None = None
    active_parameters: int | None = None
    kv: KvGeometry | None = None
    experts: Experts | None = None
    """None: dense, or not known."""
    context_tokens: int | None = None
    """The longest context that it was trained for."""
    weight_bytes: dict[str, int] = field(default_factory=dict)
    """Quantization -> bytes of its weights."""
    files: dict[str, str] = field(default_factory=dict)
    """Quantization -> file name of a GGUF."""
    engines: tuple[str, ...] = ()
    system_prompt: str = ""
    temperature: float | None = None
    licence: str = ""
    source: str = ""
