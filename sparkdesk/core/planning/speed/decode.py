"""A decode step: what each node reads, computes and sends to give every user one more token.

The one rule: a step's time is the sum of its parts; each part is an amount of work over a rate. Reading and computing
overlap, so weights take the longer of the two (their sum where an engine's own kernels unpack and multiply in turn).

How pipeline stages work: the users are divided into as many groups as there are stages, as far as there are users.
A group passes the stages one after the other, so every user gets a token once each stage had its turn with a group.
With one user a node waits while the others have theirs: the bubble, which is why stages do not shorten its answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sparkdesk.core.planning.figure import Part, Parts
from sparkdesk.core.planning.speed.cable import all_reduce_s, hop_s
from sparkdesk.core.planning.speed.shape import Shape, unlike_tokens
from sparkdesk.core.planning.speed.terms import Terms
from sparkdesk.core.planning.workload import Workload

SENT_VALUE_BYTES = 2.0
"""Of one activation on the cable: 16 bit."""


@dataclass(frozen=True, slots=True)
class Decode:
    """Seconds from one token to the next of a user, in parts, and what a node does meanwhile."""

    parts: Parts
    read_bytes: float
    """From each node's memory, for each token of a user."""
    sent_bytes: float
    operations: float


@dataclass(frozen=True, slots=True)
class _Stage:
    """One pipeline stage's turn with one group of users."""

    weights_s: float
    kv_s: float
    overhead_s: float
    collectives_s: float
    read_bytes: float
    sent_bytes: float
    operations: float

    @property
    def total_s(self) -> float:
        return self.weights_s + self.kv_s + self.overhead_s + self.collectives_s


def decode_of(terms: Terms, workload: Workload) -> Decode:
    """Time and work of one token for each user, averaged over the answer."""
    stages = terms.parallelism.pipeline_parallel_size
    users = math.ceil(workload.users / terms.parallelism.data_parallel_size)
    groups = min(stages, users)
    drafted = terms.speculation.draft_tokens if terms.speculation else 0
    tokens = users / groups * (1 + drafted)
    stage = _stage(terms, workload, users / groups, tokens)
    hop = 0.0
    if stages > 1:
        hop = hop_s(
            tokens * terms.shape.hidden_size * SENT_VALUE_BYTES,
            terms.link,
            rate_share=terms.fitted.collective_rate_share,
        )
    gain = 1.0 / _tokens_per_step(terms)
    parts = (
        Part("weights", groups * stage.weights_s * gain),
        Part("kv", groups * stage.kv_s * gain),
        Part("communication", (groups * stage.collectives_s + stages * hop) * gain),
        Part("bubble", (stages - groups) * stage.total_s * gain),
        Part("overhead", groups * stage.overhead_s * gain),
    )
    hop_bytes = groups * tokens * terms.shape.hidden_size * SENT_VALUE_BYTES if stages > 1 else 0.0
    return Decode(
        parts,
        groups * stage.read_bytes * gain,
        (groups * stage.sent_bytes + hop_bytes) * gain,
        groups * stage.operations * gain,
    )


def _stage(terms: Terms, workload: Workload, sequences: float, tokens: float) -> _Stage:
    shape, fitted, tensor = terms.shape, terms.fitted, terms.parallelism.tensor_parallel_size
    share = terms.stage_share
    mine = share / tensor
    routed_share = mine * _crowding(shape, tokens, tensor, fitted.crowded_tokens)
    drafts = 1.0
    if terms.speculation:
        drafts += terms.speculation.draft_tokens * terms.speculation.draft_share
    shared, routed = (
        shape.shared_bytes * mine * drafts,
        shape.routed_read_bytes(unlike_tokens(tokens, fitted.token_likeness)) * routed_share,
    )
    kv = terms.growth.bytes_at(workload.prompt_tokens + workload.answer_tokens / 2.0) * sequences * share
    reading = (shared + routed) / terms.weight_bytes_per_s
    operations = 2.0 * shape.active_parameters * tokens * mine
    computing = operations / terms.operations_per_s
    layers = shape.layers * share
    message = tokens * shape.hidden_size * SENT_VALUE_BYTES
    each = all_reduce_s(
        tensor, message, terms.link, overhead_s=fitted.collective_overhead_s, rate_share=fitted.collective_rate_share
    )
    return _Stage(
        weights_s=reading + computing if terms.engine.has_own_kernels else max(reading, computing),
        kv_s=kv / terms.kv_bytes_per_s,
        overhead_s=share * (terms.step_overhead_s + _states_s(terms, sequences) / tensor),
        collectives_s=2.0 * layers * each,
        read_bytes=shared + routed + kv,
        sent_bytes=2.0 * layers * message * 2.0 * (tensor - 1) / tensor,
        operations=operations,
    )


def _states_s(terms: Terms, sequences: float) -> float:
    """What small kernels over the linear layers' states take, beside moving the states.

    Of the vendor's kernels the first sequence's are not seen beside the rest of a step.
    """
    counted = sequences if terms.engine.has_own_kernels else max(0.0, sequences - 1.0)
    return counted * terms.shape.linear_layers * terms.fitted.sequence_overhead_s


def _crowding(shape: Shape, tokens: float, tensor: int, crowded_tokens: float) -> float:
    """How much longer a tensor parallel rank takes for its slices of the experts than an even division says.

    1 while an expert gets less than a token, up to `tensor` (no gain from dividing) where it gets many. Measured once
    and not explained: gpt-oss-120b over two nodes gains from TP up to 32 users, and loses half to PP with 128.
    """
    if shape.experts is None or tensor == 1:
        return 1.0
    each = tokens * shape.experts.active / shape.experts.total
    return float(tensor ** (1.0 - math.exp(-((each / crowded_tokens) ** 2))))


def _tokens_per_step(terms: Terms) -> float:
    """Tokens that a user gets from one step: 1, and those of the draft that were right, up to the first wrong one."""
    if terms.speculation is None:
        return 1.0
    chance = terms.speculation.acceptance
    return 1.0 + sum(chance**length for length in range(1, terms.speculation.draft_tokens + 1))
