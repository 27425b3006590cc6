"""What a model is, as far as arithmetic needs it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum


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


class LayerKind(StrEnum):
    """What a layer keeps for each sequence."""

    FULL = "full"
    """Attention over all tokens: its cache grows with every token."""
    SLIDING = "sliding"
    """Attention over a window: its cache stops growing there."""
    LATENT = "latent"
    """Multi-head latent attention (MLA): one compressed vector a token, the same on every tensor parallel rank."""
    LINEAR = "linear"
    """Gated delta, Mamba and their like: a fixed state, whatever the length."""
    NONE = "none"
    """Keeps nothing (a feed-forward or expert layer of its own)."""


@dataclass(frozen=True, slots=True)
class LayerGroup:
    """`count` layers of one kind. What a kind does not use is 0."""

    kind: LayerKind
    count: int
    kv_heads: int = 0
    head_dim: int = 0
    window_tokens: int = 0
    latent_dim: int = 0
    """Values a token that every rank keeps whole: kv_lora_rank + rope dimension of LATENT, an index's of any kind."""
    state_bytes: int = 0
    """Bytes a sequence and layer, of LINEAR."""
    has_shared_kv: bool = False
    """K and V are one tensor: half the values."""


RECALLED = "recalled"
"""The source of what nobody looked up."""
COMPUTED = "no checkpoint known: size computed"
"""The source of the size of weights that a planner was asked for and nobody is known to have made."""


@dataclass(frozen=True, slots=True)
class WeightFormat:
    """A model's weights as one checkpoint has them."""

    key: str
    """BF16, FP8, NVFP4, MXFP4, AWQ, GPTQ, INT4, INT8, or a GGUF type (Q4_K_M, Q8_0, ...)."""
    weight_bytes: int
    """In unified memory, all nodes together; what stays unquantized is in it."""
    repo: str = ""
    """Hub id."""
    repo_source: str = ""
    """Where the names of repository and file were read; `RECALLED` where nobody looked them up."""
    engines: tuple[str, ...] = ()
    file: str = ""
    """Of a GGUF."""
    loss: str = ""
    """Published loss against BF16, in words with its figure; "" where nobody published one."""
    loss_source: str = ""
    loss_points: float | None = None
    """The same as points lower, on average of the tests that were published."""
    source: str = ""
    """Of `weight_bytes`; "computed" where it is parameters times bits."""
    expert_bytes: int = 0
    """Of `weight_bytes`, routed experts: a step reads only those that its tokens touch. 0: dense, or not known."""
    unread_bytes: int = 0
    """Of `weight_bytes`, what no decode step reads whole: input embeddings (a row a token), vision and audio parts."""

    @property
    def is_computed(self) -> bool:
        """Whether nobody is known to have made these weights."""
        return self.source == COMPUTED

    @property
    def is_repo_recalled(self) -> bool:
        """Whether nobody looked up if there is a repository of this name."""
        return bool(self.repo) and self.repo_source == RECALLED

    def read_bytes(self, experts: Experts | None, tokens: float) -> float:
        """Bytes that one pass of so many tokens (1 or more) reads, over all nodes.

        Every byte that is neither an expert's nor unread, and of the experts those that the tokens touch together.
        """
        always = self.weight_bytes - self.expert_bytes - self.unread_bytes
        touched = experts.distinct(tokens) / experts.total if experts else 1.0
        return always + self.expert_bytes * touched


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model: size, shape, formats. `None` is not known. `source` says where the figures come from."""

    name: str
    title: str
    parameters: int | None = None
    active_parameters: int | None = None
    experts: Experts | None = None
    """None: dense, or not known."""
    context_tokens: int | None = None
    """The longest context that it was trained for."""
    system_prompt: str = ""
    temperature: float | None = None
    licence: str = ""
    key: str = ""
    """Short name of the catalogue: llama-3.3-70b."""
    purposes: tuple[str, ...] = ()
    """chat, code, reasoning, vision, embed, rerank."""
    hidden_size: int | None = None
    attention_heads: int | None = None
    layers: tuple[LayerGroup, ...] = ()
    """All layers in groups; empty where the shape is not known."""
    formats: tuple[WeightFormat, ...] = ()
    speculatives: tuple[str, ...] = ()
    """Draft heads or models that exist for it: mtp, eagle3, draft, dflash."""
    sources: dict[str, str] = field(default_factory=dict)
    """Field -> where its figure comes from; `recalled` where nobody looked it up."""

    @property
    def is_generator(self) -> bool:
        """Whether it writes text; a model whose purposes are not known is taken to."""
        return not self.purposes or bool(set(self.purposes) - {"embed", "rerank"})

    @property
    def engines(self) -> tuple[str, ...]:
        """Engines that run one of its formats, in the formats' order."""
        return tuple(dict.fromkeys(engine for each in self.formats for engine in each.engines))

    @property
    def source(self) -> str:
        """Where its figures come from, in one line."""
        return "; ".join(dict.fromkeys(self.sources.values()))
