"""What a model is, as far as arithmetic needs it."""

from __future__ import annotations

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
class ExpertCounts:
    """A mixture's routed experts in each of its layers: how many there are, and how many a token goes through."""

    total: int
    active: int


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model: size, shape, formats. `None` is not known. `source` says where the figures come from."""

    name: str
    title: str
    parameters: int | None = None
    active_parameters: int | None = None
    kv: KvGeometry | None = None
    experts: ExpertCounts | None = None
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
