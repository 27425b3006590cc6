"""A real llama.cpp is measured once when it is ready, never while it works for somebody, and again when asked."""

from __future__ import annotations

import asyncio
import math
import signal
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import replace

import pytest

from sparkdesk.core.errors import PlanError
from sparkdesk.core.feed import Latest
from sparkdesk.core.findings.standing import Standings
from sparkdesk.core.jobs.appraisal.verdict_json import Verdicts, to_json
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.jobs.verdict import TOO_QUICK, Pace, Verdict
from sparkdesk.core.planning.place import Place
from sparkdesk.core.planning.reference import Reference
from sparkdesk.core.ports import EndpointClient
from sparkdesk.infra.openai_api import OpenAiClients
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.appraisal.appraisals import MEASURES, WAITS, AppraisalParts, Appraisals
from sparkdesk.services.appraisal.forecaster import Forecaster
from sparkdesk.services.clock import Clock, SystemClock
from sparkdesk.services.tasks import Tasks
from sparkdesk.services.wait import wait_for_value
from tests.core.jobs.appraisal.traffic import Engine, chat
from tests.servers.llamacpp import LlamaServer, llama_server
from tests.services.job_rig import free_port

JOB_ID = "j" * 16
READY = JobStatus(JOB_ID, "tiny", "llama.cpp", ("spark-a",), JobState.READY, 0)


@pytest.fixture(scope="module")
def llama() -> Iterator[LlamaServer]:
    with llama_server(context_tokens=8192, slots=2, is_endless=True) as server:
        yield server


def ready_at(llama: LlamaServer) -> JobStatus:
    return replace(READY, endpoint=Endpoint("", "127.0.0.1", llama.port, "tiny", engine="llamacpp"))


def no_reference() -> Reference:
    raise AssertionError("an unknown model asks for no data")


class Desk:
    """What a measurement needs, with a feed of jobs that a test turns."""

    def __init__(self, job: JobStatus, store: SqliteStore, clock: Clock | None = None) -> None:
        self.jobs: Latest[tuple[JobStatus, ...]] = Latest((job,))
        self.tasks = Tasks()
        self.opened = 0
        self.neighbours: tuple[tuple[str, float], ...] = ()
        self.on_open: Callable[[], None] = lambda: None
        """Called whenever the server is about to be asked."""
        forecaster = Forecaster(no_reference, lambda _nodes: Place(()), (), lambda _job_id: None)
        self.appraisals = Appraisals(
            AppraisalParts(
                tasks=self.tasks,
                clock=clock or SystemClock(),
                store=store,
                jobs=self.jobs,
                client=self._client(job),
                plan_of=lambda _job_id: None,
                words_of=lambda _job_id: {"version": "b1"},
                forecaster=forecaster,
                past_of=lambda _node_id: None,
                neighbours_of=lambda _job_id: self.neighbours,
                beat_s=0.02,
            )
        )

    def _client(self, job: JobStatus) -> Callable[[str], AbstractAsyncContextManager[EndpointClient]]:
        @asynccontextmanager
        async def open_client(_job_id: str) -> AsyncIterator[EndpointClient]:
            assert job.endpoint is not None
            self.opened += 1
            self.on_open()
            client = OpenAiClients().open(job.endpoint, None)
            try:
                yield client
            finally:
                await client.close()

        return open_client

    def show(self, job: JobStatus, **readings: float) -> None:
        self.jobs.set((replace(job, readings=tuple(readings.items())),))

    async def wait_for(self, is_right: Callable[[Verdict | None], bool]) -> Verdict:
        wanted = lambda _count: is_right(self.appraisals.verdict(JOB_ID))  # noqa: E731 - read only here
        await wait_for_value(self.appraisals.changed, wanted, timeout_s=90)
        verdict = self.appraisals.verdict(JOB_ID)
        assert verdict is not None
        return verdict


def is_whole(verdict: Verdict | None) -> bool:
    """Measured, though on a busy computer this quick model's tokens can come in one burst, which tells no rate."""
    if verdict is None or verdict.note in (WAITS, MEASURES):
        return False
    return math.isfinite(verdict.measured_tok_s) or verdict.note.startswith(TOO_QUICK)


@asynccontextmanager
async def desk_at(llama: LlamaServer, store: SqliteStore) -> AsyncIterator[Desk]:
    desk = Desk(ready_at(llama), store)
    try:
        await desk.appraisals.load()
        yield desk
    finally:
        desk.appraisals.close()
        await desk.tasks.close()


