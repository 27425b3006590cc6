"""What a run came to on each node, in words."""

from __future__ import annotations

import json
from dataclasses import replace
from types import MappingProxyType

import pytest

from sparkdesk.core.bringup.outcome import MAX_UNDO_CHARS, node_words, undo_words
from sparkdesk.core.command import Command
from sparkdesk.core.playbooks.run_view import RunView, StepView
from sparkdesk.core.step import Expect, Playbook, Run, Stage, Step, Wait

DO = (Run(Command(("true",))),)
STEPS = tuple(Step(name, name.capitalize(), "n1", check=DO, apply=DO, undo=DO) for name in ("one", "two", "three"))
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


def test_what_was_never_to_be_taken_back_is_neither_undone_nor_still_done() -> None:
    root, key, tools = replace(STEPS[0], undo=()), STEPS[1], replace(STEPS[2], undo=())
    ping = Step("ping", "Ping", "n1", apply=(Wait(Command(("ping",)), Expect()),))
    views = {one: StepView(end) for one, end in (("one", "unchanged"), ("two", "undone"), ("three", "undone"))}
    run = replace(RUN, playbook=Playbook("p", (Stage("s", (root, key, ping, tools)),)), is_undo=True)
    all_back = replace(run, steps=views | {"ping": StepView("undone")})
    assert node_words(all_back, ("n1",), {}) == "n1: 1 of 1 step undone, 1 stays by design."
    assert node_words(
        replace(run, steps=views | {"two": StepView("done"), "ping": StepView("undone")}), ("n1",), {}
    ) == ("n1: 0 of 1 step undone, 1 still done, 1 stays by design.")
    assert node_words(replace(run, steps={"ping": StepView("undone")}), ("n1",), {}) == "n1: nothing to take back."


def test_a_node_without_steps_and_one_with_a_single_step_are_told_too() -> None:
    one = replace(RUN, playbook=Playbook("p", (Stage("s", STEPS[:1]),)), steps={"one": StepView("done")})
    assert node_words(one, ("n1", "n2"), {"n1": "a"}) == "a: its one step is done. n2: nothing to change."


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"ok": true, "message": "as before"}', ""),
        ('{"ok": true, "message": "nothing to undo"}', ""),
        ('{"ok": true, "message": "as before; 1 later changes of it went too"}', "1 later changes of it went too"),
        ('hello\n{"ok": true, "message": "enp1s0 \\u001b[1mstill has it"}', "enp1s0 still has it"),
        ('{"ok": false, "message": "it did not work"}', ""),
        ('{"ok": true, "message": 7}', ""),
        ('{"ok": true}', ""),
        ("as before; no JSON", ""),
    ],
)
def test_of_what_an_undo_says_only_what_a_person_should_know_is_told(text: str, words: str) -> None:
    assert undo_words(text) == words


def test_of_a_text_without_end_only_its_beginning_is_told() -> None:
    assert len(undo_words(json.dumps({"ok": True, "message": "x" * 9000}))) <= MAX_UNDO_CHARS


def test_what_could_not_be_taken_back_and_what_was_let_go_of_is_counted() -> None:
    steps = tuple(replace(STEPS[0], id=f"s{n}", title=f"T{n}", undo=STEPS[0].apply) for n in range(3))
    playbook = replace(RUN.playbook, stages=(Stage("all", steps),))
    states = {"s0": StepView("unknown"), "s1": StepView("unknown"), "s2": StepView("undone")}
    run = replace(RUN, playbook=playbook, steps=MappingProxyType(states), begun=frozenset({"s0", "s1"}), is_undo=True)
    assert node_words(run, ("n1",), {}) == "n1: 2 steps could not be taken back, 1 of 3 steps undone."
    one = replace(run, begun=frozenset({"s1"}))
    assert node_words(one, ("n1",), {}) == "n1: \u201cT1\u201d could not be taken back, 1 of 3 steps undone."
    gone = replace(run, begun=frozenset(), left=frozenset({"s0", "s1"}))
    assert node_words(gone, ("n1",), {}) == "n1: let go of, and what 2 of 3 steps did stands there."
