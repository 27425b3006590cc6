"""Effective memory bandwidth: what a server must read from memory for each decode step, times its steps a second.

Decode is bound by memory, so this share of the peak says how near to the metal a deployment runs; the live map and the
planner ask the same function. The one rule: the figure is computed, never measured, and says so; where an input is not
known, or the result could not be true, the figures are NaN and `reason` says why.
Not counted: prefill, activations, what is written, and caches that save a read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeGuard

from sparkdesk.core.models.catalogue import weights_of
from sparkdesk.core.models.kv import layers_bytes
from sparkdesk.core.models.spec import Experts, LayerGroup, ModelSpec

NAN = float("nan")
PEAK_GB_PER_S = 273.0
"""Peak of one node's unified memory, 10^9 bytes a second. Source: NVIDIA's DGX Spark data sheet (LPDDR5X)."""
COMPUTED = "computed"
"""The word beside every figure of this module."""


@dataclass(frozen=True, slots=True)
class StepFacts:
    """What a step's reads depend on. `None` is not known.

    `weight_bytes` is all weights as they lie in memory, over all nodes; `active_parameters` equals `parameters` in a
    dense model. Without `expert_bytes` a mixture's weights divide as its parameters do. Empty `layers`: not known.
    """

    weight_bytes: float | None
    parameters: float | None
    active_parameters: float | None
    layers: tuple[LayerGroup, ...] = ()
    kv_value_bytes: float = 2.0
    experts: Experts | None = None
    expert_bytes: float = 0.0
    unread_bytes: float = 0.0


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """10^9 bytes a second over all nodes, its share of their peak (0 to 1), bytes a step. NaN with a `reason`."""

    gb_per_s: float
    share: float
    step_bytes: float
    reason: str = ""
    origin: str = COMPUTED

    @property
    def is_known(self) -> bool:
        """Whether there is a figure."""
        return not self.reason


def facts_of(spec: ModelSpec | None, model: str, quantization: str, *, kv_value_bytes: float) -> StepFacts:
    """The facts of a launch of `model` (the hub id or catalogue name) in this format, with KV values of this size.

    The catalogue gives `active_parameters` of mixtures only: without it a model is dense, unless it has experts.
    """
    if spec is None:
        return StepFacts(None, None, None)
    dense = spec.parameters if spec.experts is None else None
    weights = weights_of(spec, model, quantization)
    return StepFacts(
        weight_bytes=weights.weight_bytes if weights else None,
        parameters=spec.parameters,
        active_parameters=dense if spec.active_parameters is None else spec.active_parameters,
        layers=spec.layers,
        kv_value_bytes=kv_value_bytes,
        experts=spec.experts,
        expert_bytes=weights.expert_bytes if weights else 0.0,
        unread_bytes=weights.unread_bytes if weights else 0.0,
    )


def steps_of(tokens_per_s: float, running: float) -> float:
    """Decode steps a second of a server that makes one token a request and step (so: no speculative decoding)."""
    return tokens_per_s / max(running, 1.0)


def effective_bandwidth(
    facts: StepFacts, *, steps_per_s: float, batch: float, kv_tokens: float | None, nodes: int = 1
) -> Bandwidth:
    """What a deployment reads a second.

    `batch` is the mean number of requests in a step (1 or more), `kv_tokens` the tokens that they hold together.
    Bytes are those of the whole deployment; the share is that of the peak of all `nodes`.
    """
    if not _is_amount(steps_per_s) or nodes < 1:
        return _unknown("How many steps a second it makes is not known")
    step_bytes, reason = step_reads(facts, batch=batch, kv_tokens=kv_tokens)
    if reason:
        return _unknown(reason)
    gb_per_s = step_bytes * steps_per_s / 1e9
    share = gb_per_s / (PEAK_GB_PER_S * nodes)
    if not share <= 1.0:
        return _unknown(
            "The figures do not agree: they ask more of the memory than it has. "
            "With speculative decoding a step makes several tokens"
        )
    return Bandwidth(gb_per_s, share, step_bytes)


def step_reads(facts: StepFacts, *, batch: float, kv_tokens: float | None) -> tuple[float, str]:
    """Bytes that one decode step of `batch` requests must read, and "" or, beside NaN, why they are not known."""
    if not _is_amount(batch) or batch < 1.0:
        return NAN, "How many requests run together is not known"
    weights, reason = _weight_reads(facts, batch)
    if reason:
        return NAN, reason
    if not _is_amount(kv_tokens):
        return NAN, "How many tokens the KV cache holds is not known"
    if kv_tokens and not (facts.layers and _is_amount(facts.kv_value_bytes)):
        return NAN, "What a token takes in this model's KV cache is not known"
    # As if all requests were equally long: with windows that are full, it is a little high.
    return weights + batch * layers_bytes(facts.layers, kv_tokens / batch, facts.kv_value_bytes), ""


def _weight_reads(facts: StepFacts, batch: float) -> tuple[float, str]:
    """Bytes of weights: those that every token passes, and the experts that the requests touch together."""
    total, active = facts.parameters, facts.active_parameters
    if not _is_amount(facts.weight_bytes) or not facts.weight_bytes:
        return NAN, "What the model's weights take is not known"
    if not _is_amount(total) or not _is_amount(active) or not 0 < active <= total:
        return NAN, "How many of the model's parameters a token uses is not known"
    read = max(facts.weight_bytes - facts.unread_bytes, 0.0)
    share = active / total
    if share >= 1.0:
        return read, ""
    experts = facts.experts
    if experts is None or not experts.is_valid or experts.active == experts.total:
        if batch > 1.0:
            return NAN, "How many experts the model has is not known, nor so what several requests read together"
        return facts.weight_bytes * share, ""
    if facts.expert_bytes:
        touched = facts.expert_bytes * experts.distinct(batch) / experts.total
        return max(read - facts.expert_bytes, 0.0) + touched, ""
    # From the published two figures: `active` is reached with one token's experts, `total` with all of them.
    more = (experts.distinct(batch) - experts.active) / (experts.total - experts.active)
    share += (1.0 - share) * min(max(more, 0.0), 1.0)
    return facts.weight_bytes * min(share, 1.0), ""


def _is_amount(value: float | None) -> TypeGuard[float]:
    """Whether this is a number that an amount can be: finite and not negative."""
    return value is not None and math.isfinite(value) and value >= 0.0


def _unknown(reason: str) -> Bandwidth:
    return Bandwidth(NAN, NAN, NAN, reason)
