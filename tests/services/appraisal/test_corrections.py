"""What starts told corrects the next plan of that model, engine and build; it survives, and can be taken back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from sparkdesk.app.plan_data import load_catalogue, load_reference
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.appraisal.ledger_truth import is_corrected
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.plan import GIB, LaunchPlan, MemoryLedger
from sparkdesk.core.jobs.reading import KV_CAPACITY_TOKENS, WEIGHTS_BYTES
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.jobs.verdict import ANSWER_TOKENS, PROMPT_TOKENS
from sparkdesk.core.planning.place import NodeRoom, Place
from sparkdesk.core.planning.setup import Build
from sparkdesk.core.planning.workload import Workload
from sparkdesk.core.step import Playbook
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.appraisal.corrections import Corrections
from sparkdesk.services.appraisal.forecaster import Forecaster
from sparkdesk.services.tasks import Tasks

REQUEST = LaunchRequest(
    engine="vllm", model="openai/gpt-oss-120b", nodes=("spark-a",), served_name="m", context_tokens=8192
)
LEDGER = MemoryLedger("spark-a", 120 * GIB, 8 * GIB, 60 * GIB, 20 * GIB, 4 * GIB)
ROOM = NodeRoom("spark-a", "spark-a", 120 * GIB, 112 * GIB)


def plan_of(job_id: str, *, note: str = "") -> LaunchPlan:
    endpoint = Endpoint("spark-a", "127.0.0.1", 8000, "m", engine="vllm", note=note)
    empty = Playbook("m", ())
    return LaunchPlan(job_id, REQUEST, "m", empty, empty, endpoint, (LEDGER,), ())


class Desk:
    """Jobs that a test starts, and what their engines tell."""

    def __init__(self, store: SqliteStore, tasks: Tasks) -> None:
        self.jobs: Latest[tuple[JobStatus, ...]] = Latest(())
        self.plans: dict[str, LaunchPlan] = {}
        self.told: dict[str, Mapping[str, float]] = {}
        self.forecaster = Forecaster(load_reference, lambda _: Place((ROOM,)), load_catalogue(), self.plans.get)
        self.corrections = Corrections(
            tasks=tasks,
            store=store,
            jobs=self.jobs,
            plan_of=self.plans.get,
            told_of=lambda job_id: self.told.get(job_id, {}),
            forecaster=self.forecaster,
        )

    def start(self, plan: LaunchPlan, weights_gib: float) -> None:
        tokens = 18 * GIB / self.forecaster.token_bytes(plan.request)
        self.plans[plan.job_id] = plan
        self.told[plan.job_id] = {WEIGHTS_BYTES: weights_gib * GIB, KV_CAPACITY_TOKENS: tokens}
        job = JobStatus(plan.job_id, "m", "vLLM", ("spark-a",), JobState.READY, 0)
        self.jobs.set((*self.jobs.value, job))


@asynccontextmanager
async def desk_with(store: SqliteStore) -> AsyncIterator[Desk]:
    tasks = Tasks()
    desk = Desk(store, tasks)
    await desk.corrections.load()
    try:
        yield desk
    finally:
        desk.corrections.close()
        for _ in range(500):
            if not tasks.names:
                break
            await asyncio.sleep(0.01)
        await tasks.close()


@pytest.fixture
async def store() -> AsyncIterator[SqliteStore]:
    kept = SqliteStore(None)
    await kept.open()
    yield kept
    await kept.close()


async def test_two_starts_correct_the_next_plan_and_the_plan_says_so(store: SqliteStore) -> None:
    async with desk_with(store) as desk:
        desk.start(plan_of("a"), 61.2)
        desk.start(plan_of("b"), 61.2)
        desk.jobs.set(desk.jobs.value)
        plan = desk.corrections.correct(plan_of("c"))
        assert plan.notes[0] == "Corrected by 2 starts: weights x1.02"
        assert plan.ledgers[0].weights_bytes == pytest.approx(61.2 * GIB, abs=2)
        assert plan.ledgers[0].free_bytes == LEDGER.free_bytes  # the share is as large as before
        rows = {row.key: row for row in desk.corrections.truth("a")}
        assert rows[WEIGHTS_BYTES].told == 61.2 * GIB
        assert rows[KV_CAPACITY_TOKENS].planned > rows[KV_CAPACITY_TOKENS].told


async def test_a_corrected_start_is_held_against_the_planners_own_figures(store: SqliteStore) -> None:
    async with desk_with(store) as desk:
        desk.start(plan_of("a"), 63.0)
        corrected = desk.corrections.correct(plan_of("b"))
        assert is_corrected(corrected)
        assert desk.corrections.correct(corrected) == corrected
        desk.start(corrected, 63.0)
        found = desk.corrections.correction("b")
        assert found is not None
        assert found.starts == 2
        assert found.weights_factor == pytest.approx(1.05)


async def test_a_correction_that_is_taken_back_is_kept_and_not_applied(store: SqliteStore) -> None:
    async with desk_with(store) as desk:
        desk.start(plan_of("a"), 63.0)
        await desk.corrections.set_correction("a", False)
        assert desk.corrections.correct(plan_of("b")) == plan_of("b")
    async with desk_with(store) as later:
        later.plans["b"] = plan_of("b")
        found = later.corrections.correction("b")
        assert found is not None
        assert not found.is_applied
        await later.corrections.set_correction("b", True)
        assert is_corrected(later.corrections.correct(plan_of("c")))


async def test_a_simulated_engine_and_another_build_teach_nothing_about_the_real_one(store: SqliteStore) -> None:
    async with desk_with(store) as desk:
        desk.start(plan_of("a", note="simulated vLLM"), 90.0)
        assert desk.corrections.correct(plan_of("b")) == plan_of("b")
        assert is_corrected(desk.corrections.correct(plan_of("b", note="simulated vLLM")))
        eager = replace(plan_of("c"), request=REQUEST.model_copy(update={"build": "eager"}))
        assert not is_corrected(desk.corrections.correct(eager))


def test_the_forecaster_answers_as_the_plan_table_does_and_frees_the_jobs_own_place() -> None:
    plans = {"a": plan_of("a")}
    beside = replace(ROOM, available_bytes=LEDGER.free_bytes)  # as it is while the job runs
    forecaster = Forecaster(load_reference, lambda _: Place((beside,)), load_catalogue(), plans.get)
    found = forecaster.outlook(REQUEST, Workload("fixed", "", PROMPT_TOKENS, ANSWER_TOKENS, 1), "a")
    assert found is not None
    assert found.prediction.user_tok_s.low > 20
    assert found.left_bytes == LEDGER.free_bytes
    unknown = REQUEST.model_copy(update={"model": "nobody/knows-it"})
    assert forecaster.outlook(unknown, Workload("fixed", "", 512, 128, 1), "a") is None


async def test_the_table_asks_for_what_the_very_same_setup_told_and_forgets_it_there(store: SqliteStore) -> None:
    async with desk_with(store) as desk:
        desk.start(plan_of("a" * 16), 66.0)
        desk.start(plan_of("b" * 16, note="simulated vLLM"), 90.0)
        setup = desk.forecaster.setup(REQUEST)
        assert setup is not None
        real, simulated = (desk.corrections.for_setup(setup, is_simulated=one) for one in (False, True))
        assert real is not None
        assert simulated is not None
        assert (real.weights_factor, simulated.weights_factor) == (1.1, 1.5)
        others = (
            replace(setup, kv_dtype="fp8"),
            replace(setup, build=Build("eager", "Eager")),
            replace(setup, weights=replace(setup.weights, repo="somebody/else")),
            replace(setup, engine=replace(setup.engine, key="sglang")),
        )
        assert [desk.corrections.for_setup(one, is_simulated=False) for one in others] == [None] * 4
        assert desk.corrections.for_setup(replace(setup, kv_dtype="bf16"), is_simulated=False) == real
        await desk.corrections.apply_correction(real, False)
        forgotten = desk.corrections.for_setup(setup, is_simulated=False)
        assert forgotten == replace(real, is_applied=False)
    async with desk_with(store) as later:
        assert later.corrections.for_setup(setup, is_simulated=False) == forgotten
