"""What a launch of the form would do: the plan that would run, or why there is none. Pure.

The one rule: an error stands at its field; without a request there is nothing to ask the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sparkdesk.core.cluster.rank import ranked
from sparkdesk.core.errors import SparkDeskError
from sparkdesk.core.jobs.plan import Fit, LaunchPlan, Problem, Severity
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.planning.launch.preflight import ONE_NODE_ONLY
from sparkdesk.core.planning.launch.request import SMALL_PURPOSES, workload_of
from sparkdesk.core.planning.memory.ledger import fraction_for
from sparkdesk.core.planning.row import PlanRow
from sparkdesk.core.playbooks.switch import with_load_timeout
from ui import text
from ui.jobs.mark import Mark, MarkKind
from ui.launch.feeds import LaunchFeeds
from ui.launch.form import Form, place_of, read_form, titles_of
from ui.launch.occasion.occasion import RunningJob
from ui.launch.serving.fields import read_patience

FIT_KINDS: dict[Fit, MarkKind] = {
    Fit.FITS: "ok",
    Fit.TIGHT: "warn",
    Fit.RISKY: "warn",
    Fit.TOO_BIG: "crit",
    Fit.UNKNOWN: "neutral",
}
FIT_ICONS: dict[MarkKind, str] = {"ok": "circle-check", "neutral": "circle-help"}
PLAN_ONLY = Mark("Plan only", "neutral", "eye")
MOST_REPLACED = 3
_WORST = (Fit.TOO_BIG, Fit.RISKY, Fit.UNKNOWN, Fit.TIGHT, Fit.FITS)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a launch of the form would do, or why it cannot be."""

    request: LaunchRequest | None = None
    plan: LaunchPlan | None = None
    errors: Mapping[str, str] = field(default_factory=dict)
    """By field: what forbids the launch; "" is the whole form."""
    hints: Mapping[str, str] = field(default_factory=dict)
    """By field: warnings and notes."""
    warnings: Mapping[str, str] = field(default_factory=dict)
    """By field: what is to be minded, of these."""
    problems: tuple[Problem, ...] = ()
    plan_only: str = ""
    """Why this can be looked at and exported but not started from here; it is nobody's mistake."""
    compute_ms: float = 0.0
    replaceable: tuple[RunningJob, ...] = ()
    """Servers of ours without which it would fit, or hold the node less tightly."""

    @property
    def fit(self) -> Fit:
        """The worst word of all nodes."""
        fits = {ledger.fit for ledger in self.plan.ledgers} if self.plan else {Fit.UNKNOWN}
        return next((fit for fit in _WORST if fit in fits), Fit.UNKNOWN)

    @property
    def needs_anyway(self) -> bool:
        """Whether the person must say that the risk is meant."""
        return self.plan is not None and self.fit in (Fit.RISKY, Fit.TOO_BIG)

    @property
    def verdict(self) -> Mark:
        """The chip beside the title."""
        if self.plan is None and self.plan_only and not self.errors:
            return PLAN_ONLY
        if self.plan is None:
            count = max(1, len(self.errors))
            return Mark("1 error" if count == 1 else f"{count} errors", "crit", "octagon-alert")
        warnings = sum(problem.severity is Severity.WARNING for problem in self.problems)
        words = self.fit.value
        kind = FIT_KINDS[self.fit]
        if warnings and self.fit in (Fit.FITS, Fit.TIGHT):
            words += f" with {warnings} {'warning' if warnings == 1 else 'warnings'}"
            kind = "warn"
        return Mark(words, kind, FIT_ICONS.get(kind))


UNKNOWN = Preview(
    errors={"": "What a launch of this would do could not be computed. Change the form, or open it anew."}
)
"""What stands while a form is computed, and afterwards where that went wrong."""


