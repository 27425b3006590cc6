"""Says of each server whether it is as fast as its plan: one fixed request after it is ready, whenever asked, and when
its live speed looks as if it had fallen.

The one rule: it never measures a server that works for somebody, and never twice at once. A figure that was taken while
another request ran is thrown away and taken again.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from statistics import fmean, median

from sparkdesk.core.bench.prompt import make_prompt
from sparkdesk.core.bench.sample import BenchSample
from sparkdesk.core.errors import PlanError, SparkDeskError, StoreError
from sparkdesk.core.feed import Latest
from sparkdesk.core.findings.concern import Judgement, concern_id
from sparkdesk.core.findings.doctored import loaded_clocks
from sparkdesk.core.findings.view import Past
from sparkdesk.core.jobs.appraisal.cause import Evidence
from sparkdesk.core.jobs.appraisal.fall import RULE, Suspicion, judge_fall
from sparkdesk.core.jobs.appraisal.judge import has_fallen, judge_sample
from sparkdesk.core.jobs.appraisal.verdict_json import Verdicts, from_json, to_json
from sparkdesk.core.jobs.plan import LaunchPlan
from sparkdesk.core.jobs.reading import REQUESTS_RUNNING, REQUESTS_WAITING
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.jobs.verdict import ANSWER_TOKENS, PROMPT_TOKENS, Pace, Verdict
from sparkdesk.core.planning.figure import UNKNOWN
from sparkdesk.core.planning.workload import Workload
from sparkdesk.core.ports import EndpointClient, Store
from sparkdesk.services.appraisal.corrections import key_of
from sparkdesk.services.appraisal.forecaster import Forecaster
from sparkdesk.services.bench.sender import Sender
from sparkdesk.services.clock import Clock
from sparkdesk.services.tasks import Tasks

log = logging.getLogger(__name__)

NAN = math.nan
KIND = "verdict"
KEPT = 300
BEAT_S = 2.0
CALM_BEATS = 2
"""So many times in a row nothing must run before the request is sent: nothing runs between two turns of a chat."""
GIVE_UP_S = 1800.0
TRIES = 3
SETTLE_S = 3.0
"""After the request, until the engine's page tells what ran beside it."""
WAITS = "The check waits: the server works for somebody now"
MEASURES = "The check runs"
GAVE_UP = "The check gave up: the server was busy for half an hour"
LIKE_TOKENS = 4096
"""Up to so much context a model of unknown shape is taken to be as fast as with the fixed request. Our own choice."""
NO_ANSWERS = "A server without answers has no speed of answers"


@dataclass(frozen=True, slots=True)
class AppraisalParts:
    """Whom it asks. All but `client` are quick and ask no node."""

    tasks: Tasks
    clock: Clock
    store: Store
    jobs: Latest[tuple[JobStatus, ...]]
    client: Callable[[str], AbstractAsyncContextManager[EndpointClient]]
    plan_of: Callable[[str], LaunchPlan | None]
    words_of: Callable[[str], Mapping[str, str]]
    """What a job's engine told in words, by `Told`'s keys."""
    forecaster: Forecaster
    past_of: Callable[[str], Past | None]
    """A node's recent telemetry; None where there is none."""
    neighbours_of: Callable[[str], tuple[tuple[str, float], ...]] = lambda _job_id: ()
    """Title and tokens a second of those who work on the job's nodes now."""
    beat_s: float = BEAT_S


