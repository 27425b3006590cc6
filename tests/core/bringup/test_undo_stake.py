"""What an undo costs is told by the steps' own ways back, for the jobs that run where they are taken."""

from __future__ import annotations

from dataclasses import replace

from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.bringup.chapters.fix_step import step_of
from sparkdesk.core.bringup.undo_stake import MAX_NAMED, Loss, UndoStake, stake_lines, undo_question, undo_stakes
from sparkdesk.core.command import Command
from sparkdesk.core.probes.doctor_docker import UNITS, make_daemon_fix, make_runtime_fix
from sparkdesk.core.step import Run, Step
from sparkdesk.core.step_json import from_json, to_json

NAMES = {"n1": "spark-1", "n2": "spark-2", "n3": "spark-3"}


def runtime(node_id: str) -> Step:
    return step_of(make_runtime_fix(node_id), Chapter.DOCKER, "runtime", "Make the runtime known")


def daemon(node_id: str) -> Step:
    return step_of(make_daemon_fix(node_id, UNITS), Chapter.DOCKER, "daemon", "Start docker")


def network(node_id: str) -> Step:
    away = Run(Command(("python3", "link_trial.py", "undo")), as_root=True)
    return Step(f"network-try-{node_id}", "Try", node_id, (), undo=(away,), phase=Chapter.NETWORK.value)


def told(*steps: Step, **busy: tuple[str, ...]) -> tuple[str, ...]:
    return stake_lines(undo_stakes(steps, busy), NAMES.__getitem__)


def test_docker_that_starts_anew_stops_every_container_also_where_no_job_is_known() -> None:
    assert told(runtime("n1"), runtime("n2")) == (
        "Docker is started anew on spark-1 and spark-2: every container there stops.",
    )
    assert told(daemon("n3")) == ("Docker is stopped on spark-3, with every container there.",)
    assert told(replace(runtime("n1"), undo=()), network("n1")) == ()


def test_a_plan_that_comes_back_from_its_journal_costs_the_same() -> None:
    plan = make_runtime_fix("n1")
    again = from_json(to_json(plan))
    assert undo_stakes(again.steps(), {}) == undo_stakes(plan.steps(), {}) == (UndoStake(Loss.RESTART, ("n1",)),)


def test_jobs_are_named_where_docker_starts_anew_and_nowhere_else() -> None:
    assert told(runtime("n1"), n1=("gpt-oss-120b",), n2=("Qwen3",))[1:] == (
        "gpt-oss-120b runs on spark-1: it stops with docker if it is in a container.",
    )


def test_a_server_over_several_nodes_loses_its_network_and_one_on_a_single_node_does_not() -> None:
    assert told(network("n1"), n1=("gpt-oss-120b", "Qwen3"), n2=("gpt-oss-120b",), n3=("Phi",)) == (
        "gpt-oss-120b runs on spark-1 and spark-2: it stops with the network if it spans nodes.",
    )
    assert told(network("n3"), n1=("gpt-oss-120b",), n2=("gpt-oss-120b",)) == ()


def test_names_of_strangers_are_one_short_line_and_of_many_jobs_some_are_named() -> None:
    (_docker, said) = told(runtime("n1"), n1=("evil\n\x1b[31m" + "x" * 500,))
    assert "\n" not in said
    assert "\x1b" not in said
    assert len(said) < 150
    many = tuple(f"job {number}" for number in range(MAX_NAMED + 2))
    lines = told(runtime("n1"), n1=many)
    assert len(lines) == 1 + MAX_NAMED + 1
    assert lines[-1] == "The same goes for 2 more jobs."


def test_the_question_has_all_of_it() -> None:
    stakes = undo_stakes((runtime("n1"), network("n1")), {"n1": ("Phi",), "n2": ("Phi",)})
    asked = undo_question(stakes, NAMES.__getitem__)
    assert all(line in asked for line in stake_lines(stakes, NAMES.__getitem__))
    assert asked.endswith("Take it back?")