@pytest.fixture
async def store() -> AsyncIterator[SqliteStore]:
    kept = SqliteStore(None)
    await kept.open()
    yield kept
    await kept.close()


async def test_a_ready_server_is_measured_once_with_the_fixed_request(llama: LlamaServer, store: SqliteStore) -> None:
    async with desk_at(llama, store) as desk:
        verdict = await desk.wait_for(is_whole)
        assert verdict.pace is Pace.UNKNOWN  # nobody knows what this model should do
        assert verdict.answer_tokens == 128
        assert abs(verdict.prompt_tokens - 512) <= 30
        assert verdict.measured_tok_s > 0 or verdict.note.startswith(TOO_QUICK)
        desk.show(ready_at(llama))
        desk.show(ready_at(llama))
        await asyncio.sleep(0.1)
        assert desk.opened == 1
        await desk.appraisals.check_again(JOB_ID)
        assert desk.opened == 2
    async with desk_at(llama, store) as later:
        assert later.appraisals.verdict(JOB_ID) is not None
        await asyncio.sleep(0.1)
        assert later.opened == 0


async def test_a_server_that_does_not_speak_our_protocol_is_asked_nothing(
    llama: LlamaServer, store: SqliteStore
) -> None:
    job = ready_at(llama)
    assert job.endpoint is not None
    desk = Desk(replace(job, endpoint=replace(job.endpoint, base_path="")), store)
    try:
        await desk.appraisals.load()
        await asyncio.sleep(0.2)
        assert desk.opened == 0
        assert desk.appraisals.verdict(JOB_ID) is None, "and nothing is told of its speed"
    finally:
        desk.appraisals.close()
        await desk.tasks.close()


async def test_a_busy_server_is_left_alone_until_it_is_idle(llama: LlamaServer, store: SqliteStore) -> None:
    desk = Desk(ready_at(llama), store)
    desk.show(ready_at(llama), requests_running=1.0)
    try:
        await desk.appraisals.load()
        await desk.wait_for(lambda verdict: verdict is not None and verdict.note == WAITS)
        await asyncio.sleep(0.2)
        assert desk.opened == 0
        with pytest.raises(PlanError, match="under way"):
            await desk.appraisals.check_again(JOB_ID)
        desk.show(ready_at(llama), requests_running=0.0)
        assert (await desk.wait_for(is_whole)).answer_tokens == 128
    finally:
        desk.appraisals.close()
        await desk.tasks.close()


async def test_a_figure_that_was_taken_beside_another_request_is_taken_again(
    llama: LlamaServer, store: SqliteStore
) -> None:
    desk = Desk(ready_at(llama), store)
    try:
        desk.on_open = lambda: desk.show(ready_at(llama), requests_running=2.0)
        await desk.appraisals.load()
        await desk.wait_for(lambda verdict: verdict is not None and verdict.note == WAITS)
        assert desk.appraisals.first_verdict(JOB_ID) is None
        desk.on_open = lambda: None
        desk.show(ready_at(llama), requests_running=0.0)
        await desk.wait_for(is_whole)
        assert desk.opened == 2
    finally:
        desk.appraisals.close()
        await desk.tasks.close()


async def test_a_server_that_is_not_ready_is_not_checked(llama: LlamaServer, store: SqliteStore) -> None:
    desk = Desk(replace(ready_at(llama), state=JobState.LOADING), store)
    await desk.appraisals.load()
    with pytest.raises(PlanError, match="ready"):
        await desk.appraisals.check_again(JOB_ID)
    assert desk.appraisals.verdict(JOB_ID) is None
    assert list(desk.appraisals.judgements("spark-a")) == []
    desk.appraisals.close()
    await desk.tasks.close()


async def test_a_server_that_fell_is_one_finding_until_it_is_gone(llama: LlamaServer, store: SqliteStore) -> None:
    first = Verdict(Pace.AS_EXPECTED, 57.9, 57.0, 54.0, 62.0, 0.4, 512, 128, 1)
    await store.save_document("verdict", JOB_ID, to_json(Verdicts(first, replace(first, measured_tok_s=40.0))))
    await store.save_document("verdict", "broken", b"[]")
    async with desk_at(llama, store) as desk:
        standings = Standings()
        for now_ms in (1000, 2000):
            standings.take(desk.appraisals.judgements("spark-a"), now_ms)
        (concern,) = standings.concerns
        assert "40 tok/s" in concern.evidence
        assert list(desk.appraisals.judgements("spark-b")) == []
        desk.jobs.set(())
        standings.take(desk.appraisals.judgements("spark-a"), 3000)
        assert standings.concerns == ()


