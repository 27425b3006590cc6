"""The feed-forward part of each layer of a config.json: one dense block, or routed experts beside shared ones.

The one rule: what all tokens pass through and what only some do are counted apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sparkdesk.core.models.fields import MOST_LAYERS, Fields
from sparkdesk.core.models.spec import Experts

_TWO_MATRICES: Final = (
    "gpt2", "gpt_neox", "gpt_bigcode", "gptj", "opt", "bloom", "mpt", "falcon", "phi", "starcoder2", "nemotron",
    "nemotron_h",
)  # fmt: skip
"""Families whose feed-forward has no gate. Source: transformers' model classes."""
_PATTERNS: Final = ("layers_block_type", "hybrid_override_pattern")
_DENSE_WORDS: Final = ("dense", "mlp", "-")
_SPARSE_WORDS: Final = ("sparse", "moe", "E")


@dataclass(frozen=True, slots=True)
class FeedForward:
    """Parameters of all layers: routed experts, and everything else (dense blocks, shared experts, routers)."""

    expert_parameters: int
    shared_parameters: int
    experts: Experts | None


def read_feed_forward(text: Fields, model_type: str, hidden: int, mixers: tuple[str, ...]) -> FeedForward:
    """What a language model's config says of it. Raises ModelFileError at the field that is wrong."""
    experts = _experts(text)
    matrices = 2 if model_type in _TWO_MATRICES or text.word("mlp_hidden_act") == "relu2" else 3
    if experts is None:
        with_block = _own_layers(text, _DENSE_WORDS) if _has_own_layers(text) else len(mixers)
        inner = text.count("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size", "d_ff", most=1 << 24)
        if inner is None and not text.has("n_embd"):
            raise text.wrong("intermediate_size", "is missing")
        return FeedForward(0, with_block * matrices * hidden * (inner or 4 * hidden), None)
    sparse = _sparse_layers(text, mixers)
    dense = _own_layers(text, _DENSE_WORDS) if _has_own_layers(text) else len(mixers) - sparse
    if text.flag("enable_moe_block"):
        dense = len(mixers)
    return _mixture(text, (hidden, matrices), (sparse, dense), experts, has_lone_shared=model_type.startswith("llama4"))


def _experts(text: Fields) -> Experts | None:
    names = ("num_experts", "n_routed_experts", "num_local_experts", "moe_num_experts", "num_moe_experts")
    total = text.count(*names, most=1 << 20, least=0)
    if not total:
        return None
    actives = (
        "num_experts_per_tok",
        "num_experts_per_token",
        "experts_per_token",
        "top_k_experts",
        "moe_topk",
        "moe_k",
    )
    active = text.need(*actives, most=1 << 20)
    if active > total:
        name = next(name for name in actives if text.has(name))
        raise text.wrong(name, f"{active} is more than the {total} experts")
    return Experts(total, active)


def _mixture(
    text: Fields, size: tuple[int, int], layers: tuple[int, int], experts: Experts, *, has_lone_shared: bool
) -> FeedForward:
    """`has_lone_shared`: a shared expert as wide as a routed one, of which the file says nothing (Llama 4)."""
    (hidden, matrices), (sparse, dense) = size, layers
    inner = text.count("moe_intermediate_size", "expert_intermediate_size", most=1 << 24)
    inner = inner or text.need("intermediate_size", "ffn_hidden_size", most=1 << 24)
    latent = text.count("moe_latent_size", most=1 << 24) or hidden
    shared = text.count(
        "shared_expert_intermediate_size",
        "moe_shared_expert_intermediate_size",
        "shared_intermediate_size",
        most=1 << 24,
        least=0,
    )
    if shared is None:
        count = text.count("n_shared_experts", "num_shared_experts", most=1 << 16, least=0)
        shared = inner * (int(has_lone_shared) if count is None else count)
    each = matrices * hidden * shared + hidden * experts.total + (2 * hidden * latent if latent != hidden else 0)
    block = text.count("dense_intermediate_size", "intermediate_size_mlp", "intermediate_size", most=1 << 24) or 0
    return FeedForward(
        sparse * experts.total * matrices * latent * inner, sparse * each + dense * matrices * hidden * block, experts
    )


def _has_own_layers(text: Fields) -> bool:
    """Whether mixers and feed-forwards are layers of their own (a hybrid pattern)."""
    return text.has(*_PATTERNS)


def _own_layers(text: Fields, words: tuple[str, ...]) -> int:
    """How many of the layers that a hybrid pattern names are called so."""
    for name in _PATTERNS:
        pattern = text.values.get(name)
        if isinstance(pattern, str | list | tuple):
            return sum(word in words for word in pattern)
    return 0


def _sparse_layers(text: Fields, mixers: tuple[str, ...]) -> int:
    """How many layers have experts."""
    count = len(mixers)
    if _has_own_layers(text):
        return _own_layers(text, _SPARSE_WORDS)
    kinds = text.words("mlp_layer_types")
    if kinds is not None:
        if len(kinds) != count:
            raise text.wrong("mlp_layer_types", f"has {len(kinds)} layers, but num_hidden_layers is {count}")
        return sum(kind not in _DENSE_WORDS for kind in kinds)
    frequency = text.values.get("moe_layer_freq")
    if isinstance(frequency, list | tuple):
        entries = text.entries("moe_layer_freq") or ()
        if len(entries) != count:
            raise text.wrong("moe_layer_freq", f"has {len(entries)} layers, but num_hidden_layers is {count}")
        return sum(bool(entry) for entry in entries)
    every = text.count("moe_layer_freq", "decoder_sparse_step", "interleave_moe_layer_step", most=MOST_LAYERS) or 1
    first = text.count("first_k_dense_replace", most=count, least=0) or 0
    dense = {entry for entry in text.entries("mlp_only_layers") or () if isinstance(entry, int)}
    step = 1 if text.has("moe_layer_freq") else 0
    return sum(
        index >= first and (index + 1 - step) % every == 0 and index not in dense
        for index in range(count)
    )  # fmt: skip
