"""What stands in the way of a launch and can be mended with one click. Pure.

The one rule: nothing is stopped or changed by itself: each way out is a button that a person presses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.backend import NodeContext
from sparkdesk.core.jobs.fix import Fix, apply_fix
from sparkdesk.core.jobs.plan import Problem, Severity
from sparkdesk.core.jobs.request import LaunchRequest
from ui.launch.form import Form, load_request, place_of
from ui.launch.occasion.occasion import RunningJob

CACHE, REPLACE, TOKEN, FIX = "cache", "replace", "token", "fix"
_MOST_FIXES: Final = 2
"""Buttons beside one finding."""
_LAST_PORT: Final = 65_535
_TOKEN_ANSWERS: Final = ("no_token", "bad_token", "hidden")
"""Of core/planning/launch/hub_access: what a token of the hub in Settings mends."""


@dataclass(frozen=True, slots=True)
class Mend:
    """A button beside a finding: `kind` is one of the words above."""

    label: str
    kind: str
    value: str = ""
    fix: Fix | None = None
    """What it changes of the request."""


Mends = Mapping[str, tuple[Mend, ...]]
"""The ways out of each finding, by its message."""


def replace_problem(job: RunningJob) -> Problem:
    """What says that another server's place would do."""
    return Problem(Severity.NOTE, f"It fits in the place of {job.title}", f"{job.title} is stopped first, in one plan.")


def _needs_token(problem: Problem, request: LaunchRequest, node: NodeContext) -> bool:
    """Whether the hub's own no to this name is one that a token mends."""
    answer = node.hub_answers.get(getattr(request, problem.field), "")
    return problem.severity is Severity.ERROR and answer in _TOKEN_ANSWERS


def replacing(jobs: Sequence[RunningJob]) -> Mends:
    """A launch in place of each of these, by what says that it would do."""
    return {
        replace_problem(job).message: (Mend(f"Launch in place of {job.title}", REPLACE, job.job_id),) for job in jobs
    }


def take_fix(form: Form, request: LaunchRequest, fix: Fix) -> Form:
    """The form with the fix's changes of its request; each counts as the person's own. Raises PlanError."""
    known = load_request(apply_fix(request, fix))
    for name in {place_of(name) for name, _ in fix.change} - {""}:
        form = form.typed(name, getattr(known, name))
    return form if set(form.nodes) <= set(form.pool) else replace(form, pool=form.nodes)


def _fix_mends(fixes: Sequence[Fix], request: LaunchRequest, names: Mapping[str, str]) -> tuple[Mend, ...]:
    """A button for each of the best of these that can be made and that changes something."""
    found: list[Mend] = []
    for fix in fixes[:_MOST_FIXES]:
        try:
            after = apply_fix(request, fix)
        except PlanError:
            continue
        if after != request:
            found.append(Mend(_label_of(fix, after, names), FIX, fix=fix))
    return tuple(found)


def _label_of(fix: Fix, after: LaunchRequest, names: Mapping[str, str]) -> str:
    """A few words for a button, of the changes themselves."""
    said = {
        "memory_fraction": f"share {after.memory_fraction or 0.0:.2f}",
        "context_tokens": f"context {after.context_tokens:,}",
        "concurrency": f"{after.concurrency:,} at once",
        "kv_dtype": f"KV cache {after.kv_dtype}",
        "nodes": " and ".join(names.get(node_id, node_id) for node_id in after.nodes),
    }
    changed = [name for name, _ in fix.change]
    if changed == ["weights_path"]:
        return "Fetch it from the hub"
    return f"Take {', '.join(said[name] for name in changed)}" if set(changed) <= set(said) else "Change it so"


def mends_of(
    problems: Sequence[Problem], request: LaunchRequest | None, contexts: Sequence[NodeContext], *, can_run: bool
) -> Mends:
    """The ways out of each finding that has one. `can_run`: a step can be shown and run from here."""
    found: dict[str, tuple[Mend, ...]] = {}
    node = next((each for each in contexts if request and each.record.id == request.nodes[0]), None)
    if request is None or node is None:
        return found
    names = {each.record.id: each.record.name for each in contexts}
    for problem in problems:
        if problem.field == "port" and problem.severity is Severity.ERROR and request.port in node.used_ports:
            used = node.used_ports
            free = next((port for port in range(request.port + 1, _LAST_PORT + 1) if port not in used), None)
            if free is not None:
                found[problem.message] = (_change(f"Take port {free}", "port", free),)
        elif problem.field == "page_cache" and can_run:
            found[problem.message] = (Mend("Drop the page cache first", CACHE, node.record.id),)
        elif problem.field in ("model", "speculative_model") and _needs_token(problem, request, node):
            found[problem.message] = (Mend("Open Settings", TOKEN),)
        elif problem.field == "weights_from" and problem.severity is Severity.ERROR:
            found[problem.message] = (_change("Bring them from this computer", "weights_from", "desk"),)
        elif problem.field == "image" and problem.severity is Severity.ERROR and request.image:
            found[problem.message] = (_change("Take the usual image", "image", ""),)
        elif ways := _fix_mends(problem.fixes, request, names):
            found[problem.message] = ways
    return found


def _change(label: str, field: str, value: object) -> Mend:
    return Mend(label, FIX, fix=Fix(label, ((field, value),)))
