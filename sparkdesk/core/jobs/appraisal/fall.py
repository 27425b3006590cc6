"""Whether a server has become slower than it was itself: suspected from its live speed, told after a check.

The one rule: live speed only raises a suspicion (answers of long chats are slower); a finding comes from the fixed
request alone, measured twice with the same ruler.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from sparkdesk.core.findings.concern import Concern, Judgement, Severity, concern_id
from sparkdesk.core.jobs.appraisal.judge import has_fallen, is_long_enough, rate_words
from sparkdesk.core.jobs.appraisal.live_speed import LiveSpeed
from sparkdesk.core.jobs.appraisal.verdict_json import Verdicts
from sparkdesk.core.jobs.record import JobStatus
from sparkdesk.core.jobs.verdict import FALL

Readings = tuple[tuple[str, float], ...]
Expected = Callable[[float], float]
"""Tokens a second that one request alone should get, by its first check, with so much context (NaN: not told); NaN
where that cannot be said."""

RULE = "slower-than-before"
REST_S, LONGEST_REST_S = 300.0, 2400.0
"""After a suspicion; each that follows without a quick time between waits twice as long: a check makes the server
work."""
AGAIN = 0.95
"""Of its first speed: so fast again, a server that fell is looked at again."""


class Suspicion:
    """Watches one job's live speed and says when the fixed request should be sent again: it looks slower than it was,
    or a fallen one looks as fast as before."""

    def __init__(self) -> None:
        self._speed = LiveSpeed()
        self._seen: Readings = ()
        self._raised_s = -math.inf
        self._rest_s = REST_S

    def take(self, readings: Readings, kept: Verdicts, now_s: float, expected: Expected) -> bool:
        """Take the newest readings (monotonic seconds); whether a check is due because of them.

        The same tuple again is no newer reading: jobs are told of whenever one of them has changed.
        """
        if readings is self._seen:
            return False
        self._seen = readings
        self._speed.take(now_s, dict(readings))
        was, rates = kept.first.measured_tok_s, self._speed.rates()
        if not rates or not was > 0.0 or not is_long_enough(kept.first):
            return False
        slowest = min(rates, key=lambda rate: rate.tok_s)
        is_fallen = has_fallen(kept.first, kept.last.measured_tok_s, kept.last.answer_tokens)
        is_quick = slowest.tok_s >= AGAIN * was
        if is_quick and not is_fallen:
            self._rest_s = REST_S
        if now_s - self._raised_s < self._rest_s:
            return False
        is_slow = slowest.tok_s < (1.0 - FALL) * was and slowest.tok_s < (1.0 - FALL) * expected(slowest.context_tokens)
        if not (is_quick if is_fallen else is_slow):
            return False
        if math.isfinite(self._raised_s):
            self._rest_s = min(2.0 * self._rest_s, LONGEST_REST_S)
        self._raised_s = now_s
        self._speed.forget()
        return True


def judge_fall(job: JobStatus, kept: Verdicts, node_id: str) -> Judgement:
    """One finding for a job whose last check was more than 15 % below its first one."""
    key = concern_id(RULE, node_id, job.job_id)
    first, last = kept.first, kept.last
    if job.state.is_over or not has_fallen(first, last.measured_tok_s, last.answer_tokens):
        is_told = math.isfinite(last.measured_tok_s) and is_long_enough(last)
        return Judgement(key, is_known=job.state.is_over or is_told)
    was, now = rate_words(first.measured_tok_s), rate_words(last.measured_tok_s)
    share = 100.0 * (1.0 - last.measured_tok_s / first.measured_tok_s)
    causes = "; ".join(f"{cause.words}: {cause.evidence}" for cause in last.causes[:3])
    evidence = f"{job.title} makes {now} tok/s; it made {was} with the same request when it was launched"
    concern = Concern(
        rule=RULE,
        node_id=node_id,
        severity=Severity.WARN,
        title=f"{job.title} has become slower",
        evidence=f"{evidence}. {causes}" if causes else evidence,
        cost=f"Answers come {share:.0f} % slower than they did.",
        remedy=last.causes[0].remedy if last.causes else "Look at the node's clock and memory, then check it again.",
        subject=job.job_id,
        fingerprint=f"{now}/{was}",
    )
    return Judgement(key, concern)
