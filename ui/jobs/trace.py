"""What the engines said over the last half hour, so that a chart has a past when it is opened.

A job's status carries the newest readings only. This keeps them, at most two a second.
The one rule: a gap stays a gap (NaN); nothing is interpolated, and a value that is old is not the value of now.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from sparkdesk.core.feed import Latest, Subscription
from sparkdesk.core.jobs.record import JobStatus

NAN = float("nan")
TOKEN_RATE = "generated_tokens_per_s"
KEEP = 1800
STEP_MS = 1000
GAP_MS = 5000
"""Longer than this without a reading is a gap."""


@dataclass(slots=True)
class _Trace:
    """One job's past: times and, per key, the values at those times."""

    times_ms: deque[int] = field(default_factory=lambda: deque(maxlen=KEEP))
    rows: deque[dict[str, float]] = field(default_factory=lambda: deque(maxlen=KEEP))
    readings: tuple[tuple[str, float], ...] = ()


class Traces:
    """The past readings of every job. `now_ms` is the application's clock."""

    def __init__(self, jobs: Latest[tuple[JobStatus, ...]], now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._traces: dict[str, _Trace] = {}
        self._subscription: Subscription = jobs.subscribe(self._take)

    def close(self) -> None:
        """Stop listening."""
        self._subscription.close()

    def _take(self, jobs: tuple[JobStatus, ...]) -> None:
        now_ms = self._now_ms()
        for job in jobs:
            trace = self._traces.setdefault(job.job_id, _Trace())
            # The tuple is replaced when an engine was read again; the same object is no new reading.
            if not job.readings or job.readings is trace.readings:
                continue
            trace.readings = job.readings
            self._add(trace, now_ms, dict(job.readings))
        known = {job.job_id for job in jobs}
        for job_id in [key for key in self._traces if key not in known]:
            del self._traces[job_id]

    @staticmethod
    def _add(trace: _Trace, now_ms: int, row: dict[str, float]) -> None:
        if trace.times_ms and now_ms - trace.times_ms[-1] < STEP_MS // 2:
            return
        if trace.times_ms and now_ms - trace.times_ms[-1] > GAP_MS:
            trace.times_ms.append(trace.times_ms[-1] + STEP_MS)
            trace.rows.append({})
        trace.times_ms.append(now_ms)
        trace.rows.append(row)

    def newest(self, job_id: str, key: str) -> float:
        """The newest value, NaN when there is none or it is older than a gap."""
        trace = self._traces.get(job_id)
        if trace is None or not trace.rows or self._now_ms() - trace.times_ms[-1] > GAP_MS:
            return NAN
        return trace.rows[-1].get(key, NAN)

    def series(self, job_id: str, key: str) -> tuple[list[float], list[float]]:
        """Times in s before now (negative) and values; NaN where there is a gap."""
        trace = self._traces.get(job_id)
        if trace is None:
            return [], []
        now_ms = self._now_ms()
        return [(t_ms - now_ms) / 1000 for t_ms in trace.times_ms], [row.get(key, NAN) for row in trace.rows]

    def has(self, job_id: str, key: str) -> bool:
        """Whether the engine has ever told this."""
        trace = self._traces.get(job_id)
        return trace is not None and any(not math.isnan(row.get(key, NAN)) for row in trace.rows)
