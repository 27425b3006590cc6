"""One job as the screens see it: its state, timeline, log and step events, kept up from what is heard about it.

The one rule: nothing here asks a node or starts anything. Events come in, a new `JobStatus` goes out.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from sparkdesk.core.feed import Stream
from sparkdesk.core.jobs.backend import Backend, LoadProgress, LogFailure, LogReader, Reading, Told
from sparkdesk.core.jobs.log_level import GUARD, drop_prefix, names_cause, read_level, split_source
from sparkdesk.core.jobs.plan import LaunchPlan
from sparkdesk.core.jobs.pulse import Pulse
from sparkdesk.core.jobs.record import JobState, JobStatus, LogLine, PhaseState
from sparkdesk.core.jobs.start_time import FETCHING, StartTimes, time_left_s
from sparkdesk.core.jobs.story import MAX_TRIES, TRY_CHARS, Story
from sparkdesk.core.jobs.timeline import LOAD, WARMUP, Timeline
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.playbooks.reader import last_object
from sparkdesk.core.step import Output, Playbook, Progress, RunEnded, StepEnded, StepEvent, StepStarted
from sparkdesk.core.telemetry.sample import GAP_PERIODS
from sparkdesk.services.clock import Clock
from sparkdesk.services.jobs.held_log import HeldLog
from sparkdesk.services.jobs.job_log import LogPiece, NodeClock
from sparkdesk.services.records.reading_book import PERIOD_S

OURS = "SparkDesk"
KEEP_EVENTS = 1000
LINE_CHARS = 8192
MAX_TOLD = 100
"""Figures and words that an engine may tell of itself."""
SAY_PROGRESS_EVERY_S = 15.0
READINGS_FOR_S = GAP_PERIODS * PERIOD_S
"""So long the readings of an engine are those of now: as long as a ReadingBook tells them."""
_RESTART = re.compile(r"\brestart (\d{1,3}) of (\d{1,3})\b")
_TRY = re.compile(r"^try (\d{1,3}) (?!begins)")
"""How remote/guard.py says that it starts the engine again, and how a life of it ended."""
_NOT_LAUNCHED = Playbook("", ())


class Deployment:
    """One job. `tell` is called after each change of `status`."""

    def __init__(
        self,
        status: JobStatus,
        plan: LaunchPlan | None,
        backend: Backend | None,
        clock: Clock,
        tell: Callable[[], None],
    ) -> None:
        self.status = status
        self.plan = plan
        self.backend = backend
        self.log = HeldLog()
        self.events: Stream[StepEvent] = Stream(keep=KEEP_EVENTS)
        self.failure: LogFailure | None = None
        self.last_line = ""
        """The last line of the engine's that says something."""
        self.cause_line = ""
        """The first line of the engine's present life that tells why something failed, else that it did."""
        self._is_heading = False
        self.saw_end = False
        """Whether the log was read to the job's end."""
        self.starts = StartTimes()
        """What earlier starts like this one took."""
        self.pulse = Pulse()
        """Its signs of life while it runs."""
        self.api_key = ""
        """Of a server that its network can reach; "" where there is none, or it is not known yet."""
        self.was_resumed = False
        """Whether its launch was carried on from a journal: then what its phases took is not known."""
        self.free_before_bytes: int | None = None
        """What its node had free for it before it started; None for one that was not started by this run."""
        self._numbers: dict[str, float] = {}
        self._words: dict[str, str] = {}
        self._said_progress_s = -math.inf
        self._checked = ""
        self._is_proved = False
        self._attempt = 1 if status.state is JobState.STARTING else 0
        """Which life of the engine's the log tells of now; 0 while that is not known of one that was adopted."""
        self._forgetting: asyncio.TimerHandle | None = None
        self._clock, self._node_clock = clock, NodeClock()
        self._tell = tell
        self._timeline = Timeline(plan.playbook if plan is not None else _NOT_LAUNCHED)
        self._titles = {step.id: step.title for step in plan.playbook.steps()} if plan is not None else {}
        self._phases = {step.id: step.phase for step in plan.playbook.steps()} if plan is not None else {}
        self._reader: LogReader | None = backend.log_reader() if backend is not None else None

    @property
    def job_id(self) -> str:
        """The job's id."""
        return self.status.job_id

    @property
    def node_id(self) -> str:
        """The node whose folder tells of the job."""
        return self.status.node_ids[0]

    @property
    def engine_told(self) -> Mapping[str, float]:
        """What the engine's log said of itself, by core/jobs/reading.py's keys: bytes, tokens, seconds."""
        return MappingProxyType(self._numbers)

    @property
    def engine_words(self) -> Mapping[str, str]:
        """The same in words, by `Told`'s keys: version, backends, types."""
        return MappingProxyType(self._words)

    @property
    def cause(self) -> str:
        """The line of the engine's log that most likely names why it ended; "" when there is none."""
        return self.cause_line or self.last_line

    def change(
        self,
        state: JobState | None = None,
        *,
        message: str | None = None,
        remedy: str = "",
        readings: tuple[tuple[str, float], ...] | None = None,
    ) -> None:
        """A new status; what is None stays, and a new message brings its remedy."""
        status = self.status
        if message is not None:
            status = replace(status, message=message, remedy=remedy)
        if readings is not None:
            status = replace(status, readings=readings)
        self.status = replace(status, state=state or status.state)
        self.refresh()

    def take_readings(self, readings: tuple[tuple[str, float], ...], *, for_s: float = READINGS_FOR_S) -> None:
        """What its engine said just now. When nothing newer came after `for_s`, it is not known any more."""
        if self._forgetting is not None:
            self._forgetting.cancel()
        self._forgetting = asyncio.get_running_loop().call_later(for_s, self._forget_readings)
        self.change(readings=readings)

    def _forget_readings(self) -> None:
        self.change(readings=())

    def set_stop_error(self, words: str) -> None:
        """Why the last stop is not verified; "" takes it back."""
        self.status = replace(self.status, stop_error=words)
        self.refresh()

    def refresh(self) -> None:
        """Bring the timeline up to now and tell."""
        phases = self._timeline.phases(self._clock.monotonic_s())
        is_on_its_way = self.status.state in (JobState.STARTING, JobState.LOADING)
        eta_s = time_left_s(self.starts, phases) if is_on_its_way else math.nan
        self.status = replace(self.status, phases=phases, eta_s=eta_s)
        self._tell()

    # The timeline ---------------------------------------------------------------------------------------------

    def begin_phase(self, key: str, begun_s: float | None = None) -> None:
        """A phase of the timeline begins."""
        self._timeline.begin(key, self._clock.monotonic_s() if begun_s is None else begun_s)
        self.refresh()

    @property
    def can_be_proved(self) -> bool:
        """Whether there is something to ask for: a server of unknown protocol is ready when its own check says so."""
        custom = self.plan.request.custom if self.plan is not None else None
        return custom is None or bool(custom.base_path)

    @property
    def is_being_proved(self) -> bool:
        """Whether its launch waits for the first token."""
        return self._timeline.state_of("token") is PhaseState.CURRENT

    def finish_phases(self) -> None:
        """Ready: every phase is done."""
        self._timeline.finish(self._clock.monotonic_s())

    def fail_phase(self, note: str, ended_ms: int | None = None) -> None:
        """The phase that went on has failed; `ended_ms` is when, by what its node says."""
        self._timeline.fail(self._find_end_s(ended_ms), note)

    def skip_phases(self, ended_ms: int | None = None) -> None:
        """Stopped: what was not reached is skipped."""
        self._timeline.stop(self._find_end_s(ended_ms))

    def _find_end_s(self, ended_ms: int | None) -> float:
        """Now, for one that was watched; for another what its node says, NaN where it says nothing."""
        now_s = self._clock.monotonic_s()
        if self.status.state is not JobState.UNKNOWN:
            return now_s
        return math.nan if ended_ms is None else now_s - (self._clock.now_ms() - ended_ms) / 1000

    @property
    def story(self) -> Story:
        """How it went so far, as it is to be kept."""
        found = self._timeline.story(self._clock.monotonic_s(), self._clock.now_ms())
        return replace(found, restarts=self.status.restarts, tries=self.status.tries)

    def recall(self, story: Story) -> None:
        """Go on from what was kept of it."""
        self._timeline.recall(story, self._clock.monotonic_s(), self._clock.now_ms())
        restarts = max(story.restarts, self.status.restarts)
        self.status = replace(self.status, restarts=restarts, tries=story.tries)

    # What is heard --------------------------------------------------------------------------------------------

    def take_event(self, event: StepEvent) -> None:
        """An event of the job's own launch."""
        self.events.put(event)
        match event:
            case StepStarted(step_id, part) if part in ("check", "apply"):
                phase = self._phases.get(step_id, "")
                if phase == "load" and self.status.state is JobState.STARTING:
                    self.change(JobState.LOADING)
                if phase:
                    self.begin_phase(phase)
                if part == "apply":
                    self.say(self._titles.get(step_id, step_id))
            case StepEnded(step_id, result=result, message=message, remedy=remedy) if result in ("failed", "unknown"):
                self.say(f"{message}. {remedy}", level="error")
            case Progress(step_id, text=text, fraction=fraction):
                self._take_progress(self._phases.get(step_id, ""), text, fraction)
            case Output(step_id, text=text) if self._phases.get(step_id) == "token":
                self._take_token(text)
            case RunEnded(result=result):
                self.say(f"Launch: {result}", level="info" if result == "done" else "warning")
            case _:
                pass

    def _take_progress(self, phase: str, text: str, fraction: float | None) -> None:
        """How far a step is. A download tells it often: the log gets a line of it now and then."""
        self._timeline.see(phase)
        if phase in FETCHING:
            self._timeline.note(phase, make_line(text, max_chars=160), math.nan if fraction is None else fraction)
            self.refresh()
            now_s = self._clock.monotonic_s()
            if now_s - self._said_progress_s < SAY_PROGRESS_EVERY_S:
                return
            self._said_progress_s = now_s
        elif phase == LOAD and not self._take_check(make_line(text, max_chars=200)):
            return
        self.say(text)

    def _take_check(self, text: str) -> bool:
        """What the check of a server that loads answers, and whether that is news. What its log tells says more."""
        is_news = text != self._checked
        if is_news and self._timeline.note_of(LOAD) in ("", self._checked):
            self._timeline.note(LOAD, text)
            self.refresh()
        self._checked = text
        return is_news

    def _take_token(self, printed: str) -> None:
        """The proof: what was generated, and in what time."""
        said = last_object(printed) or {}
        text, seconds = said.get("text"), said.get("seconds")
        if said.get("ok") is True and isinstance(text, str) and isinstance(seconds, int | float):
            self._is_proved = True
            self.pulse.succeed(self._clock.monotonic_s())
            if not self.can_be_proved:
                return  # nothing was asked for, so nothing took any time
            note = f'"{make_line(text.strip(), max_chars=40)}", {seconds * 1000:.0f} ms'
            self._timeline.note("token", note, is_result=True)
            self.say(f"Generated {note}")

    def take_stop_event(self, event: StepEvent) -> None:
        """An event of the job's stop."""
        self.events.put(event)
        if isinstance(event, StepEnded):
            self.say(f"Stop: {event.result}" + (f": {event.message}" if event.message else ""))

    def take_piece(self, piece: LogPiece) -> None:
        """A piece of the job's log."""
        if piece.end is not None:
            self.saw_end = True
        elif piece.line is None:
            self.say(piece.loss, level="warning")
        else:
            self._take_line(piece.line, piece)

    def say(self, text: str, *, level: str = "info") -> None:
        """A line of SparkDesk's own in the log."""
        line = make_line(text, max_chars=1000)
        self.log.put(LogLine(self._clock.now_ms(), OURS, level, line, node_id=self.node_id, attempt=self._attempt))

    def _take_line(self, raw: str, piece: LogPiece) -> None:
        source, words = split_source(raw)
        is_guard = source == GUARD
        text = make_line(words, max_chars=LINE_CHARS)
        level, t_ms = read_level(text), self._node_clock.read(piece.t_ms, self._clock.now_ms())
        if is_guard:
            self._take_guard(text)
        where = (self.node_id, piece.rank, piece.offset, self._attempt)
        self.log.put(LogLine(t_ms, source, level, text, piece.cut_bytes, *where))
        if is_guard:
            return
        if text.strip():
            self.last_line = drop_prefix(text)[:400]
            if level == "error":
                if not self.cause_line or (self._is_heading and names_cause(text)):
                    self.cause_line, self._is_heading = self.last_line, not names_cause(text)
                self.pulse.doubt()
        if self._reader is not None:
            for found in self._reader.feed(raw):
                self._take_finding(found)

    def _take_guard(self, text: str) -> None:
        """The guard starts the engine again: what the last life of it said is not why the next one ends."""
        self._take_try(text)
        match = _RESTART.search(text)
        if match is not None:
            self.note_restarts(int(match[1]))
            self._attempt = int(match[1]) + 1
            if self.status.state in (JobState.READY, JobState.DEGRADED):
                last = f". Its log says: {self.cause_line}" if self.cause_line else ""
                words = f"its engine ended and is started again, {match[1]} of {match[2]}{last}"
                self.pulse.restart(words)
                message = f"The server runs but does not serve: {words}"
                self.change(
                    JobState.DEGRADED, message=message, remedy="Wait while it loads; read the log for the cause."
                )
            self.failure, self.cause_line = None, ""

    def _take_try(self, text: str) -> None:
        """How a life of the engine ended; a log that is read back tells of the same ones again."""
        match = _TRY.match(text)
        words = make_line(text, max_chars=TRY_CHARS)
        if match is None or any(told.startswith(match[0]) for told in self.status.tries):
            return
        self.status = replace(self.status, tries=(*self.status.tries, words)[-MAX_TRIES:])
        self.refresh()

    def note_restarts(self, count: int) -> None:
        """How often the guard started the engine again, as it says."""
        if not count and not self._attempt:
            self._attempt = 1
        if count != self.status.restarts:
            self.status = replace(self.status, restarts=count)
            self.refresh()

    def read_start(self, lines: Iterable[str]) -> None:
        """The first lines of an adopted job's log: what the engine said of itself as it started."""
        reader = self.backend.log_reader() if self.backend is not None else None
        for line in lines if reader is not None else ():
            for found in reader.feed(line) if reader is not None else ():
                if isinstance(found, Reading | Told):
                    self._take_told(found, is_old=True)

    def _take_finding(self, found: object) -> None:
        if isinstance(found, LogFailure):
            if self.failure is None:
                self.failure = LogFailure(
                    make_line(found.message, max_chars=500), make_line(found.remedy, max_chars=500)
                )
        elif isinstance(found, Reading | Told):
            self._take_told(found)
        elif isinstance(found, LoadProgress) and not self.status.state.is_over:
            self._take_load(found)

    def _take_told(self, found: Reading | Told, *, is_old: bool = False) -> None:
        """Keep what the engine says of itself; what was said later stands."""
        kept: dict[str, float] | dict[str, str] = self._numbers if isinstance(found, Reading) else self._words
        if len(kept) >= MAX_TOLD or (is_old and found.key in kept):
            return
        if isinstance(found, Reading):
            if math.isfinite(found.value):
                self._numbers[found.key] = found.value
        else:
            self._words[found.key] = make_line(found.text, max_chars=200)

    def _take_load(self, found: LoadProgress) -> None:
        if found.phase == "token" and self._is_proved:
            return  # a line that came late says less than the token itself
        if found.phase == WARMUP and self._timeline.state_of(LOAD) is PhaseState.CURRENT:
            self._timeline.begin(WARMUP, self._clock.monotonic_s())
        fraction = found.fraction if found.fraction is not None and 0.0 <= found.fraction <= 1.0 else math.nan
        part = f"{fraction:.0%}" if 0.0 < fraction < 1.0 else ""
        text = make_line(found.text, max_chars=160)
        words = f"{text} {part}".strip() if part not in text else text
        self._timeline.note(found.phase, words, fraction, is_result=found.is_result)
        self.refresh()
