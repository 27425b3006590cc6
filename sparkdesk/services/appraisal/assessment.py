"""All that is said about running servers, put together: speed, memory against the plan, the next change, measurements.

The one rule: one owner for what leans on the same planner and the same jobs; each part works without the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sparkdesk.core.feed import Latest
from sparkdesk.core.findings.view import Past
from sparkdesk.core.planning.place import Place
from sparkdesk.core.planning.reference import Reference
from sparkdesk.core.ports import Store
from sparkdesk.services.appraisal.appraisals import AppraisalParts, Appraisals
from sparkdesk.services.appraisal.corrections import Corrections
from sparkdesk.services.appraisal.forecaster import Forecaster, busy_neighbours
from sparkdesk.services.appraisal.next_changes import NextChanges
from sparkdesk.services.bench.bench import Bench, BenchParts
from sparkdesk.services.clock import Clock
from sparkdesk.services.jobs.launcher import Launcher
from sparkdesk.services.tasks import Tasks
from sparkdesk.services.telemetry import PulseState, Telemetry


@dataclass(frozen=True, slots=True)
class AssessmentParts:
    """What it is made of. `reference` and `place` are the planner's; both are asked when needed only."""

    tasks: Tasks
    clock: Clock
    store: Store
    launcher: Launcher
    telemetry: Telemetry
    reference: Callable[[], Reference]
    place: Callable[[tuple[str, ...]], Place]
    name_of: Callable[[str], str]


class Assessment:
    """`changed` counts up with every verdict, truth and proposal that is new."""

    def __init__(self, parts: AssessmentParts) -> None:
        self._parts = parts
        launcher = parts.launcher
        self.forecaster = Forecaster(parts.reference, parts.place, launcher.catalogue, launcher.plan_of)
        self.appraisals = Appraisals(
            AppraisalParts(
                tasks=parts.tasks,
                clock=parts.clock,
                store=parts.store,
                jobs=launcher.jobs,
                client=launcher.client,
                plan_of=launcher.plan_of,
                words_of=launcher.told_words,
                forecaster=self.forecaster,
                past_of=self._past,
                neighbours_of=self._neighbours,
            )
        )
        self.corrections = Corrections(
            tasks=parts.tasks,
            store=parts.store,
            jobs=launcher.jobs,
            plan_of=launcher.plan_of,
            told_of=launcher.told,
            forecaster=self.forecaster,
        )
        launcher.correct_with(self.corrections)
        self.next_changes = NextChanges(launcher.jobs, launcher.plan_of, self.forecaster, parts.clock)
        self.bench = Bench(
            BenchParts(
                tasks=parts.tasks,
                clock=parts.clock,
                store=parts.store,
                jobs=launcher.jobs,
                client=launcher.client,
                plan_of=launcher.plan_of,
                name_of=parts.name_of,
                predict=self.forecaster.predict,
            )
        )
        self.changed: Latest[int] = Latest(0)
        feeds = (self.appraisals.changed, self.corrections.changed, self.next_changes.changed)
        self._subscriptions = tuple(feed.subscribe(self._count) for feed in feeds)

    async def load(self) -> None:
        """Take what earlier runs of the program kept; from then on servers are measured. Raises StoreError."""
        await self.bench.load()
        await self.corrections.load()
        await self.appraisals.load()

    def move_times(self, moved_ms: int) -> None:
        """This computer's clock was set by so much."""
        self.appraisals.move_times(moved_ms)

    def close(self) -> None:
        """Hear of no more jobs; what is measured ends with its task."""
        for subscription in self._subscriptions:
            subscription.close()
        self.appraisals.close()
        self.corrections.close()
        self.next_changes.close()

    def _count(self, _count: int) -> None:
        self.changed.set(self.changed.value + 1)

    def _past(self, node_id: str) -> Past | None:
        feed = self._parts.telemetry.feed(node_id)
        sample = feed.latest.value
        is_heard = feed.pulse.value.state in (PulseState.LIVE, PulseState.SLOW)
        return Past(feed.history.series, sample.t_ms) if sample is not None and is_heard else None

    def _neighbours(self, job_id: str) -> tuple[tuple[str, float], ...]:
        job = next((job for job in self._parts.launcher.jobs.value if job.job_id == job_id), None)
        return tuple(busy_neighbours(self._parts.place(job.node_ids), job_id)) if job is not None else ()
