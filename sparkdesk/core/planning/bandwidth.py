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

from sparkdesk.core.models.spec import Experts, ModelSpec

NAN = float("nan")
PEAK_GB_PER_S = 273.0
"""Peak of one node's unified memory, 10^9 bytes a second. Source: NVIDIA's DGX Spark data sheet (LPDDR5X)."""
COMPUTED = "computed"
"""The word beside every figure of this module."""


@dataclass(frozen=True, slots=True)
class StepFacts:
    """What a step's reads depend on. `None` is not known.

    `weight_bytes` is all weights as they lie in memory, over all nodes; `active_parameters` equals `parameters` in a
    dense model. `state_bytes` is what linear-attention layers keep for each request, whatever its length.
    """

    weight_bytes: float | None
    parameters: float | None
    active_parameters: float | None
    kv_bytes_per_token: float | None
    experts: Experts | None = None
    state_bytes: float = 0.0


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


def facts_of(spec: ModelSpec | None, quantization: str, *, kv_value_bytes: float) -> StepFacts:
    """The facts of a model of the catalogue, with these weights and KV values of this size.

    The catalogue gives `active_parameters` of mixtures only: without it a model is dense, unless it has experts.
    """
    if spec is None:
        return StepFacts(None, None, None, None)
    dense = spec.parameters if spec.experts is None else None
    return StepFacts(
        weight_bytes=spec.weight_bytes.get(quantization),
        parameters=spec.parameters,
        active_parameters=dense if spec.active_parameters is None else spec.active_parameters,
        kv_bytes_per_token=None if spec.kv is None else spec.kv.bytes_per_token(kv_value_bytes),
        experts=spec.experts,
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
    if kv_tokens and not _is_amount(facts.kv_bytes_per_token):
        return NAN, "What a token takes in this model's KV cache is not known"
    if not _is_amount(facts.state_bytes):
        return NAN, "What this model keeps for each request is not known"
    kv = kv_tokens * facts.kv_bytes_per_token if kv_tokens and facts.kv_bytes_per_token else 0.0
    return weights + kv + batch * facts.state_bytes, ""


def _weight_reads(facts: StepFacts, batch: float) -> tuple[float, str]:
    """Bytes of weights: those that every token passes, and the experts that the requests touch together."""
    total, active, experts = facts.parameters, facts.active_parameters, facts.experts
    if not _is_amount(facts.weight_bytes) or not facts.weight_bytes:
        return NAN, "What the model's weights take is not known"
    if not _is_amount(total) or not _is_amount(active) or not 0 < active <= total:
        return NAN, "How many of the model's parameters a token uses is not known"
    share = active / total
    if share < 1.0 and batch > 1.0:
        if experts is None or not experts.is_valid or experts.active == experts.total:
            return NAN, "How many experts the model has is not known, nor so what several requests read together"
        # From the published two figures: `active` is reached with one token's experts, `total` with all of them.
        more = (experts.distinct(batch) - experts.active) / (experts.total - experts.active)
        share += (1.0 - share) * min(max(more, 0.0), 1.0)
    return facts.weight_bytes * min(share, 1.0), ""


def _is_amount(value: float | None) -> TypeGuard[float]:
    """Whether this is a number that an amount can be: finite and not negative."""
    return value is not None and math.isfinite(value) and value >= 0.0


def _unknown(reason: str) -> Bandwidth:
    return Bandwidth(NAN, NAN, NAN, reason)
