"""Takes up the jobs that a node's folders tell of, and follows their logs.

The one rule: jobs of ours are taken up; jobs of others, and of schemas we do not know, are shown and never touched.
"""

from __future__ import annotations

import asyncio
import logging

from sparkdesk.core.errors import NodeError
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.record import JobReport, JobState
from sparkdesk.core.jobs.report import describe_end, read_reports
from sparkdesk.core.ports import Shell
from sparkdesk.services.jobs.course import Course
from sparkdesk.services.jobs.deployment import Deployment
from sparkdesk.services.jobs.job_log import LogPiece, NodeLog
from sparkdesk.services.jobs.job_shelf import JobShelf
from sparkdesk.services.remote_program import run_program
from sparkdesk.services.tasks import Tasks

log = logging.getLogger(__name__)

LIST_TRIES = 3
LIST_RETRY_S = 2.0
BACKLOG_BYTES = 256 * 1024
"""So much of an adopted job's log is read back."""


class Adoption:
    """Lists a node's jobs when it becomes live, and keeps one log channel per node."""

    def __init__(self, shelf: JobShelf, course: Course, program: bytes, tasks: Tasks) -> None:
        self._shelf = shelf
        self._course = course
        self._program = program
        self._tasks = tasks
        self._logs: dict[str, NodeLog] = {}

    async def adopt(self, node_id: str, shell: Shell) -> None:
        """Take up what the node's folders tell of. A node that cannot be asked is asked again by each heartbeat."""
        await self._shelf.load()
        self._start_log(node_id, shell)
        reports = await self._list(node_id, shell)
        if reports is None:
            for deployment in self._shelf.on_node(node_id):
                if not deployment.status.state.is_over and not self._course.is_launching(deployment):
                    self._course.watch(deployment)
            return
        for report, endpoint in reports:
            await self._take(report, endpoint)
        found = {report.job_id for report, _ in reports}
        for deployment in self._shelf.on_node(node_id):
            if deployment.job_id not in found:
                await self._miss(deployment)

    async def _list(self, node_id: str, shell: Shell) -> tuple[tuple[JobReport, Endpoint | None], ...] | None:
        for attempt in range(LIST_TRIES):
            try:
                return read_reports(await run_program(shell, self._program, ("list",), timeout_s=60.0), node_id)
            except NodeError as error:
                log.warning("list of jobs: %s", error.sentence())
                if attempt < LIST_TRIES - 1:
                    await asyncio.sleep(LIST_RETRY_S)
        return None

    async def _take(self, report: JobReport, endpoint: Endpoint | None) -> None:
        deployment = self._shelf.find(report.job_id)
        if deployment is None:
            if report.state == "planned":
                return  # a folder that was never started, of an intent that is not ours to carry on
            deployment = self._shelf.take_report(report, endpoint)
        if self._course.is_launching(deployment) or deployment.status.state is JobState.STOPPING:
            return
        match report.state:
            case "ended" | "planned":
                await self._take_ended(deployment, report)
            case "unreadable":
                deployment.change(
                    JobState.UNKNOWN,
                    message="Its folder on the node is from another release of SparkDesk, or its launch was cut off",
                    remedy="If another release of SparkDesk started it, stop it there; else forget it here.",
                )
            case _:
                self._take_running(deployment)

    def _take_running(self, deployment: Deployment) -> None:
        self._log_of(deployment).follow(deployment.job_id, -BACKLOG_BYTES)
        before = self._shelf.intent_state(deployment)
        is_interrupted = before in (JobState.STARTING, JobState.LOADING, JobState.PLANNED)
        if is_interrupted and deployment.plan is not None:
            deployment.say("Found running: carrying on with its launch")
            deployment.change(JobState.STARTING, message="")
            self._course.start_launch(deployment, is_resumed=True)
            return
        if before is JobState.STOPPING:
            deployment.set_stop_error("The stop was interrupted. Stop it again.")
        elif before is not None and before.is_over:
            deployment.change(JobState.UNKNOWN)  # it runs after all: somebody started it again
        self._course.watch(deployment)

    async def _take_ended(self, deployment: Deployment, report: JobReport) -> None:
        before = self._shelf.intent_state(deployment)
        if deployment.status.state.is_over:
            return
        if report.state == "planned":
            deployment.change(
                JobState.FAILED, message="Its launch was interrupted before it started", remedy="Launch it again."
            )
            await self._shelf.keep_state(deployment)
        elif before is JobState.STOPPING:
            deployment.change(JobState.STOPPED, message="")
            await self._shelf.keep_state(deployment)
        else:
            await self._course.end(deployment, {"reason": describe_end(report), "code": report.exit_code})

    async def _miss(self, deployment: Deployment) -> None:
        """Its node has no folder of it."""
        if deployment.status.state.is_over or self._course.is_launching(deployment):
            return
        if self._shelf.intent_state(deployment) in (JobState.STOPPING, JobState.STARTING, JobState.PLANNED):
            words = "Its launch was interrupted before anything was done"
        else:
            words = "Its folder is gone from the node: somebody removed it"
        deployment.change(JobState.ENDED, message=words, remedy="Launch it again if you need it.", readings=())
        await self._shelf.keep_state(deployment)

    # Logs ---------------------------------------------------------------------------------------------------------

    def node_log(self, node_id: str) -> NodeLog:
        """The log channel of a node."""
        if node_id not in self._logs:
            self._logs[node_id] = NodeLog(self._program, self._deliver)
        return self._logs[node_id]

    def follow_log(self, deployment: Deployment, shell: Shell) -> None:
        """Follow a job that is launched now, from its first byte."""
        self._log_of(deployment).follow(deployment.job_id)
        if not self._tasks.is_running(f"log {deployment.node_id}"):
            self._start_log(deployment.node_id, shell)

    def want_log(self, deployment: Deployment) -> None:
        """Somebody looks at the log: of a job that is over, read it back once."""
        if not deployment.last_line and not deployment.saw_end:
            self._log_of(deployment).follow(deployment.job_id, -BACKLOG_BYTES)

    def drop_log(self, deployment: Deployment) -> None:
        """Follow it no more."""
        self._log_of(deployment).drop(deployment.job_id)

    def drop_lost(self, live: set[str]) -> None:
        """End the log channels of nodes that are not live; they are opened again, where they were, by `adopt`."""
        for node_id in self._logs:
            if node_id not in live:
                self._tasks.cancel(f"log {node_id}")

    def _log_of(self, deployment: Deployment) -> NodeLog:
        return self.node_log(deployment.node_id)

    def _start_log(self, node_id: str, shell: Shell) -> None:
        self._tasks.start_exclusive(f"log {node_id}", self.node_log(node_id).run, shell)

    def _deliver(self, piece: LogPiece) -> None:
        deployment = self._shelf.find(piece.job_id)
        if deployment is None:
            return
        deployment.take_piece(piece)
        if piece.end is not None:
            self.drop_log(deployment)
            self._course.check_end(deployment)
