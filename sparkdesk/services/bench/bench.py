"""Measures deployments when a person asks: the chosen shape at 1, 2, 4, 8 requests at once, one after the other.

The one rule: one measurement of a job at a time, and each is stored with what was measured, so that it can be read
without the job. A point is published when it is whole; what was measured before a cancel or a failure stays.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace

from sparkdesk.core.bench.expectation import NOTHING, Expectation, expectation_of
from sparkdesk.core.bench.prompt import WordRate, make_prompt
from sparkdesk.core.bench.run import BenchPoint, BenchRun, BenchShape, BenchState
from sparkdesk.core.bench.run_json import from_json, to_json
from sparkdesk.core.bench.sample import point_of
from sparkdesk.core.errors import PlanError, SparkDeskError, StoreError
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.plan import LaunchPlan
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.planning.prediction import Prediction
from sparkdesk.core.planning.workload import Workload
from sparkdesk.core.ports import EndpointClient, Store
from sparkdesk.services.bench.sender import Sender
from sparkdesk.services.clock import Clock
from sparkdesk.services.ident import new_id
from sparkdesk.services.tasks import Tasks

log = logging.getLogger(__name__)

KIND = "bench_run"
KEPT_RUNS = 100
MAX_CONCURRENCY = 64
MAX_TOKENS = 1 << 20

Predict = Callable[[LaunchRequest, Workload, str], Prediction | None]
"""What the plan says of a request under a load, for the job of this id; None where it cannot be said."""


@dataclass(frozen=True, slots=True)
class BenchParts:
    """Whom a measurement asks. `client` gives the shared client of a job; `cpu_s` is this program's CPU time."""

    tasks: Tasks
    clock: Clock
    store: Store
    jobs: Latest[tuple[JobStatus, ...]]
    client: Callable[[str], AbstractAsyncContextManager[EndpointClient]]
    plan_of: Callable[[str], LaunchPlan | None]
    name_of: Callable[[str], str] = str
    """A node's name for its id."""
    predict: Predict | None = None
    cpu_s: Callable[[], float] = time.process_time


