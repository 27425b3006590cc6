"""Launches, watches, stops and adopts jobs. The node is the source of truth; this computer keeps the intent.

The one rule: an intent is durable before the first command goes out, and no job is called ready, stopped or ended
before its node has proved it.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from sparkdesk.core.cluster.node import NodeStatus
from sparkdesk.core.errors import PlanError, SparkDeskError, StepFailed
from sparkdesk.core.feed import Latest, Stream
from sparkdesk.core.jobs import plan_json
from sparkdesk.core.jobs.backend import Backend, BackendInfo, NodeContext, PlanContext
from sparkdesk.core.jobs.plan import LaunchPlan, Problem, Severity
from sparkdesk.core.jobs.record import JobIntent, JobState, JobStatus, LogLine
from sparkdesk.core.jobs.report import name_account
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.jobs.timeline import PREFLIGHT
from sparkdesk.core.models.catalogue import find_model
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.playbooks.job import JOBS_FOLDER
from sparkdesk.core.playbooks.job_removal import removal_playbook
from sparkdesk.core.playbooks.job_takeover import MAX_SPEC_BYTES, read_plan, takeover_playbook
from sparkdesk.core.ports import EndpointClient, EndpointClients, Shell, Store
from sparkdesk.core.step import Playbook, StepEvent
from sparkdesk.services.clock import Clock
from sparkdesk.services.fleet.inventory import Inventory
from sparkdesk.services.ident import new_id
from sparkdesk.services.jobs.adoption import LOOK_EVERY_S, Adoption
from sparkdesk.services.jobs.course import Course
from sparkdesk.services.jobs.deployment import Deployment
from sparkdesk.services.jobs.endpoint_pool import EndpointPool
from sparkdesk.services.jobs.job_shelf import JobShelf
from sparkdesk.services.jobs.node_context import NodeContexts
from sparkdesk.services.playbooks.runner import Runner
from sparkdesk.services.tasks import Tasks

if TYPE_CHECKING:
    from sparkdesk.services.telemetry import Telemetry

log = logging.getLogger(__name__)

OTHER_RELEASE = "another release of SparkDesk"
NO_ID = "a" * 16
"""Stands for the job in checks, where no job is begun."""


class Launcher:
    """Everything that the screens and the headless verbs do with model servers.

    `job_program`, `jobs_program` and `survey_program` are the texts of remote/job.py, jobs.py and survey.py. `owner`
    is who launches and takes over from here, user@computer.
    """

    def __init__(  # noqa: PLR0913 - called once, where the program is put together; every one is a part of it
        self,
        *,
        tasks: Tasks,
        inventory: Inventory,
        telemetry: Telemetry,
        runner: Runner,
        store: Store,
        backends: Mapping[str, Backend],
        clients: EndpointClients,
        catalogue: tuple[ModelSpec, ...],
        job_program: bytes,
        jobs_program: bytes,
        survey_program: bytes,
        owner: str,
        clock: Clock,
        broken_backends: tuple[str, ...] = (),
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self.catalogue = catalogue
        self.backends: tuple[BackendInfo, ...] = tuple(backend.info for backend in backends.values())
        self.broken_backends = broken_backends
        self._tasks = tasks
        self._inventory = inventory
        self._runner = runner
        self._backends = backends
        self._job_program = job_program
        self.owner = owner
        self._clock = clock
        self._shelf = JobShelf(store, backends, owner, clock)
        self.jobs: Latest[tuple[JobStatus, ...]] = self._shelf.jobs
        self._contexts = NodeContexts(inventory, telemetry, survey_program, self._own_ports)
        self._pool = EndpointPool(inventory.shell, clients)
        self._course = Course(
            tasks=tasks, runner=runner, shelf=self._shelf, pool=self._pool, shells=inventory.shell, clock=clock
        )
        self._adoption = Adoption(self._shelf, self._course, jobs_program, tasks, look_every_s)
        self.rhythm = self._adoption.rhythm
        self._held: frozenset[tuple[str, int]] = frozenset()
        self._subscriptions = (inventory.nodes.subscribe(self._follow_nodes), self.jobs.subscribe(self._follow_jobs))

    # Planning: quick, asks nobody ---------------------------------------------------------------------------------

    @property
    def node_contexts(self) -> Latest[tuple[NodeContext, ...]]:
        """What plans lean on about each live node; refreshed when one connects and before each launch."""
        return self._contexts.latest

    def refresh_memory(self) -> None:
        """Have `node_contexts` tell the memory of this moment; asks nobody."""
        self._contexts.publish()

    def problems(self, request: LaunchRequest) -> list[Problem]:
        """What speaks against the request now; empty is fine."""
        backend = self._backends.get(request.engine)
        if backend is None:
            known = ", ".join(info.key for info in self.backends)
            return [
                Problem(Severity.ERROR, f"There is no engine {request.engine}", f"Choose one of: {known}.", "engine")
            ]
        return backend.problems(request, self._plan_context(request, NO_ID))

    def plan(self, request: LaunchRequest) -> LaunchPlan:
        """What a launch would do, as a new job. Raises PlanError."""
        backend = self._backends.get(request.engine)
        if backend is None:
            raise PlanError(f"There is no engine {request.engine}", remedy="Choose another engine.")
        return backend.plan(request, self._plan_context(request, new_id()))

    def _plan_context(self, request: LaunchRequest, job_id: str) -> PlanContext:
        cluster = self._inventory.cluster.value
        match = find_model(self.catalogue, request.model)
        return PlanContext(
            job_id=job_id,
            owner=self.owner,
            nodes=self._contexts.current(),
            spec=match.spec if match is not None else None,
            engine_notes=cluster.engine_notes if cluster is not None else {},
            job_program=self._job_program,
        )

    def _own_ports(self, node_id: str) -> dict[int, str]:
        """A server that is starting holds its port already, although nothing listens there yet."""
        return {
            job.endpoint.port: job.title
            for job in self.jobs.value
            if job.endpoint is not None and job.endpoint.node_id == node_id and not job.state.is_over
        }

    # Launch and stop ----------------------------------------------------------------------------------------------

    async def launch(self, plan: LaunchPlan) -> str:
        """Look at the nodes again, write the intent, start; gives the job's id while the start goes on.

        Raises PlanError (the request no longer fits), a NodeError (a node cannot be looked at), StoreError.
        """
        begun_s = self._clock.monotonic_s()
        if self._shelf.find(plan.job_id) is not None:
            raise PlanError("This plan was launched already", remedy="Make a new plan.")
        for node_id in dict.fromkeys(plan.request.nodes):
            await self._contexts.refresh(node_id, self._inventory.shell(node_id))
        for problem in self.problems(plan.request):
            if problem.severity is Severity.ERROR:
                raise PlanError(problem.message, remedy=problem.remedy)
        cluster = self._inventory.cluster.value
        intent = JobIntent(
            job_id=plan.job_id,
            cluster_id=cluster.id if cluster is not None else "",
            created_ms=self._clock.now_ms(),
            state=JobState.STARTING,
            plan_json=plan_json.to_json(plan),
        )
        deployment = await self._shelf.begin(intent, plan)
        deployment.begin_phase(PREFLIGHT, begun_s)
        deployment.say(f"Pre-flight passed; launching {plan.title}")
        self._adoption.follow_log(deployment, self._inventory.shell(deployment.node_id))
        self._course.start_launch(deployment)
        return plan.job_id

    async def stop(self, job_id: str) -> None:
        """Stop a job, also while it is starting; returns when that is verified, or `stop_error` says why it is not.

        Stopping twice is stopping once, also from two computers. Raises PlanError (no such job), StepFailed (it
        belongs to another account).
        """
        deployment = self._known(job_id)
        self._refuse_others(deployment)
        await self._course.stop(deployment)

    async def remove(self, job_id: str) -> None:
        """Forget an ended job and remove its folder, with the log, from its node.

        Raises PlanError (no such job), StepFailed (it is not over, or its node cannot remove it), StoreError.
        """
        deployment = self._known(job_id)
        self._refuse_others(deployment)
        status = deployment.status
        if not status.state.is_over:
            raise StepFailed(f"{status.title} is not over", remedy="Stop it first.")
        playbook = removal_playbook(job_id, deployment.node_id, status.title)
        ended = await self._runner.run(new_id(), playbook, on_event=deployment.events.put)
        if ended.result != "done":
            raise StepFailed(ended.message, remedy=ended.remedy)
        self._adoption.drop_log(deployment)
        await self._shelf.remove(deployment)

    async def take_over(self, job_id: str) -> None:
        """Look after a job of this account that another computer started: its intent is kept here from now on.

        The other computer sees it, and can still stop it. Raises PlanError (no such job, or its folder does not tell
        what was asked for), StepFailed (another account's, over, or its node cannot note it), a NodeError, StoreError.
        """
        deployment = self._known(job_id)
        self._refuse_others(deployment)
        status = deployment.status
        if status.state.is_over:
            raise StepFailed(f"{status.title} is over", remedy="Launch it again from here.")
        plan = deployment.plan or await self._read_plan(deployment)
        playbook = takeover_playbook(job_id, deployment.node_id, status.title, self.owner)
        ended = await self._runner.run(new_id(), playbook, on_event=deployment.events.put)
        if ended.result != "done":
            raise StepFailed(ended.message, remedy=ended.remedy)
        cluster = self._inventory.cluster.value
        await self._shelf.take_over(deployment, plan, cluster.id if cluster is not None else "")
        deployment.status = replace(deployment.status, holder=self.owner)
        deployment.say(f"Taken over from {status.holder or status.owner or 'another computer'}")
        deployment.refresh()

    async def _read_plan(self, deployment: Deployment) -> LaunchPlan:
        status = deployment.status
        stop = self._course.stop_playbook_of(deployment)
        if status.endpoint is None:
            raise PlanError("This job answers nowhere", remedy="It can be stopped from here all the same.")
        shell = self._inventory.shell(deployment.node_id)
        spec = await shell.fetch(f"{JOBS_FOLDER}/{status.job_id}/spec.json", max_bytes=MAX_SPEC_BYTES)
        return read_plan(spec, status.job_id, status.endpoint, status.title, stop)

    # Looking at jobs ----------------------------------------------------------------------------------------------

    def log(self, job_id: str) -> Stream[LogLine]:
        """The job's log: the engine's lines, its guard's and ours. Raises PlanError when there is no such job."""
        deployment = self._known(job_id)
        self._adoption.want_log(deployment)
        return deployment.log

    def events(self, job_id: str) -> Stream[StepEvent]:
        """What the steps of the job's launch and stop told. Raises PlanError when there is no such job."""
        return self._known(job_id).events

    def plan_of(self, job_id: str) -> LaunchPlan | None:
        """The job's plan; None when it is not known (somebody else's, or a damaged one)."""
        deployment = self._shelf.find(job_id)
        return deployment.plan if deployment is not None else None

    def stop_plan(self, job_id: str) -> Playbook | None:
        """What stopping will do, to be shown before; None for a job that is not ours to stop, or cannot be."""
        deployment = self._shelf.find(job_id)
        if deployment is None or not self._shelf.may_change(deployment):
            return None
        try:
            return self._course.stop_playbook_of(deployment)
        except PlanError:
            return None

    def takeover_plan(self, job_id: str) -> Playbook | None:
        """What taking the job over will do, to be shown before; None where nothing is to be taken over from another."""
        deployment = self._shelf.find(job_id)
        if deployment is None or not self._shelf.may_change(deployment):
            return None
        status = deployment.status
        is_here = (status.holder or status.owner) == self.owner
        if is_here or status.endpoint is None or status.state.is_over or status.state is JobState.STOPPING:
            return None
        return takeover_playbook(job_id, deployment.node_id, status.title, self.owner)

    @asynccontextmanager
    async def client(self, job_id: str) -> AsyncIterator[EndpointClient]:
        """A client of the job's server, shared, over a forward that lives as long as somebody uses it.

        Raises PlanError (no such job, or one without an endpoint) and a NodeError (its node is not live).
        """
        endpoint = self._known(job_id).status.endpoint
        if endpoint is None:
            raise PlanError("This job answers nowhere", remedy="Choose another server.")
        async with self._pool.client(job_id, endpoint) as client:
            yield client

    # Nodes that come and go -----------------------------------------------------------------------------------------

    async def adopt(self, node_id: str, shell: Shell) -> None:
        """A node became live: look at it, take up the jobs in its folders, and from then on see what others start.

        Runs until it is cancelled. Never raises a NodeError.
        """
        try:
            await self._contexts.refresh(node_id, shell)
        except SparkDeskError as error:
            log.warning("survey: %s", error.sentence())
        await self._adoption.adopt(node_id, shell)
        await self._adoption.watch(node_id, shell)

    def _follow_nodes(self, nodes: tuple[NodeStatus, ...]) -> None:
        known = frozenset(status.record.id for status in nodes)
        self._adoption.drop_lost({status.record.id for status in nodes if status.is_connected})
        if known != self._shelf.node_ids:
            self._shelf.show_nodes(known)
            self._tasks.start_exclusive("intents", self._shelf.load)

    def _follow_jobs(self, jobs: tuple[JobStatus, ...]) -> None:
        """A server that comes or goes changes what its node has left; each look at a job that goes on does not."""
        live = (job.endpoint for job in jobs if job.endpoint is not None and not job.state.is_over)
        held = frozenset((endpoint.node_id, endpoint.port) for endpoint in live)
        if held != self._held:
            self._held = held
            self._contexts.publish()

    async def close(self) -> None:
        """Let go of everything; jobs on the nodes run on. A launch under way is journalled, to be carried on later."""
        for subscription in self._subscriptions:
            subscription.close()
        self._contexts.close()
        await self._course.close()
        self._pool.close()

    def _known(self, job_id: str) -> Deployment:
        deployment = self._shelf.find(job_id)
        if deployment is None:
            raise PlanError(f"There is no job {job_id}", remedy="Choose one from the list.")
        return deployment

    def _refuse_others(self, deployment: Deployment) -> None:
        if not self._shelf.may_change(deployment):
            account = deployment.status.account
            owner = name_account(account) if account else OTHER_RELEASE
            raise StepFailed(
                f"{deployment.status.title} belongs to {owner}", remedy="Ask them, or stop it on the node itself."
            )