async def test_a_server_that_cannot_be_reached_is_not_tried_again_with_every_reading(store: SqliteStore) -> None:
    nowhere = replace(READY, endpoint=Endpoint("", "127.0.0.1", free_port(), "tiny", engine="llamacpp"))
    desk = Desk(nowhere, store)
    await desk.appraisals.load()
    for _ in range(20):
        desk.show(nowhere)
        await asyncio.sleep(0.02)
    assert desk.opened == 1
    assert desk.appraisals.verdict(JOB_ID) is None
    desk.show(replace(nowhere, state=JobState.LOADING))
    desk.show(nowhere)
    while desk.opened == 1:
        await asyncio.sleep(0.01)
    desk.appraisals.close()
    await desk.tasks.close()


class ClockAhead(SystemClock):
    """The computer's clock, which a test puts forward."""

    ahead_s = 0.0

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.ahead_s


@contextmanager
def held_back(process: subprocess.Popen[bytes], pause_s: float) -> Iterator[None]:
    """The process pauses so long every 10 ms, as beside others that take the processor; it goes on at the end."""
    is_over = threading.Event()

    def hold() -> None:
        while not is_over.wait(0.01):
            process.send_signal(signal.SIGSTOP)
            is_over.wait(pause_s)
            process.send_signal(signal.SIGCONT)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        yield
    finally:
        is_over.set()
        holder.join()
        process.send_signal(signal.SIGCONT)


async def test_a_real_server_that_falls_beside_a_busy_one_is_a_finding_with_its_cause(
    llama: LlamaServer, store: SqliteStore
) -> None:
    """On a simulated machine nobody knows what it should do; it is held against its own first figure all the same."""
    job = ready_at(llama)
    assert job.endpoint is not None
    job = replace(job, endpoint=replace(job.endpoint, note="simulated GB10, real llama.cpp"))
    desk = Desk(job, store)
    try:
        with held_back(llama.process, 0.04):  # so that its tokens do not come in one burst
            await desk.appraisals.load()
            first = await desk.wait_for(is_whole)
        assert first.measured_tok_s > 0
        assert next(iter(desk.appraisals.judgements("spark-a"))).concern is None
        desk.neighbours = (("the other one", 80.0),)
        with held_back(llama.process, 0.2):
            await desk.appraisals.check_again(JOB_ID)
        fallen = desk.appraisals.verdict(JOB_ID)
        assert fallen is not None
        assert fallen.measured_tok_s < 0.85 * first.measured_tok_s
        assert fallen.pace is Pace.UNKNOWN
        assert "when it was first measured" in fallen.note
        concern = next(iter(desk.appraisals.judgements("spark-a"))).concern
        assert concern is not None
        assert "Another server works beside it: the other one makes 80 tok/s on the same node" in concern.evidence
        assert concern.remedy == "Check again while it is idle."
    finally:
        desk.appraisals.close()
        await desk.tasks.close()


@pytest.mark.parametrize(("share", "checks"), [(1.0, 0), (0.6, 1)])
async def test_live_answers_that_look_slow_have_the_fixed_request_sent_again(
    llama: LlamaServer, store: SqliteStore, share: float, checks: int
) -> None:
    first = Verdict(Pace.AS_EXPECTED, 40.0, 40.0, 36.0, 44.0, 0.4, 512, 128, 1)
    await store.save_document("verdict", JOB_ID, to_json(Verdicts(first, first)))
    clock, job = ClockAhead(), ready_at(llama)
    desk = Desk(job, store, clock)
    try:
        await desk.appraisals.load()
        begun_s = clock.monotonic_s()
        for at_s, page in Engine("vllm", lambda _now_s: 40.0 * share).pages(chat(1, 300.0), 300.0):
            clock.ahead_s += at_s + begun_s - clock.monotonic_s()
            desk.show(job, **page)
        desk.show(job, requests_running=0.0)
        await asyncio.sleep(0.2)
        assert bool(desk.opened) is bool(checks)
        if checks:
            await desk.wait_for(lambda verdict: verdict is not None and verdict.at_ms > 1 and is_whole(verdict))
            assert desk.opened == checks
    finally:
        desk.appraisals.close()
        await desk.tasks.close()
