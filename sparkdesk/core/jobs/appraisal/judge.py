"""The verdict on one measured request: how it compares to what the plan predicts for that very request.

The one rule: no verdict without both figures; what was measured stands all the same, with why there is no verdict.
"""

from __future__ import annotations

import math

from sparkdesk.core.bench.sample import BenchSample
from sparkdesk.core.jobs.appraisal.cause import Evidence, find_causes
from sparkdesk.core.jobs.verdict import FALL, TOO_QUICK, Pace, Verdict
from sparkdesk.core.plain_text import lower_first
from sparkdesk.core.planning.figure import UNKNOWN
from sparkdesk.core.planning.prediction import Prediction

NAN = math.nan
LEAST_ANSWER = 32
"""Tokens: an answer that ends before them says too little of its rate."""
NOT_PREDICTED = "What this model should do here is not known, so there is no verdict"
SIMULATED = "no verdict where the engine or the machine is simulated"


def judge_sample(
    sample: BenchSample,
    prediction: Prediction | None,
    seen: Evidence,
    *,
    at_ms: int,
    simulated: str = "",
    first: Verdict | None = None,
) -> Verdict:
    """The verdict on the fixed request. `simulated` is what stands beside an engine's answers where it is no real one.

    `prediction` is of exactly this request: its tokens, one user, the neighbours as they are. `first` is the job's
    first verdict: a server that fell is told its causes although nobody knows what it should do.
    """
    expected = prediction.user_tok_s if prediction is not None else UNKNOWN
    rate, note = sample.tok_s, ""
    if sample.failure:
        note = f"It could not be measured: {sample.failure}"
    elif simulated:
        note = f"{simulated}: {SIMULATED}"
    elif sample.is_burst:
        took_ms = 1000.0 * (sample.last_s - sample.first_s)
        note = f"{TOO_QUICK}: {sample.answer_tokens} tokens came within {took_ms:.0f} ms of the first one"
    elif sample.answer_tokens < LEAST_ANSWER or not math.isfinite(rate):
        note = f"Its answer had {sample.answer_tokens} tokens, too few for a verdict"
    elif not expected.is_known:
        note = NOT_PREDICTED
    pace = Pace.UNKNOWN
    if not note:
        pace = Pace.SLOWER if rate < expected.low else Pace.FASTER if rate > expected.high else Pace.AS_EXPECTED
    is_fallen = first is not None and not sample.failure and has_fallen(first, rate, sample.answer_tokens)
    if is_fallen and first is not None:
        was = fall_note(first)
        note = f"{was}. {note}" if note else was
    return Verdict(
        pace=pace,
        measured_tok_s=NAN if sample.failure else rate,
        expected_tok_s=expected.value,
        low_tok_s=expected.low,
        high_tok_s=expected.high,
        ttft_s=NAN if sample.failure else sample.ttft_s,
        prompt_tokens=sample.prompt_tokens,
        answer_tokens=sample.answer_tokens,
        at_ms=at_ms,
        causes=find_causes(seen) if pace is Pace.SLOWER or is_fallen else (),
        note=note,
    )


def sentence(verdict: Verdict) -> str:
    """The verdict in one sentence: "57.9 tok/s, as expected (54-62)"."""
    if not math.isfinite(verdict.measured_tok_s):
        return verdict.note or "Its speed was not measured yet"
    measured = f"{rate_words(verdict.measured_tok_s)} tok/s"
    band = f"({_bound(verdict.low_tok_s)}-{_bound(verdict.high_tok_s)})"
    match verdict.pace:
        case Pace.AS_EXPECTED:
            return f"{measured}, as expected {band}"
        case Pace.FASTER:
            return f"{measured}, faster than expected {band}"
        case Pace.SLOWER:
            return f"{measured}, about {share_words(verdict)} of what this plan should do"
        case _:
            return f"{measured}; {lower_first(verdict.note)}" if verdict.note else measured


def share_words(verdict: Verdict) -> str:
    """Measured over expected, to 5 %: a band is no more exact. Below that to the percent."""
    share = 100.0 * verdict.measured_tok_s / verdict.expected_tok_s
    return f"{5 * round(share / 5) if share >= 7.5 else round(share)} %"


def has_fallen(first: Verdict, now_tok_s: float, answer_tokens: int = LEAST_ANSWER) -> bool:
    """Whether a later figure is more than 15 % below a job's own first one; never by an answer that is too short."""
    if not (is_long_enough(first) and answer_tokens >= LEAST_ANSWER):
        return False
    return math.isfinite(first.measured_tok_s) and now_tok_s < (1.0 - FALL) * first.measured_tok_s


def is_long_enough(verdict: Verdict) -> bool:
    """Whether its answer had enough tokens to say something of its rate."""
    return verdict.answer_tokens >= LEAST_ANSWER


def fall_note(first: Verdict) -> str:
    """How the note of a later verdict that has fallen begins."""
    return f"It made {rate_words(first.measured_tok_s)} tok/s with the same request when it was first measured"


def rate_words(tok_s: float) -> str:
    """A rate with three digits, or all before the point."""
    return f"{tok_s:,.0f}" if tok_s >= 100 else f"{tok_s:.3g}"


def _bound(tok_s: float) -> str:
    return f"{tok_s:,.0f}" if tok_s >= 10 else f"{tok_s:.1f}"
