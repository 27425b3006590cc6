"""What an undo costs those who work on the nodes: containers that stop with docker, servers that lose their network.

The one rule: it is told of the very steps that will be taken back, before any of them is, and without a person's yes to
all of it none of them is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.step import Run, Step

MAX_NAMED = 4
"""Jobs; of more it is said how many."""
MAX_NAME_CHARS = 60
NodeName = Callable[[str], str]


class Loss(StrEnum):
    """What happens on the nodes."""

    RESTART = "restart"
    """Docker is started anew there: every container stops, whoever started it."""
    STOP = "stop"
    """Docker is stopped there."""
    CONTAINER = "container"
    """A job runs where docker is started anew or stopped."""
    NETWORK = "network"
    """A job runs on several nodes, and the addresses of their cables go."""


@dataclass(frozen=True, slots=True)
class UndoStake:
    """One loss, on these nodes; `job` is the name of the one that has it, "" for every container."""

    loss: Loss
    node_ids: tuple[str, ...]
    job: str = ""


def undo_stakes(steps: Iterable[Step], busy: Mapping[str, tuple[str, ...]]) -> tuple[UndoStake, ...]:
    """What is at stake when these steps are taken back. `busy`: node id -> the names of jobs that run there."""
    back = list(steps)
    restarted = tuple(dict.fromkeys(step.node for step in back if _does_to_docker(step, "restart")))
    stopped = tuple(dict.fromkeys(step.node for step in back if _does_to_docker(step, "stop")))
    cabled = {step.node for step in back if step.phase == Chapter.NETWORK.value and step.undo}
    found = [UndoStake(Loss.RESTART, restarted)] if restarted else []
    found += [UndoStake(Loss.STOP, stopped)] if stopped else []
    for job, nodes in _nodes_by_job(busy).items():
        if with_docker := tuple(one for one in nodes if one in (*restarted, *stopped)):
            found.append(UndoStake(Loss.CONTAINER, with_docker, job))
        if len(nodes) > 1 and cabled.intersection(nodes):
            found.append(UndoStake(Loss.NETWORK, nodes, job))
    return tuple(found)


def stake_lines(stakes: Sequence[UndoStake], name_of: NodeName) -> tuple[str, ...]:
    """A sentence for each, those that concern every container first."""
    of_docker = [one for one in stakes if not one.job]
    of_jobs = [one for one in stakes if one.job]
    lines = [_words(one, name_of) for one in (*of_docker, *of_jobs[:MAX_NAMED])]
    more = len({one.job for one in of_jobs[MAX_NAMED:]} - {one.job for one in of_jobs[:MAX_NAMED]})
    return (*lines, f"The same goes for {more} more job{'s' if more > 1 else ''}.") if more else tuple(lines)


def undo_question(stakes: Sequence[UndoStake], name_of: NodeName) -> str:
    """Asks for all of it at once."""
    return f"Undo can stop what runs on the nodes. {' '.join(stake_lines(stakes, name_of))} Take it back?"


def _does_to_docker(step: Step, verb: str) -> bool:
    """Whether the way back starts docker anew, or stops it: by its own commands, not by its name."""
    words = [action.command.argv for action in step.undo if isinstance(action, Run)]
    return any(f"systemctl {verb}" in " ".join(argv) and "docker" in " ".join(argv) for argv in words)


def _nodes_by_job(busy: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for node_id, jobs in busy.items():
        for job in jobs:
            found.setdefault(make_line(job, max_chars=MAX_NAME_CHARS), {})[node_id] = None
    return {job: tuple(nodes) for job, nodes in found.items()}


def _words(stake: UndoStake, name_of: NodeName) -> str:
    where = _listed(name_of(one) for one in stake.node_ids)
    match stake.loss:
        case Loss.RESTART:
            return f"Docker is started anew on {where}: every container there stops."
        case Loss.STOP:
            return f"Docker is stopped on {where}, with every container there."
        case Loss.CONTAINER:
            return f"{stake.job} runs on {where}: it stops with docker if it is in a container."
        case Loss.NETWORK:
            return f"{stake.job} runs on {where}: it stops with the network if it spans nodes."


def _listed(names: Iterator[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
