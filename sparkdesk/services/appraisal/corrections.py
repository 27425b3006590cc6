"""Keeps what starts taught about models, engines and builds, and applies it to the next plans.

The one rule: each start counts once; a person can take a correction back, and then it is kept and not applied. What a
simulated engine told corrects simulated plans only.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from sparkdesk.core.errors import StoreError
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.appraisal.ledger_truth import (
    StartFigures,
    correct_plan,
    correction_problems,
    figures_of,
    is_corrected,
    learn,
    truth_rows,
)
from sparkdesk.core.jobs.plan import LaunchPlan, MemoryLedger, Problem
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.jobs.truth import Correction, TruthRow
from sparkdesk.core.models.spec import WeightFormat
from sparkdesk.core.planning.launch.request import STOCK
from sparkdesk.core.planning.search.combination import plain_cache
from sparkdesk.core.planning.setup import Setup
from sparkdesk.core.ports import Store
from sparkdesk.services.appraisal.forecaster import Forecaster
from sparkdesk.services.tasks import Tasks

log = logging.getLogger(__name__)

KIND = "correction"
SCHEMA = 1
KEPT_STARTS = 20
KEPT_PLANS = 200
SIMULATED = "simulated"
KV_MARK = " kv "
"""Before the cache's type in a correction's model."""
Key = tuple[str, str, str]


@dataclass(slots=True)
class _Record:
    """The last starts of one model, engine and build."""

    starts: tuple[StartFigures, ...] = ()
    is_applied: bool = True


class Corrections:
    """Truth and corrections. `told_of` gives what a job's engine told in figures; `changed` counts up."""

    def __init__(
        self,
        *,
        tasks: Tasks,
        store: Store,
        jobs: Latest[tuple[JobStatus, ...]],
        plan_of: Callable[[str], LaunchPlan | None],
        told_of: Callable[[str], Mapping[str, float]],
        forecaster: Forecaster,
    ) -> None:
        self._tasks = tasks
        self._store = store
        self._jobs = jobs
        self._plan_of = plan_of
        self._told_of = told_of
        self._forecaster = forecaster
        self._records: dict[Key, _Record] = {}
        self._planned: dict[str, tuple[MemoryLedger, ...]] = {}
        """By job, what the planner itself said of plans that were corrected."""
        self._named: dict[str, tuple[tuple[str, WeightFormat] | None, ...]] = {}
        """By the words of a key, what the catalogue has of them: asked for every cell of a table."""
        self._heard: dict[str, dict[str, float]] = {}
        self._is_loaded = False
        self.changed: Latest[int] = Latest(0)
        self._subscription = jobs.subscribe(self._follow)

    async def load(self) -> None:
        """Take what earlier runs of the program kept. Raises StoreError."""
        for name, data in (await self._store.documents(KIND)).items():
            try:
                key, record = _read(data)
                self._records[key] = record
            except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
                log.warning("the correction %s is left out: %s", name, error)
        self._is_loaded = True
        self._tell()
        self._follow(self._jobs.value)

    def close(self) -> None:
        """Hear of no more jobs."""
        self._subscription.close()

    # What screens read --------------------------------------------------------------------------------------------

    def truth(self, job_id: str) -> tuple[TruthRow, ...]:
        """What the job's engine told beside its plan; () where the plan is not known or nothing was told."""
        plan = self._plan_of(job_id)
        if plan is None:
            return ()
        token_bytes = self._forecaster.token_bytes(plan.request)
        record = self._records.get(key_of(plan))
        others = tuple(one for one in record.starts if one.job_id != job_id) if record is not None else ()
        return truth_rows(plan, self._told_of(job_id), token_bytes=token_bytes, earlier=learn(key_of(plan), others))

    def correction(self, job_id: str) -> Correction | None:
        """What starts like this job's taught its next plans."""
        plan = self._plan_of(job_id)
        return self.correction_for(plan) if plan is not None else None

    def correction_for(self, plan: LaunchPlan) -> Correction | None:
        """What earlier starts taught about this plan's model, engine and build, applied or not."""
        record = self._records.get(key_of(plan))
        return None if record is None else learn(key_of(plan), record.starts, is_applied=record.is_applied)

    def knows(self, request: LaunchRequest) -> bool:
        """Whether starts like this one taught anything, on a real engine or a simulated one."""
        return any(key_for(request, is_simulated=one) in self._records for one in (False, True))

    def for_setup(self, setup: Setup, *, is_simulated: bool) -> Correction | None:
        """What starts of this very setup taught, applied or not: same weights, cache type, engine and build."""
        build = _build_word(setup.build.key, is_simulated=is_simulated)
        for key, record in self._records.items():
            if key[1:] != (setup.engine.key, build):
                continue
            words, _, kv_dtype = key[0].partition(KV_MARK)
            if plain_cache(kv_dtype) == plain_cache(setup.kv_dtype) and self._is_of(words, setup):
                return learn(key, record.starts, is_applied=record.is_applied)
        return None

    def _is_of(self, words: str, setup: Setup) -> bool:
        """Whether a launch of this model (and format, after a blank) loads the setup's weights."""
        if words not in self._named:
            head, _, tail = words.rpartition(" ")
            pairs = ((words, ""), (head, tail))
            self._named[words] = tuple(self._forecaster.weights(*pair) for pair in pairs if pair[0])
        return (setup.spec.name, setup.weights) in self._named[words]

    def correct(self, plan: LaunchPlan) -> LaunchPlan:
        """A new plan with what was learned, visibly; the same where nothing was, or it was taken back."""
        correction = self.correction_for(plan)
        if correction is None or is_corrected(plan):
            return plan
        corrected = correct_plan(plan, correction, takes_share=self._takes_share(plan.request.engine))
        if corrected is not plan:
            self._planned[plan.job_id] = plan.ledgers
            while len(self._planned) > KEPT_PLANS:
                del self._planned[next(iter(self._planned))]
        return corrected

    def _takes_share(self, engine: str) -> bool:
        """Whether the engine takes a part of the node's memory that it is given, and not what it needs."""
        profile = self._forecaster.profile(engine)
        return profile is not None and profile.memory_fraction is not None

    def problems(self, plan: LaunchPlan) -> tuple[Problem, ...]:
        """What the correction of this plan (as the adapter made it) changes about whether it fits."""
        return correction_problems(plan, self.correct(plan))

    async def set_correction(self, job_id: str, is_applied: bool) -> None:
        """Apply what was learned to the next plans like this job's, or take it back. Raises StoreError."""
        plan = self._plan_of(job_id)
        record = self._records.get(key_of(plan)) if plan is not None else None
        if plan is not None and record is not None:
            await self.apply_correction(Correction(*key_of(plan), starts=0), is_applied)

    async def apply_correction(self, correction: Correction, is_applied: bool) -> None:
        """The same where no job is at hand, of a correction as it was told. Raises StoreError."""
        key = (correction.model, correction.engine, correction.build)
        record = self._records.get(key)
        if record is not None:
            record.is_applied = is_applied
            self._tell()
            await self._save(key, record)

    # Learning -----------------------------------------------------------------------------------------------------

    def _follow(self, jobs: tuple[JobStatus, ...]) -> None:
        if self._is_loaded:
            for job in jobs:
                if job.state is JobState.READY and not job.account:
                    self._take(job.job_id)

    def _take(self, job_id: str) -> None:
        plan = self._plan_of(job_id)
        told = dict(self._told_of(job_id)) if plan is not None else {}
        if plan is None or not told or self._heard.get(job_id) == told:
            return
        self._heard[job_id] = told
        if is_corrected(plan):
            # It is held against the planner's own figures: against corrected ones, corrections would wander.
            if job_id not in self._planned:
                return
            plan = replace(plan, ledgers=self._planned[job_id])
        token_bytes, takes_share = self._forecaster.token_bytes(plan.request), self._takes_share(plan.request.engine)
        figures = figures_of(plan, told, takes_share=takes_share, token_bytes=token_bytes)
        key = key_of(plan)
        known = self._records[key].starts if key in self._records else ()
        if learn(key, (figures,)) is None or any(_is_same(figures, one) for one in known):
            return
        others = tuple(one for one in known if one.job_id != job_id)
        record = self._records.setdefault(key, _Record())
        record.starts = (*others, figures)[-KEPT_STARTS:]
        self._tell()
        self._tasks.start(self._save_quietly, key, record)

    async def _save_quietly(self, key: Key, record: _Record) -> None:
        try:
            await self._save(key, record)
        except StoreError as error:
            log.warning("what a start taught is not kept: %s", error.sentence())

    async def _save(self, key: Key, record: _Record) -> None:
        rows = [{name: _told(value) for name, value in asdict(one).items()} for one in record.starts]
        data = {"schema": SCHEMA, "key": list(key), "is_applied": record.is_applied, "starts": rows}
        await self._store.save_document(KIND, "\n".join(key), json.dumps(data, allow_nan=False).encode())

    def _tell(self) -> None:
        self.changed.set(self.changed.value + 1)


