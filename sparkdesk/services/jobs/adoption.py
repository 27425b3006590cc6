"""Takes up the jobs that a node's folders tell of, and follows their logs.

The one rule: what lies in this account's folders is taken up, whichever computer started it; jobs of other accounts,
and of schemas we do not know, are shown and never touched.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass

from sparkdesk.core.command import Command
from sparkdesk.core.errors import NodeError
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.record import JobReport, JobState
from sparkdesk.core.jobs.report import JOB_ID, describe_end, name_account, read_foreign_reports, read_reports
from sparkdesk.core.ports import Shell
from sparkdesk.services.jobs.course import Course
from sparkdesk.services.jobs.deployment import Deployment
from sparkdesk.services.jobs.job_log import LogPiece, NodeLog
from sparkdesk.services.jobs.job_shelf import JobShelf
from sparkdesk.services.remote_program import run_program
from sparkdesk.services.rhythm import Rhythm
from sparkdesk.services.tasks import Tasks

log = logging.getLogger(__name__)

LIST_TRIES = 3
LIST_RETRY_S = 2.0
BACKLOG_BYTES = 256 * 1024
"""So much of an adopted job's log is read back."""
START_BYTES = 512 * 1024
"""So much of its beginning, for what the engine said of itself."""
_FIRST_LOG = 'head -c 524288 "$HOME/.local/state/sparkdesk/jobs/{job_id}/log-000000000000000" 2>/dev/null'
"""The first file is gone once the log was rotated often enough: then nothing is known."""
GO_ON_WITHIN_S = 3600.0
"""A launch that was cut off longer ago is not carried on unasked: the node may be another's by now."""
LOOK_EVERY_S = 20.0
"""What another computer starts on the node is seen within this."""
FULL_EVERY = 15
"""Each so many looks everything is listed, for what other accounts started."""
MAX_TRIES = 5
"""A folder that stays unknown (it was written and never started) is not listed for ever."""
MAX_NAMES = 1000
_GLANCE = Command(
    (
        "sh",
        "-c",
        'cd "$HOME/.local/state/sparkdesk/jobs" 2>/dev/null || exit 0\n'
        f"ls -1 | head -n {MAX_NAMES}\ncksum */holder.json 2>/dev/null | head -n {MAX_NAMES}",
    )
)
"""Cheap enough to run again and again: which folders there are, and whether somebody took one over since."""

Found = tuple[tuple[tuple[JobReport, Endpoint | None], ...], tuple[JobReport, ...]]
"""Our account's jobs, and what is seen of the others'."""


@dataclass(frozen=True, slots=True)
class Glance:
    """The names of a node's job folders, and of those that were taken over what the note of it sums up to."""

    names: frozenset[str]
    holders: frozenset[str]


