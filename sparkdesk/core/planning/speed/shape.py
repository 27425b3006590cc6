"""What a model makes a device do, for one kind of weights: bytes to read, operations, and what to send.

The one rule: everything is worked out once for a model and its weights (cached), so that hundreds of setups cost
little; what cannot be worked out gives no shape at all, and the prediction is unknown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from sparkdesk.core.models.spec import Experts, LayerGroup, LayerKind, ModelSpec, WeightFormat

NUMBER_BITS = {"BF16": 16, "F16": 16, "FP8": 8, "INT8": 8, "NVFP4": 4, "MXFP4": 4}
"""Bits that the multiplication runs at, where the device has them; other 4 bit formats are unpacked to 16 bit."""
LATENT_HEAD_VALUES = 160
"""Mean of the query-key (192) and value (128) width of a latent attention head while a prompt is read. Source: DeepSeek
V3's configuration."""
STATE_PASSES = 2.0
"""A linear layer's state is read and written back at each token."""
MOST_BYTES = 2.0
"""Of one parameter that is read: what a file holds beyond 16 bit a parameter is something else."""
MOST_PARAMETERS = 1 << 50


@dataclass(frozen=True, slots=True)
class Growth:
    """Bytes that a step moves for one sequence: `per_token` x tokens + those of windows + `fixed`."""

    per_token: float
    windows: tuple[tuple[float, float], ...]
    """(bytes a token, tokens at most) of each kind of windowed layer."""
    fixed: float

    def bytes_at(self, tokens: float) -> float:
        """Of a sequence of this length."""
        windowed = sum(rate * min(tokens, most) for rate, most in self.windows)
        return self.per_token * tokens + windowed + self.fixed


@dataclass(frozen=True, slots=True)
class Shape:
    """A model with its weights, in numbers."""

    shared_bytes: float
    """Weights that every token passes."""
    routed_bytes: float
    """Weights of all routed experts; 0 of a dense model."""
    experts: Experts | None
    active_parameters: float
    layers: int
    linear_layers: int
    """Of them, those with a state."""
    mixture_layers: int
    """Of them, those with experts: all, or those without attention where a model has such; 0 of a dense model."""
    hidden_size: float
    full_width: float
    """Query heads x head size, summed over the layers that attend to everything."""
    windowed_widths: tuple[tuple[float, float], ...]
    """(the same over windowed layers, their window)."""
    number_bits: int

    @property
    def is_mixture(self) -> bool:
        """Whether tokens choose among experts."""
        return self.experts is not None and self.routed_bytes > 0.0

    def routed_read_bytes(self, tokens: float) -> float:
        """Weights of the experts that so many tokens (1 or more) touch together if each chooses by itself."""
        if self.experts is None:
            return 0.0
        return self.routed_bytes * self.experts.distinct(tokens) / self.experts.total

    def attention_operations(self, past: float, new: float) -> float:
        """Of one prompt of `new` tokens behind `past` ones that are there: scores and values, the causal half."""
        pairs = new * (past + new / 2.0)
        work = self.full_width * pairs
        for width, window in self.windowed_widths:
            work += width * min(pairs, new * window)
        return 4.0 * work


def unlike_tokens(tokens: float, likeness: float) -> float:
    """So many tokens that choose experts each by itself touch as many as `tokens` (1 or more) of real texts do.

    Routers prefer some experts and texts resemble each other, so each further token brings less that is new:
    ln(1 + c n) / ln(1 + c), where `likeness` c is 0 for tokens that have nothing in common.
    """
    tokens = max(tokens, 1.0)
    return math.log1p(likeness * tokens) / math.log1p(likeness) if likeness > 0.0 else tokens


def shape_of(spec: ModelSpec, weights: WeightFormat, shared_share: float = 1.0) -> Shape | None:
    """The shape, or None when size or layers are not known.

    `shared_share`: of the weights that every token passes, what a build that quantizes them too still reads.
    """
    return _shape(
        (spec.parameters, spec.active_parameters),
        spec.experts,
        spec.hidden_size,
        spec.attention_heads,
        spec.layers,
        (weights.key, weights.weight_bytes, weights.expert_bytes, weights.unread_bytes),
        shared_share,
    )


