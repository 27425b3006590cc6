"""Whether a server has become slower than it was itself: suspected from its live rate, told after a check.

The one rule: a live rate only raises a suspicion (answers of long chats are slower, and prompts are read between them);
a finding comes from the fixed request alone, measured twice with the same ruler.
"""

from __future__ import annotations

import math
from collections import deque
from statistics import median

from sparkdesk.core.findings.concern import Concern, Judgement, Severity, concern_id
from sparkdesk.core.jobs.appraisal.judge import has_fallen, rate_words
from sparkdesk.core.jobs.appraisal.verdict_json import Verdicts
from sparkdesk.core.jobs.rate import GENERATED_RATE
from sparkdesk.core.jobs.reading import REQUESTS_RUNNING
from sparkdesk.core.jobs.record import JobStatus
from sparkdesk.core.jobs.verdict import Verdict

RULE = "slower-than-before"
SPAN_S = 60.0
"""So long one request at a time must have run, slowly."""
LEAST_READINGS = 10
REST_S = 1800.0
"""Between two suspicions: a check makes the server work."""
GAP_S = 10.0


class Suspicion:
    """Watches one job's live rate while it answers one request at a time, as the fixed request was measured."""

    def __init__(self) -> None:
        self._rates: deque[tuple[float, float]] = deque()
        self._raised_s = -math.inf

    def take(self, readings: tuple[tuple[str, float], ...], first: Verdict, now_s: float) -> bool:
        """Take the newest readings (monotonic seconds); whether a check is due because of them."""
        found = dict(readings)
        rate = found.get(GENERATED_RATE, math.nan)
        if found.get(REQUESTS_RUNNING) != 1.0 or not rate > 0.0:
            self._rates.clear()
            return False
        if self._rates and now_s - self._rates[-1][0] > GAP_S:
            self._rates.clear()
        if not self._rates or now_s > self._rates[-1][0]:
            self._rates.append((now_s, rate))
        while now_s - self._rates[0][0] > SPAN_S:
            self._rates.popleft()
        is_long = len(self._rates) >= LEAST_READINGS and now_s - self._rates[0][0] >= SPAN_S - GAP_S
        if not is_long or now_s - self._raised_s < REST_S:
            return False
        if not has_fallen(first, median(value for _, value in self._rates)):
            return False
        self._raised_s = now_s
        return True


def judge_fall(job: JobStatus, kept: Verdicts, node_id: str) -> Judgement:
    """One finding for a job whose last check was more than 15 % below its first one."""
    key = concern_id(RULE, node_id, job.job_id)
    first, last = kept.first, kept.last
    if job.state.is_over or not has_fallen(first, last.measured_tok_s):
        return Judgement(key, is_known=job.state.is_over or math.isfinite(last.measured_tok_s))
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
