"""How far a server is with reading a long prompt, and how long it will take: from the best evidence that there is.

The one rule: each estimate says where it comes from, and a better source never gives way to a worse one within one
answer. What the server itself tells (llama.cpp) goes before what its metrics show, and those before what is predicted.
Pure: it is told the time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from sparkdesk.core.chat.context import PoolUse
from sparkdesk.core.chat.event import PromptProgress
from sparkdesk.core.chat.stream.timing import NOT_KNOWN

MIN_GROWTH_TOKENS = 64
"""Growth of a cache below this says nothing: engines give out memory in blocks of up to so many tokens."""


class PrefillSource(StrEnum):
    """Where an estimate comes from."""

    SERVER = "server"
    """The server tells its progress. Source: llama.cpp tools/server/README.md, "return_progress"."""
    METRICS = "metrics"
    """What its KV cache holds grew by so much while it answered nobody else."""
    PREDICTED = "predicted"
    """The planner's speed and the time since."""


@dataclass(frozen=True, slots=True)
class PrefillEstimate:
    """How far it is. Tokens and seconds; NaN is not known."""

    processed: int
    """Of `total`, with those that were cached."""
    total: int
    left_s: float
    source: PrefillSource

    @property
    def fraction(self) -> float:
        """Of the prompt, from 0 to 1."""
        return min(1.0, self.processed / self.total) if self.total > 0 else NOT_KNOWN


@dataclass(frozen=True, slots=True)
class CacheLook:
    """What the server's cache held at a moment, by its metrics."""

    tokens: float
    is_ours_alone: bool
    """No other request than ours ran or waited."""
    t_s: float


@dataclass(frozen=True, slots=True)
class PrefillEvidence:
    """All that is known of one prompt being read. Times are monotonic seconds."""

    sent_s: float
    prompt_tokens: int | None = None
    """Our count of what was sent; None is not known."""
    predicted_tokens_per_s: float = NOT_KNOWN
    before: CacheLook | None = None
    """Before the question went out."""
    looks: tuple[CacheLook, ...] = ()
    """Since: the first, the newest and the one before it are enough."""
    progress: tuple[PromptProgress, ...] = ()
    """The newest and the one before it."""

    def with_progress(self, event: PromptProgress) -> PrefillEvidence:
        """With what the server told now."""
        return replace(self, progress=(*self.progress[-1:], event))

    def with_look(self, pool: PoolUse | None, t_s: float) -> PrefillEvidence:
        """With what the metrics tell now; nothing is added where they do not tell what is needed."""
        look = look_at(pool, t_s)
        if look is None:
            return self
        if t_s <= self.sent_s:
            return replace(self, before=look)
        if self.looks and self.looks[-1].tokens == look.tokens:
            return self
        return replace(self, looks=(*self.looks[-1:], look))


def look_at(pool: PoolUse | None, t_s: float) -> CacheLook | None:
    """What a server's metrics say of its cache; None where they do not tell its size, its use or who else asks."""
    if pool is None or pool.used_fraction is None or pool.capacity_tokens is None or pool.running is None:
        return None
    is_alone = pool.running <= 1 and not pool.waiting
    return CacheLook(pool.used_fraction * pool.capacity_tokens, is_alone, t_s)


def estimate_prefill(evidence: PrefillEvidence, now_s: float) -> PrefillEstimate | None:
    """The best estimate; None where nothing is known of how long the prompt is or how fast it is read."""
    if evidence.progress:
        return _by_server(evidence, now_s)
    return _by_metrics(evidence, now_s) or _by_prediction(evidence, now_s)


def _by_server(evidence: PrefillEvidence, now_s: float) -> PrefillEstimate:
    *earlier, last = evidence.progress
    rate = NOT_KNOWN
    if earlier and last.processed > earlier[0].processed and last.t_s > earlier[0].t_s:
        # The newest step alone: the longer the prompt, the slower each further token.
        rate = (last.processed - earlier[0].processed) / (last.t_s - earlier[0].t_s)
    elif last.processed > last.cached and last.spent_s:
        rate = (last.processed - last.cached) / last.spent_s
    if math.isnan(rate):
        rate = evidence.predicted_tokens_per_s
    left_s = _left_s(last.total - last.processed, rate, now_s - last.t_s)
    return PrefillEstimate(min(last.processed, last.total), last.total, left_s, PrefillSource.SERVER)


def _by_metrics(evidence: PrefillEvidence, now_s: float) -> PrefillEstimate | None:
    """A cache that grows while ours is the only request holds our prompt so far.

    vLLM gives a long prompt its blocks as it reads it, part by part; its counter of prompt tokens moves only when all
    of it is read, which is why the cache is looked at. Source: vLLM v1 scheduler (chunked prefill).
    """
    total, before = evidence.prompt_tokens, evidence.before
    if not total or before is None or not before.is_ours_alone or not evidence.looks:
        return None
    last = evidence.looks[-1]
    grown = last.tokens - before.tokens
    if not last.is_ours_alone or grown < MIN_GROWTH_TOKENS:
        return None
    since, base = evidence.sent_s, before.tokens
    if len(evidence.looks) > 1 and evidence.looks[0].tokens < last.tokens:
        since, base = evidence.looks[0].t_s, evidence.looks[0].tokens
    rate = (last.tokens - base) / (last.t_s - since) if last.t_s > since else NOT_KNOWN
    processed = min(round(grown), total)
    left_s = _left_s(total - processed, rate, now_s - last.t_s)
    return PrefillEstimate(processed, total, left_s, PrefillSource.METRICS)


def _by_prediction(evidence: PrefillEvidence, now_s: float) -> PrefillEstimate | None:
    total, rate = evidence.prompt_tokens, evidence.predicted_tokens_per_s
    if not total or not rate > 0 or not math.isfinite(rate):
        return None
    passed_s = max(0.0, now_s - evidence.sent_s)
    left_s = total / rate - passed_s
    # A prediction that has run out knows nothing more: the server may be slower, or others may go first.
    processed = min(total, round(passed_s * rate))
    return PrefillEstimate(processed, total, left_s if left_s > 0 else NOT_KNOWN, PrefillSource.PREDICTED)


def _left_s(tokens: int, rate: float, passed_s: float) -> float:
    if not rate > 0:
        return NOT_KNOWN
    return max(0.0, max(0, tokens) / rate - max(0.0, passed_s))
