"""Who uses a model, an image or a file on a node: what stands in the way of removing it.

The one rule: "it is not known whether" is its own answer; a server whose model nobody knows is never "does not use it".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sparkdesk.core.cluster.found_server import FoundServer
from sparkdesk.core.disk.view import DiskCell, DiskKey, Kind
from sparkdesk.core.jobs.plan import LaunchPlan
from sparkdesk.core.jobs.record import JobStatus
from sparkdesk.core.step import Run


@dataclass(frozen=True, slots=True)
class Use:
    """Titles of those that use it, and of those that may: they run there, and what they loaded is not known."""

    certain: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()


def find_use(
    key: DiskKey,
    node_id: str,
    cell: DiskCell,
    jobs: Iterable[JobStatus],
    plan_of: Callable[[str], LaunchPlan | None],
    found: Iterable[FoundServer],
) -> Use:
    """Who uses a row on a node: jobs of ours and adopted ones, servers of others, containers."""
    certain: list[str] = []
    doubtful: list[str] = []
    for job in jobs:
        if job.state.is_over or node_id not in job.node_ids:
            continue
        plan = plan_of(job.job_id)
        names = (job.title, job.endpoint.model if job.endpoint is not None else "")
        answer = _plan_uses(plan, key) if plan is not None else _names_tell(key, names)
        _note(answer, job.title or "a server", certain, doubtful)
    for server in found:
        if server.node_id == node_id:
            title = server.title or server.engine or f"the server on port {server.port}"
            _note(_names_tell(key, server.models), title, certain, doubtful)
    certain += [f"container {name}" for name in cell.containers]
    return Use(tuple(dict.fromkeys(certain)), tuple(dict.fromkeys(doubtful)))


def _note(answer: bool | None, title: str, certain: list[str], doubtful: list[str]) -> None:
    if answer is not False:
        (certain if answer else doubtful).append(title)


def _plan_uses(plan: LaunchPlan, key: DiskKey) -> bool:
    request = plan.request
    models = [one for one in (request.model, request.speculative_model) if one]
    if key.kind is Kind.MODEL:
        return key.name in models
    if key.kind is Kind.FILE:
        return any(one.endswith(_last(key.name)) for one in models)
    words = [
        word
        for step in plan.playbook.steps()
        for action in step.apply
        if isinstance(action, Run)
        for word in action.command.argv
    ]
    return key.name in words or any(step.id == f"image:{key.name}" for step in plan.playbook.steps())


def _names_tell(key: DiskKey, names: Iterable[str]) -> bool | None:
    """Whether a server that is known by the models' names alone uses a row; None where the names do not tell.

    A name with its owner ("o/n") is the hub's, and no other model; any other may be an alias of everything.
    """
    given = [name for name in names if name]
    if key.kind is Kind.IMAGE:
        return None  # what docker tells of running containers stands beside it
    wanted = _bare(key.name)
    if any(name.casefold() == key.name.casefold() or _bare(name) == wanted for name in given):
        return True
    is_told = bool(given) and all(name.count("/") == 1 and not name.startswith("/") for name in given)
    return False if is_told and key.kind is Kind.MODEL else None


def _bare(name: str) -> str:
    """A model's name without owner, folders and ending: what people and engines shorten it to."""
    return _last(name).casefold().removesuffix(".gguf")


def _last(path: str) -> str:
    return path.rpartition("/")[2]
