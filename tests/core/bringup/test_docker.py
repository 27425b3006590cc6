"""Docker for a bring-up: who is let in, what counts only after a fresh sign-in, and what the way back leaves alone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.core.bringup.chapter import ChapterPlan
from sparkdesk.core.bringup.chapters.docker import GROUP_NOTE, UNDO_RESTARTS, plan_docker
from sparkdesk.core.bringup.matrix import Cell, CellState
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.step import Confirm, Keep, Restore, Run, SignInAnew, Step
from tests.core.bringup.cases import make_case, with_node

READY: dict[str, Any] = {
    "docker": "29.2.1",
    "docker_problem": "",
    "groups": ("nvidia", "docker"),
    "docker_members": ("nvidia",),
}


def plan(**changes: Any) -> ChapterPlan:
    """The plan of two nodes; n1 is otherwise so, n2 is ready."""
    case = with_node(make_case(2, Shape.PAIR), "n2", **READY)
    return plan_docker(with_node(case, "n1", **changes))


def cell(found: ChapterPlan, row: str) -> Cell:
    """What is said of n1."""
    return next(one for one in found.rows if one.id == f"docker-{row}").cells["n1"]


def steps(found: ChapterPlan) -> list[Step]:
    """All steps in their order."""
    return [step for stage in found.stages for step in stage.steps]


def commands(actions: tuple[object, ...]) -> list[tuple[str, ...]]:
    """What is run as root."""
    return [action.command.argv for action in actions if isinstance(action, Run) and action.as_root]


def test_nothing_is_planned_where_docker_answers() -> None:
    found = plan(**READY)
    assert found.stages == ()
    assert found.notes == ()
    assert {one.cells["n1"].state for one in found.rows} == {CellState.PASS}


def test_a_stranger_comes_into_the_group_and_signs_in_anew_before_docker_is_asked() -> None:
    found = plan()
    (step,) = steps(found)
    assert step.id == "docker-group-n1"
    assert commands(step.apply) == [("usermod", "-aG", "docker", "nvidia")]
    assert isinstance(step.apply[-1], SignInAnew)
    last = step.verify[-1]
    assert isinstance(last, Run)
    assert last.command.argv[:2] == ("docker", "version")
    assert commands(step.undo) == [("gpasswd", "-d", "nvidia", "docker")]
    assert isinstance(step.undo[-1], SignInAnew)
    assert isinstance(step.undo[0], Run)
    assert 3 in step.undo[0].expect.exit_codes, "one that was cut short after it, or before the group, is done again"
    assert found.notes == (GROUP_NOTE,)
    assert cell(found, "group").step_ids == ("docker-group-n1",)


def test_a_member_whose_sign_in_is_older_only_signs_in_anew_and_stays_a_member() -> None:
    (step,) = steps(plan(docker_members=("nvidia",)))
    assert step.apply == (SignInAnew(),)
    assert step.undo == ()


def test_an_account_whose_name_is_no_plain_word_is_never_put_into_a_command() -> None:
    found = plan(user="nvidia; reboot")
    assert found.stages == ()
    assert cell(found, "group").state is CellState.FAIL


def test_a_group_that_is_not_there_is_said_and_not_made() -> None:
    found = plan(docker_members=None)
    assert found.stages == ()
    assert (cell(found, "group").state, cell(found, "group").text) == (CellState.FAIL, "no group docker")
    assert "groupadd" in cell(found, "group").remedy


def test_a_daemon_that_is_down_is_started_before_anybody_is_let_in() -> None:
    found = plan(docker_problem="down")
    assert [step.id for step in steps(found)] == ["docker-daemon-n1", "docker-group-n1"]
    assert commands(steps(found)[0].apply) == [("systemctl", "start", "docker")]
    assert cell(found, "daemon").state is CellState.PLANNED
    assert found.notes[0] == "Docker is started on spark-1; undo leaves it running."
    assert steps(found)[0].undo == (), "nobody told what ran before"


def test_undo_stops_what_of_docker_was_known_not_to_run(tmp_path: Path) -> None:
    found = plan(docker_problem="down", docker_stopped=("docker.service", "containerd.service"))
    assert found.notes[0] == "Docker is started on spark-1; undo stops it again, with every container there."
    (stop,) = steps(found)[0].undo
    assert isinstance(stop, Run)
    assert stop.as_root
    for active, said in (("docker.service docker.socket containerd.service", "docker.service containerd.service"),
                         ("docker.service", "docker.service"), ("", "")):  # fmt: skip
        (tmp_path / "said").write_text("")
        script = (
            f'case $1 in is-active) case " {active} " in *" $2 "*) echo active ;; *) echo inactive; exit 3 ;; esac ;;'
        )
        (tmp_path / "systemctl").write_text(f'#!/bin/sh\n{script}\n*) echo "$*" > {tmp_path}/said ;; esac\n')
        (tmp_path / "systemctl").chmod(0o755)
        env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        subprocess.run(stop.command.argv, env=env, timeout=30, check=True)
        assert (tmp_path / "said").read_text() == (f"stop {said}\n" if said else ""), active


def test_installations_run_side_by_side() -> None:
    found = plan(**READY, toolkit="", problems={"toolkit": "no program nvidia-ctk"})
    assert {stage.max_parallel for stage in found.stages} == {8}


def test_without_docker_nothing_is_planned_and_the_remedy_says_what_to_do() -> None:
    found = plan(docker_problem="absent", docker_members=None, toolkit="")
    assert found.stages == ()
    assert cell(found, "daemon").state is CellState.FAIL
    assert cell(found, "daemon").remedy
    assert cell(found, "toolkit").state is CellState.SKIPPED


def test_a_missing_toolkit_is_installed_only_once_a_person_has_said_yes_to_the_restart() -> None:
    found = plan(**READY, toolkit="", problems={"toolkit": "no program nvidia-ctk"})
    install, runtime = steps(found)
    assert isinstance(install.apply[0], Confirm)
    assert "every container on this node stops" in install.apply[0].question
    assert install.check == install.verify
    assert not any(isinstance(action, Confirm) for action in runtime.apply), "one question is enough"
    assert "every container there stops" in cell(found, "toolkit").evidence
    assert cell(found, "toolkit").step_ids == ("docker-toolkit-n1", "docker-runtime-n1")


def test_dockers_configuration_is_kept_before_it_is_written_and_put_back_before_the_toolkit_goes() -> None:
    install, runtime = steps(plan(**READY, toolkit="", problems={"toolkit": "no program nvidia-ctk"}))
    assert runtime.apply[0] == Keep("/etc/docker/daemon.json", as_root=True)
    restart = ("systemctl", "restart", "docker")
    assert commands(runtime.apply) == [("nvidia-ctk", "runtime", "configure", "--runtime=docker"), restart]
    assert runtime.undo[0] == Restore("/etc/docker/daemon.json")
    assert isinstance(runtime.undo[1], Run)
    assert runtime.undo[1].command.argv[2].endswith("exec systemctl restart docker")
    (remove,) = install.undo
    assert isinstance(remove, Run)
    script, *names = remove.command.argv[2:]
    assert script.startswith('command -v "$0" > /dev/null || exit 0; exec apt-get ')
    assert names == ["nvidia-ctk", "nvidia-container-toolkit"]
    assert runtime.check != runtime.verify, "a docker that runs since before the toolkit came does not pass the check"


def test_a_toolkit_that_an_interrupted_plan_left_unknown_to_docker_is_made_known_after_a_question() -> None:
    found = plan(**READY, toolkit="1.20.0", is_toolkit_known=False)
    (step,) = steps(found)
    assert step.id == "docker-runtime-n1"
    assert isinstance(step.apply[0], Confirm)
    assert cell(found, "toolkit").state is CellState.PLANNED
    assert found.notes == (UNDO_RESTARTS,)


@pytest.mark.parametrize("known", [True, None])
def test_docker_is_not_started_anew_for_a_toolkit_that_it_may_know(known: bool | None) -> None:
    assert plan(**READY, toolkit="1.20.0", is_toolkit_known=known).stages == ()


@pytest.mark.parametrize("problem", ["", "did not end within 5 s", "permission denied"])
def test_a_toolkit_of_which_nothing_is_known_is_not_installed(problem: str) -> None:
    found = plan(**READY, toolkit="", problems={"toolkit": problem})
    assert found.stages == ()
    assert cell(found, "toolkit").state is CellState.UNREAD


def test_a_daemon_of_which_nothing_is_known_is_left_alone() -> None:
    found = plan(docker_problem="")
    assert found.stages == ()
    assert {cell(found, "daemon").state, cell(found, "group").state} == {CellState.UNREAD}
