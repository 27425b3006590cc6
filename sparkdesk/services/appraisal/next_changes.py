"""Keeps one proposal for each running server: what would help it most, while its readings go on to show it.

The one rule: it proposes and never does. What shows for a moment only is not told, and what a person put aside is not
told again for that job.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.appraisal.advice import LiveView, find_change
from sparkdesk.core.jobs.next_change import NextChange
from sparkdesk.core.jobs.plan import LaunchPlan
from sparkdesk.core.jobs.reading import PROMPT_TOKENS, TTFT_COUNT
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.plain_text import lower_first
from sparkdesk.services.appraisal.forecaster import Forecaster
from sparkdesk.services.clock import Clock

LOOK_S = 5.0
APPEAR_S = 20.0
CLEAR_S = 60.0
CHARS_A_TOKEN = 4.0
"""Of English text, as most models cut it: an estimate, to say how much of each prompt a system prompt is."""
LOADING = ("start", "load", "warmup", "token")


@dataclass(slots=True)
class _Watch:
    """What was seen of one job."""

    looked_s: float = -math.inf
    key: str = ""
    since_s: float = 0.0
    seen_s: float = 0.0
    shown: NextChange | None = None


class NextChanges:
    """Proposals by job. `changed` counts up."""

    def __init__(
        self,
        jobs: Latest[tuple[JobStatus, ...]],
        plan_of: Callable[[str], LaunchPlan | None],
        forecaster: Forecaster,
        clock: Clock,
    ) -> None:
        self._plan_of = plan_of
        self._forecaster = forecaster
        self._clock = clock
        self._watches: dict[str, _Watch] = {}
        self._dismissed: set[tuple[str, str]] = set()
        self.changed: Latest[int] = Latest(0)
        self._subscription = jobs.subscribe(self._follow)

    def close(self) -> None:
        """Hear of no more jobs."""
        self._subscription.close()

    def next_change(self, job_id: str) -> NextChange | None:
        """What to propose for this job now."""
        watch = self._watches.get(job_id)
        return watch.shown if watch is not None else None

    def dismiss_change(self, job_id: str, key: str) -> None:
        """Not now: this proposal is not made for this job again."""
        self._dismissed.add((job_id, key))
        watch = self._watches.get(job_id)
        if watch is not None and watch.shown is not None and watch.shown.key == key:
            self._show(watch, None)

    def _follow(self, jobs: tuple[JobStatus, ...]) -> None:
        now_s = self._clock.monotonic_s()
        known = {job.job_id for job in jobs}
        self._watches = {job_id: watch for job_id, watch in self._watches.items() if job_id in known}
        self._dismissed = {pair for pair in self._dismissed if pair[0] in known}
        for job in jobs:
            watch = self._watches.setdefault(job.job_id, _Watch())
            if job.state is not JobState.READY:
                self._show(watch, None)
            elif job.readings and now_s - watch.looked_s >= LOOK_S:
                watch.looked_s = now_s
                self._look(job, watch, now_s)

    def _look(self, job: JobStatus, watch: _Watch, now_s: float) -> None:
        found = self._find(job)
        if found is None or (job.job_id, found.key) in self._dismissed:
            if watch.shown is not None and now_s - watch.seen_s >= CLEAR_S:
                self._show(watch, None)
            if now_s - watch.seen_s >= CLEAR_S:
                watch.key = ""
            return
        if found.key != watch.key:
            watch.key, watch.since_s = found.key, now_s
        watch.seen_s = now_s
        if now_s - watch.since_s >= APPEAR_S and found != watch.shown:
            self._show(watch, found)

    def _find(self, job: JobStatus) -> NextChange | None:
        plan = self._plan_of(job.job_id)
        if plan is None or plan.request.purpose not in ("chat", "vision"):
            return None
        profile = self._forecaster.profile(plan.request.engine)
        readings = dict(job.readings)
        restart_s = math.fsum(phase.seconds for phase in job.phases if phase.key in LOADING)
        view = LiveView(
            request=plan.request,
            readings=readings,
            kv_dtypes=profile.kv_dtypes if profile is not None else (),
            repeated_share=_repeated_share(plan, readings),
            restart_s=restart_s if math.isfinite(restart_s) else math.nan,
        )
        found = find_change(view, lambda request, load: self._forecaster.outlook(request, load, job.job_id))
        if found is None or not plan.endpoint.note:
            return found
        # The planner knows the real engine on a real Spark; a simulated one has another speed.
        return replace(found, effect=f"On a real Spark: {lower_first(found.effect)}")

    def _show(self, watch: _Watch, change: NextChange | None) -> None:
        if watch.shown != change:
            watch.shown = change
            self.changed.set(self.changed.value + 1)


def _repeated_share(plan: LaunchPlan, readings: dict[str, float]) -> float:
    """What part of the mean prompt the launch's system prompt is; NaN: prompts were not counted."""
    count = readings.get(TTFT_COUNT, 0.0)
    mean = readings.get(PROMPT_TOKENS, math.nan) / count if count > 0.0 else math.nan
    own = len(plan.request.system_prompt) / CHARS_A_TOKEN
    return min(1.0, own / mean) if mean > 0.0 else math.nan
