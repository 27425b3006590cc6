"""The course of a job: start until ready, watch, stop, end. Each part is one supervised task per job.

The one rule: what the screens are told follows what a node proved, and a failed launch leaves nothing running: its stop
playbook, which was part of the plan, is run before it is called failed.
"""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Callable, Mapping

from sparkdesk.core.errors import PlanError, SparkDeskError
from sparkdesk.core.jobs.guard_end import read_guard_end
from sparkdesk.core.jobs.log_level import drop_prefix
from sparkdesk.core.jobs.record import JobState
from sparkdesk.core.jobs.report import STOPPED_BY_USER
from sparkdesk.core.jobs.start_time import FETCHING
from sparkdesk.core.jobs.timeline import SWITCH
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.playbooks.job import JobSpec, stop_playbook
from sparkdesk.core.playbooks.job_guard import guard_playbook
from sparkdesk.core.playbooks.switch import stopped_first
from sparkdesk.core.ports import Shell
from sparkdesk.core.step import Playbook, RunEnded, Stage, Step, StepEvent
from sparkdesk.services.clock import Clock
from sparkdesk.services.ident import new_id
from sparkdesk.services.jobs.deployment import Deployment
from sparkdesk.services.jobs.endpoint_pool import EndpointPool
from sparkdesk.services.jobs.heartbeat import Heartbeat
from sparkdesk.services.jobs.job_shelf import JobShelf
from sparkdesk.services.jobs.reach.api_key import ApiKeys
from sparkdesk.services.jobs.start.absence import Absence
from sparkdesk.services.jobs.start.halt import halt_playbook
from sparkdesk.services.jobs.start.handover import Handover
from sparkdesk.services.jobs.start.start_book import StartBook
from sparkdesk.services.playbooks.passage import is_repeatable
from sparkdesk.services.playbooks.runner import Runner
from sparkdesk.services.tasks import Tasks

CANCEL_TIMEOUT_S = 15.0
WATCH_END_TIMEOUT_S = 2.0
LOG_END_WAIT_S = 2.0
RECOVER_EVERY_S = 3.0
GUARD_LOOK_S = 10
"""While it loads, whether its guard lives is asked every so many seconds."""
RECOVER_TRIES = 3
"""How often an unknown outcome is looked at again before the job is only watched."""
_BEFORE = (SWITCH, *FETCHING)
_KILLED = re.compile(rf"\bsignal {signal.SIGKILL:d}\b|\bended unseen\b")
_TERMINATED = 128 + signal.SIGTERM
"""Exit code of a container whose engine was asked to end."""