def key_of(plan: LaunchPlan) -> Key:
    """Model, engine and build of a plan."""
    return key_for(plan.request, is_simulated=bool(plan.endpoint.note))


def key_for(request: LaunchRequest, *, is_simulated: bool) -> Key:
    """Weights of another format are another model, a simulated engine is another build."""
    cache = f"{KV_MARK}{request.kv_dtype}" if request.kv_dtype else ""
    model = f"{request.model} {request.quantization}".strip() + cache
    return model, request.engine, _build_word(request.build, is_simulated=is_simulated)


def _build_word(build: str, *, is_simulated: bool) -> str:
    word = build or STOCK
    return f"{word} ({SIMULATED})" if is_simulated else word


def _is_same(one: StartFigures, other: StartFigures) -> bool:
    """NaN is NaN: a start whose figures were taken already."""
    return [_told(value) for value in asdict(one).values()] == [_told(value) for value in asdict(other).values()]


def _read(data: bytes) -> tuple[Key, _Record]:
    found = json.loads(data)
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise ValueError("not a stored correction of this schema")
    model, engine, build = (str(word)[:600] for word in found["key"])
    starts = tuple(_start(row) for row in found["starts"][-KEPT_STARTS:])
    return (model, engine, build), _Record(starts, bool(found["is_applied"]))


def _start(row: Mapping[str, Any]) -> StartFigures:
    names = ("weights_factor", "kv_factor", "runtime_bytes", "load_s")
    weights, kv, runtime, load = (math.nan if row[name] is None else float(row[name]) for name in names)
    return StartFigures(str(row["job_id"])[:64], weights, kv, runtime, load)


def _told(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value
