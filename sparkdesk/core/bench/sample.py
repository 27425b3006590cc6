"""One measured request, and what several of them that ran at once say together: a point of a run.

The one rule: tokens are the server's own count; a request without that count has failed, and so has one that was cut.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from sparkdesk.core.bench.run import BenchPoint

NAN = math.nan
LEAST_DECODE_S = 0.05
"""An answer that came whole within this after its first piece says nothing of a rate: so much a busy computer's own
clock and loop take now and then. Our own choice."""
BURST_SHARE, BURST_TOK_S = 0.05, 1000.0
"""So small a part of the time, at so many tokens a second: somebody on the way held the pieces back and let go."""


@dataclass(frozen=True, slots=True)
class BenchSample:
    """One request. Seconds are counted from a moment that all requests of a point share; NaN is not known."""

    sent_s: float
    first_s: float = NAN
    """The first piece of the answer."""
    last_s: float = NAN
    prompt_tokens: int = 0
    cached_tokens: int = 0
    answer_tokens: int = 0
    failure: str = ""

    @property
    def ttft_s(self) -> float:
        """Time to the first piece."""
        return self.first_s - self.sent_s

    @property
    def e2e_s(self) -> float:
        """Until the last one."""
        return self.last_s - self.sent_s

    @property
    def tpot_s(self) -> float:
        """Time per token after the first; NaN for an answer of one token, or one that came in a burst."""
        more, took_s = self.answer_tokens - 1, self.last_s - self.first_s
        return took_s / more if more > 0 and took_s > 0.0 and not self.is_burst else NAN

    @property
    def is_burst(self) -> bool:
        """Whether all the tokens came (nearly) at once, so that nothing tells how fast they were made."""
        took_s = self.last_s - self.first_s
        if self.answer_tokens < 2 or not took_s > 0.0:
            return False
        is_held_back = took_s < BURST_SHARE * self.e2e_s and (self.answer_tokens - 1) / took_s > BURST_TOK_S
        return took_s < LEAST_DECODE_S or is_held_back

    @property
    def tok_s(self) -> float:
        """Tokens a second after the first."""
        return 1.0 / self.tpot_s if self.tpot_s > 0.0 else NAN


def point_of(concurrency: int, samples: Sequence[BenchSample], *, cpu_share: float = NAN) -> BenchPoint:
    """What requests that started together say. Means are over those that ended well; failures are counted.

    `output_tok_s` is the sum of the rates at which the answers came; `prefill_tok_s` is of all prompts together, over
    the time to the last first token. So the published tables count. Source: NVIDIA's scaling figures, table 2, whose
    totals are users x tokens / (E2E - TTFT).
    """
    good = [one for one in samples if not one.failure]
    failed = [one for one in samples if one.failure]
    failure = failed[0].failure if failed else ""
    if not good:
        return BenchPoint(
            concurrency, requests=len(samples), failed=len(failed), failure=failure, client_cpu_share=cpu_share
        )
    begun_s, read_s = min(one.sent_s for one in good), max(one.first_s for one in good)
    read_tokens = sum(max(0, one.prompt_tokens - one.cached_tokens) for one in good)
    rates = [one.tok_s for one in good]
    return BenchPoint(
        concurrency=concurrency,
        e2e_s=fmean(one.e2e_s for one in good),
        ttft_s=fmean(one.ttft_s for one in good),
        tpot_s=_mean_known(one.tpot_s for one in good),
        prefill_tok_s=read_tokens / (read_s - begun_s) if read_s > begun_s and read_tokens else NAN,
        output_tok_s=math.fsum(rates) if all(map(math.isfinite, rates)) else NAN,
        prompt_tokens=round(fmean(one.prompt_tokens for one in good)),
        answer_tokens=round(fmean(one.answer_tokens for one in good)),
        requests=len(samples),
        failed=len(failed),
        failure=failure,
        client_cpu_share=cpu_share,
    )


def _mean_known(values: Iterable[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return fmean(known) if known else NAN