class Course:
    """Runs jobs through their states."""

    def __init__(  # noqa: PLR0913 - called once, where the launcher is put together
        self,
        *,
        tasks: Tasks,
        runner: Runner,
        shelf: JobShelf,
        pool: EndpointPool,
        shells: Callable[[str], Shell],
        clock: Clock,
        book: StartBook,
        keys: ApiKeys,
    ) -> None:
        self._tasks = tasks
        self._book = book
        self._runner = runner
        self._shelf = shelf
        self._pool = pool
        self._shells = shells
        self._clock = clock
        self._heartbeat = Heartbeat(shells, pool, clock, self.end, self.guard_again, keys)
        self._launching: dict[str, asyncio.Task[None]] = {}
        self._stopping: dict[str, asyncio.Task[None]] = {}
        self._watching: set[asyncio.Task[None]] = set()

    # Start --------------------------------------------------------------------------------------------------------

    def start_launch(self, deployment: Deployment, *, is_resumed: bool = False) -> None:
        """Run the job's playbook as a task, or carry it on from its journal."""
        if deployment.job_id in self._launching:
            return
        task = self._tasks.start_exclusive(f"launch {deployment.job_id}", self._launch, deployment, is_resumed)
        if task is not None:
            self._launching[deployment.job_id] = task
            task.add_done_callback(lambda _: self._launching.pop(deployment.job_id, None))

    def is_launching(self, deployment: Deployment) -> bool:
        """Whether its playbook runs now."""
        return deployment.job_id in self._launching

    def is_replaced(self, leaving: Deployment) -> bool:
        """Whether a launch that runs now takes its place."""
        found = (self._shelf.find(job_id) for job_id in self._launching)
        plans = (deployment.plan for deployment in found if deployment is not None)
        return any(stopped_first(plan.playbook) == leaving.job_id for plan in plans if plan is not None)

    def watch(self, deployment: Deployment) -> None:
        """Keep its status true from now on, until it is stopped or over."""
        task = self._tasks.start_exclusive(f"watch {deployment.job_id}", self._heartbeat.run, deployment)
        if task is not None:
            self._watching.add(task)
            task.add_done_callback(self._watching.discard)

    async def _launch(self, deployment: Deployment, is_resumed: bool) -> None:
        tick = f"tick {deployment.job_id}"
        self._tasks.start_exclusive(tick, self._tick, deployment)
        handover = self._begin_handover(deployment)
        is_past = False
        try:
            if handover is not None:
                await self._cancel_launch(handover.leaving)
                self._pool.drop(handover.leaving.job_id)
                await handover.begin()
            ended = await self._run_until_known(deployment, is_resumed, handover)
            is_past = ended.result == "done"
        except SparkDeskError as error:  # the journal cannot be written or read
            deployment.change(JobState.UNKNOWN, message=error.message, remedy=error.remedy)
            self.watch(deployment)
            return
        finally:
            self._tasks.cancel(tick)
            if handover is not None:
                handover.end(is_known=is_past or await self.was_started(deployment))
        if ended.result == "done":
            deployment.finish_phases()
            deployment.change(JobState.READY, message="")
            await self._book.note_ready(deployment)  # at once: a stop that comes now ends this task
            await self._shelf.keep_state(deployment)
            self.watch(deployment)
        elif ended.result == "unknown":
            deployment.change(JobState.UNKNOWN, message=ended.message, remedy=ended.remedy)
            self.watch(deployment)
        else:
            await self._fail(deployment, ended)

    def _begin_handover(self, deployment: Deployment) -> Handover | None:
        """For a launch that stops another job first."""
        plan = deployment.plan
        leaving = self._shelf.find(stopped_first(plan.playbook)) if plan is not None else None
        if plan is None or leaving is None:
            return None
        return Handover(leaving, plan.playbook, self._shelf, self.watch, self._tasks.start)

    async def _run_until_known(self, deployment: Deployment, is_resumed: bool, handover: Handover | None) -> RunEnded:
        """Run; when the outcome is not known, look again (journal and checks decide) a few times."""
        plan = deployment.plan
        if plan is None:
            raise PlanError("The plan of this job is not known", remedy="Stop it, and launch it again.")
        job_id = deployment.job_id

        def hear(event: StepEvent) -> None:
            deployment.take_event(event)
            if handover is not None:
                handover.hear(event)

        deployment.starts = self._book.of(plan.request)
        deployment.was_resumed = is_resumed
        if is_resumed:
            ended = await self._runner.resume(job_id, on_event=hear)
        else:
            ended = await self._runner.run(job_id, plan.playbook, on_event=hear)
        for _ in range(RECOVER_TRIES):
            if ended.result != "unknown" or deployment.is_being_proved:
                break  # a proof is not asked for twice by a launch; the watch that follows asks for its own
            deployment.change(JobState.UNKNOWN, message=ended.message, remedy=ended.remedy)
            await self._wait_for_node(deployment)
            deployment.change(JobState.STARTING, message="")
            deployment.was_resumed = True
            ended = await self._runner.resume(job_id, on_event=hear)
        return ended

    async def _wait_for_node(self, deployment: Deployment) -> None:
        """Until the node is connected again, however long that takes: this is cancelled by a stop."""
        while True:
            await asyncio.sleep(RECOVER_EVERY_S)
            try:
                self._shells(deployment.node_id)
            except SparkDeskError:
                continue
            return

    async def _tick(self, deployment: Deployment) -> None:
        """Once a second while it starts: the seconds of its phase, and whether its node is there."""
        absence = Absence(deployment, self._shells, self._clock)
        while True:
            for _ in range(GUARD_LOOK_S):
                await asyncio.sleep(1.0)
                absence.look()
                deployment.refresh()
            if deployment.status.state is JobState.LOADING:
                # Nothing takes more memory than a load. Beside this task, which only tells the time.
                key = f"guard of {deployment.job_id}"
                self._tasks.start_exclusive(key, self._heartbeat.look_at_guard, deployment)

    async def _fail(self, deployment: Deployment, ended: RunEnded) -> None:
        guard = read_guard_end(ended.message)
        if STOPPED_BY_USER in ended.message or (guard is not None and guard.is_planned):
            by_user = "Stopped from another computer, or on the node itself"  # a stop of ours ends the launch first
            deployment.skip_phases()
            deployment.change(JobState.STOPPED, message=guard.message if guard is not None else by_user)
            await self._shelf.keep_state(deployment)
            if guard is not None:
                self.tidy_later(deployment)  # else who stopped it does that
            return
        if deployment.plan is not None:
            await self._wait_for_log(deployment)
        message, remedy = ended.message, ended.remedy
        if deployment.failure is not None:
            message, remedy = deployment.failure.message, deployment.failure.remedy
        if guard is not None:
            message, remedy = guard.message, guard.remedy
        else:
            line = deployment.cause_line if _KILLED.search(message) else deployment.last_line
            message = f"{message}. Last line: {line}" if line and line not in message else message
        deployment.fail_phase(ended.message)
        deployment.change(message=message, remedy=remedy)
        stop_error = await self._stop_what_was_begun(deployment)
        deployment.set_stop_error(stop_error)
        deployment.change(JobState.FAILED)
        await self._shelf.keep_state(deployment)

    async def _wait_for_log(self, deployment: Deployment) -> None:
        """Let the last lines arrive: they name the cause."""
        for _ in range(round(LOG_END_WAIT_S / 0.05)):
            if deployment.saw_end or deployment.failure is not None:
                return
            await asyncio.sleep(0.05)

    # Stop ---------------------------------------------------------------------------------------------------------

    async def stop(self, deployment: Deployment) -> None:
        """Stop it and wait for the end of that; nothing to do when it is over and no stop was left unverified."""
        if deployment.status.state.is_over and not deployment.status.stop_error:
            return
        task = self._stopping.get(deployment.job_id)
        if task is None:
            task = self._tasks.start_exclusive(f"stop {deployment.job_id}", self._stop, deployment)
            if task is None:
                return
            self._stopping[deployment.job_id] = task
            task.add_done_callback(lambda _: self._stopping.pop(deployment.job_id, None))
        await asyncio.wait({task})  # a caller that is cancelled does not end the stop

    async def _stop(self, deployment: Deployment) -> None:
        deployment.change(JobState.STOPPING, message="")
        deployment.set_stop_error("")
        await self._shelf.keep_state(deployment)
        await self._cancel_launch(deployment)
        self._pool.drop(deployment.job_id)
        stop_error = await self._stop_what_was_begun(deployment)
        if not stop_error:
            deployment.skip_phases()
            deployment.change(JobState.STOPPED, message="", readings=())
            await self._shelf.keep_state(deployment)
            return
        deployment.set_stop_error(stop_error)
        deployment.change(JobState.UNKNOWN, message="The stop is not verified", remedy="Stop it again.")
        self.watch(deployment)

    async def _cancel_launch(self, deployment: Deployment) -> None:
        task = self._launching.get(deployment.job_id)
        if task is not None:
            task.cancel()
            await asyncio.wait({task}, timeout=CANCEL_TIMEOUT_S)

    async def _stop_what_was_begun(self, deployment: Deployment) -> str:
        """Run the stop playbook unless nothing was started; gives why the end is not verified, "" when it is."""
        if await self.was_started(deployment):
            playbook = self.stop_playbook_of(deployment)
        else:
            begun = await self._runner.begun_steps(deployment.job_id) or ()
            playbook = halt_playbook(deployment.status.title, begun)
        if not playbook.stages:
            return ""
        try:
            ended = await self._runner.run(new_id(), playbook, on_event=deployment.take_stop_event)
        except SparkDeskError as error:
            return error.sentence()
        return "" if ended.result == "done" else f"{ended.message}. {ended.remedy}"

    async def was_started(self, deployment: Deployment) -> bool:
        """Whether the launch may have left more than files on the node.

        What comes before its own folder (fetching, another job's stop) leaves nothing that runs.
        """
        begun = await self._runner.begun_steps(deployment.job_id)
        return begun is None or any(step.phase not in _BEFORE and not is_repeatable(step) for step in begun)

    async def was_preparing(self, deployment: Deployment) -> bool:
        """Whether its launch was cut off while it fetched, or stopped the server whose place it takes."""
        begun = await self._runner.begun_steps(deployment.job_id)
        return bool(begun) and all(step.phase in _BEFORE for step in begun or ())

    def stop_playbook_of(self, deployment: Deployment) -> Playbook:
        """The plan's stop, or for a job without a known plan what stops any job folder."""
        if deployment.plan is not None:
            return deployment.plan.stop
        status = deployment.status
        endpoint = status.endpoint
        if endpoint is None:
            raise PlanError("This job is not of a kind that SparkDesk can stop", remedy="Stop it on the node itself.")
        return stop_playbook(
            JobSpec(
                job_id=status.job_id,
                node_id=deployment.node_id,
                title=status.title,
                engine=status.engine,
                owner=status.owner,
                argv=(),
                endpoint=endpoint,
            )
        )

    # End ----------------------------------------------------------------------------------------------------------

    async def end(self, deployment: Deployment, said: Mapping[str, object]) -> None:
        """The node said that the job is over, and how (exit.json's code, signal, reason)."""
        state = deployment.status.state
        if state.is_over or state is JobState.STOPPING or self.is_launching(deployment):
            return
        reason = said.get("reason")
        words = make_line(reason, max_chars=500) if isinstance(reason, str) and reason else "nobody saw how it ended"
        if isinstance(cause := said.get("cause"), str) and cause:  # the guard names it as the log has it
            words = words.replace(make_line(cause, max_chars=400), drop_prefix(make_line(cause, max_chars=400)))
        self._pool.drop(deployment.job_id)
        found, message, remedy = _judge_end(deployment, said, words)
        at_ms = ended_ms if isinstance(ended_ms := said.get("ended_ms"), int) else None
        if found is JobState.FAILED:
            deployment.fail_phase(message, at_ms)
        else:
            deployment.skip_phases(at_ms)
        deployment.change(found, message=message, remedy=remedy, readings=())
        deployment.set_stop_error("")
        deployment.say(f"The server is gone: {words}", level="info" if found is JobState.STOPPED else "warning")
        await self._shelf.keep_state(deployment)
        self.tidy_later(deployment)

    def tidy_later(self, deployment: Deployment) -> None:
        """Of a container that ended by itself, or whose stop was cut off: keep how it ended, and remove it."""
        steps = deployment.plan.stop.steps() if deployment.plan is not None else ()
        tidy = next((step for step in steps if step.id == "tidy"), None)
        if tidy is not None and not deployment.status.account:
            self._tasks.start_exclusive(f"tidy {deployment.job_id}", self._tidy, deployment, tidy)

    async def _tidy(self, deployment: Deployment, tidy: Step) -> None:
        playbook = Playbook(f"Tidy up after {deployment.status.title}", (Stage(tidy.title, (tidy,)),))
        try:
            ended = await self._runner.run(new_id(), playbook, on_event=deployment.events.put)
        except SparkDeskError as error:
            deployment.say(f"Its container stays: {error.sentence()}", level="warning")
            return
        is_done = ended.result == "done"
        words = "Its container is removed; its log and its end are kept"
        deployment.say(
            words if is_done else f"Its container stays: {ended.message}", level="info" if is_done else "warning"
        )

    async def guard_again(self, deployment: Deployment) -> None:
        """Its guard was ended by somebody, and it runs on: nobody looks at the memory until a new one is there."""
        if deployment.job_id in self._stopping or deployment.status.account:
            return
        status = deployment.status
        deployment.say("Its guard on the node is gone and nobody watches its memory: starting another", level="warning")
        playbook = guard_playbook(status.job_id, deployment.node_id, status.title)
        try:
            ended = await self._runner.run(new_id(), playbook, on_event=deployment.events.put)
        except SparkDeskError as error:
            deployment.say(f"No new guard: {error.sentence()}", level="error")
            return
        if ended.result == "done":
            deployment.say("A new guard watches over it")
        else:
            deployment.say(f"No new guard: {ended.message}. {ended.remedy} It is tried again.", level="error")

    def check_end(self, deployment: Deployment) -> None:
        """Its log came to an end: ask the node at once instead of at the next beat."""
        if not (deployment.status.state.is_over or self.is_launching(deployment)):
            self._tasks.start_exclusive(f"check {deployment.job_id}", self._heartbeat.ask, deployment)

    async def close(self) -> None:
        """End launches under way (journalled as cancelled; the jobs on the nodes run on) and all watching."""
        launching = list(self._launching.items())
        for job_id, task in launching:
            self._tasks.cancel(f"tick {job_id}")
            task.cancel()
        if launching:
            await asyncio.wait([task for _, task in launching], timeout=CANCEL_TIMEOUT_S)
        self._heartbeat.close()
        if self._watching:
            await asyncio.wait(tuple(self._watching), timeout=WATCH_END_TIMEOUT_S)


