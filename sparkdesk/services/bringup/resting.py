"""Steps that rest on others: who takes the lower one back takes back what rests on it, too.

The one rule: nothing is left on a node that is shown as done and works no more, because what carried it was taken away.
"""

from __future__ import annotations

from collections.abc import Iterable

from sparkdesk.core.playbooks.run_view import RunView
from sparkdesk.core.step import Step

RESTS_ON = {"docker-runtime": "docker-toolkit", "guard-on": "guard-install"}
"""By the beginnings of their ids, which the node's id follows: docker is told of a program that the toolkit brings, and
the undo of the guard's package switches off what the next step has set up. All other steps stand by themselves."""


def with_resting(step_ids: frozenset[str] | None) -> frozenset[str] | None:
    """These steps, and those that rest on them on the same node, in whatever run they were done; None is all."""
    if step_ids is None:
        return None
    return step_ids | {
        f"{upper}{step_id.removeprefix(lower)}"
        for upper, lower in RESTS_ON.items()
        for step_id in step_ids
        if step_id.startswith(f"{lower}-")
    }


def steps_to_undo(runs: Iterable[RunView], step_ids: frozenset[str] | None) -> tuple[Step, ...]:
    """What is taken back of these runs where these steps are wanted back; None is all."""
    wanted = with_resting(step_ids)
    return tuple(
        step
        for run in runs
        for step in run.playbook.steps()
        if step.id in run.undoable and (wanted is None or step.id in wanted)
    )


def resting_words(run: RunView, chosen: frozenset[str], taken: frozenset[str]) -> tuple[str, ...]:
    """What of a run was to be `taken` back although nobody had `chosen` it, and is: a line each."""
    return tuple(
        f"\u201c{step.title}\u201d was taken back too: it rests on what you chose"
        for step in run.playbook.steps()
        if step.id in taken - chosen and run.step(step.id).state == "undone"
    )