class Appraisals:
    """Verdicts by job. `changed` counts up with each that is new."""

    def __init__(self, parts: AppraisalParts) -> None:
        self._parts = parts
        self._kept: dict[str, Verdicts] = {}
        self._doing: dict[str, str] = {}
        self._suspicions: dict[str, Suspicion] = {}
        self._seen: set[str] = set()
        self._judged: set[tuple[str, str]] = set()
        """Node and job of what findings were told of."""
        self._is_loaded = False
        self.changed: Latest[int] = Latest(0)
        self._subscription = parts.jobs.subscribe(self._follow)

    async def load(self) -> None:
        """Take what earlier runs of the program kept; from then on servers are measured. Raises StoreError."""
        for job_id, data in (await self._parts.store.documents(KIND)).items():
            try:
                self._kept[job_id] = from_json(data)
            except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
                log.warning("the verdict on %s is left out: %s", job_id, error)
        self._is_loaded = True
        self._tell()
        self._follow(self._parts.jobs.value)

    def close(self) -> None:
        """Hear of no more jobs."""
        self._subscription.close()

    def verdict(self, job_id: str) -> Verdict | None:
        """The newest verdict; while a check waits or runs its note says so. None: none was begun."""
        kept, doing = self._kept.get(job_id), self._doing.get(job_id, "")
        if kept is not None:
            return replace(kept.last, note=doing) if doing else kept.last
        return _nothing_yet(doing, self._parts.clock.now_ms()) if doing else None

    def first_verdict(self, job_id: str) -> Verdict | None:
        """The job's first one, against which later ones are held."""
        kept = self._kept.get(job_id)
        return kept.first if kept is not None else None

    async def check_again(self, job_id: str) -> None:
        """Send the fixed request again; returns with the verdict. Raises PlanError, EndpointError, a NodeError."""
        self._ready(job_id)
        if job_id in self._doing:
            raise PlanError("A check of this server is under way", remedy="Wait for its end.")
        await self._check(job_id)

    def judgements(self, node_id: str) -> Iterator[Judgement]:
        """Whether a server on this node has become slower than it was itself: for the findings."""
        jobs = {job.job_id: job for job in self._parts.jobs.value if node_id in job.node_ids[:1]}
        for job_id, job in jobs.items():
            kept = self._kept.get(job_id)
            if kept is not None:
                self._judged.add((node_id, job_id))
                yield judge_fall(job, kept, node_id)
        for gone in [pair for pair in self._judged if pair[0] == node_id and pair[1] not in jobs]:
            self._judged.discard(gone)
            yield Judgement(concern_id(RULE, *gone))  # a job that was removed is slow no more

    def move_times(self, moved_ms: int) -> None:
        """This computer's clock was set by so much."""
        for job_id, kept in self._kept.items():
            first, last = (replace(one, at_ms=one.at_ms + moved_ms) for one in (kept.first, kept.last))
            self._kept[job_id] = replace(kept, first=first, last=last)

    # Watching -----------------------------------------------------------------------------------------------------

    def _follow(self, jobs: tuple[JobStatus, ...]) -> None:
        if not self._is_loaded:
            return
        for gone in self._suspicions.keys() - {job.job_id for job in jobs}:
            del self._suspicions[gone]
        for job in jobs:
            if job.state is not JobState.READY or job.endpoint is None or job.account or not job.endpoint.base_path:
                self._seen.discard(job.job_id)  # once it is ready again it is tried again
                continue
            if job.job_id not in self._kept and job.job_id not in self._seen:
                self._seen.add(job.job_id)
                self._parts.tasks.start(self._check_quietly, job.job_id)
            elif job.job_id in self._kept and self._is_suspect(job):
                self._parts.tasks.start(self._check_quietly, job.job_id)

    def _is_suspect(self, job: JobStatus) -> bool:
        """Whether its live rate says that the fixed request should be sent again."""
        if job.job_id in self._doing:
            return False  # what it reads now is our own check
        suspicion, kept = self._suspicions.setdefault(job.job_id, Suspicion()), self._kept[job.job_id]
        now_s = self._parts.clock.monotonic_s()
        return suspicion.take(job.readings, kept, now_s, lambda context: self._expected(job.job_id, context))

    def _expected(self, job_id: str, context_tokens: float) -> float:
        """What one request alone should get by the first check: less with a longer context, as the planner reckons."""
        was, plan = self._kept[job_id].first.measured_tok_s, self._parts.plan_of(job_id)
        if not context_tokens > PROMPT_TOKENS + ANSWER_TOKENS:
            return was
        if plan is not None:
            lengths = (PROMPT_TOKENS, round(context_tokens))
            loads = [Workload("fixed", "The fixed request", tokens, ANSWER_TOKENS, 1) for tokens in lengths]
            found = [self._parts.forecaster.predict(plan.request, load, job_id) for load in loads]
            fixed, live = (one.user_tok_s if one is not None else UNKNOWN for one in found)
            if fixed.is_known and live.is_known:
                return was * live.value / fixed.value
        return was if context_tokens <= LIKE_TOKENS else NAN

    async def _check_quietly(self, job_id: str) -> None:
        try:
            if job_id not in self._doing:
                await self._check(job_id)
        except SparkDeskError as error:
            log.info("the speed of %s was not measured: %s", job_id, error.sentence())

    # Measuring ----------------------------------------------------------------------------------------------------

    async def _check(self, job_id: str) -> None:
        self._do(job_id, MEASURES)
        try:
            plan = self._parts.plan_of(job_id)
            if plan is not None and plan.request.purpose in ("embed", "rerank"):
                await self._keep(job_id, replace(_nothing_yet(NO_ANSWERS, self._parts.clock.now_ms())))
                return
            for _ in range(TRIES):
                if not await self._wait_calm(job_id):
                    break
                verdict = await self._measure(job_id)
                if verdict is not None:
                    await self._keep(job_id, verdict)
                    return
            if job_id not in self._kept:
                await self._keep(job_id, _nothing_yet(GAVE_UP, self._parts.clock.now_ms()))
        finally:
            self._do(job_id, "")

    async def _wait_calm(self, job_id: str) -> bool:
        """Wait until nobody uses the server; False when that took too long. Raises PlanError when it is not ready."""
        begun_s, calm = self._parts.clock.monotonic_s(), 0
        while calm < CALM_BEATS:
            calm = calm + 1 if _is_calm(self._ready(job_id)) else 0
            self._do(job_id, MEASURES if calm else WAITS)
            if self._parts.clock.monotonic_s() - begun_s > GIVE_UP_S:
                return False
            await asyncio.sleep(self._parts.beat_s)
        self._do(job_id, MEASURES)
        return True

    async def _measure(self, job_id: str) -> Verdict | None:
        """One fixed request, a second one where the first was slow; None where another request ran beside it."""
        job = self._ready(job_id)
        model = job.endpoint.model if job.endpoint is not None else ""
        async with self._parts.client(job_id) as client:
            sender = Sender(client, model, self._parts.clock)
            seed = self._parts.clock.now_ms()
            rate = await sender.find_word_rate(seed)
            best: Verdict | None = None
            for index in range(2):
                begun_s = self._parts.clock.monotonic_s()
                prompt = make_prompt(seed, index, rate.words_for(PROMPT_TOKENS))
                sample = await sender.send(prompt, ANSWER_TOKENS)
                span_s = self._parts.clock.monotonic_s() - begun_s
                verdict = self._judge(job_id, sample, span_s)
                best = verdict if best is None or _is_faster(verdict, best) else best
                if math.isfinite(best.measured_tok_s) and not self._looks_slow(job_id, best):
                    break  # a hiccup is no verdict: what looks slow, or came in one burst, is looked at twice
        await asyncio.sleep(min(SETTLE_S, self._parts.beat_s))
        return best if _is_calm(self._ready(job_id)) else None

    def _judge(self, job_id: str, sample: BenchSample, span_s: float) -> Verdict:
        plan, job = self._parts.plan_of(job_id), self._ready(job_id)
        words = self._parts.words_of(job_id)
        note = job.endpoint.note if job.endpoint is not None else ""
        outlook = None
        if plan is not None:
            tokens = sample.prompt_tokens or PROMPT_TOKENS
            load = Workload("fixed", "The fixed request", tokens, sample.answer_tokens or ANSWER_TOKENS, 1)
            outlook = self._parts.forecaster.outlook(plan.request, load, job_id)
        # A neighbour that the prediction reckons with explains nothing of it, but it may explain a fall.
        is_reckoned = outlook is not None and outlook.is_shared and not self._has_fallen(job_id, sample.tok_s)
        seen = self._evidence(job, plan, span_s, is_shared=is_reckoned)
        return judge_sample(
            sample,
            outlook.prediction if outlook is not None else None,
            seen,
            at_ms=self._parts.clock.now_ms(),
            simulated=note or words.get("simulated", ""),
            first=self.first_verdict(job_id),
        )

    def _looks_slow(self, job_id: str, verdict: Verdict) -> bool:
        return verdict.pace is Pace.SLOWER or self._has_fallen(job_id, verdict.measured_tok_s)

    def _has_fallen(self, job_id: str, now_tok_s: float) -> bool:
        first = self.first_verdict(job_id)
        return first is not None and has_fallen(first, now_tok_s)

    def _evidence(self, job: JobStatus, plan: LaunchPlan | None, span_s: float, *, is_shared: bool) -> Evidence:
        past = self._parts.past_of(job.node_ids[0])
        seen_s = max(span_s, 10.0)
        clocks = [mhz for _, mhz in loaded_clocks(past, seen_s)] if past is not None else []
        setup = self._parts.forecaster.setup(plan.request, job.job_id) if plan is not None else None
        return Evidence(
            request=plan.request if plan is not None else None,
            weights=setup.weights.key if setup is not None else "",
            words=self._parts.words_of(job.job_id),
            clock_mhz=median(clocks) if clocks else NAN,
            clock_max_mhz=_mean(past, "gpu_sm_clock_max_mhz", seen_s),
            power_capped=_mean(past, "gpu_power_capped", seen_s),
            swap_used_bytes=_mean(past, "swap_used_bytes", seen_s),
            memory_waiting=_mean(past, "psi_memory_some_avg10", seen_s),
            neighbours=() if is_shared else self._parts.neighbours_of(job.job_id),
            version_before=self._right_version(self._launch(job.job_id)),
        )

    def _launch(self, job_id: str) -> str:
        plan = self._parts.plan_of(job_id)
        return "\n".join(key_of(plan)) if plan is not None else ""

    def _right_version(self, launch: str) -> str:
        """What the newest job of this launch that was as fast as expected called its engine's version."""
        found = [one for one in self._kept.values() if launch and one.launch == launch and one.version]
        return max(found, key=lambda one: one.first.at_ms).version if found else ""

    def _ready(self, job_id: str) -> JobStatus:
        job = next((job for job in self._parts.jobs.value if job.job_id == job_id), None)
        if job is None or job.endpoint is None or job.state is not JobState.READY:
            raise PlanError("Only a server that is ready can be checked", remedy="Wait until it is ready.")
        return job

    # Keeping ------------------------------------------------------------------------------------------------------

    async def _keep(self, job_id: str, verdict: Verdict) -> None:
        kept = self._kept.get(job_id)
        if kept is None or not math.isfinite(kept.first.measured_tok_s):
            # The version is what later ones are held against, so only that of a server that was as fast as it should.
            version = self._parts.words_of(job_id).get("version", "")[:200]
            is_right = verdict.pace in (Pace.AS_EXPECTED, Pace.FASTER)
            kept = Verdicts(verdict, verdict, version if is_right else "", self._launch(job_id))
        self._kept[job_id] = kept = replace(kept, last=verdict)
        self._tell()
        try:
            await self._parts.store.save_document(KIND, job_id, to_json(kept))
            for old in sorted(self._kept, key=lambda one: -self._kept[one].last.at_ms)[KEPT:]:
                del self._kept[old]
                await self._parts.store.remove_document(KIND, old)
        except StoreError as error:
            log.warning("a verdict is not kept: %s", error.sentence())

    def _do(self, job_id: str, words: str) -> None:
        if self._doing.get(job_id, "") != words:
            self._doing[job_id] = words
            if not words:
                del self._doing[job_id]
            self._tell()

    def _tell(self) -> None:
        self.changed.set(self.changed.value + 1)


def _nothing_yet(note: str, at_ms: int) -> Verdict:
    return Verdict(Pace.UNKNOWN, NAN, NAN, NAN, NAN, NAN, 0, 0, at_ms, note=note)


def _is_calm(job: JobStatus) -> bool:
    """Whether nobody uses it, as far as its engine says; one that says nothing is taken to be idle."""
    return not (job.reading(REQUESTS_RUNNING) > 0.0 or job.reading(REQUESTS_WAITING) > 0.0)


def _is_faster(one: Verdict, other: Verdict) -> bool:
    return math.isfinite(one.measured_tok_s) and not one.measured_tok_s < other.measured_tok_s


def _mean(past: Past | None, key: str, span_s: float) -> float:
    found = past.points(key, span_s) if past is not None else ()
    return fmean(value for _, value in found) if found else NAN
