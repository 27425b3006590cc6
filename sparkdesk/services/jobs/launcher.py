"""Launches, watches, stops and adopts jobs. The node is the source of truth; this computer keeps the intent.

The one rule: an intent is durable before the first command goes out, and no job is called ready, stopped or ended
before its node has proved it.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from sparkdesk.core.cluster.node import NodeStatus
from sparkdesk.core.errors import PlanError, SparkDeskError, StepFailed
from sparkdesk.core.feed import Latest, Stream
from sparkdesk.core.jobs import plan_json
from sparkdesk.core.jobs.backend import BackendInfo, NodeContext, Resident
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.fix import Fix
from sparkdesk.core.jobs.plan import LaunchPlan, Problem, Severity
from sparkdesk.core.jobs.record import JobIntent, JobState, JobStatus, LogLine
from sparkdesk.core.jobs.report import name_account
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.jobs.timeline import PREFLIGHT
from sparkdesk.core.planning.launch.hub_access import asked_repos
from sparkdesk.core.playbooks.job import JOBS_FOLDER
from sparkdesk.core.playbooks.job_removal import removal_playbook
from sparkdesk.core.playbooks.job_takeover import MAX_SPEC_BYTES, read_plan, takeover_playbook
from sparkdesk.core.playbooks.switch import stopped_first, with_stop_first
from sparkdesk.core.ports import EndpointClient, EndpointClients, Shell, Store
from sparkdesk.core.step import Playbook, StepEvent
from sparkdesk.services.clock import Clock
from sparkdesk.services.disk.hub_access import HUB_PROGRAM, HubAccess
from sparkdesk.services.fleet.inventory import Inventory
from sparkdesk.services.ident import new_id
from sparkdesk.services.jobs.adoption import LOOK_EVERY_S, Adoption
from sparkdesk.services.jobs.course import Course
from sparkdesk.services.jobs.deployment import Deployment
from sparkdesk.services.jobs.endpoint_pool import EndpointPool
from sparkdesk.services.jobs.job_shelf import JobShelf
from sparkdesk.services.jobs.node_context import NodeContexts
from sparkdesk.services.jobs.reach.api_key import ApiKeys
from sparkdesk.services.jobs.reach.doors import Door, Doors
from sparkdesk.services.jobs.start.node_look import NodeLooks
from sparkdesk.services.jobs.start.plans import Corrector, PlanParts, Plans
from sparkdesk.services.jobs.start.repair import Repair
from sparkdesk.services.jobs.start.residence import residents_of, uncommitted_bytes
from sparkdesk.services.jobs.start.start_book import StartBook
from sparkdesk.services.jobs.start.story_book import StoryBook
from sparkdesk.services.playbooks.runner import Runner
from sparkdesk.services.secret_store import SecretStore
from sparkdesk.services.tasks import Tasks

if TYPE_CHECKING:
    from sparkdesk.services.telemetry import Telemetry

log = logging.getLogger(__name__)

OTHER_RELEASE = "another release of SparkDesk"


class Launcher:
    """Everything that the screens and the headless verbs do with model servers.

    `jobs_program` and `survey_program` are the texts of remote/jobs.py and survey.py.
    """

    def __init__(  # noqa: PLR0913 - called once, where the program is put together; every one is a part of it
        self,
        *,
        tasks: Tasks,
        inventory: Inventory,
        telemetry: Telemetry,
        runner: Runner,
        store: Store,
        clients: EndpointClients,
        jobs_program: bytes,
        survey_program: bytes,
        parts: PlanParts,
        clock: Clock,
        broken_backends: tuple[str, ...] = (),
        look_every_s: float = LOOK_EVERY_S,
        secret_store: SecretStore | None = None,
    ) -> None:
        self.catalogue = parts.catalogue
        self.backends: tuple[BackendInfo, ...] = tuple(backend.info for backend in parts.backends.values())
        self.broken_backends = broken_backends
        self._tasks = tasks
        self._inventory = inventory
        self._runner = runner
        self.owner, self._clock = parts.owner, clock
        self._shelf = JobShelf(store, parts.backends, parts.owner, clock, StoryBook(store, tasks))
        self.jobs: Latest[tuple[JobStatus, ...]] = self._shelf.jobs
        self._book = StartBook(store)
        self._keys = ApiKeys(secret_store, inventory.shell)
        token = secret_store.get if secret_store is not None else None
        self._hub = HubAccess(inventory.shell, token, clock, parts.programs.get(HUB_PROGRAM, b""))
        self._contexts = NodeContexts(
            inventory, telemetry, survey_program, self._own_ports, self._hub.answers, self._residents
        )
        self._plans = Plans(parts, inventory, self._contexts, self._book)
        self.looks = NodeLooks(self._contexts, inventory.shell, tasks, clock)
        self._repair = Repair(self._shelf, self._contexts.current)
        self._pool = EndpointPool(inventory.shell, clients)
        self._course = Course(
            tasks=tasks, runner=runner, shelf=self._shelf, pool=self._pool, shells=inventory.shell, clock=clock,
            book=self._book, keys=self._keys,
        )  # fmt: skip
        self._adoption = Adoption(self._shelf, self._course, jobs_program, tasks, look_every_s)
        self.rhythm = self._adoption.rhythm
        self._doors = Doors(tasks, inventory.shell, self._endpoint_of, self.jobs)
        self._beginning: set[str] = set()
        self._admitting = asyncio.Lock()
        self._held: frozenset[tuple[str, int]] = frozenset()
        self._subscriptions = (inventory.nodes.subscribe(self._follow_nodes), self.jobs.subscribe(self._follow_jobs))

    async def ask_hub(self, request: LaunchRequest) -> None:
        """Ask the hub, through the nodes, whether it gives out what this would fetch; `problems` then says its noes."""
        for node in self._contexts.current():
            if node.record.id in request.nodes:
                await self._hub.ask(node.record.id, asked_repos(request, node))
        self._contexts.publish()

    # Planning: quick, asks nobody ---------------------------------------------------------------------------------

    @property
    def node_contexts(self) -> Latest[tuple[NodeContext, ...]]:
        """What plans lean on about each live node; refreshed when one connects and before each launch."""
        return self._contexts.latest

    async def survey(self, node_id: str) -> None:
        """Look again at what a node holds: its disk is another now. Raises NodeError."""
        await self.looks.look(node_id)

    def refresh_memory(self) -> None:
        """Have `node_contexts` tell the memory of this moment; asks nobody."""
        self._contexts.publish()

    def problems(self, request: LaunchRequest, *, stop_first: str = "") -> list[Problem]:
        """What speaks against the request now; empty is fine. `stop_first` is a job whose place counts as free."""
        return self._plans.problems(request, self._shelf.find(stop_first))

    def correct_with(self, corrector: Corrector) -> None:
        """From now on plans have what earlier starts taught."""
        self._plans.corrector = corrector

    def plan(self, request: LaunchRequest, *, load_timeout_s: float = math.nan) -> LaunchPlan:
        """What a launch would do, as a new job; `load_timeout_s` is how long its load may take, NaN as it did before.

        Raises PlanError."""
        return self._plans.make(request, patience=(load_timeout_s, self._shelf.load_timeout_s(request)))

    def switch_plan(self, stop_job_id: str, request: LaunchRequest, *, load_timeout_s: float = math.nan) -> LaunchPlan:
        """One plan that stops a job, verifies that, and launches the request in its place: shown, then `launch`ed.

        With the job's own request it is a restart. Raises PlanError (no such job, or the request does not fit then),
        StepFailed (the job belongs to another account).
        """
        leaving = self._known(stop_job_id)
        self._refuse_others(leaving)
        plan = self._plans.make(request, leaving, patience=(load_timeout_s, self._shelf.load_timeout_s(request)))
        if leaving.status.state.is_over:
            return plan
        return replace(
            plan, playbook=with_stop_first(plan.playbook, self._course.stop_playbook_of(leaving), stop_job_id)
        )

    async def switch(self, stop_job_id: str, plan: LaunchPlan) -> str:
        """Launch in another job's place: a plan of `switch_plan` as it is, any other with the job's stop before it.

        Raises as `launch` and `switch_plan` do.
        """
        if not stopped_first(plan.playbook):
            stop = self._course.stop_playbook_of(self._known(stop_job_id))
            plan = replace(plan, playbook=with_stop_first(plan.playbook, stop, stop_job_id))
        return await self.launch(plan)

    def last_request(self) -> LaunchRequest | None:
        """What was launched last from this computer, to be launched again; None before the first launch."""
        return self._book.last_request

    def usual_start_s(self, request: LaunchRequest) -> float:
        """How long starts like this took once image and weights were there; NaN before the first."""
        return self._book.of(request).usual_s

    def fixes_of(self, job_id: str) -> tuple[Fix, ...]:
        """What may help a failed launch, the likeliest first; () for one that did not fail, or that has no plan."""
        return self._repair.fixes_of(job_id)

    def fix_of(self, job_id: str) -> Fix | None:
        """What most likely helps a failed launch; one without a change is what a person does first. None as above."""
        return next(iter(self.fixes_of(job_id)), None)

    def request_after(self, job_id: str, fix: Fix) -> LaunchRequest:
        """The job's request with the fix's changes, for the launch form. Raises PlanError."""
        return self._repair.request_after(job_id, fix)

    def _own_ports(self, node_id: str) -> dict[int, str]:
        """A server that is starting holds its port already, although nothing listens there yet."""
        return {
            job.endpoint.port: job.title
            for job in self.jobs.value
            if job.endpoint is not None and job.endpoint.node_id == node_id and not job.state.is_over
        }

    def _residents(self, node_id: str, available_bytes: int | None) -> tuple[Resident, ...]:
        return residents_of(self._shelf.on_node(node_id), available_bytes)

    # Launch and stop ----------------------------------------------------------------------------------------------

    async def launch(self, plan: LaunchPlan) -> str:
        """Look at the nodes again, write the intent, start; gives the job's id while the start goes on.

        Raises PlanError (the request no longer fits), a NodeError (a node cannot be looked at), StoreError.
        """
        if self._shelf.find(plan.job_id) is not None or plan.job_id in self._beginning:
            raise PlanError("This plan was launched already", remedy="Make a new plan.")
        self._beginning.add(plan.job_id)  # a second click comes while the first one still looks at the nodes
        try:
            return await self._launch(plan)
        finally:
            self._beginning.discard(plan.job_id)

    async def _launch(self, plan: LaunchPlan) -> str:
        begun_s = self._clock.monotonic_s()
        leaving = self._shelf.find(stopped_first(plan.playbook))
        if leaving is not None:
            self._refuse_others(leaving)
        await self._book.load()
        for node_id in dict.fromkeys(plan.request.nodes):
            await self.looks.look(node_id)
        await self.ask_hub(plan.request)
        async with self._admitting:  # what the first of two takes, the second finds taken
            deployment = await self._admit(plan, leaving)
        deployment.starts = self._book.of(plan.request)
        deployment.begin_phase(PREFLIGHT, begun_s)
        deployment.say(f"Pre-flight passed; launching {plan.title}")
        self._adoption.follow_log(deployment, self._inventory.shell(deployment.node_id))
        self._course.start_launch(deployment)
        return plan.job_id

    async def _admit(self, plan: LaunchPlan, leaving: Deployment | None) -> Deployment:
        """The last look, and the intent. Raises PlanError, StoreError."""
        if leaving is not None and self._course.is_replaced(leaving):
            raise PlanError(f"Another server takes the place of {leaving.status.title} already", remedy="Wait for it.")
        for problem in self._plans.problems(plan.request, leaving):
            if problem.severity is Severity.ERROR:
                raise PlanError(problem.message, remedy=problem.remedy)
        node = self._plans.refuse_crowd(plan, leaving)
        cluster = self._inventory.cluster.value
        intent = JobIntent(
            job_id=plan.job_id,
            cluster_id=cluster.id if cluster is not None else "",
            created_ms=self._clock.now_ms(),
            state=JobState.STARTING,
            plan_json=plan_json.to_json(plan),
        )
        await self._book.note_launch(plan.request)
        deployment = await self._shelf.begin(intent, plan)
        deployment.free_before_bytes = uncommitted_bytes(node) if node is not None else None
        return deployment

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
        await self._keys.forget(job_id)

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

    def status(self, job_id: str) -> JobStatus | None:
        """The job as it stands; None when there is no such job."""
        deployment = self._shelf.find(job_id)
        return deployment.status if deployment is not None else None

    def told(self, job_id: str) -> Mapping[str, float]:
        """What the engine's log said of itself, by `core/jobs/reading.py`'s keys; empty when it said nothing."""
        deployment = self._shelf.find(job_id)
        return deployment.engine_told if deployment is not None else {}

    def told_words(self, job_id: str) -> Mapping[str, str]:
        """The same in words, by the keys of `Told`: version, backends, types."""
        deployment = self._shelf.find(job_id)
        return deployment.engine_words if deployment is not None else {}

    async def open_door(self, job_id: str) -> str:
        """A base URL on this computer that leads to the job's server while it runs, for the person's own programs.

        Raises PlanError (it answers nowhere), Unreachable (its node is not live).
        """
        return await self._doors.open(job_id)

    def close_door(self, job_id: str) -> None:
        """Close the port again; nothing to do when there is none."""
        self._doors.close(job_id)

    @property
    def doors(self) -> Latest[Mapping[str, Door]]:
        """The ports of this computer that lead to servers, by job."""
        return self._doors.doors

    async def api_key(self, job_id: str) -> str:
        """The key of a server that its network can reach, to be copied; "" for one without. Raises PlanError."""
        return await self._keys.find(self._known(job_id))

    def lan_url(self, job_id: str) -> str:
        """The base URL by which the node's network reaches the server; "" where only the node itself does."""
        deployment = self._shelf.find(job_id)
        plan, endpoint = (deployment.plan, deployment.status.endpoint) if deployment is not None else (None, None)
        if plan is None or endpoint is None or plan.request.reach != "lan":
            return ""
        nodes = self._inventory.nodes.value
        address = next((node.record.address for node in nodes if node.record.id == endpoint.node_id), "")
        host = f"[{address}]" if ":" in address else address
        return f"http://{host}:{endpoint.port}{endpoint.base_path}" if host else ""

    def doubt(self, job_id: str) -> None:
        """Somebody saw an answer of the server fail: have a token be asked for soon."""
        deployment = self._shelf.find(job_id)
        if deployment is not None:
            deployment.pulse.doubt()

    def _endpoint_of(self, job_id: str) -> Endpoint | None:
        status = self.status(job_id)
        return status.endpoint if status is not None and not status.state.is_over else None

    @asynccontextmanager
    async def client(self, job_id: str) -> AsyncIterator[EndpointClient]:
        """A client of the job's server, shared, over a forward that lives as long as somebody uses it.

        Raises PlanError (no such job, or one without an endpoint) and a NodeError (its node is not live).
        """
        deployment = self._known(job_id)
        endpoint = deployment.status.endpoint
        if endpoint is None:
            raise PlanError("This job answers nowhere", remedy="Choose another server.")
        key = await self._keys.find(deployment)
        async with self._pool.client(job_id, endpoint, api_key=key) as client:
            yield client

    # Nodes that come and go -----------------------------------------------------------------------------------------

    async def adopt(self, node_id: str, shell: Shell) -> None:
        """A node became live: look at it, take up the jobs in its folders, and from then on see what others start.

        Runs until it is cancelled. Never raises a NodeError.
        """
        try:
            await self.looks.look(node_id, shell)
        except SparkDeskError as error:
            log.warning("survey: %s", error.sentence())
        await self._book.load()
        with self._doors.live(node_id, shell):
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
        self.looks.follow_jobs(jobs)
        live = (job.endpoint for job in jobs if job.endpoint is not None and not job.state.is_over)
        held = frozenset((endpoint.node_id, endpoint.port) for endpoint in live)
        if held != self._held:
            over = (
                job.endpoint for job in jobs if job.endpoint is not None and job.state.is_over and not job.stop_error
            )
            ended = {(endpoint.node_id, endpoint.port) for endpoint in over}
            self._contexts.free_ports(ended & (self._held - held))
            self._held = held
            self._contexts.publish()

    async def close(self) -> None:
        """Let go of everything; jobs on the nodes run on. A launch under way is journalled, to be carried on later."""
        for subscription in self._subscriptions:
            subscription.close()
        self._contexts.close()
        self._doors.close_all()
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
