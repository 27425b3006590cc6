"""What the engines of deployments said over the last hour, so that a chart has a past when it is opened.

A job's status carries the newest readings only; this keeps them. The one rule: the same readings told again are no new
reading, so a server that falls silent leaves a gap.
What is reckoned from readings (bandwidth, energy) is kept beside them, of the same moment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sparkdesk.core.feed import Latest, Subscription
from sparkdesk.core.jobs.record import JobStatus
from sparkdesk.services.records.reading_book import ReadingBook


class Traces(ReadingBook):
    """The past readings of every job. `reckon` tells what else is known of a job whenever its engine was read."""

    def __init__(
        self,
        jobs: Latest[tuple[JobStatus, ...]],
        now_ms: Callable[[], int],
        reckon: Callable[[str], Mapping[str, float]] = lambda _job_id: {},
    ) -> None:
        super().__init__(now_ms)
        self._reckon = reckon
        self._taken: dict[str, tuple[tuple[str, float], ...]] = {}
        self._subscription: Subscription = jobs.subscribe(self._take)

    def close(self) -> None:
        """Stop listening."""
        self._subscription.close()

    def _take(self, jobs: tuple[JobStatus, ...]) -> None:
        for job in jobs:
            # The tuple is replaced when an engine was read again; the same object is no new reading.
            if job.readings and job.readings is not self._taken.get(job.job_id):
                self._taken[job.job_id] = job.readings
                self.add(job.job_id, {**dict(job.readings), **self._reckon(job.job_id)})
        known = {job.job_id for job in jobs}
        self.keep_only(known)
        for job_id in [key for key in self._taken if key not in known]:
            del self._taken[job_id]
