"""The jobs that are known here: from intents on this computer, launches of this run, and what nodes reported.

The one rule: the list is what the screens show, newest first, for the nodes of the open cluster; an intent is on the
disk before its job is on the list.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping
from dataclasses import replace

from sparkdesk.core.errors import PlanError
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs import plan_json
from sparkdesk.core.jobs.backend import Backend
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.plan import LaunchPlan
from sparkdesk.core.jobs.record import JobIntent, JobReport, JobState, JobStatus
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.playbooks.switch import load_timeout_of
from sparkdesk.core.ports import Store
from sparkdesk.services.clock import Clock
from sparkdesk.services.jobs.deployment import Deployment
from sparkdesk.services.jobs.start.story_book import StoryBook

log = logging.getLogger(__name__)

WAITS = "Its node has not been asked yet"


class JobShelf:
    """Keeps deployments and their intents."""

    def __init__(
        self, store: Store, backends: Mapping[str, Backend], owner: str, clock: Clock, stories: StoryBook
    ) -> None:
        self.jobs: Latest[tuple[JobStatus, ...]] = Latest(())
        self.node_ids: frozenset[str] = frozenset()
        self._store = store
        self._stories = stories
        self._backends = backends
        self._owner = owner
        self._clock = clock
        self._deployments: dict[str, Deployment] = {}
        self._intents: dict[str, JobIntent] = {}
        self._unreadable: set[str] = set()
        """Jobs whose folder is of another release's schema."""
        self._loading = asyncio.Lock()

    def find(self, job_id: str) -> Deployment | None:
        """The job of this id."""
        return self._deployments.get(job_id)

    def on_node(self, node_id: str) -> list[Deployment]:
        """The jobs whose folder lies on this node."""
        return [deployment for deployment in self._deployments.values() if deployment.node_id == node_id]

    def intent_state(self, deployment: Deployment) -> JobState | None:
        """How far the job had come by the intent; None when it was not launched from here."""
        intent = self._intents.get(deployment.job_id)
        return intent.state if intent is not None else None

    def load_timeout_s(self, request: LaunchRequest) -> float:
        """How long the newest launch of just this request was waited for; NaN without one."""
        same = [one for one in self._deployments.values() if one.plan is not None and one.plan.request == request]
        newest = max(same, key=lambda one: one.status.created_ms, default=None)
        return load_timeout_of(newest.plan.playbook) if newest is not None and newest.plan is not None else math.nan

    def age_s(self, deployment: Deployment) -> float:
        """How long ago it was launched."""
        return (self._clock.now_ms() - deployment.status.created_ms) / 1000

    def may_change(self, deployment: Deployment) -> bool:
        """Whether it is this account's on its node, whichever computer started it, and of a schema that we know."""
        return not deployment.status.account and deployment.job_id not in self._unreadable

    def is_read(self, job_id: str) -> bool:
        """Whether the job is known, and its folder could be read."""
        return job_id in self._deployments and job_id not in self._unreadable

    def is_held_elsewhere(self, deployment: Deployment) -> bool:
        """Whether another computer took it over from this one."""
        return deployment.status.holder not in ("", self._owner)

    def show_nodes(self, node_ids: frozenset[str]) -> None:
        """Show the jobs of these nodes only."""
        self.node_ids = node_ids
        self._tell()

    async def load(self) -> None:
        """Read the intents and put those that are new on the list, not known until their node was asked."""
        async with self._loading:
            await self._stories.load()
            for intent in await self._store.job_intents():
                if intent.job_id not in self._intents and intent.job_id not in self._deployments:
                    self._take_intent(intent)
        self._tell()

    def _take_intent(self, intent: JobIntent) -> None:
        try:
            plan = plan_json.from_json(intent.plan_json)
        except PlanError as error:
            log.warning("job %s: %s", intent.job_id, error.sentence())
            return
        state = intent.state if intent.state.is_over else JobState.UNKNOWN
        message = intent.message if intent.state.is_over else WAITS
        remedy = "" if intent.state.is_over else "Wait until its node is live."
        self._intents[intent.job_id] = intent
        status = replace(self._planned_status(plan, intent.created_ms), state=state, message=message, remedy=remedy)
        self._add(status, plan)

    async def begin(self, intent: JobIntent, plan: LaunchPlan) -> Deployment:
        """Write the intent, then put the job on the list. Raises StoreError."""
        await self._store.save_job_intent(intent)
        self._intents[intent.job_id] = intent
        status = replace(self._planned_status(plan, intent.created_ms), state=JobState.STARTING)
        return self._add(status, plan)

    async def keep_state(self, deployment: Deployment) -> None:
        """Bring the intent up to the job's state; nothing for jobs that were not launched from here."""
        intent = self._intents.get(deployment.job_id)
        status = deployment.status
        if intent is not None:
            await self._stories.keep(deployment)  # before its end: an end that is known comes with how it came to it
        if intent is None or (intent.state is status.state and intent.message == status.message):
            return
        changed = replace(intent, state=status.state, message=status.message)
        self._intents[deployment.job_id] = changed
        await self._store.save_job_intent(changed)

    async def remove(self, deployment: Deployment) -> None:
        """Forget a job."""
        await self._store.remove_job_intent(deployment.job_id)
        self._intents.pop(deployment.job_id, None)
        self._deployments.pop(deployment.job_id, None)
        await self._stories.forget(deployment.job_id)
        self._tell()

    async def take_over(self, deployment: Deployment, plan: LaunchPlan, cluster_id: str) -> None:
        """It is this computer's from now on: the intent first, as at a launch. Raises StoreError."""
        status = deployment.status
        state = JobState.READY  # nothing of its launch is left to be carried on from here
        intent = JobIntent(status.job_id, cluster_id, status.created_ms, state, plan_json.to_json(plan))
        await self._store.save_job_intent(intent)
        self._intents[status.job_id] = intent
        deployment.plan = plan

    def note_report(self, deployment: Deployment, report: JobReport) -> None:
        """Who started it and who has it now, as its node says: another computer may have come meanwhile."""
        is_foreign = report.state == "unreadable" and report.job_id not in self._intents  # ours is being written
        (self._unreadable.add if is_foreign else self._unreadable.discard)(report.job_id)
        deployment.note_restarts(max(report.restarts, deployment.status.restarts))
        status = deployment.status
        owner = report.owner or status.owner
        if (status.owner, status.holder, status.account) != (owner, report.holder, report.account):
            deployment.status = replace(status, owner=owner, holder=report.holder, account=report.account)
            deployment.refresh()

    def drop(self, deployment: Deployment) -> None:
        """Show it no more."""
        self._deployments.pop(deployment.job_id, None)
        self._unreadable.discard(deployment.job_id)
        self._tell()

    def take_report(
        self, report: JobReport, endpoint: Endpoint | None, *, message: str = "", remedy: str = ""
    ) -> Deployment:
        """A job that is not known here, as its node describes it."""
        plan = self._read_plan(report)
        key = next((k for k, b in self._backends.items() if report.engine in (k, b.info.title)), "")
        if plan is not None:
            endpoint = plan.endpoint
        elif endpoint is not None and key:
            endpoint = replace(endpoint, engine=key, metrics_path="/metrics")
        status = JobStatus(
            job_id=report.job_id,
            title=report.title or report.job_id,
            engine=key or report.engine,
            node_ids=(report.node_id,),
            state=JobState.UNKNOWN,
            created_ms=report.started_ms or self._clock.now_ms(),
            endpoint=endpoint,
            message=message,
            remedy=remedy,
            is_adopted=True,
            owner=report.owner,
            holder=report.holder,
            account=report.account,
        )
        if report.state == "unreadable" and report.job_id not in self._intents:
            self._unreadable.add(report.job_id)
        return self._add(status, plan)

    def _read_plan(self, report: JobReport) -> LaunchPlan | None:
        """The plan of the folder, if it is one for this job on this node: it came from a stranger."""
        if not report.plan_json:
            return None
        try:
            plan = plan_json.from_json(report.plan_json)
        except PlanError as error:
            log.warning("job %s on its node: %s", report.job_id, error.sentence())
            return None
        nodes = {step.node for step in (*plan.playbook.steps(), *plan.stop.steps())} | {plan.endpoint.node_id}
        return plan if plan.job_id == report.job_id and nodes <= {report.node_id} else None

    def _planned_status(self, plan: LaunchPlan, created_ms: int) -> JobStatus:
        return JobStatus(
            job_id=plan.job_id,
            title=plan.title,
            engine=plan.request.engine,
            node_ids=plan.request.nodes,
            state=JobState.PLANNED,
            created_ms=created_ms,
            endpoint=plan.endpoint,
            owner=self._owner,
        )

    def _add(self, status: JobStatus, plan: LaunchPlan | None) -> Deployment:
        backend = self._backends.get(status.engine)
        deployment = Deployment(status, plan, backend, self._clock, lambda: self._tell_of(status.job_id))
        self._deployments[status.job_id] = deployment
        self._stories.recall(deployment)
        deployment.refresh()
        return deployment

    def _tell_of(self, job_id: str) -> None:
        deployment = self._deployments.get(job_id)
        if deployment is not None and job_id in self._intents:
            self._stories.follow(deployment)
        self._tell()

    def _tell(self) -> None:
        shown = (d.status for d in self._deployments.values() if not self.node_ids.isdisjoint(d.status.node_ids))
        self.jobs.set(tuple(sorted(shown, key=lambda status: status.created_ms, reverse=True)))