class Adoption:
    """Lists a node's jobs when it becomes live, and keeps one log channel per node."""

    def __init__(
        self, shelf: JobShelf, course: Course, program: bytes, tasks: Tasks, look_every_s: float = LOOK_EVERY_S
    ) -> None:
        self._shelf = shelf
        self._course = course
        self._program = program
        self._tasks = tasks
        self._look_every_s = look_every_s
        self.rhythm = Rhythm()
        self._logs: dict[str, NodeLog] = {}
        self._shells: dict[str, Shell] = {}

    async def adopt(self, node_id: str, shell: Shell) -> None:
        """Take up what the node's folders tell of. A node that cannot be asked is asked again by each heartbeat."""
        self._shells[node_id] = shell
        await self._shelf.load()
        self._start_log(node_id, shell)
        found = await self._list(node_id, shell)
        if found is None:
            for deployment in self._shelf.on_node(node_id):
                if not deployment.status.state.is_over and not self._course.is_launching(deployment):
                    self._course.watch(deployment)
            return
        reports, others = found
        for report, endpoint in reports:
            await self._take(report, endpoint)
        self._take_foreign(node_id, others)
        known = {report.job_id for report, _ in reports}
        for deployment in self._shelf.on_node(node_id):
            if deployment.job_id not in known and not deployment.status.account:
                await self._miss(deployment)

    async def watch(self, node_id: str, shell: Shell) -> None:
        """See what other computers start, take over or remove on the node, until cancelled.

        The jobs that are known tend themselves otherwise.
        """
        tries: Counter[str] = Counter()
        holders: frozenset[str] | None = None
        look = 0
        while True:
            await self.rhythm.pause(self._look_every_s)
            look += 1
            glance = await self._glance(shell)
            if glance is None:
                continue
            self._forget_removed(node_id, glance.names)
            new = {name for name in glance.names if not self._shelf.is_read(name) and tries[name] < MAX_TRIES}
            tries.update(new)
            if not new and glance.holders == holders and look % FULL_EVERY:
                continue
            found = await self._list(node_id, shell)
            if found is not None:
                holders = glance.holders
                await self._take_news(found[0])
                self._take_foreign(node_id, found[1])

    async def _take_news(self, reports: tuple[tuple[JobReport, Endpoint | None], ...]) -> None:
        """Take up what was not known, or not read: its folder was being written when it was seen first."""
        for report, endpoint in reports:
            known = self._shelf.find(report.job_id)
            if known is not None and (self._shelf.is_read(report.job_id) or report.state == "unreadable"):
                self._shelf.note_report(known, report)
                continue
            if known is not None and self._shelf.intent_state(known) is None:
                self._shelf.drop(known)
            await self._take(report, endpoint)

    def _forget_removed(self, node_id: str, names: frozenset[str]) -> None:
        """Jobs that are over, were not launched from here, and whose folders another computer removed."""
        for deployment in self._shelf.on_node(node_id) if len(names) < MAX_NAMES else ():
            is_kept = self._shelf.intent_state(deployment) is not None or deployment.job_id in names
            if deployment.status.state.is_over and not (is_kept or deployment.status.account):
                self._shelf.drop(deployment)

    async def _glance(self, shell: Shell) -> Glance | None:
        try:
            outcome = await shell.run(_GLANCE, timeout_s=30.0, max_bytes=128 * 1024)
        except NodeError:
            return None
        if not outcome.is_ok:
            return None
        lines = outcome.text.splitlines()
        return Glance(
            names=frozenset(line for line in lines if JOB_ID.match(line)),
            holders=frozenset(line for line in lines if line.endswith("/holder.json")),
        )

    async def _list(self, node_id: str, shell: Shell) -> Found | None:
        for attempt in range(LIST_TRIES):
            try:
                answer = await run_program(shell, self._program, ("list",), timeout_s=60.0)
                return read_reports(answer, node_id), read_foreign_reports(answer, node_id)
            except NodeError as error:
                log.info("list of jobs: %s", error.sentence())
                if attempt < LIST_TRIES - 1:
                    await asyncio.sleep(LIST_RETRY_S)
        return None

    def _take_foreign(self, node_id: str, reports: tuple[JobReport, ...]) -> None:
        """Jobs of the node's other accounts: that they run is all that is known, and all that is done."""
        seen = {report.job_id for report in reports}
        for deployment in self._shelf.on_node(node_id):
            if deployment.status.account and deployment.job_id not in seen:
                self._shelf.drop(deployment)
        for report in reports:
            if self._shelf.find(report.job_id) is None:
                self._shelf.take_report(
                    report,
                    None,
                    message=f"It runs under {name_account(report.account)}",
                    remedy="Ask them, or sign in to the node as that account.",
                )

    async def _take(self, report: JobReport, endpoint: Endpoint | None) -> None:
        deployment = self._shelf.find(report.job_id)
        if deployment is None:
            if report.state == "planned":
                return  # a folder that was never started, of an intent that is not ours to carry on
            deployment = self._shelf.take_report(report, endpoint)
        self._shelf.note_report(deployment, report)
        if self._course.is_launching(deployment) or deployment.status.state is JobState.STOPPING:
            return
        match report.state:
            case "ended" | "planned":
                await self._take_ended(deployment, report)
            case "unreadable" if deployment.status.state.is_over and self._shelf.intent_state(deployment) is not None:
                pass  # ours, stopped while its folder was being written: nothing in it has run
            case "unreadable" if await self._is_cut_off(deployment):
                await self._take_ended(deployment, report)
            case "unreadable":
                deployment.change(
                    JobState.UNKNOWN,
                    message="Its folder on the node is from another release of SparkDesk, or its launch was cut off",
                    remedy="If another release of SparkDesk started it, stop it there; else remove the folder.",
                )
            case _:
                self._take_running(deployment)
                if report.log_bytes > BACKLOG_BYTES and not deployment.engine_told:
                    self._tasks.start_exclusive(f"start of {deployment.job_id}", self._read_start, deployment)

    async def _read_start(self, deployment: Deployment) -> None:
        """What its engine said of itself when it started stands further up in the log than is read back."""
        command = Command(("sh", "-c", _FIRST_LOG.format(job_id=deployment.job_id)))
        shell = self._shells.get(deployment.node_id)
        if shell is None:
            return
        try:
            outcome = await shell.run(command, timeout_s=30.0, max_bytes=START_BYTES)
        except NodeError as error:
            log.info("start of the log: %s", error.sentence())
            return
        if outcome.is_ok:
            deployment.read_start(line for line in outcome.text.replace("\r", "\n").split("\n") if line)

    async def _is_cut_off(self, deployment: Deployment) -> bool:
        """Whether it is a launch of ours that ended, by its journal, before more than files was on the node."""
        is_begun = self._shelf.intent_state(deployment) in (JobState.STARTING, JobState.PLANNED)
        return is_begun and not await self._course.was_started(deployment)

    def _take_running(self, deployment: Deployment) -> None:
        self._log_of(deployment).follow(deployment.job_id, -BACKLOG_BYTES)
        before = self._shelf.intent_state(deployment)
        is_interrupted = before in (JobState.STARTING, JobState.LOADING, JobState.PLANNED)
        if is_interrupted and deployment.plan is not None and not self._shelf.is_held_elsewhere(deployment):
            deployment.say("Found running: carrying on with its launch")
            deployment.change(JobState.STARTING, message="")
            self._course.start_launch(deployment, is_resumed=True)
            return
        if before is JobState.STOPPING:
            deployment.set_stop_error("The stop was interrupted. Stop it again.")
        elif deployment.status.state.is_over:
            deployment.change(JobState.UNKNOWN)  # it runs after all: somebody started it again
        self._course.watch(deployment)

    async def _take_ended(self, deployment: Deployment, report: JobReport) -> None:
        before = self._shelf.intent_state(deployment)
        if deployment.status.state.is_over:
            return
        if report.state in ("planned", "unreadable"):
            words = "Its launch was interrupted before it started"
            deployment.fail_phase(words)
            deployment.change(JobState.FAILED, message=words, remedy="Launch it again.")
            await self._shelf.keep_state(deployment)
        elif before is JobState.STOPPING:
            deployment.skip_phases(report.ended_ms)
            deployment.change(JobState.STOPPED, message="")
            await self._shelf.keep_state(deployment)
            self._course.tidy_later(deployment)
        else:
            said = {"reason": describe_end(report), "code": report.exit_code, "ended_ms": report.ended_ms}
            await self._course.end(deployment, said)

    async def _miss(self, deployment: Deployment) -> None:
        """Its node has no folder of it."""
        if deployment.status.state.is_over or self._course.is_launching(deployment):
            return
        if await self._may_go_on(deployment):
            deployment.say("Its launch was cut off before the server was begun: carrying on with it")
            deployment.change(JobState.STARTING, message="")
            self._course.start_launch(deployment, is_resumed=True)
            return
        if self._shelf.intent_state(deployment) in (JobState.STOPPING, JobState.STARTING, JobState.PLANNED):
            words = "Its launch was interrupted before anything was done"
        else:
            words = "Its folder is gone from the node: somebody removed it"
        deployment.skip_phases()
        deployment.change(JobState.ENDED, message=words, remedy="Launch it again if you need it.", readings=())
        await self._shelf.keep_state(deployment)

    async def _may_go_on(self, deployment: Deployment) -> bool:
        """Whether it is a launch of ours that was cut off, not long ago, while it fetched or made room."""
        is_begun = self._shelf.intent_state(deployment) in (JobState.STARTING, JobState.PLANNED)
        if not is_begun or deployment.plan is None or self._shelf.age_s(deployment) > GO_ON_WITHIN_S:
            return False
        return await self._course.was_preparing(deployment)

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
        has_log = not deployment.status.account  # another account's folder is closed to us
        if has_log and not deployment.last_line and not deployment.saw_end:
            self._log_of(deployment).follow(deployment.job_id, -BACKLOG_BYTES)

    def drop_log(self, deployment: Deployment) -> None:
        """Follow it no more."""
        self._log_of(deployment).drop(deployment.job_id)

    def drop_lost(self, live: set[str]) -> None:
        """End the log channels of nodes that are not connected; they are opened again, where they were, by `adopt`."""
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