def make_preview(form: Form, feeds: LaunchFeeds, row: PlanRow | None = None, *, stop_job_id: str = "") -> Preview:
    """The preview of a form, its nodes in the cabling's order. `row` is the planner's own of this form.

    Errors of the form come first: without a request there is nothing to ask the engine. `stop_job_id` is stopped first.
    """
    # An earlier launch or a recipe may have been written for other cables.
    request, errors = read_form(replace(form, nodes=ranked(form.nodes, feeds.topology.value.rank_order)))
    if request is None:
        return Preview(errors=errors)
    request = take_share(request, row)
    reason = refuse_engine(request.engine, feeds)
    if reason:
        is_known = request.engine in feeds.engines
        return Preview(request, plan_only=reason) if is_known else Preview(request, None, {"engine": reason})
    problems = tuple(problems_of(request, feeds, stop_job_id))
    only = ""
    if ONE_NODE_ONLY in problems and len(request.nodes) > 1:
        only = f"{ONE_NODE_ONLY.message}. Look at the plan and export it, or choose one node."
        problems = tuple(each for each in problems if each != ONE_NODE_ONLY)
    found = replace(_by_field(problems), request=request, plan_only=only)
    if only:
        return found
    if found.errors:
        return found if stop_job_id else replace(found, replaceable=_replaceable(request, feeds))
    try:
        plan = feeds.switch_plan(stop_job_id, request) if stop_job_id and feeds.switch_plan else feeds.plan(request)
    except SparkDeskError as error:
        return replace(found, errors={"": error.sentence()})
    made = replace(found, plan=replace(plan, playbook=with_load_timeout(plan.playbook, read_patience(form))))
    return replace(made, replaceable=_replaceable(request, feeds)) if made.needs_anyway and not stop_job_id else made


def problems_of(request: LaunchRequest, feeds: LaunchFeeds, stop_job_id: str = "") -> list[Problem]:
    """What speaks against a request, once the job is stopped where one is named."""
    if stop_job_id and feeds.problems_without is not None:
        return feeds.problems_without(request, stop_job_id)
    return feeds.problems(request)


def _by_field(problems: tuple[Problem, ...]) -> Preview:
    errors: dict[str, str] = {}
    hints: dict[str, str] = {}
    warnings: dict[str, str] = {}
    for problem in problems:
        said = f"{text.one_line(problem.message, 300)}. {text.one_line(problem.remedy, 300)}"
        place = place_of(problem.field)
        (errors if problem.severity is Severity.ERROR else hints).setdefault(place, said)
        if problem.severity is Severity.WARNING:
            warnings.setdefault(place, said)
    return Preview(errors=errors, hints=hints, warnings=warnings, problems=problems)


def _replaceable(request: LaunchRequest, feeds: LaunchFeeds) -> tuple[RunningJob, ...]:
    """The servers on these nodes without which no error is left."""
    if feeds.problems_without is None or feeds.switch_plan is None:
        return ()
    found: list[RunningJob] = []
    for job in feeds.jobs_to_replace():
        if set(job.node_ids) & set(request.nodes) and len(found) < MOST_REPLACED:
            left = feeds.problems_without(request, job.job_id)
            if not any(each.severity is Severity.ERROR for each in left):
                found.append(job)
    return tuple(found)


def take_share(request: LaunchRequest, row: PlanRow | None) -> LaunchRequest:
    """The request with the least share of memory that holds it, for an engine that takes one: as the table counts.

    Where the planner knows no such share, the engine's default stays.
    """
    is_small = request.purpose in SMALL_PURPOSES  # the adapters have a small share of their own for it
    if row is None or is_small or request.memory_fraction is not None:
        return request
    share = row.setup.memory_fraction or fraction_for(row.setup, workload_of(request), row.place)
    return request if share is None else request.model_copy(update={"memory_fraction": share})


def refused_fields(form: Form, feeds: LaunchFeeds, stop_job_id: str = "") -> set[str]:
    """The fields at which the engine's adapter refuses a form; what cannot be read is not its business."""
    request, _ = read_form(form)
    if request is None or refuse_engine(request.engine, feeds):
        return set()
    return {
        place_of(each.field) for each in problems_of(request, feeds, stop_job_id) if each.severity is Severity.ERROR
    }


def refuse_engine(key: str, feeds: LaunchFeeds) -> str:
    """Why this engine cannot be started from here; "" where it can."""
    if any(info.key == key for info in feeds.backends):
        return ""
    profile = feeds.engines.get(key)
    if profile is None:
        return "There is no adapter for this engine. Choose another one."
    return f"SparkDesk cannot start {profile.title} yet. Look at its plan and export it, or choose another engine."


def blocker_of(preview: Preview, load_errors: Mapping[str, str], engine: str, *, is_anyway: bool) -> str:
    """Why the button is off, "" when it is on."""
    titles = titles_of(engine)
    if load_errors:
        name, words = next(iter(load_errors.items()))
        return f"{titles[name]}: {words}"
    if preview.errors:
        name, words = next(iter(preview.errors.items()))
        return f"{title}: {words}" if (title := titles.get(name, "")) else words
    if preview.plan_only:
        return preview.plan_only
    if preview.plan is None:
        return "Computing the plan"
    if preview.needs_anyway and not is_anyway:
        return "Switch on “Launch anyway”: the node may freeze"
    return ""
