"""What the column shows at this moment: whose figures, whose memory, how it all is judged, or why there is nothing.

The one rule: verdict, ledgers and table speak of one plan; what is no longer of the form is marked as old. QtCore free.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sparkdesk.core.jobs.plan import Fit, LaunchPlan, MemoryLedger, Problem, Severity
from sparkdesk.core.planning.memory.ledger import worst_fit
from sparkdesk.core.planning.row import PlanRow
from ui import text
from ui.jobs.mark import Mark
from ui.launch.model import LaunchModel
from ui.launch.occasion.mend import replace_problem
from ui.launch.plan import words
from ui.launch.plan.problem_list import ProblemLine, problem_lines
from ui.launch.preview import FIT_ICONS, FIT_KINDS, PLAN_ONLY

_TOGETHER = "Of the engine's share, how much weights and KV cache take is not known"
_NO_FIGURES = "No speed can be said: "


@dataclass(frozen=True, slots=True)
class Shown:
    """One look of the column."""

    row: PlanRow | None
    """Whose figures: the form's own, or the last ones of it."""
    is_old: bool
    """The form has errors since: the figures are those of before."""
    ledgers: tuple[MemoryLedger, ...]
    chips: tuple[Mark, ...]
    note: str
    """Why there are no figures, or whose they are; "" where they are the form's."""
    problems: tuple[ProblemLine, ...]
    is_computing: bool = False
    basis: str = ""
    """What the ledgers count, where that leaves something else than the table says, or where it refuses the launch."""
    is_refused: bool = False
    """Memory forbids the launch: the ledgers are the sum that does."""
    is_memory_old: bool = False
    """The ledgers are those of before."""


def look_at(model: LaunchModel, last: PlanRow | None) -> Shown:
    """What to show of the model now. `last` is the row that was shown before."""
    preview, row = model.preview, model.row
    if preview.compute_ms <= 0:
        return Shown(None, False, (), (), "Computing the plan.", (), is_computing=True)
    kept = last if row is None and _is_of_the_form(model, last) else None
    is_old = kept is not None or bool(model.load_errors and row is None)
    shown = row or kept
    plan = preview.plan
    refused = () if plan is not None else _refused(preview.problems)
    ledgers = plan.ledgers if plan is not None else refused or (shown.ledgers if shown is not None else ())
    notes = list(plan.notes) if plan is not None else []
    if any(ledger.undivided_bytes is not None for ledger in ledgers):
        notes.append(_TOGETHER)
    offered = [replace_problem(job) for job in preview.replaceable]
    problems = problem_lines(
        (*preview.problems, *offered, *(row.problems if row is not None else ())), preview.errors, notes
    )
    # Memory of a plan that would run is of now, whatever the load says.
    is_of_now = plan is not None or bool(refused) or not is_old
    fit = worst_fit(ledgers) if ledgers and is_of_now else None
    is_plan_only = bool(preview.plan_only)
    chips = _chips(fit, problems, len({*preview.errors, *model.load_errors}), is_plan_only=is_plan_only)
    note = _note(model, shown, is_old=is_old)
    said = words.need_sentence(refused[0], model.node_name(refused[0].node_id)) if refused else _basis(plan, row)
    return Shown(
        shown, is_old, ledgers, chips, note, problems, basis=said, is_refused=bool(refused), is_memory_old=not is_of_now
    )


def _refused(problems: Iterable[Problem]) -> tuple[MemoryLedger, ...]:
    """The arithmetic of what forbids the launch, where memory does: no plan can show it."""
    return next((each.ledgers for each in problems if each.severity is Severity.ERROR and each.ledgers), ())


def _basis(plan: LaunchPlan | None, row: PlanRow | None) -> str:
    """The launch holds its requests at its context, the table the users of the load: said where one sees it."""
    if plan is None or row is None:
        return ""
    pairs = zip(plan.ledgers, row.ledgers, strict=False)
    is_seen = any(text.memory(ours.free_bytes) != text.memory(its.free_bytes) for ours, its in pairs)
    return words.basis_sentence(plan.request, row) if is_seen else ""


def _is_of_the_form(model: LaunchModel, last: PlanRow | None) -> bool:
    """Whether figures of before still are worth a look: the same model, and a form that cannot be read just now."""
    if last is None or not model.form.nodes or not (model.load_errors or model.preview.request is None):
        return False
    spec = model.spec()
    return spec is not None and spec.name == last.setup.spec.name


def _note(model: LaunchModel, row: PlanRow | None, *, is_old: bool) -> str:
    if is_old:
        return "The form has errors: the speed is that from before. Mend what is marked."
    if row is not None:
        return ""
    if not model.feeds.contexts.value:
        return _NO_FIGURES + "no node is live. Add a node, or wait until one answers."
    if not model.form.nodes:
        return _NO_FIGURES + "no node is chosen. Choose one in the form."
    if model.rows_note:
        return model.rows_note
    spec = model.spec()
    if spec is None or not spec.layers:
        return _NO_FIGURES + "the shape of this model is not known. Its config.json is needed."
    return _NO_FIGURES + "the planner has no plan for this form."


def _chips(fit: Fit | None, problems: tuple[ProblemLine, ...], errors: int, *, is_plan_only: bool) -> tuple[Mark, ...]:
    chips = []
    if fit is not None:
        warnings = sum(severity == Severity.WARNING.value for severity, _, _ in problems)
        chips.append(_fit_chip(fit, warnings))
    if errors:
        chips.append(Mark("1 error" if errors == 1 else f"{errors} errors", "crit", "octagon-alert"))
    elif is_plan_only:
        chips.append(PLAN_ONLY)
    return tuple(chips)


def _fit_chip(fit: Fit, warnings: int) -> Mark:
    words, kind = fit.value, FIT_KINDS[fit]
    if warnings and fit in (Fit.FITS, Fit.TIGHT):
        return Mark(f"{words} with {warnings} {'warning' if warnings == 1 else 'warnings'}", "warn", "triangle-alert")
    return Mark(words, kind, FIT_ICONS.get(kind))
