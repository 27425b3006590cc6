"""The numbers that the performance model cannot know from physics: fitted ones, and data about engines.

The one rule: what is fitted comes from the shipped measurements by the shipped fit; what is data names its source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fitted:
    """Parameters that the fit finds. Efficiencies are shares of a device's peak, above 0 to 1."""

    dense_efficiency: float
    """Of memory bandwidth, where every token reads the same weights."""
    expert_efficiency: float
    """Of memory bandwidth, where tokens read the experts that they are routed to."""
    own_efficiency: float
    """Of memory bandwidth for all weights, of an engine that unpacks them by kernels of its own (llama.cpp)."""
    token_likeness: float
    """How much the tokens of one decode step choose the same experts: see `unlike_tokens`."""
    kv_efficiency: float
    """Of memory bandwidth, for KV cache and states."""
    layer_overhead_s: float
    """What each layer of a mixture adds to a decode step beside what it reads: the router, sorting tokens by expert and
    gathering them again, each in small kernels. Not in an engine with kernels of its own (llama.cpp)."""
    eager_overhead_s: float
    """What each layer adds where kernels are launched one by one (no CUDA graphs)."""
    sequence_overhead_s: float
    """A linear layer for each sequence beyond the first: small kernels over its state. For the first one too in an
    engine with kernels of its own."""
    crowded_tokens: float
    """See `decode._crowding`. Set so that the measured order of TP and PP holds, not fitted."""
    collective_overhead_s: float
    """What an engine adds to each all-reduce over what the cable takes."""
    dense_utilisation: float
    """Of peak compute at the weights' precision, while a prompt is read, of a model without experts."""
    expert_utilisation: float
    """The same of a mixture."""
    own_utilisation: float
    """Of 16 bit peak compute, of engines that unpack weights by kernels of their own (llama.cpp)."""
    attention_utilisation: float
    """Of 16 bit peak compute."""
    collective_rate_share: float
    """Of the cable's rate, that large all-reduces reach inside an engine."""

    def replaced(self, values: Mapping[str, float]) -> Fitted:
        """With some of them changed."""
        return Fitted(**{name: values.get(name, getattr(self, name)) for name in self.__dataclass_fields__})


@dataclass(frozen=True, slots=True)
class EngineSpeed:
    """What the model must know of one engine, as data."""

    chunk_tokens: int
    """Tokens of one prompt that a step takes at most."""
    step_tokens: int
    """Tokens of all prompts that a step takes at most."""
    has_own_kernels: bool = False
    """Whether it multiplies packed weights by kernels of its own, not by the vendor's (llama.cpp): they unpack and
    multiply in turn."""
    mixture_bits: int = 4
    """Bits at which it multiplies experts of 4 bit on the fitted device: 16 where its kernels unpack them."""
    tuned_mixture_bits: int = 4
    """The same of a tuned build."""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Speculation:
    """A method of speculative decoding: unmeasured here, so its predictions carry a wide band."""

    draft_tokens: int
    """Drafted for each step."""
    acceptance: float
    """Chance that a drafted token is taken, each given the one before it."""
    draft_share: float
    """Weights read for each drafted token, over those that one token of the model reads."""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Band:
    """Relative half widths, from the residuals of models that the fit did not see: 0.2 is 20 % either way."""

    near: float
    """Where a measured case of the model, or one much like it, stands near."""
    far: float
    """Where none does."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Everything of resources/planning/calibration.toml."""

    fitted: Fitted
    decode_band: Band
    ttft_band: Band
    roofline_band: float
    """Of a device that nothing was measured on: estimate, not fitted."""
    engines: Mapping[str, EngineSpeed]
    speculations: Mapping[str, Speculation]
    tuned_shared_shares: Mapping[str, float]
    """By format: of the weights that every token passes (attention, head), what a build reads that quantizes them as
    the experts are."""
