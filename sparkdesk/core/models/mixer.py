"""How each layer of a config.json mixes tokens: attention (full, windowed, latent), linear, or not at all.

The one rule: a layer's cache and its parameters come from the same fields, read once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sparkdesk.core.models.fields import MOST_LAYERS, Fields, show
from sparkdesk.core.models.spec import LayerGroup, LayerKind

_WORDS: Final[Mapping[str, str]] = {
    "full_attention": "full",
    "attention": "full",
    "global_attention": "full",
    "global": "full",
    "*": "full",
    "sliding_attention": "sliding",
    "local_attention": "sliding",
    "local": "sliding",
    "chunked_attention": "chunked",
    "linear_attention": "linear",
    "mamba": "mamba",
    "mamba2": "mamba",
    "M": "mamba",
    "moe": "none",
    "mlp": "none",
    "E": "none",
    "-": "none",
    "minimax_m3_sparse": "full",
    "compressed_sparse_attention": "compressed",
    "heavily_compressed_attention": "heavily_compressed",
}
"""What checkpoints call their layers. Source: transformers' configuration classes and NVIDIA's hybrid patterns."""
_EVERY_NTH: Final = {
    "gemma2": 2,
    "gemma3": 6,
    "gemma3_text": 6,
    "gemma4": 6,
    "gemma4_text": 6,
    "cohere2": 4,
    "gpt_oss": 2,
}
"""Families whose layers have windows but for every nth, where their file does not say so. Source: their classes."""
_COMPRESSIONS: Final = {"compressed": 4, "heavily_compressed": 128}
"""Tokens that share one cached vector. Source: transformers' DeepSeek V4 class."""
_STATE_BYTES: Final = {"float16": 2, "bfloat16": 2, "float32": 4}


@dataclass(frozen=True, slots=True)
class Mixers:
    """The mixers of all layers: what they are called, what they keep, how many parameters they have."""

    names: tuple[str, ...]
    """Of each layer: full, sliding, chunked, linear, mamba, compressed, heavily_compressed, lone_window, none."""
    groups: tuple[LayerGroup, ...]
    parameters: int
    hidden_size: int
    heads: int


def read_mixers(text: Fields, model_type: str) -> Mixers:
    """The mixers of a language model's config. Raises ModelFileError at the field that is wrong."""
    count = text.need("num_hidden_layers", "n_layer", "num_layers", "n_layers", most=MOST_LAYERS)
    names = _names(text, model_type, count)
    reader = _Reader(text, count)
    shared = text.count("num_kv_shared_layers", most=count, least=0) or 0
    kept = [reader.group(name) if index < count - shared else _NONE for index, name in enumerate(names)]
    total = sum(reader.parameters(name) for name in names)
    return Mixers(names, _grouped(kept), total, reader.hidden, reader.heads)


_NONE = LayerGroup(LayerKind.NONE, 1)


def _grouped(layers: Iterable[LayerGroup]) -> tuple[LayerGroup, ...]:
    """Equal layers joined, in the order in which each first comes."""
    counts: dict[LayerGroup, int] = {}
    for layer in layers:
        counts[layer] = counts.get(layer, 0) + 1
    return tuple(
        LayerGroup(
            layer.kind,
            count,
            layer.kv_heads,
            layer.head_dim,
            layer.window_tokens,
            layer.latent_dim,
            layer.state_bytes,
            layer.has_shared_kv,
        )
        for layer, count in counts.items()
    )


def _names(text: Fields, model_type: str, count: int) -> tuple[str, ...]:
    for field in ("layer_types", "layers_block_type", "hybrid_override_pattern"):
        value = text.values.get(field)
        words = tuple(text.word(field, most=MOST_LAYERS)) if isinstance(value, str) else text.words(field)
        if words is None:
            continue
        names = tuple(_WORDS.get(word, "") for word in words)
        if "" in names:
            raise text.wrong(field, f"has a kind of layer that is not known: {show(words[names.index('')])}")
        if len(names) != count:
            raise text.wrong(field, f"has {len(names)} layers, but num_hidden_layers is {count}")
        return names
    if text.has("compress_ratios"):
        return _compressed_names(text, count)
    interval = text.count("full_attention_interval", most=MOST_LAYERS)
    if interval is not None:
        return tuple("linear" if (index + 1) % interval else "full" for index in range(count))
    if text.has("attention_chunk_size"):
        nth = text.count("no_rope_layer_interval", most=MOST_LAYERS) or 4
        return tuple("chunked" if (index + 1) % nth else "full" for index in range(count))
    return _windowed(text, model_type, count)