def growth_of(spec: ModelSpec, value_bytes: float, tensor: int) -> Growth | None:
    """KV bytes of one sequence on one tensor parallel rank, all pipeline stages together; None when not known."""
    return _growth(spec.layers, value_bytes, tensor)


@lru_cache(maxsize=512)
def _growth(layers: tuple[LayerGroup, ...], value_bytes: float, tensor: int) -> Growth | None:
    if not layers or not math.isfinite(value_bytes) or value_bytes <= 0.0:
        return None
    per_token, windows, fixed = 0.0, [], 0.0
    for group in layers:
        match group.kind:
            case LayerKind.FULL | LayerKind.SLIDING:
                heads = math.ceil(group.kv_heads / tensor)
                rate = (1.0 if group.has_shared_kv else 2.0) * heads * group.head_dim + group.latent_dim
                rate *= value_bytes * group.count
                if group.kind is LayerKind.SLIDING:
                    windows.append((rate, float(group.window_tokens)))
                else:
                    per_token += rate
            case LayerKind.LATENT:
                per_token += group.count * group.latent_dim * value_bytes
            case LayerKind.LINEAR:
                fixed += STATE_PASSES * group.count * group.state_bytes / tensor
            case LayerKind.NONE:
                pass
    return Growth(per_token, tuple(windows), fixed)


@lru_cache(maxsize=512)
def _shape(  # noqa: PLR0913 - the hashable parts of a model, for the cache
    sizes: tuple[int | None, int | None],
    experts: Experts | None,
    hidden_size: int | None,
    attention_heads: int | None,
    layers: tuple[LayerGroup, ...],
    weights: tuple[str, int, int, int],
    shared_share: float,
) -> Shape | None:
    parameters, active_parameters = sizes
    key, weight_bytes, expert_bytes, unread_bytes = weights
    count = sum(group.count for group in layers)
    if not parameters or not 0 < parameters < MOST_PARAMETERS or count < 1 or weight_bytes <= 0:
        return None
    active = active_parameters if active_parameters else (parameters if experts is None else 0)
    if not 0 < active <= parameters or (experts is not None and not experts.is_valid):
        return None
    shared_parameters = float(active)
    if experts is not None and experts.active < experts.total:
        routed = min((parameters - active) / (1.0 - experts.active / experts.total), float(parameters))
        shared_parameters = parameters - routed
        expert_bytes = expert_bytes or round(weight_bytes * routed / parameters)
    else:
        experts, expert_bytes = None, 0
    shared_bytes = min(float(max(0, weight_bytes - expert_bytes - unread_bytes)), shared_parameters * MOST_BYTES)
    hidden = float(hidden_size or _guessed_hidden_size(shared_parameters, count))
    full, windowed = _widths(layers, attention_heads, hidden)
    return Shape(
        shared_bytes=shared_bytes * shared_share,
        routed_bytes=float(min(expert_bytes, weight_bytes)),
        experts=experts,
        active_parameters=float(active),
        layers=count,
        linear_layers=_count(layers, LayerKind.LINEAR),
        mixture_layers=(_count(layers, LayerKind.NONE) or count) if experts is not None else 0,
        hidden_size=hidden,
        full_width=full,
        windowed_widths=windowed,
        number_bits=NUMBER_BITS.get(key, 16),
    )


def _count(layers: tuple[LayerGroup, ...], kind: LayerKind) -> int:
    return sum(group.count for group in layers if group.kind is kind)


def _guessed_hidden_size(parameters: float, layers: int) -> float:
    """Of a dense transformer of this size, whose layer has about 12 x hidden squared parameters."""
    return max(64.0, math.sqrt(max(parameters, 1.0) / (12.0 * layers)))


def _widths(
    layers: tuple[LayerGroup, ...], heads: int | None, hidden: float
) -> tuple[float, tuple[tuple[float, float], ...]]:
    full, windowed = 0.0, []
    for group in layers:
        if group.kind is LayerKind.LATENT:
            full += group.count * float(heads or hidden / 128) * LATENT_HEAD_VALUES
        elif group.kind in (LayerKind.FULL, LayerKind.SLIDING):
            width = group.count * (float(heads * group.head_dim) if heads and group.head_dim else hidden)
            if group.kind is LayerKind.SLIDING:
                windowed.append((width, float(group.window_tokens)))
            else:
                full += width
    return full, tuple(windowed)