def _judge_end(deployment: Deployment, said: Mapping[str, object], words: str) -> tuple[JobState, str, str]:
    """What an end that the node tells of means: state, message, remedy."""
    guard = read_guard_end(words)
    if said.get("reason") == STOPPED_BY_USER:
        return JobState.STOPPED, "", ""
    if guard is not None:
        return (JobState.STOPPED if guard.is_planned else JobState.FAILED), guard.message, guard.remedy
    if said.get("code") in (0, _TERMINATED) or said.get("signal") == signal.SIGTERM:
        # Neither docker nor the kernel tells who asked a process to end.
        unasked = f"The server {words}; SparkDesk did not ask for that: somebody stopped it, or it ended by itself"
        return JobState.ENDED, unasked, "Launch it again if you need it."
    message = f"The server is gone: {words}{_last_words(deployment, said, words)}"
    return JobState.FAILED, message, "Read the log for the cause, then launch it again."


def _last_words(deployment: Deployment, said: Mapping[str, object], told: str) -> str:
    """The line that names why it ended, when that was not told already."""
    cause = said.get("cause")
    # Who was killed had no time to say why: then only a line that tells of an error may stand for it.
    own = deployment.cause_line if _KILLED.search(told) else deployment.cause
    line = drop_prefix(make_line(cause, max_chars=400)) if isinstance(cause, str) and cause else own
    return f". Last line: {line}" if line and line not in told else ""
