"""All ways to serve one model on a place, each with its figures, in the order of their merit.

What is listed, as a rule: every valid engine x format x division over one to all nodes, plain (the engine's first
build, a 16 bit cache, no speculation, or what is fixed). Of the leading ones, and of those that only just do not fit,
also what comes of an 8 bit cache, a speculative method and another build; of these a variant is left out when it is
no better in anything than the plain one.

The one rule: pure and total. A question that has problems gets no rows; `question_problems` says why.
"""

from __future__ import annotations

from dataclasses import replace

from sparkdesk.core.jobs.plan import Fit, Problem, Severity
from sparkdesk.core.planning.combination import (
    choose_nodes,
    counts_of,
    pairs,
    question_problems,
    setups,
    valid_divisions,
)
from sparkdesk.core.planning.cost import cost_of
from sparkdesk.core.planning.ledger import ledgers, max_concurrency, max_context_tokens, memory_problems, worst_fit
from sparkdesk.core.planning.neighbour import busyness_words, neighbours_of, predict_shared, tolls
from sparkdesk.core.planning.performance import predict
from sparkdesk.core.planning.place import Place
from sparkdesk.core.planning.quality import quality_of
from sparkdesk.core.planning.question import Question, context_problem
from sparkdesk.core.planning.ranking import FITTING, TIE, least_free, order, rank
from sparkdesk.core.planning.reference import Reference
from sparkdesk.core.planning.row import PlanRow
from sparkdesk.core.planning.setup import Setup

LEADERS = 8
"""Plain rows whose variants are tried: so many of the leading ones, and so many that miss least memory; of those that
differ in the engine alone the first."""
ADVISED = 8
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
    makes: list[tuple[PlanRow, list[Setup]]] = []
    for engine, weights in pairs(question, reference):
        for count in counts_of(question):
            place = choose_nodes(question.place, count, weights.repo)
            for division in valid_divisions(question, engine, count):
                plain, others = setups(question, engine, weights, division)
                makes.append((make_row(question, plain, place, reference), others))
    rows = [*(row for row, _ in makes), *_variants(question, makes, reference)]
    return _advised(rank(rows, question.goal, is_build_fixed=bool(question.limits.build)))


def best_row(question: Question, reference: Reference) -> PlanRow | None:
    """The first of `plan_rows`."""
    return next(iter(plan_rows(question, reference)), None)


def make_row(question: Question, setup: Setup, place: Place, reference: Reference) -> PlanRow:
    """One setup with all its figures; its rank is not decided yet, nor what would make it fit."""
    load = question.workload
    room = ledgers(setup, load, place)
    alone = predict(setup, load, place, reference)
    too_long = context_problem(setup.spec, load)
    problems = () if too_long is None else (too_long,)
    if not setup.engine.is_launchable:
        problems = (*problems, NO_ADAPTER)
    row = PlanRow(
        rank=0,
        setup=setup,
        place=place,
        workload=load,
        ledgers=room,
        max_context_tokens=max_context_tokens(setup, load, place),
        max_concurrency=max_concurrency(setup, load, place),
        alone=alone,
        quality=quality_of(setup.weights, setup.kv_dtype),
        fit=worst_fit(room),
        problems=problems,
    )
    if neighbours_of(place):
        if silence := busyness_words(place):
            note = Problem(
                Severity.NOTE, silence, "The figures are those of this launch alone; it may be slower.", "nodes"
            )
            row = replace(row, problems=(*row.problems, note))
        shared = predict_shared(place, alone, lambda share: predict(setup, load, place, reference, share=share))
        row = replace(row, shared=shared, tolls=tolls(place, alone))
    return replace(row, cost=cost_of(row.shown, load, place, reference.devices, question.prices))


def _advised(rows: tuple[PlanRow, ...]) -> tuple[PlanRow, ...]:
    """The rows, with what would make those fit that do not: of the nearest ones, for each is planned anew for that."""
    found, advised = [], 0
    for row in rows:
        if row.fit in FITTING:
            found.append(row)
            continue
        advised += 1
        if advised <= ADVISED or row.fit is Fit.UNKNOWN:
            more = memory_problems(row.setup, row.workload, row.place, row.ledgers)
        else:
            more = (_short_problem(row),)
        found.append(replace(row, problems=(*row.problems, *more)))
    return tuple(found)


def _short_problem(row: PlanRow) -> Problem:
    left = (least_free(row) or 0) / (1 << 30)
    words = f"It needs {-left:.1f} GiB more than there is on a node"
    if row.fit is Fit.RISKY:
        words = f"Only {left:.1f} GiB would be left on a node: it may freeze"
    return Problem(Severity.WARNING, words, "Take one of the plans that stand before it.", "quantization")


def _variants(question: Question, makes: list[tuple[PlanRow, list[Setup]]], reference: Reference) -> list[PlanRow]:
    """The variants worth a line, of the leading plain rows and of those that miss least."""
    others = {id(row): variants for row, variants in makes if variants}
    plain = order([row for row, _ in makes], question.goal, is_build_fixed=True)
    ways = {(row.setup.weights.key, row.setup.parallelism): row for row in reversed(plain)}
    leading = [row for row in plain if ways[row.setup.weights.key, row.setup.parallelism] is row]
    fitting = [row for row in leading if row.fit in FITTING][:LEADERS]
    missing = [row for row in leading if row.fit in (Fit.RISKY, Fit.TOO_BIG)][:LEADERS]
    found = []
    for row in (*fitting, *missing):
        for setup in others.get(id(row), []):
            if row.fit not in FITTING and setup.kv_dtype == row.setup.kv_dtype:
                continue  # only a smaller cache can make it fit
            variant = make_row(question, setup, row.place, reference)
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
