"""What a run came to on each node, in words."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from sparkdesk.core.bringup.outcome import node_words
from sparkdesk.core.command import Command
from sparkdesk.core.playbooks.run_view import RunView, StepView
from sparkdesk.core.step import Playbook, Run, Stage, Step

STEPS = tuple(Step(name, name.capitalize(), "n1", (Run(Command(("true",))),)) for name in ("one", "two", "three"))
RUN = RunView("r", Playbook("p", (Stage("s", STEPS),)))


def words(*states: str) -> str:
    steps = {step.id: StepView(state) for step, state in zip(STEPS, states, strict=False)}
    return node_words(replace(RUN, steps=MappingProxyType(steps)), ("n1",), {"n1": "spark-1"})


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ((), "spark-1: nothing was begun."),
        (("done", "unchanged", "done"), "spark-1: all 3 steps are done."),
        (("done",), "spark-1: 1 of 3 steps done."),
        (("done", "failed"), "spark-1: stopped at \u201cTwo\u201d, 1 of 3 steps done."),
        (("unknown",), "spark-1: stopped at \u201cOne\u201d, 0 of 3 steps done."),
        (("done", "running"), "spark-1: stopped at \u201cTwo\u201d, 1 of 3 steps done."),
        (("done", "done", "undone"), "spark-1: 1 of 3 steps undone, 2 still done."),
        (("undone", "undone", "undone"), "spark-1: 3 of 3 steps undone."),
    ],
)
def test_each_node_is_told_by_what_is_known_of_its_steps(states: tuple[str, ...], said: str) -> None:
    assert words(*states) == said


def test_a_node_without_steps_and_one_with_a_single_step_are_told_too() -> None:
    one = replace(RUN, playbook=Playbook("p", (Stage("s", STEPS[:1]),)), steps={"one": StepView("done")})
    assert node_words(one, ("n1", "n2"), {"n1": "a"}) == "a: its one step is done. n2: nothing to change."
