"""What is measured of running servers: verdicts on their speed, measurements on demand, and who is asked for them.

The one rule: services that are joined here and nowhere else; nothing is computed in this file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparkdesk.core.errors import PlanError
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.plan import LaunchPlan, Problem, Severity
from sparkdesk.core.jobs.rate import GENERATED_RATE
from sparkdesk.core.jobs.record import JobState
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.services.appraisal.appraisals import AppraisalParts, Appraisals
from sparkdesk.services.appraisal.corrections import Corrections
from sparkdesk.services.appraisal.forecaster import Forecaster
from sparkdesk.services.bench.bench import Bench, BenchParts

if TYPE_CHECKING:
    from sparkdesk.app.stack import Stack


class Figures:
    """Verdicts and measurements of one stack."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        launcher, planner = stack.launcher, stack.planner
        self.forecaster = Forecaster(lambda: planner.reference, planner.place, launcher.catalogue, launcher.plan_of)
        self.appraisals = Appraisals(
            AppraisalParts(
                tasks=stack.tasks,
                clock=stack.clock,
                store=stack.store,
                jobs=launcher.jobs,
                client=launcher.client,
                plan_of=launcher.plan_of,
                words_of=launcher.told_words,
                forecaster=self.forecaster,
                past_of=stack.findings.past,
                neighbours_of=self._neighbours,
            )
        )
        self.bench = Bench(
            BenchParts(
                tasks=stack.tasks,
                clock=stack.clock,
                store=stack.store,
                jobs=launcher.jobs,
                client=launcher.client,
                plan_of=launcher.plan_of,
                name_of=lambda node_id: stack.inventory.names().get(node_id, node_id),
                predict=self.forecaster.predict,
            )
        )
        self.corrections = Corrections(
            tasks=stack.tasks,
            store=stack.store,
            jobs=launcher.jobs,
            plan_of=launcher.plan_of,
            told_of=launcher.told,
            forecaster=self.forecaster,
        )
        stack.findings.more_judges.append(self.appraisals.judgements)
        self.changed: Latest[int] = Latest(0)
        """Counts up when a verdict, a truth or a proposal is another."""
        self._subscriptions = [
            feed.subscribe(lambda _count: self.changed.set(self.changed.value + 1))
            for feed in (self.appraisals.changed, self.corrections.changed)
        ]

    async def load(self) -> None:
        """Take what earlier runs of the program kept. Raises StoreError."""
        await self.appraisals.load()
        await self.bench.load()
        await self.corrections.load()

    def close(self) -> None:
        """Hear of no more jobs."""
        self.appraisals.close()
        self.corrections.close()
        for subscription in self._subscriptions:
            subscription.close()

    def plan(self, request: LaunchRequest) -> LaunchPlan:
        """A new plan, with what earlier starts taught. Raises PlanError."""
        return self.corrections.correct(self._stack.launcher.plan(request))

    def problems(self, request: LaunchRequest) -> list[Problem]:
        """What speaks against a request, and what the correction of its plan changes about that."""
        found = self._stack.launcher.problems(request)
        if any(problem.severity is Severity.ERROR for problem in found):
            return found
        try:
            return [*found, *self.corrections.problems(self._stack.launcher.plan(request))]
        except PlanError:
            return found  # the node has changed between the two looks

    def _neighbours(self, job_id: str) -> tuple[tuple[str, float], ...]:
        """Title and tokens a second of the other servers that work on this one's nodes now."""
        jobs = self._stack.launcher.jobs.value
        nodes = {node_id for job in jobs if job.job_id == job_id for node_id in job.node_ids}
        others = [
            (job.title, job.reading(GENERATED_RATE))
            for job in jobs
            if job.job_id != job_id and job.state is JobState.READY and nodes.intersection(job.node_ids)
        ]
        return tuple((title, rate) for title, rate in others if rate > 0)