def _compressed_names(text: Fields, count: int) -> tuple[str, ...]:
    """DeepSeek V4's layers by how many tokens share a vector; further entries are those of its draft layers."""
    ratios = (text.entries("compress_ratios") or ())[:count]
    names = [{0: "lone_window", 4: "compressed", 128: "heavily_compressed"}.get(ratio, "") for ratio in ratios
             if isinstance(ratio, int)]  # fmt: skip
    if len(names) != count or "" in names:
        raise text.wrong("compress_ratios", f"is not 0, 4 or 128 for each of {count} layers")
    return tuple(names)


def _windowed(text: Fields, model_type: str, count: int) -> tuple[str, ...]:
    """Which layers have a window, from the fields of families that write no list."""
    is_used = text.flag("use_sliding_window", default=not model_type.startswith("qwen"))
    if not text.has("sliding_window") or not is_used:
        return ("full",) * count
    nth = text.count("sliding_window_pattern", most=MOST_LAYERS) or _EVERY_NTH.get(model_type)
    if nth is not None:
        return tuple("sliding" if (index + 1) % nth else "full" for index in range(count))
    first = text.count("max_window_layers", most=MOST_LAYERS, least=0) or 0
    return tuple("sliding" if index >= first else "full" for index in range(count))


class _Reader:
    """Reads each kind's fields when a layer needs them, so that a model is not asked for what it does not have."""

    def __init__(self, text: Fields, count: int) -> None:
        self._text = text
        self.hidden = text.need("hidden_size", "n_embd", "d_model", most=1 << 24)
        self.heads = text.need("num_attention_heads", "n_head", "num_heads", most=1 << 16)
        self._count = count
        self._groups: dict[str, tuple[LayerGroup, int]] = {}

    def group(self, name: str) -> LayerGroup:
        """One layer of this kind, as it is cached."""
        return self._read(name)[0]

    def parameters(self, name: str) -> int:
        """Of one layer of this kind."""
        return self._read(name)[1]

    def _read(self, name: str) -> tuple[LayerGroup, int]:
        if name not in self._groups:
            self._groups[name] = self._of(name)
        return self._groups[name]

    def _of(self, name: str) -> tuple[LayerGroup, int]:
        match name:
            case "none":
                return _NONE, 0
            case "linear":
                return self._linear()
            case "mamba":
                return self._mamba()
            case "compressed" | "heavily_compressed" | "lone_window":
                return self._compressed(_COMPRESSIONS.get(name, 0))
            case _ if self._text.has("kv_lora_rank"):
                return self._latent()
            case _:
                return self._attention(name)

    def _attention(self, name: str) -> tuple[LayerGroup, int]:
        text, hidden, heads = self._text, self.hidden, self.heads
        head_dim = text.count("head_dim", most=1 << 16)
        if head_dim is None:
            if hidden % heads:
                raise text.wrong("num_attention_heads", f"{heads} does not divide hidden_size {hidden}")
            head_dim = hidden // heads
        field = "num_key_value_heads"
        kv_heads = text.count(field, "num_kv_heads", "n_head_kv", most=1 << 16) or heads
        keys_and_values = 2
        if name == "full" and text.has("global_head_dim"):
            head_dim = text.need("global_head_dim", most=1 << 16)
            kv_heads = text.count("num_global_key_value_heads", most=1 << 16) or kv_heads
            keys_and_values = 1 if text.flag("attention_k_eq_v") else 2
        if kv_heads > heads or heads % kv_heads:
            raise text.wrong(field, f"{kv_heads} does not divide num_attention_heads {heads}")
        index_heads = text.count("index_n_heads", most=1 << 16) or 0
        index_dim = (text.count("index_head_dim", most=1 << 16) or 0) if index_heads else 0
        gate = 2 if text.flag("attn_output_gate", default=text.has("linear_num_value_heads")) else 1
        own = hidden * heads * head_dim * (gate + 1) + keys_and_values * hidden * kv_heads * head_dim
        own += hidden * index_dim * (index_heads + 1)
        window = 0
        if name in ("sliding", "chunked"):
            window = text.need("sliding_window" if name == "sliding" else "attention_chunk_size")
        kind = LayerKind.SLIDING if window else LayerKind.FULL
        # Gemma's keys and values come from one projection, but keys are rotated: both are cached.
        return LayerGroup(kind, 1, kv_heads, head_dim, window, index_dim), own

    def _latent(self) -> tuple[LayerGroup, int]:
        text, hidden, heads = self._text, self.hidden, self.heads
        rank, rope = text.need("kv_lora_rank", most=1 << 20), text.need("qk_rope_head_dim", most=1 << 16)
        plain, value = text.need("qk_nope_head_dim", most=1 << 16), text.need("v_head_dim", most=1 << 16)
        query_rank = text.count("q_lora_rank", most=1 << 20)
        index = text.count("index_head_dim", most=1 << 16) or 0
        width = heads * (plain + rope)
        own = query_rank * (hidden + width) if query_rank else hidden * width
        own += hidden * (rank + rope) + rank * heads * (plain + value) + heads * value * hidden
        if index:
            index_heads = text.need("index_n_heads", most=1 << 16)
            own += index_heads * index * (query_rank or hidden) + hidden * (index + index_heads)
        return LayerGroup(LayerKind.LATENT, 1, latent_dim=rank + rope + index), own

    def _compressed(self, rate: int) -> tuple[LayerGroup, int]:
        """DeepSeek V4: one vector for several tokens, and in the lightly compressed layers an index of them.

        Rate 0 is a window alone; the window that the others keep beside it (a few MB) is neglected.
        """
        text, hidden, heads = self._text, self.hidden, self.heads
        width, rank = text.need("head_dim", most=1 << 16), text.need("q_lora_rank", most=1 << 20)
        index = text.count("index_head_dim", most=1 << 16) or 0
        own = rank * (hidden + heads * width) + 2 * hidden * width
        groups, out_rank = text.count("o_groups", most=1 << 16) or 1, text.count("o_lora_rank", most=1 << 20) or hidden
        own += heads * width * out_rank + groups * out_rank * hidden
        if not rate:
            window = text.need("sliding_window")
            return LayerGroup(LayerKind.SLIDING, 1, 1, width, window, has_shared_kv=True), own
        dim = width + (index if rate <= 4 else 0)
        return LayerGroup(LayerKind.LATENT, 1, latent_dim=max(1, dim // rate)), own

    def _linear(self) -> tuple[LayerGroup, int]:
        """Gated delta: a matrix for each value head, and the last columns of a short convolution."""
        text, hidden = self._text, self.hidden
        heads, value = (
            text.need("linear_num_value_heads", most=1 << 16),
            text.need("linear_value_head_dim", most=1 << 16),
        )
        key_heads, key = text.need("linear_num_key_heads", most=1 << 16), text.need("linear_key_head_dim", most=1 << 16)
        kernel = text.count("linear_conv_kernel_dim", most=1024) or 4
        channels = 2 * key_heads * key + heads * value
        own = hidden * (channels + heads * value + 2 * heads) + kernel * channels + heads * value * hidden
        state = heads * key * value * self._state_value_bytes() + (kernel - 1) * channels * 2
        return LayerGroup(LayerKind.LINEAR, 1, state_bytes=state), own

    def _mamba(self) -> tuple[LayerGroup, int]:
        text, hidden = self._text, self.hidden
        heads = text.need("mamba_num_heads", "mamba_n_heads", most=1 << 16)
        head = text.need("mamba_head_dim", "mamba_d_head", most=1 << 16)
        states = text.need("ssm_state_size", "mamba_d_state", most=1 << 16)
        groups = text.count("n_groups", "mamba_n_groups", most=1 << 16) or 1
        kernel = text.count("conv_kernel", "mamba_d_conv", most=1024) or 4
        inner, channels = heads * head, heads * head + 2 * groups * states
        own = hidden * (inner + channels + heads) + kernel * channels + inner * hidden
        state = inner * states * self._state_value_bytes() + (kernel - 1) * channels * 2
        return LayerGroup(LayerKind.LINEAR, 1, state_bytes=state), own

    def _state_value_bytes(self) -> int:
        """32 bit where nothing else is said: engines keep the state so."""
        text = self._text
        return _STATE_BYTES.get(text.word("mamba_ssm_dtype") or text.word("mamba_ssm_cache_dtype"), 4)
