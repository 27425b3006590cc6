"""The deployments page's view-model: the list in sections, and everything about the one that is selected.

The one rule: what an engine does not say is said to be unsaid; a state comes from the service and is never guessed.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime

from PySide6.QtCore import QObject, Signal

from sparkdesk.core.bench.expectation import Expectation
from sparkdesk.core.bench.run import BenchShape
from sparkdesk.core.cluster.node import NodeRecord
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.rate import GENERATED_RATE
from sparkdesk.core.jobs.reading import KV_CAPACITY_TOKENS, REQUESTS_RUNNING, REQUESTS_WAITING
from sparkdesk.core.jobs.record import JobState, JobStatus, Phase, PhaseState
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.jobs.timeline import READY
from sparkdesk.core.jobs.verdict import Verdict
from sparkdesk.core.step import Playbook
from ui import text
from ui.bridge import watch
from ui.effort import EffortCell, effort_cells
from ui.jobs.feeds import DeploymentFeeds as DeploymentFeeds
from ui.jobs.mark import NO_MARK, Mark, current_phase, is_coming_up, mark_of_job
from ui.jobs.origin import describe_origin, name_keeper
from ui.jobs.step_text import script_of
from ui.jobs.words.address import EndpointText as EndpointText
from ui.jobs.words.address import Seen, endpoint_text
from ui.jobs.words.change import change_words
from ui.jobs.words.fault import Fault, read_fault
from ui.jobs.words.speed import fell_from, load_words
from ui.jobs.words.standing import (
    WITHOUT_TOKENS,
    left_words,
    limit_words,
    live_words,
    more_actions,
    no_chat_reason,
    no_measure_reason,
    phase_is_open,
    phase_note,
    phase_title,
    share_words,
    start_summary,
    switched_off,
    what_words,
)

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
SECTIONS = ("Running", "Starting", "Not known", "Stopped or failed, logs kept")


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the list; a section's heading has no `job_id`."""

    job_id: str = ""
    title: str = ""
    mark: Mark = NO_MARK
    line: str = ""
    figures: str = ""
    figures_short: str = ""
    """The same with less words, for a narrow list: a value is never cut."""
    fault: str = ""


@dataclass(frozen=True, slots=True)
class StageText:
    """One point of the timeline in words."""

    title: str
    state: str
    time_text: str
    detail: str


