"""The deployments page's view-model: the list in sections, and everything about the one that is selected.

The one rule: what an engine does not say is said to be unsaid; a state comes from the service and is never guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from PySide6.QtCore import QObject, Signal

from sparkdesk.core.cluster.node import NodeRecord
from sparkdesk.core.feed import Lost
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.rate import GENERATED_RATE
from sparkdesk.core.jobs.reading import REQUESTS_RUNNING, REQUESTS_WAITING
from sparkdesk.core.jobs.record import JobState, JobStatus, LogLine, Phase, PhaseState
from sparkdesk.core.step import Playbook
from ui import text
from ui.bridge import watch
from ui.effort import EffortCell, effort_cells
from ui.jobs.feeds import DeploymentFeeds as DeploymentFeeds
from ui.jobs.mark import NO_MARK, Mark, current_phase, is_coming_up, mark_of_job
from ui.jobs.origin import describe_origin, name_keeper
from ui.jobs.step_text import script_of

SECTIONS = ("Running", "Starting", "Stopped or failed, logs kept")
LEVELS = {"debug": "DEBUG", "trace": "DEBUG", "info": "INFO", "warn": "WARN", "warning": "WARN", "error": "ERROR"}
LEVELS |= {"critical": "ERROR", "fatal": "ERROR"}


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


@dataclass(frozen=True, slots=True)
class EndpointText:
    """How to reach a server. `url` is as programs on this computer reach it once `tunnel` runs."""

    url: str
    model: str
    tunnel: str
    where: str
    limits: str
    note: str


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
        self._seen: dict[str, tuple[tuple[Phase, ...], int]] = {}
        watch(feeds.jobs, self, self._take)
        watch(feeds.nodes, self, lambda _nodes: self.changed.emit())

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
        fault = text.one_line(job.message, 240) if job.state is JobState.FAILED else ""
        return Entry(
            job_id=job.job_id,
            title=text.one_line(job.title, 120),
            mark=mark_of_job(job),
            line=self.line(job, keeper=name_keeper(job, self.feeds.owner)),
            figures=self._figures(job),
            figures_short=self._figures(job, is_short=True),
            fault=fault,
        )

    def line(self, job: JobStatus, *, keeper: str = "") -> str:
        """Engine, places and, where it is somebody else's, whose it is."""
        return " · ".join(part for part in (self.engine(job), self.places(job), keeper) if part)

    def _figures(self, job: JobStatus, *, is_short: bool = False) -> str:
        if job.account:
            return "more cannot be seen"
        if is_coming_up(job):
            phase = current_phase(job)
            return f"{phase.title} {text.one_line(phase.note, 60)}".strip() if phase else job.state.words
        if job.state.is_over:
            return f"started {moment(job.created_ms, self.feeds.now_ms())}"
        rate = self.feeds.traces.newest(job.job_id, GENERATED_RATE)
        parts = [str(text.token_rate(rate))] if text.is_known(rate) else []
        requests = request_words(job, is_short=is_short)
        return "   ".join([*parts, requests] if requests else parts) or "engine metrics n/a"

    def effort(self, job: JobStatus) -> tuple[EffortCell, ...]:
        """What it takes of its machines; nothing for one that does not run."""
        if job.state is not JobState.READY:
            return ()
        bandwidth, energy = self.feeds.bandwidth(job.job_id), self.feeds.energy(job.job_id)
        return effort_cells(bandwidth, energy, len(job.node_ids))

    def engine(self, job: JobStatus) -> str:
        """The engine's title, its key where no adapter has one."""
        return text.one_line(self.feeds.engine_titles.get(job.engine, job.engine), 40)

    def places(self, job: JobStatus) -> str:
        """The names of a job's nodes."""
        names = {node.record.id: node.record.name for node in self.feeds.nodes.value}
        return ", ".join(text.one_line(names.get(node_id, node_id), 64) for node_id in job.node_ids)

    def summary(self) -> str:
        """How many there are, in words."""
        jobs = self.feeds.jobs.value
        counts = (
            ("ready", sum(job.state is JobState.READY for job in jobs)),
            ("starting", sum(is_coming_up(job) for job in jobs)),
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

    def stages(self, job: JobStatus) -> tuple[StageText, ...]:
        """The timeline; the point where the job stands now goes on counting between two reports."""
        since_ms = self._seen.get(job.job_id, ((), self.feeds.now_ms()))[1]
        passed_s = (self.feeds.now_ms() - since_ms) / 1000
        is_last_open = job.state is JobState.READY
        stages = []
        for i, phase in enumerate(job.phases):
            is_running = phase.state is PhaseState.CURRENT or (is_last_open and i == len(job.phases) - 1)
            seconds = phase.seconds + passed_s if is_running else phase.seconds
            has_time = text.is_known(seconds)
            note = job.message if phase.state is PhaseState.FAILED and job.message else phase.note
            time_text = (text.duration(seconds) if is_running else text.stage_time(seconds)) if has_time else ""
            state = "todo" if phase.state is PhaseState.TO_DO else phase.state.value
            stages.append(StageText(phase.title, state, time_text, text.one_line(note, 160)))
        return tuple(stages)

    def endpoint(self, job: JobStatus) -> EndpointText | None:
        """How to reach the selected server; None while it has no address."""
        if job.endpoint is None:
            return None
        node = next((n.record for n in self.feeds.nodes.value if n.record.id == job.endpoint.node_id), None)
        return endpoint_text(job.endpoint, node, self._tunnel_to(job.endpoint, node))

    def _tunnel_to(self, endpoint: Endpoint, node: NodeRecord | None) -> str:
        """Asked for anew only when the server or the way to its node is another."""
        if self._tunnel is None or self._tunnel[0] != (endpoint, node):
            port, host = endpoint.port, endpoint.host
            command = self.feeds.tunnel_command(endpoint.node_id, host, port) if node is not None else ""
            self._tunnel = ((endpoint, node), command)
        return self._tunnel[1]

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
        if not text.is_known(running):
            return "Requests that run now end; how many is not known, the engine does not report it."
        if running < 1:
            return "No request runs now."
        return f"{running:.0f} running {'request ends' if round(running) == 1 else 'requests end'} now."

    def stop_script(self, job: JobStatus) -> str:
        """The commands of stopping, as they will run."""
        return self._script(self.feeds.stop_plan(job.job_id))

    def can_take_over(self, job: JobStatus) -> bool:
        """Whether another computer has it, and this one may take it."""
        return self.feeds.takeover_plan(job.job_id) is not None

    def takeover_script(self, job: JobStatus) -> str:
        """What taking it over writes on its node."""
        return self._script(self.feeds.takeover_plan(job.job_id))

    def _script(self, playbook: Playbook | None) -> str:
        if playbook is None:
            return "# There is nothing that SparkDesk could run for this job."
        names = {node.record.id: node.record.name for node in self.feeds.nodes.value}
        return script_of(playbook, lambda node_id: names.get(node_id, node_id))


def section_of(job: JobStatus) -> str:
    """The section of the list that a job belongs to."""
    if job.state.is_over:
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


def endpoint_text(endpoint: Endpoint, node: NodeRecord | None, tunnel: str) -> EndpointText:
    """How programs on this computer reach a server on a node: through a tunnel that ssh keeps, by this command."""
    port = endpoint.port
    where = "Its node is not in this cluster"
    if node is not None:
        where = f"Served on {text.one_line(node.name, 64)}, port {port}, reachable from the node itself only"
    context = f"{text.grouped(endpoint.context_tokens)} tokens a request" if endpoint.context_tokens else ""
    return EndpointText(
        url=f"http://127.0.0.1:{port}{endpoint.base_path}",
        model=text.one_line(endpoint.model, 200),
        tunnel=tunnel,
        where=where,
        limits=context,
        note=text.one_line(endpoint.note, 120),
    )


def log_rows(items: Sequence[LogLine | Lost]) -> list[tuple[str, str, str, str]]:
    """Lines of a job's log as the log view takes them: time, source, level, text."""
    rows = []
    for item in items:
        if isinstance(item, Lost):
            said = f"{text.grouped(item.count)} lines were lost: they came faster than they could be shown"
            rows.append(("", "SparkDesk", "WARN", said))
            continue
        cut = f" {text.ELLIPSIS} {text.grouped(item.cut_bytes)} more bytes" if item.cut_bytes else ""
        level = LEVELS.get(item.level.lower(), "INFO")
        rows.append((clock_ms(item.t_ms), item.source, level, item.text + cut))
    return rows


def clock_ms(t_ms: int) -> str:
    """Local wall-clock time of a moment to the millisecond; "" when it has none."""
    if t_ms <= 0:
        return ""
    return datetime.fromtimestamp(t_ms // 1000).strftime("%H:%M:%S") + f".{t_ms % 1000:03d}"


def moment(t_ms: int, now_ms: int) -> str:
    """A moment as people say it: today 09:12, yesterday 18:40, else the date."""
    then, now = datetime.fromtimestamp(t_ms / 1000), datetime.fromtimestamp(now_ms / 1000)
    days = (now.date() - then.date()).days
    day = {0: "today", 1: "yesterday"}.get(days, then.strftime("%Y-%m-%d"))
    return f"{day} {then:%H:%M}"
