"""All ways to serve one model on a place, each with its figures, in the order of their merit.

What is listed, as a rule: every valid engine x format x division over one to all nodes, plain (the engine's first
build, a 16 bit cache, no speculation, or what is fixed). Of the leading ones, and of those that miss least memory, also
the same with an 8 bit cache, with each speculative method, with each other build; of these a variant is left out when
it is no better in anything than the plain one. Whatever is fixed in the question is listed, better or not.

The one rule: pure and total. A question that has problems gets no rows; `question_problems` says why.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NamedTuple

from sparkdesk.core.jobs.plan import Fit, MemoryLedger, Problem, Severity
from sparkdesk.core.planning.cost import cost_of
from sparkdesk.core.planning.launch.preflight import name_problems
from sparkdesk.core.planning.memory.ledger import (
    kept_bytes,
    ledgers,
    max_concurrency,
    max_context_tokens,
    memory_problems,
    worst_fit,
)
from sparkdesk.core.planning.neighbour import busyness_words, neighbours_of, predict_shared, tolls
from sparkdesk.core.planning.place import Place
from sparkdesk.core.planning.prediction import Prediction
from sparkdesk.core.planning.quality import quality_of
from sparkdesk.core.planning.reference import Reference
from sparkdesk.core.planning.row import PlanRow, Toll
from sparkdesk.core.planning.search.checkpoint import checkpoint_note
from sparkdesk.core.planning.search.combination import (
    choose_nodes,
    counts_of,
    pairs,
    question_problems,
    setups,
    valid_divisions,
)
from sparkdesk.core.planning.search.question import Question, context_problem
from sparkdesk.core.planning.search.ranking import FITTING, TIE, order, rank
from sparkdesk.core.planning.setup import Setup
from sparkdesk.core.planning.share import Share
from sparkdesk.core.planning.speed.performance import devices_of, predict

LEADERS = 8
"""Plain rows whose variants are tried: so many of the leading ones, and so many that miss least memory; of those that
differ in the engine alone the first."""
ADVISED = 6
"""Rows that do not fit of which what would make them fit is found out; the others say what is missing."""
NO_ADAPTER = Problem(
    Severity.NOTE,
    "SparkDesk cannot launch this engine itself yet",
    "Export the plan, or choose vLLM or llama.cpp.",
    "engine",
)


def plan_rows(question: Question, reference: Reference) -> tuple[PlanRow, ...]:
    """The ranked rows, fitting first, then what does not fit with its reason; () where the question has problems."""
    if question_problems(question, reference):
        return ()
    search = _Search(question, reference)
    plain_rows: list[tuple[PlanRow, list[Setup]]] = []
    for count in counts_of(question):
        for engine, weights in pairs(question, reference):
            place = search.place(count, weights.repo)
            for division in valid_divisions(question, engine, count):
                plain, others = setups(question, engine, weights, division)
                plain_rows.append((search.row(plain, place), others))
    rows = [*(row for row, _ in plain_rows), *_variants(search, plain_rows)]
    ranked = rank(rows, question.goal, is_build_fixed=bool(question.limits.build))
    return _advised(ranked, question.whole or question.place)


class _Memory(NamedTuple):
    """What a setup takes of its nodes."""

    ledgers: tuple[MemoryLedger, ...]
    fit: Fit
    max_context_tokens: int | None
    max_concurrency: int | None


class _Search:
    """Makes the rows of one question. Engines that take the same memory share the arithmetic of it."""

    def __init__(self, question: Question, reference: Reference) -> None:
        self.question, self.reference = question, reference
        too_long = context_problem(question.spec, question.workload)
        self._problems = () if too_long is None else (too_long,)
        self._places: dict[tuple[str, ...], Place] = {}
        self._memory: dict[tuple[object, ...], _Memory] = {}

    def place(self, count: int, repo: str) -> Place:
        """The nodes for so many; one value for the same nodes."""
        place = choose_nodes(self.question.place, count, repo)
        return self._places.setdefault(tuple(node.node_id for node in place.nodes), place)

    def row(self, setup: Setup, place: Place) -> PlanRow:
        """One setup with all its figures; its rank is not decided yet, nor what would make it fit."""
        question, load = self.question, self.question.workload
        memory = self._memory_of(setup, place)
        alone = predict(setup, load, place, self.reference)
        shared: Prediction | None = None
        harmed: tuple[Toll, ...] = ()
        if neighbours_of(place):
            shared = predict_shared(place, alone, partial(self._shared, setup, place))
            harmed = tolls(place, alone)
        now = shared if shared is not None and shared.e2e_s.is_known else alone
        return PlanRow(
            rank=0,
            setup=setup,
            place=place,
            workload=load,
            ledgers=memory.ledgers,
            max_context_tokens=memory.max_context_tokens,
            max_concurrency=memory.max_concurrency,
            alone=alone,
            shared=shared,
            tolls=harmed,
            cost=cost_of(now, load, place, self.reference.devices, question.prices),
            quality=quality_of(setup.weights, setup.kv_dtype),
            fit=memory.fit,
            problems=(*self._problems, *self._notes(setup, place, alone)),
        )

    def _notes(self, setup: Setup, place: Place, alone: Prediction) -> list[Problem]:
        """What is to be known of a row before one trusts it; nothing that forbids it."""
        notes = list(self.question.notes)
        if (doubt := checkpoint_note(setup.spec, self.question.limits.format, setup.weights)) is not None:
            notes.append(doubt)
        if not setup.engine.is_launchable:
            notes.append(NO_ADAPTER)
        notes += name_problems(setup.weights)
        if not alone.is_fitted:
            titles = dict.fromkeys(device.title for device in devices_of(place, self.reference) if not device.is_fitted)
            words = f"Estimate, not fitted: nothing was measured on {' and '.join(titles)}"
            notes.append(Problem(Severity.NOTE, words, "The figures are a data sheet's; look at their bands.", "nodes"))
        if silence := busyness_words(place):
            remedy = "The figures are those of this launch alone; it may be slower."
            notes.append(Problem(Severity.NOTE, silence, remedy, "nodes"))
        return notes

    def _shared(self, setup: Setup, place: Place, share: Share) -> Prediction:
        return predict(setup, self.question.workload, place, self.reference, share=share)

    def _memory_of(self, setup: Setup, place: Place) -> _Memory:
        engine, load = setup.engine, self.question.workload
        # By identity: both live as long as this search, and comparing them by value would cost more than they save.
        key = (
            id(place),
            id(setup.weights),
            setup.parallelism,
            setup.kv_dtype,
            setup.speculative,
            engine.runtime_bytes,
            engine.memory_fraction is None,
            engine.share_of,
        )
        found = self._memory.get(key)
        if found is None:
            room = ledgers(setup, load, place)
            fit = worst_fit(room)
            left_bytes = kept_bytes(fit)
            context = max_context_tokens(setup, load, place, left_bytes=left_bytes)
            users = max_concurrency(setup, load, place, left_bytes=left_bytes)
            found = self._memory[key] = _Memory(room, fit, context, users)
        return found


def _advised(rows: tuple[PlanRow, ...], whole: Place) -> tuple[PlanRow, ...]:
    """The rows, with what would make those fit that do not: of the nearest ones, for each is planned anew for that."""
    found, advised = [], 0
    for row in rows:
        if row.fit in FITTING:
            found.append(row)
            continue
        advised += 1
        if advised <= ADVISED or row.fit is Fit.UNKNOWN:
            more = memory_problems(row.setup, row.workload, row.place, row.ledgers, whole)
        else:
            more = (_short_problem(row),)
        found.append(replace(row, problems=(*row.problems, *more)))
    return tuple(found)


def _short_problem(row: PlanRow) -> Problem:
    left = (row.least_free_bytes or 0) / (1 << 30)
    words = f"It needs {-left:.1f} GiB more than there is on a node"
    if row.fit is Fit.RISKY:
        words = f"Only {left:.1f} GiB would be left on a node: it may freeze"
    return Problem(Severity.WARNING, words, "Take one of the plans that stand before it.", "quantization")


def _variants(search: _Search, plain_rows: list[tuple[PlanRow, list[Setup]]]) -> list[PlanRow]:
    """The variants worth a line, of the leading plain rows and of those that miss least."""
    others = {id(row): variants for row, variants in plain_rows if variants}
    plain = order([row for row, _ in plain_rows], search.question.goal, is_build_fixed=True)
    ways = {(row.setup.weights.key, row.setup.parallelism): row for row in reversed(plain)}
    leading = [row for row in plain if ways[row.setup.weights.key, row.setup.parallelism] is row]
    fitting = [row for row in leading if row.fit in FITTING][:LEADERS]
    missing = [row for row in leading if row.fit in (Fit.RISKY, Fit.TOO_BIG)][:LEADERS]
    found = []
    for row in (*fitting, *missing):
        for setup in others.get(id(row), []):
            if row.fit not in FITTING and setup.kv_dtype == row.setup.kv_dtype:
                continue  # only a smaller cache can make it fit
            variant = search.row(setup, row.place)
            if _is_better_in_something(variant, row):
                found.append(variant)
    return found


def _is_better_in_something(variant: PlanRow, plain: PlanRow) -> bool:
    """Faster, fitting where the plain one does not, or with room for a longer context or more users."""
    if plain.fit not in FITTING:
        return variant.fit in FITTING
    if variant.fit not in FITTING:
        return False
    mine, theirs = variant.shown.e2e_s, plain.shown.e2e_s
    return (
        (mine.is_known and theirs.is_known and mine.value * TIE < theirs.value)
        or (variant.max_context_tokens or 0) > (plain.max_context_tokens or 0) * TIE
        or (variant.max_concurrency or 0) > (plain.max_concurrency or 0) * TIE
    )