class DeploymentsModel(QObject):
    """The list and the selection. `changed` says that either may look different now."""

    changed = Signal()
    selected = Signal(str)

    def __init__(self, feeds: DeploymentFeeds, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.feeds = feeds
        self.needle = ""
        self.job_id = ""
        self._wanted = ""
        self._tunnel: tuple[tuple[Endpoint, NodeRecord | None], str] | None = None
        self._expected: dict[tuple[str, BenchShape, int], Expectation] = {}
        self._expected_at = -1
        self._seen: dict[str, tuple[tuple[Phase, ...], int]] = {}
        watch(feeds.jobs, self, self._take)
        watch(feeds.nodes, self, lambda _nodes: self.changed.emit())
        watch(feeds.changed, self, lambda _count: self.changed.emit())
        watch(feeds.doors, self, lambda _doors: self.changed.emit())

    def _take(self, jobs: tuple[JobStatus, ...]) -> None:
        now_ms = self.feeds.now_ms()
        for job in jobs:
            seen = self._seen.get(job.job_id)
            if seen is None or seen[0] != job.phases:
                self._seen[job.job_id] = (job.phases, now_ms)
        known = [job.job_id for job in jobs]
        if self._wanted in known:
            self.select(self._wanted)
        elif self.job_id not in known:
            order = [entry.job_id for entry in self.entries() if entry.job_id]
            self._select(order[0] if order else "")
        self.changed.emit()

    # The list ------------------------------------------------------------------------------------------------------

    def set_needle(self, needle: str) -> None:
        """Show what contains these words only."""
        self.needle = needle.strip().lower()
        self.changed.emit()

    def entries(self) -> list[Entry]:
        """The rows: sections with what is in them; empty sections are left out."""
        groups: dict[str, list[Entry]] = {section: [] for section in SECTIONS}
        for job in self.feeds.jobs.value:
            entry = self._entry(job)
            if self.needle and self.needle not in f"{entry.title} {entry.line} {entry.mark.text}".lower():
                continue
            groups[section_of(job)].append(entry)
        rows: list[Entry] = []
        for section, found in groups.items():
            if found:
                rows += [Entry(title=section), *found]
        return rows

    def _entry(self, job: JobStatus) -> Entry:
        fault = text.one_line(self.fault(job).cause, 240) if job.state is JobState.FAILED else ""
        return Entry(
            job_id=job.job_id,
            title=text.one_line(job.title, 120),
            mark=mark_of_job(job),
            line=self.line(job, keeper=name_keeper(job, self.feeds.owner)),
            figures=self._figures(job),
            figures_short=self._figures(job, is_short=True),
            fault=fault,
        )

    def what(self, job: JobStatus) -> str:
        """Engine, build, format and places, for the head."""
        return what_words(self.feeds.plan_of(job.job_id), self.engine(job), self.places(job))

    def node_name(self, node_id: str) -> str:
        """A node's name, its id where it is not in this cluster."""
        names = {node.record.id: node.record.name for node in self.feeds.nodes.value}
        return text.one_line(names.get(node_id, node_id), 64)

    def line(self, job: JobStatus, *, keeper: str = "") -> str:
        """Engine, places and, where it is somebody else's, whose it is."""
        return " · ".join(part for part in (self.engine(job), self.places(job), keeper) if part)

    def _figures(self, job: JobStatus, *, is_short: bool = False) -> str:
        if job.account:
            return "more cannot be seen"
        if is_coming_up(job):
            phase = current_phase(job)
            left = left_words(job.eta_s - self._passed_s(job) if text.is_known(job.eta_s) else job.eta_s)
            if phase is None:
                return "   ".join(part for part in (job.state.words, left) if part)
            title = text.one_line(phase.title, 40)
            note = share_words(phase, text.one_line(phase.note, 60))
            is_share = text.is_known(phase.fraction) or not note
            said = f"{title} {note}".strip() if is_share else f"{title}: {note}"
            if is_short and (left or text.is_known(phase.fraction)):
                said, left = f"{title} {share_words(phase, '')}".strip(), left.replace("about ", "~")
                return "   ".join(part for part in (said, left) if part)
            return "   ".join(part for part in (said, left) if part)
        if job.state.is_over:
            titles = (phase.title for phase in job.phases if phase.state is PhaseState.FAILED)
            failed = text.one_line(next(titles, ""), 40)
            when = f"started {moment(job.created_ms, self.feeds.now_ms())}"
            if is_short:
                when = when.removeprefix("started ")
            return f"in {failed.lower()}   {when}" if failed else when
        rate = self.feeds.traces.newest(job.job_id, GENERATED_RATE)
        if job.state is JobState.STOPPING:
            return "until its end is verified"
        if job.state in (JobState.DEGRADED, JobState.UNKNOWN) and job.message:
            return text.one_line(job.message, 80)
        parts = [str(text.token_rate(rate))] if text.is_known(rate) else []
        requests = request_words(job, is_short=is_short)
        return "   ".join([*parts, requests] if requests else parts) or "engine metrics n/a"

    def effort(self, job: JobStatus) -> tuple[EffortCell, ...]:
        """What it takes of its machines; nothing for one that does not run."""
        if job.state not in (JobState.READY, JobState.DEGRADED):
            return ()
        bandwidth, energy = self.feeds.bandwidth(job.job_id), self.feeds.energy(job.job_id)
        return effort_cells(bandwidth, energy, len(job.node_ids))

    def engine(self, job: JobStatus) -> str:
        """The engine's title, its key where no adapter has one."""
        return text.one_line(self.feeds.engine_titles.get(job.engine, job.engine), 40)

    def places(self, job: JobStatus) -> str:
        """The names of a job's nodes."""
        return ", ".join(self.node_name(node_id) for node_id in job.node_ids)

    def summary(self) -> str:
        """How many there are, in words."""
        jobs = self.feeds.jobs.value
        counts = (
            ("ready", sum(job.state is JobState.READY for job in jobs)),
            ("degraded", sum(job.state is JobState.DEGRADED for job in jobs)),
            ("starting", sum(is_coming_up(job) for job in jobs)),
            ("stopping", sum(job.state is JobState.STOPPING for job in jobs)),
            ("not known", sum(job.state is JobState.UNKNOWN and not job.account for job in jobs)),
            ("failed", sum(job.state is JobState.FAILED for job in jobs)),
        )
        return ", ".join(f"{count} {word}" for word, count in counts if count)

    # The selection -------------------------------------------------------------------------------------------------

    def select(self, job_id: str) -> None:
        """Select a job; one that is not there yet is selected when it comes."""
        is_known = any(job.job_id == job_id for job in self.feeds.jobs.value)
        self._wanted = "" if is_known else job_id
        if is_known:
            self._select(job_id)

    def _select(self, job_id: str) -> None:
        if job_id != self.job_id:
            self.job_id = job_id
            self.selected.emit(job_id)
            self.changed.emit()

    def job(self) -> JobStatus | None:
        """The selected job."""
        return next((job for job in self.feeds.jobs.value if job.job_id == self.job_id), None)

    def step(self, by: int) -> None:
        """Select the next or the previous one of the list."""
        order = [entry.job_id for entry in self.entries() if entry.job_id]
        if order:
            at = order.index(self.job_id) if self.job_id in order else 0
            self._select(order[(at + by) % len(order)])

    def _passed_s(self, job: JobStatus) -> float:
        """How long ago the service told of its phases."""
        since_ms = self._seen.get(job.job_id, ((), self.feeds.now_ms()))[1]
        return (self.feeds.now_ms() - since_ms) / 1000

    def stages(self, job: JobStatus) -> tuple[StageText, ...]:
        """The timeline; the point where the job stands now goes on counting between two reports."""
        passed_s, plan = self._passed_s(job), self.feeds.plan_of(job.job_id)
        return tuple(self._stage(job, phase, passed_s, phase_title(phase, job, plan)) for phase in job.phases)

    def _stage(self, job: JobStatus, phase: Phase, passed_s: float, title: str) -> StageText:
        if job.state is JobState.DEGRADED and phase.key == READY:
            return StageText("Degraded", "degraded", "", text.one_line(job.message, 160))
        is_current = phase.state is PhaseState.CURRENT
        if job.state is JobState.UNKNOWN and (is_current or phase.key == READY):
            is_ahead = phase.state is PhaseState.TO_DO
            return StageText(title, "todo" if is_ahead else "unknown", "", "" if is_ahead else "not known now")
        is_running = is_current or phase_is_open(job, phase.key)
        seconds = phase.seconds + passed_s if is_running else phase.seconds
        has_time = text.is_known(seconds)
        time_text = (text.duration(seconds) if is_running else text.stage_time(seconds)) if has_time else ""
        state = "todo" if phase.state is PhaseState.TO_DO else phase.state.value
        note = text.one_line(phase_note(phase, job), 160)
        if phase.state is PhaseState.FAILED and job.message:
            note = text.one_line(self.fault(job).short, 160)
        elif is_current and text.is_known(phase.fraction):  # the line below says it whole
            note = text.percent(phase.fraction, is_done=False)
        return StageText(title, state, time_text, note)

    def fault(self, job: JobStatus) -> Fault:
        """Why it failed: cause, evidence, what to change."""
        return read_fault(job, self.places(job))

    def endpoint(self, job: JobStatus) -> EndpointText | None:
        """How to reach the selected server; None while it has no address."""
        if job.endpoint is None:
            return None
        node = next((n.record for n in self.feeds.nodes.value if n.record.id == job.endpoint.node_id), None)
        plan = self.feeds.plan_of(job.job_id)
        told = {row.key: row.told for row in self.feeds.truth(job.job_id)}
        more = limit_words(plan, told.get(KV_CAPACITY_TOKENS, math.nan))
        tunnel, is_open = self._tunnel_to(job.endpoint, node), self.feeds.is_open(job.job_id)
        return endpoint_text(job.endpoint, node, tunnel, plan, Seen(more, is_open))

    def _tunnel_to(self, endpoint: Endpoint, node: NodeRecord | None) -> str:
        """Asked for anew only when the server or the way to its node is another."""
        if self._tunnel is None or self._tunnel[0] != (endpoint, node):
            port, host = endpoint.port, endpoint.host
            command = self.feeds.tunnel_command(endpoint.node_id, host, port) if node is not None else ""
            self._tunnel = ((endpoint, node), command)
        return self._tunnel[1]

    # Speed, truth and changes ---------------------------------------------------------------------------------------

    def verdict(self, job: JobStatus) -> Verdict | None:
        """What its measured request told; None for one that does not serve."""
        is_up = job.state in (JobState.READY, JobState.DEGRADED)
        return self.feeds.verdict(job.job_id) if is_up and not job.account else None

    def fell_from(self, job: JobStatus, verdict: Verdict) -> Verdict | None:
        """Its own first figure, where the newest is well below it."""
        return fell_from(verdict, self.feeds.first_verdict(job.job_id))

    def start_summary(self, job: JobStatus) -> str:
        """How it came up, in a line."""
        return start_summary(job, self.feeds.plan_of(job.job_id))

    def live_words(self, job: JobStatus) -> str:
        """What its start is doing now."""
        return live_words(job, self._passed_s(job))

    def no_chat_reason(self, job: JobStatus) -> str:
        """Why nobody can chat with it now."""
        return no_chat_reason(job, self.feeds.plan_of(job.job_id))

    def no_measure_reason(self, job: JobStatus) -> str:
        """Why it cannot be measured now."""
        return no_measure_reason(job, self.feeds.plan_of(job.job_id))

    def more_actions(self, job: JobStatus) -> list[tuple[str, str]]:
        """The overflow menu."""
        return more_actions(self.feeds, job, is_ours=not self.is_read_only(job))

    def compare_to(self, job: JobStatus) -> tuple[float | None, str]:
        """What the generated tokens may be compared to: a rate and its words; None where there is nothing."""
        plan, verdict = self.feeds.plan_of(job.job_id), self.verdict(job)
        is_simulated = job.endpoint is not None and bool(job.endpoint.note)
        if is_simulated or (plan is not None and plan.request.purpose in WITHOUT_TOKENS):
            return None, ""
        users = plan.request.concurrency if plan is not None else 1
        expected = self.expected(job.job_id, BenchShape(), users)
        if text.is_known(expected.published_tok_s):
            return expected.published_tok_s, f"published {load_words(users)}: {text.grouped(expected.published_tok_s)}"
        if text.is_known(expected.output_tok_s):
            return expected.output_tok_s, f"predicted {load_words(users)}: about {text.grouped(expected.output_tok_s)}"
        if verdict is not None and text.is_known(verdict.expected_tok_s):
            return verdict.expected_tok_s, f"predicted {load_words(1)}: about {text.grouped(verdict.expected_tok_s)}"
        return None, ""

    def expected(self, job_id: str, shape: BenchShape, users: int) -> Expectation:
        """What a point of a measurement should give; asked for once, a planner takes its time."""
        if self._expected_at != self.feeds.changed.value:
            self._expected_at = self.feeds.changed.value
            self._expected.clear()
        key = (job_id, shape, users)
        found = self._expected.get(key)
        if found is None:
            found = self.feeds.expected(job_id, shape, users)
            if text.is_known(found.output_tok_s):  # else it may be known soon, when the job's plan is read
                self._expected[key] = found
        return found

    def switched_off(self, job: JobStatus, key: str) -> str:
        """Why a series cannot be there because of how it was launched."""
        return switched_off(self.feeds.plan_of(job.job_id), key)

    def fix(self, job: JobStatus) -> tuple[str, str]:
        """What "Fix and relaunch" changes: the advice and the fields; "" where nothing is known to help."""
        found = self.feeds.fix_of(job.job_id) if job.state is JobState.FAILED else None
        if found is None:
            return "", ""
        plan = self.feeds.plan_of(job.job_id)
        sets = change_words(plan.request if plan is not None else None, found.change)
        return text.one_line(found.words, 300), sets

    def opens_first(self, job: JobStatus) -> str:
        """What a person must do before the next try: "licence", "token" or ""."""
        found = self.feeds.fix_of(job.job_id) if job.state is JobState.FAILED else None
        return found.opens if found is not None else ""

    def can_fix(self, job: JobStatus) -> bool:
        """Whether a change is known with which the next try may work."""
        found = self.feeds.fix_of(job.job_id) if job.state is JobState.FAILED else None
        if found is None or self.feeds.plan_of(job.job_id) is None:
            return False
        return bool(found.change or found.stop_job_id) or text.is_known(found.load_timeout_s)

    def model_page(self, job: JobStatus) -> str:
        """Where the hub shows the model; "" for one that has no page there."""
        plan = self.feeds.plan_of(job.job_id)
        model = plan.request.model if plan is not None else ""
        return f"https://huggingface.co/{model}" if _HUB_NAME.fullmatch(model) else ""

    def relaunch_request(self, job: JobStatus) -> LaunchRequest | None:
        """What the launch form is filled with where nothing is to be mended: the same request."""
        plan = self.feeds.plan_of(job.job_id)
        return plan.request if plan is not None else None

    # Stopping ------------------------------------------------------------------------------------------------------

    def can_stop(self, job: JobStatus) -> bool:
        """Whether there is something to stop."""
        return not (job.state.is_over or job.state is JobState.STOPPING or self.is_read_only(job))

    def is_read_only(self, job: JobStatus) -> bool:
        """Whether it is another account's or another release's: shown, and not touched."""
        return bool(job.account) or (not job.state.is_over and self.feeds.stop_plan(job.job_id) is None)

    def origin(self, job: JobStatus) -> str:
        """Who started it and who has it; "" for one of ours."""
        return describe_origin(job, self.feeds.owner)

    def loss(self, job: JobStatus) -> str:
        """What ends when the job is stopped, as a sentence."""
        running = job.reading(REQUESTS_RUNNING)
        if is_coming_up(job):
            return "Its start ends now; nothing is served yet."
        if job.state is JobState.UNKNOWN:
            return "Not known whether it still runs: what runs of it ends, with its requests."
        if not text.is_known(running):
            return "Requests that run now end; how many is not known, the engine does not report it."
        if running < 1:
            return "No request runs now."
        return f"{running:.0f} running {'request ends' if round(running) == 1 else 'requests end'} now."

    def stop_script(self, job: JobStatus) -> str:
        """The commands of stopping, as they will run."""
        return self.script_of(self.feeds.stop_plan(job.job_id))

    def launch_script(self, job: JobStatus) -> str:
        """The commands of launching it again, as the same plan ran them."""
        plan = self.feeds.plan_of(job.job_id)
        return self.script_of(plan.playbook) if plan is not None else ""

    def can_take_over(self, job: JobStatus) -> bool:
        """Whether another computer has it, and this one may take it."""
        return self.feeds.takeover_plan(job.job_id) is not None

    def takeover_script(self, job: JobStatus) -> str:
        """What taking it over writes on its node."""
        return self.script_of(self.feeds.takeover_plan(job.job_id))

    def script_of(self, playbook: Playbook | None) -> str:
        """A playbook's commands, as they will run."""
        if playbook is None:
            return "# There is nothing that SparkDesk could run for this job."
        names = {node.record.id: node.record.name for node in self.feeds.nodes.value}
        return script_of(playbook, lambda node_id: names.get(node_id, node_id))


def section_of(job: JobStatus) -> str:
    """The section of the list that a job belongs to."""
    if job.state.is_over:
        return SECTIONS[3]
    if job.state is JobState.UNKNOWN and not job.account:
        return SECTIONS[2]
    return SECTIONS[1] if is_coming_up(job) else SECTIONS[0]


def request_words(job: JobStatus, *, is_short: bool = False) -> str:
    """Running and waiting requests, "" when the engine does not say."""
    running, waiting = job.reading(REQUESTS_RUNNING), job.reading(REQUESTS_WAITING)
    if is_short:
        return " / ".join(f"{number:.0f}" for number in (running, waiting) if text.is_known(number))
    parts = [f"{running:.0f} running"] if text.is_known(running) else []
    if text.is_known(waiting):
        parts.append(f"{waiting:.0f} waiting")
    return ", ".join(parts)


def moment(t_ms: int, now_ms: int) -> str:
    """A moment as people say it: today 09:12, yesterday 18:40, else the date."""
    then, now = datetime.fromtimestamp(t_ms / 1000), datetime.fromtimestamp(now_ms / 1000)
    days = (now.date() - then.date()).days
    day = {0: "today", 1: "yesterday"}.get(days, then.strftime("%Y-%m-%d"))
    return f"{day} {then:%H:%M}"
