"""A measurement of a real llama.cpp: tokens to the one, points as they come, cancel, failures, and what is stored."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import cast

import pytest

from sparkdesk.core.bench.prompt import make_prompt
from sparkdesk.core.bench.run import BenchRun, BenchShape, BenchState
from sparkdesk.core.bench.run_json import from_json, to_json
from sparkdesk.core.chat.event import ChatEvent
from sparkdesk.core.chat.message import ChatRequest
from sparkdesk.core.errors import PlanError, Unreachable
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.reading import read_prometheus
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.ports import EndpointClient
from sparkdesk.infra.openai_api import OpenAiClients
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.bench.bench import Bench, BenchParts
from sparkdesk.services.bench.sender import Sender
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.tasks import Tasks
from sparkdesk.services.wait import wait_for_value
from tests.servers.llamacpp import LlamaServer, llama_server
from tests.servers.raw_http import raw_server, stream

SMALL = BenchShape(prompt_tokens=200, answer_tokens=16, concurrencies=(1, 2), seed=7)


@pytest.fixture(scope="module")
def llama() -> Iterator[LlamaServer]:
    with llama_server(context_tokens=16384, slots=4, is_endless=True) as server:
        yield server


def job_at(port: int, state: JobState = JobState.READY) -> JobStatus:
    endpoint = Endpoint("", "127.0.0.1", port, "tiny", engine="llamacpp", note="simulated node")
    return JobStatus("j" * 16, "tiny", "llama.cpp", ("spark-a",), state, 0, endpoint=endpoint)


def client_at(port: int) -> Callable[[str], AbstractAsyncContextManager[EndpointClient]]:
    @asynccontextmanager
    async def open_client(_job_id: str) -> AsyncIterator[EndpointClient]:
        client = OpenAiClients(stall_timeout_s=20.0).open(job_at(port).endpoint or Endpoint("", "", 0, ""), None)
        try:
            yield client
        finally:
            await client.close()

    return open_client


@asynccontextmanager
async def bench_at(
    port: int, store: SqliteStore | None = None, cpu_s: Callable[[], float] = time.process_time
) -> AsyncIterator[Bench]:
    tasks, kept = Tasks(), store or SqliteStore(None)
    if store is None:
        await kept.open()
    bench = Bench(
        BenchParts(
            tasks=tasks,
            clock=SystemClock(),
            store=kept,
            jobs=Latest((job_at(port),)),
            client=client_at(port),
            plan_of=lambda _: None,
            cpu_s=cpu_s,
        )
    )
    try:
        yield bench
    finally:
        await tasks.close()
        if store is None:
            await kept.close()


async def end_of(bench: Bench, run_id: str) -> BenchRun:
    def is_over(runs: tuple[BenchRun, ...]) -> bool:
        return any(run.id == run_id and run.state is not BenchState.RUNNING for run in runs)

    runs = await wait_for_value(bench.runs, is_over, timeout_s=90)
    return next(run for run in runs if run.id == run_id)


async def test_a_real_server_is_measured_with_its_own_count_of_tokens(llama: LlamaServer) -> None:
    async with bench_at(llama.port) as bench:
        run = await end_of(bench, bench.start("j" * 16, SMALL))
    assert run.state is BenchState.DONE, run.message
    assert [point.concurrency for point in run.points] == [1, 2]
    assert {point.answer_tokens for point in run.points} == {16}
    assert {point.failed for point in run.points} == {0}
    assert all(abs(point.prompt_tokens - 200) <= 20 for point in run.points), run.points
    for point in run.points:
        assert 0 < point.ttft_s <= point.e2e_s  # a busy machine may read the whole answer at once
        assert point.prefill_tok_s > 0
        assert math.isnan(point.output_tok_s) or point.output_tok_s > 0, "a tiny model's 16 tokens can be too quick"
        assert math.isfinite(point.client_cpu_share)
    assert run.note == "simulated node"


async def test_what_this_computer_works_meanwhile_is_told_as_a_share_of_a_core(llama: LlamaServer) -> None:
    async with bench_at(llama.port, cpu_s=lambda: 0.25 * time.monotonic()) as bench:
        run = await end_of(bench, bench.start("j" * 16, SMALL))
    assert [point.client_cpu_share for point in run.points] == [pytest.approx(0.25, rel=0.01)] * 2


async def test_a_cancelled_run_keeps_its_points_and_the_server_stops(llama: LlamaServer) -> None:
    async with bench_at(llama.port) as bench:
        shape = BenchShape(prompt_tokens=64, answer_tokens=3000, concurrencies=(1,), seed=3)
        run_id = bench.start("j" * 16, shape)
        while await asyncio.to_thread(llama.busy_slots) == 0:
            await asyncio.sleep(0.02)
        bench.cancel(run_id)
        run = await end_of(bench, run_id)
        assert run.state is BenchState.CANCELLED
        assert await asyncio.to_thread(llama.wait_idle)
        await asyncio.sleep(0.3)
        assert [(one.state, one.points) for one in bench.runs.value] == [(BenchState.CANCELLED, ())]


async def test_requests_that_fail_are_counted_with_the_reason() -> None:
    with llama_server(context_tokens=512) as small:
        async with bench_at(small.port) as bench:
            shape = BenchShape(prompt_tokens=2000, answer_tokens=8, concurrencies=(2, 4), seed=5)
            run = await end_of(bench, bench.start("j" * 16, shape))
    assert run.state is BenchState.FAILED
    assert [(point.requests, point.failed) for point in run.points] == [(2, 2)]
    assert "512" in run.points[0].failure
    assert math.isnan(run.points[0].output_tok_s)


async def test_a_server_that_dies_midway_ends_the_run_and_leaves_the_points_before() -> None:
    with llama_server(context_tokens=8192, slots=2, is_endless=True) as mortal:
        async with bench_at(mortal.port) as bench:
            shape = BenchShape(prompt_tokens=32, answer_tokens=1500, concurrencies=(1, 2, 2), seed=9)
            run_id = bench.start("j" * 16, shape)
            await wait_for_value(bench.runs, lambda runs: bool(runs[0].points), timeout_s=90)
            while await asyncio.to_thread(mortal.busy_slots) == 0:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(mortal.kill)
            run = await end_of(bench, run_id)
    assert run.state is BenchState.FAILED
    assert run.message
    assert run.points[0].failed == 0
    assert run.points[-1].failed == run.points[-1].requests == 2


async def test_more_requests_than_the_server_answers_at_once_wait_and_are_all_counted(llama: LlamaServer) -> None:
    async with bench_at(llama.port) as bench:
        shape = BenchShape(prompt_tokens=64, answer_tokens=40, concurrencies=(1, 6), seed=13)
        run = await end_of(bench, bench.start("j" * 16, shape))
    assert run.state is BenchState.DONE, run.message
    assert [(point.requests, point.failed, point.answer_tokens) for point in run.points] == [(1, 0, 40), (6, 0, 40)]


async def test_an_engine_that_does_not_count_its_tokens_is_not_measured_by_pieces() -> None:
    piece = b'data: {"choices": [{"index": 0, "delta": {"content": "word"}}]}\n\n'
    async with raw_server(stream(piece * 8 + b"data: [DONE]\n\n")) as server, bench_at(server.port) as bench:
        run = await end_of(bench, bench.start("j" * 16, BenchShape(concurrencies=(1, 2), seed=1)))
    assert run.state is BenchState.FAILED
    assert "did not say how many tokens" in run.message
    assert all(math.isnan(point.output_tok_s) for point in run.points)


async def test_a_line_that_falls_while_others_run_is_a_failed_request_and_no_lost_run() -> None:
    class Fallen:
        async def chat(self, _request: ChatRequest) -> AsyncIterator[ChatEvent]:
            raise Unreachable("spark-a is not connected", remedy="Wait for the line.")
            yield

    client = cast(EndpointClient, Fallen())
    sample = await Sender(client, "tiny", SystemClock()).send("words", 8)
    assert sample.failure == "spark-a is not connected"


async def test_only_one_measurement_of_a_ready_server_runs(llama: LlamaServer) -> None:
    async with bench_at(llama.port) as bench:
        run_id = bench.start("j" * 16, SMALL)
        with pytest.raises(PlanError, match="already"):
            bench.start("j" * 16, SMALL)
        with pytest.raises(PlanError, match="ready"):
            bench.start("x" * 16)
        with pytest.raises(PlanError, match="1 to 16 points"):
            bench.start("j" * 16, BenchShape(concurrencies=(0,)))
        bench.cancel(run_id)
        await end_of(bench, run_id)


async def test_runs_outlive_the_program_and_one_under_way_then_was_cancelled(llama: LlamaServer) -> None:
    store = SqliteStore(None)
    await store.open()
    try:
        async with bench_at(llama.port, store) as bench:
            done = await end_of(bench, bench.start("j" * 16, SMALL))
            await store.save_document("bench_run", "half", to_json(_running()))
            await store.save_document("bench_run", "broken", b'{"schema": 1}')
        async with bench_at(llama.port, store) as later:
            await later.load()
            found = {run.id: run for run in later.runs.value}
            assert found[done.id] == done
            assert found["half"].state is BenchState.CANCELLED
            assert set(found) == {done.id, "half"}
            await later.remove("half")
            assert set(await store.documents("bench_run")) == {done.id, "broken"}
    finally:
        await store.close()


def _running() -> BenchRun:
    return BenchRun("half", "j" * 16, "tiny", "llama.cpp", "tiny", "", ("a",), 1, SMALL, BenchState.RUNNING)


def test_a_stored_run_comes_back_whole_and_a_strangers_is_refused() -> None:
    assert from_json(to_json(_running())) == _running()
    for text in (b"", b"[]", b"{}", b'{"schema": 2}', b'{"schema": 1, "shape": []}'):
        with pytest.raises((KeyError, TypeError, ValueError)):
            from_json(text)


async def test_the_counts_are_those_of_the_servers_own_books(llama: LlamaServer) -> None:
    async with client_at(llama.port)("") as client:
        before = await page_of(client)
        sample = await Sender(client, "tiny", SystemClock()).send(make_prompt(11, 0, 40), 600)
        grown = {key: value - before[key] for key, value in (await page_of(client)).items()}
    assert not sample.failure
    assert sample.answer_tokens == grown["predicted"] == 600
    assert sample.prompt_tokens - sample.cached_tokens == grown["prompt"]
    assert not sample.is_burst, "600 tokens take even this model long enough to be timed"
    # The same answer by the server's clock: a rate of another order would be another thing that was measured.
    assert 0.05 < sample.tok_s * grown["predicted_s"] / grown["predicted"] < 20


async def page_of(client: EndpointClient) -> dict[str, float]:
    names = {
        "llamacpp:tokens_predicted_total": "predicted",
        "llamacpp:tokens_predicted_seconds_total": "predicted_s",
        "llamacpp:prompt_tokens_total": "prompt",
    }
    _, body = await client.get("/metrics")
    return read_prometheus(body.decode(), names)


async def test_the_fixed_request_goes_on_to_its_last_token_and_guesses_nothing() -> None:
    async with raw_server(stream(b"data: [DONE]\n\n")) as server, client_at(server.port)("") as client:
        await Sender(client, "tiny", SystemClock()).send("words", 128)
    body = json.loads(server.requests[0].partition(b"\r\n\r\n")[2])
    assert (body["max_tokens"], body["temperature"], body["ignore_eos"]) == (128, 0.0, True)
    assert body["stream_options"] == {"include_usage": True}
