"""Why the form is filled, and what stands in its way that can be mended with one click. Pure.

The one rule: nothing is stopped or changed by itself: each way out is a button that a person presses, in one plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sparkdesk.core.jobs.backend import NodeContext
from sparkdesk.core.jobs.plan import Problem, Severity
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.planning.place import Neighbour, NodeRoom, Place
from ui.launch.form import Form

PORT, CACHE, REPLACE, FIELD, TOKEN = "port", "cache", "replace", "field", "token"
_LAST_PORT: Final = 65_535
_TOKEN_ANSWERS: Final = ("no_token", "bad_token", "hidden")
"""Of core/planning/launch/hub_access: what a token of the hub in Settings mends."""


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A server of ours that could give its place."""

    job_id: str
    title: str
    node_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Occasion:
    """A plain launch has nothing in it."""

    stop_job_id: str = ""
    """The job that this launch takes the place of."""
    stop_title: str = ""
    fix_words: str = ""
    """What was changed after a failure: "Ask for 11,296 tokens of context instead of 131,072"."""
    fixed: frozenset[str] = frozenset()
    """The form's fields that the fix changed and that nobody edited since."""
    beside: Form | None = None
    """The form of the server that this one shall stand beside, to go back to."""


@dataclass(frozen=True, slots=True)
class Mend:
    """A button beside a finding: `kind` is one of the words above."""

    label: str
    kind: str
    value: str
    field: str = ""


def without_job(place: Place, job_id: str) -> Place:
    """The place as it will be once a job of ours is stopped: as far as it is known what it holds."""
    leaving = next((each for each in place.neighbours if each.job_id == job_id), None)
    if not job_id or leaving is None:
        return place
    nodes = tuple(_freed(room, leaving) for room in place.nodes)
    others = tuple(each for each in place.neighbours if each.job_id != job_id)
    return replace(place, nodes=nodes, neighbours=others)


def _freed(room: NodeRoom, leaving: Neighbour) -> NodeRoom:
    if room.node_id not in leaving.node_ids or room.available_bytes is None or leaving.bytes_held is None:
        return room
    most = room.total_bytes if room.total_bytes is not None else room.available_bytes + leaving.bytes_held
    return replace(room, available_bytes=min(room.available_bytes + leaving.bytes_held, most))


def replace_problem(job: RunningJob) -> Problem:
    """What says that another server's place would do."""
    return Problem(Severity.NOTE, f"It fits in the place of {job.title}", f"{job.title} is stopped first, in one plan.")


def _needs_token(problem: Problem, request: LaunchRequest, node: NodeContext) -> bool:
    """Whether the hub's own no to this name is one that a token mends."""
    answer = node.hub_answers.get(getattr(request, problem.field), "")
    return problem.severity is Severity.ERROR and answer in _TOKEN_ANSWERS


def replacing(jobs: Sequence[RunningJob]) -> Mapping[str, Mend]:
    """A launch in place of each of these, by what says that it would do."""
    return {replace_problem(job).message: Mend(f"Launch in place of {job.title}", REPLACE, job.job_id) for job in jobs}


def mends_of(
    problems: Sequence[Problem], request: LaunchRequest | None, contexts: Sequence[NodeContext], *, can_run: bool
) -> Mapping[str, Mend]:
    """A way out for each finding that has one, by its message. `can_run`: a step can be shown and run from here."""
    found: dict[str, Mend] = {}
    node = next((each for each in contexts if request and each.record.id == request.nodes[0]), None)
    if request is None or node is None:
        return found
    for problem in problems:
        if problem.field == "port" and problem.severity is Severity.ERROR and request.port in node.used_ports:
            used = node.used_ports
            free = next((port for port in range(request.port + 1, _LAST_PORT + 1) if port not in used), None)
            if free is not None:
                found[problem.message] = Mend(f"Take port {free}", PORT, str(free), "port")
        elif problem.field == "page_cache" and can_run:
            found[problem.message] = Mend("Drop the page cache first", CACHE, node.record.id)
        elif problem.field in ("model", "speculative_model") and _needs_token(problem, request, node):
            found[problem.message] = Mend("Open Settings", TOKEN, "")
        elif problem.field == "weights_from" and problem.severity is Severity.ERROR:
            found[problem.message] = Mend("Bring them from this computer", FIELD, "desk", "weights_from")
        elif problem.field == "image" and problem.severity is Severity.ERROR and request.image:
            found[problem.message] = Mend("Take the usual image", FIELD, "", "image")
    return found
