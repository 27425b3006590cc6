"""What can these Sparks run: every model of the catalogue against one, two, three and four nodes.

A cell is the best plan on up to so many nodes, so more nodes never look worse than fewer. Engines that SparkDesk can
launch come first: another engine speaks only where none of them runs the model.
The one rule: nodes that the person does not have may be asked for, and are marked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from sparkdesk.core.jobs.plan import Fit, MemoryLedger
from sparkdesk.core.jobs.truth import Correction
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.figure import UNKNOWN, Figure
from sparkdesk.core.planning.memory.ledger import ledgers, worst_fit
from sparkdesk.core.planning.neighbour import neighbours_of, predict_shared, tolls
from sparkdesk.core.planning.place import Place, widen_place
from sparkdesk.core.planning.prediction import UNKNOWN_PREDICTION, MeasuredCase, Prediction
from sparkdesk.core.planning.quality import quality_of
from sparkdesk.core.planning.reference import Reference
from sparkdesk.core.planning.row import PlanRow
from sparkdesk.core.planning.search.combination import choose_nodes, pairs, setups, valid_divisions
from sparkdesk.core.planning.search.learned import Learned, learned_context, learned_ledgers, nothing_learned
from sparkdesk.core.planning.search.question import Question
from sparkdesk.core.planning.search.ranking import FITTING, order
from sparkdesk.core.planning.setup import Setup
from sparkdesk.core.planning.share import Share
from sparkdesk.core.planning.speed.performance import predict
from sparkdesk.core.planning.workload import CHAT, Workload

NODE_COUNTS = (1, 2, 3, 4)
_Known = tuple[Reference, Learned]


class Verdict(StrEnum):
    """Whether a model runs on so many nodes."""

    FITS = "fits"
    RISKY = "risky"
    """It may freeze a node."""
    NO = "no"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Cell:
    """One model on up to `nodes` nodes. `quantization`, speed and context are of the plan that was chosen."""

    nodes: int
    is_owned: bool
    """False: the person has fewer."""
    verdict: Verdict
    used_nodes: int = 0
    """May be fewer: more would not make it faster, or cannot divide it."""
    engine: str = ""
    quantization: str = ""
    parallelism: str = ""
    user_tok_s: Figure = UNKNOWN
    """Of one user."""
    max_context_tokens: int | None = None
    missing_bytes: int | None = None
    """Of NO: what is too little on the fullest node of the plan that misses least."""
    repo: str = ""
    is_repo_recalled: bool = False
    """Nobody looked up whether there is a repository of that name."""
    fit: Fit = Fit.UNKNOWN
    """The verdict's own word."""
    node_ids: tuple[str, ...] = ()
    """Of the plan that was chosen, in rank order; those that are not owned have ids that no node has."""
    ledger: MemoryLedger | None = None
    """Of that plan's fullest node."""
    leans_on: MeasuredCase | None = None
    """The nearest measured case of its speed; None: none is near, or nothing was predicted."""
    learned: Correction | None = None
    """What earlier starts of this very plan told of its memory; where it is applied, fit, context and ledger are so."""
    planned: MemoryLedger | None = None
    """Of the same node as `ledger`, by the planner alone; None where nothing was learned."""


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model of the catalogue."""

    spec: ModelSpec
    cells: tuple[Cell, ...]

    @property
    def purposes(self) -> tuple[str, ...]:
        """What it is for."""
        return self.spec.purposes

    def cell(self, nodes: int) -> Cell | None:
        """The cell of this node count."""
        return next((cell for cell in self.cells if cell.nodes == nodes), None)


def models_table(
    specs: Sequence[ModelSpec],
    place: Place,
    reference: Reference,
    node_counts: Sequence[int] = NODE_COUNTS,
    *,
    workload: Workload = CHAT,
    learned: Learned = nothing_learned,
) -> tuple[ModelRow, ...]:
    """One row for each model, in their order; speed and context are those of one user of `workload`."""
    counts = tuple(sorted({count for count in node_counts if count >= 1}))
    load = replace(workload, users=1)
    owned = sum(node.is_owned for node in place.nodes)
    places = {count: choose_nodes(widen_place(place, count), count) for count in range(1, max(counts, default=0) + 1)}
    questions = (Question(spec, load, place) for spec in specs)
    return tuple(ModelRow(one.spec, _cells(one, counts, places, owned, (reference, learned))) for one in questions)


def _cells(
    question: Question, counts: tuple[int, ...], places: dict[int, Place], owned: int, known: _Known
) -> tuple[Cell, ...]:
    rows: list[PlanRow] = []
    cells = []
    for count, place in places.items():
        rows += _rows(replace(question, place=place), known)
        if count in counts:
            cells.append(_cell(question, rows, count, count <= owned, known[1]))
    return tuple(cells)


def _rows(question: Question, known: _Known) -> list[PlanRow]:
    """The plain setups on exactly the question's nodes, as far as the table needs them.

    What does not fit gets no prediction: its speed is shown nowhere, and a whole catalogue must answer at once.
    """
    reference, learned = known
    found = pairs(question, reference)
    able = [pair for pair in found if pair[0].is_launchable] or found
    load, place = question.workload, question.place
    has_neighbours = bool(neighbours_of(place))
    rows = []
    for engine, weights in able:
        for division in valid_divisions(question, engine, len(place.nodes)):
            setup = setups(question, engine, weights, division)[0]
            room = learned_ledgers(setup, load, place, learned(setup))
            fit = worst_fit(room)
            alone = UNKNOWN_PREDICTION if fit is Fit.TOO_BIG else predict(setup, load, place, reference)
            row = PlanRow(0, setup, place, load, room, None, None, alone, quality=quality_of(weights), fit=fit)
            if has_neighbours and fit is not Fit.TOO_BIG:
                shared = predict_shared(place, alone, _predictor(row, reference))
                row = replace(row, shared=shared, tolls=tolls(place, alone))
            rows.append(row)
    return rows


def _predictor(row: PlanRow, reference: Reference) -> Callable[[Share], Prediction]:
    return lambda share: predict(row.setup, row.workload, row.place, reference, share=share)


def _cell(question: Question, rows: list[PlanRow], count: int, is_owned: bool, learned: Learned) -> Cell:
    best = next(iter(order(rows, question.goal, is_build_fixed=True)), None)
    if best is None:
        return Cell(count, is_owned, Verdict.NO if question.spec.formats else Verdict.UNKNOWN)
    setup = best.setup
    left = best.least_free_bytes
    is_too_big = best.fit is Fit.TOO_BIG
    correction, context = learned(setup), None
    if not is_too_big:
        context = learned_context(setup, question.workload, best.place, correction, best.fit)
    fullest = min(best.ledgers, key=_free_bytes, default=None)
    return Cell(
        nodes=count,
        is_owned=is_owned,
        verdict=_verdict(best.fit),
        used_nodes=len(best.place.nodes),
        engine=setup.engine.key,
        quantization=setup.weights.key,
        parallelism=setup.parallelism.label,
        user_tok_s=best.shown.user_tok_s,
        max_context_tokens=context,
        missing_bytes=-left if is_too_big and left is not None else None,
        repo=setup.weights.repo,
        is_repo_recalled=setup.weights.is_repo_recalled,
        fit=best.fit,
        node_ids=tuple(node.node_id for node in best.place.nodes),
        ledger=fullest,
        leans_on=next(iter(best.shown.leans_on), None),
        learned=correction,
        planned=_planned(setup, question.workload, best.place, fullest) if correction is not None else None,
    )


def _planned(setup: Setup, load: Workload, place: Place, fullest: MemoryLedger | None) -> MemoryLedger | None:
    """What the planner alone says of the fullest node."""
    ids = [one.node_id for one in (fullest,) if one is not None]
    return next((one for one in ledgers(setup, load, place) if one.node_id in ids), None)


def _free_bytes(ledger: MemoryLedger) -> float:
    return math.inf if ledger.free_bytes is None else ledger.free_bytes


def _verdict(fit: Fit) -> Verdict:
    if fit in FITTING:
        return Verdict.FITS
    return {Fit.RISKY: Verdict.RISKY, Fit.TOO_BIG: Verdict.NO}.get(fit, Verdict.UNKNOWN)