class Bench:
    """Measurements. `runs` is the feed: newest first, those under way with the points that they have so far."""

    def __init__(self, parts: BenchParts) -> None:
        self._parts = parts
        self.runs: Latest[tuple[BenchRun, ...]] = Latest(())

    async def load(self) -> None:
        """Take what earlier runs of the program kept. Raises StoreError."""
        found = []
        for key, data in (await self._parts.store.documents(KIND)).items():
            try:
                run = from_json(data)
            except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
                log.warning("a measurement (%s) is left out: %s", key, error)
                continue
            if run.state is BenchState.RUNNING:
                run = replace(run, state=BenchState.CANCELLED, message="SparkDesk was closed while it ran")
            found.append(run)
        self.runs.set(tuple(sorted((*self.runs.value, *found), key=lambda run: -run.started_ms)))

    def start(self, job_id: str, shape: BenchShape | None = None) -> str:
        """Measure a server that is ready; gives the run's id. Raises PlanError."""
        shape = shape or BenchShape()
        job = self._ready_job(job_id)
        _check_shape(shape, job)
        plan = self._parts.plan_of(job_id)
        if plan is not None and plan.request.purpose in ("embed", "rerank"):
            raise PlanError("A server without answers cannot be measured so", remedy="Measure one that chats.")
        if any(run.job_id == job_id and run.state is BenchState.RUNNING for run in self.runs.value):
            raise PlanError(f"{job.title} is being measured already", remedy="Wait for its end, or cancel it.")
        run = self._new_run(job, shape)
        self._publish(run)
        self._parts.tasks.start_exclusive(_task(run.id), self._run, run)
        return run.id

    def cancel(self, run_id: str) -> None:
        """Stop sending; the points that are whole stay. No error when it is over."""
        self._parts.tasks.cancel(_task(run_id))
        run = self._find(run_id)
        if run is not None and run.state is BenchState.RUNNING:
            self._publish(replace(run, state=BenchState.CANCELLED, message="Cancelled"))
            self._parts.tasks.start(self._keep, run_id)

    async def remove(self, run_id: str) -> None:
        """Forget a run. Raises StoreError."""
        self.cancel(run_id)
        await self._parts.store.remove_document(KIND, run_id)
        self.runs.set(tuple(run for run in self.runs.value if run.id != run_id))

    def expected(self, job_id: str, shape: BenchShape, concurrency: int) -> Expectation:
        """What the plan says of a point of this shape, and what others published; of a job that is gone by its runs."""
        if self._parts.predict is None:
            return NOTHING
        plan = self._parts.plan_of(job_id)
        request = plan.request if plan is not None else self._measured_request(job_id)
        if request is None:
            return NOTHING
        load = Workload("measured", "This measurement", shape.prompt_tokens, shape.answer_tokens, concurrency)
        return expectation_of(self._parts.predict(request, load, job_id), concurrency)

    def _measured_request(self, job_id: str) -> LaunchRequest | None:
        """What was launched, as the newest run of the job tells it."""
        run = next((run for run in self.runs.value if run.job_id == job_id and run.request_json), None)
        try:
            return LaunchRequest.model_validate(run.request_json) if run is not None else None
        except ValueError:
            return None

    # One run ------------------------------------------------------------------------------------------------------

    async def _run(self, run: BenchRun) -> None:
        try:
            run = await self._measure(run)
        except SparkDeskError as error:
            run = replace(self._find(run.id) or run, state=BenchState.FAILED, message=error.sentence())
        self._publish(run)
        await self._keep(run.id)

    async def _measure(self, run: BenchRun) -> BenchRun:
        async with self._parts.client(run.job_id) as client:
            sender = Sender(client, self._model(run.job_id), self._parts.clock)
            rate = await sender.find_word_rate(run.shape.seed)
            for number in run.shape.concurrencies:
                point = await self._measure_point(sender, run.shape, rate, number)
                run = replace(run, points=(*run.points, point))
                self._publish(run)
                await self._keep(run.id)
                if point.failed == point.requests:
                    return replace(run, state=BenchState.FAILED, message=point.failure)
        return replace(run, state=BenchState.DONE)

    async def _measure_point(self, sender: Sender, shape: BenchShape, rate: WordRate, number: int) -> BenchPoint:
        words = rate.words_for(shape.prompt_tokens)
        prompts = [make_prompt(shape.seed, number * MAX_CONCURRENCY + at, words) for at in range(number)]
        begun_s, cpu_s = self._parts.clock.monotonic_s(), self._parts.cpu_s()
        async with asyncio.TaskGroup() as group:
            sent = [group.create_task(sender.send(prompt, shape.answer_tokens, begun_s=begun_s)) for prompt in prompts]
        samples = [task.result() for task in sent]
        passed_s, used_s = self._parts.clock.monotonic_s() - begun_s, self._parts.cpu_s() - cpu_s
        return point_of(number, samples, cpu_share=used_s / passed_s if passed_s > 0 else float("nan"))

    def _model(self, job_id: str) -> str:
        endpoint = self._ready_job(job_id).endpoint
        return endpoint.model if endpoint is not None else ""

    def _new_run(self, job: JobStatus, shape: BenchShape) -> BenchRun:
        plan, now_ms = self._parts.plan_of(job.job_id), self._parts.clock.now_ms()
        request = plan.request if plan is not None else None
        return BenchRun(
            id=new_id(),
            job_id=job.job_id,
            title=job.title,
            engine=job.engine,
            model=request.model if request is not None else job.title,
            quantization=request.quantization if request is not None else "",
            node_names=tuple(self._parts.name_of(node_id) for node_id in job.node_ids),
            started_ms=now_ms,
            # Without a seed of its own each run has another, or the second would find the first in the prefix cache.
            shape=shape if shape.seed else replace(shape, seed=now_ms),
            state=BenchState.RUNNING,
            note=job.endpoint.note if job.endpoint is not None else "",
            request_json=json.loads(request.model_dump_json(exclude={"environment"})) if request is not None else {},
        )

    def _ready_job(self, job_id: str) -> JobStatus:
        job = next((job for job in self._parts.jobs.value if job.job_id == job_id), None)
        if job is None or job.state is not JobState.READY or job.endpoint is None:
            raise PlanError("Only a server that is ready can be measured", remedy="Wait until it is ready.")
        return job

    def _find(self, run_id: str) -> BenchRun | None:
        return next((run for run in self.runs.value if run.id == run_id), None)

    def _publish(self, run: BenchRun) -> None:
        others = [one for one in self.runs.value if one.id != run.id]
        self.runs.set(tuple(sorted((run, *others), key=lambda one: -one.started_ms)))

    async def _keep(self, run_id: str) -> None:
        """Write it down, and forget the oldest beyond those that are kept."""
        run = self._find(run_id)
        if run is None:
            return
        try:
            await self._parts.store.save_document(KIND, run.id, to_json(run))
            for old in self.runs.value[KEPT_RUNS:]:
                await self.remove(old.id)
        except StoreError as error:
            log.warning("a measurement is not kept: %s", error.sentence())


def _task(run_id: str) -> str:
    return f"measure {run_id}"


def _check_shape(shape: BenchShape, job: JobStatus) -> None:
    """Raises PlanError for a shape that cannot be measured, or that this server must refuse."""
    numbers = shape.concurrencies
    if not 0 < len(numbers) <= 16 or not all(1 <= number <= MAX_CONCURRENCY for number in numbers):
        raise PlanError(
            f"A measurement has 1 to 16 points of 1 to {MAX_CONCURRENCY} requests at once",
            remedy="Choose such numbers.",
        )
    if not 1 <= shape.prompt_tokens <= MAX_TOKENS or not 2 <= shape.answer_tokens <= MAX_TOKENS:
        raise PlanError("A measurement needs a prompt and at least 2 tokens of answer", remedy="Choose other lengths.")
    limit = job.endpoint.context_tokens if job.endpoint is not None else None
    if limit is not None and shape.prompt_tokens + shape.answer_tokens > limit:
        raise PlanError(
            f"Prompt and answer are longer than the {limit:,} tokens that one request may have",
            remedy="Choose a shorter prompt or answer.",
        )
