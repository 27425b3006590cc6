"""Undo of steps that were announced and never done, as after a kill: it goes through, and changes nothing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sparkdesk.core.bringup.case import Choices
from sparkdesk.core.bringup.chapters.docker import plan_docker
from sparkdesk.core.bringup.chapters.guard import plan_guard
from sparkdesk.core.bringup.chapters.hardware import plan_hardware
from sparkdesk.core.bringup.chapters.keys import plan_keys
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.step import Playbook, Run, SignInAnew, StepEnded
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.playbooks.journal import Journal, RunRecord
from tests.core.bringup.cases import make_case, with_node
from tests.infra.sshd import Sshd, running_sshd
from tests.services.playbooks.test_mesh import Desk


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[Sshd]]:
    with running_sshd(tmp_path / "one", name="spark-1") as one, running_sshd(tmp_path / "two", name="spark-2") as two:
        yield [one, two]


@pytest.fixture
async def desk(tmp_path: Path, nodes: list[Sshd]) -> AsyncIterator[Desk]:
    store = SqliteStore(tmp_path / "data")
    await store.open()
    yield Desk(nodes, store)
    await store.close()


async def announce(desk: Desk, playbook: Playbook) -> None:
    """A journal in which every step was begun, and none ended."""
    journal = Journal(desk.store, SystemClock(), "r", RunRecord(playbook))
    await journal.begin()
    for step in playbook.steps():
        await journal.step_started(step.id, "apply")


async def test_keys_that_were_announced_alone_are_taken_back(desk: Desk) -> None:
    (desk.nodes[0].home / ".ssh").mkdir(mode=0o755, exist_ok=True)
    playbook = Playbook("mesh", plan_keys(await desk.look()).stages)
    assert len(list(playbook.steps())) >= 8
    before = desk.homes()
    await announce(desk, playbook)
    ended = await desk.runner.undo("r", on_event=desk.events.append)
    assert (ended.result, ended.message) == ("done", "")
    assert {event.result for event in desk.events if isinstance(event, StepEnded)} == {"undone"}
    assert desk.homes() == before


# Programs of a node on which the step never came to anything: each fails as the real one does.
_PROGRAMS = {
    "gpasswd": "echo \"gpasswd: user 'nvidia' is not a member of 'docker'\" >&2; exit 3",
    "systemctl": "[ \"$1\" = is-active ] && exit 3; echo 'Unit not found' >&2; exit 1",
    "apt-get": "echo 'E: Unable to locate package' >&2; exit 100",
    "timedatectl": "[ \"$1\" = show ] && echo no && exit 0; echo 'NTP not supported' >&2; exit 1",
}


def undo_commands() -> list[Run]:
    """The commands of every undo of docker, clock and guard."""
    case = make_case(2, Shape.PAIR, choices=Choices(wants_guard=True))
    tools = {**case.reading("n1").tools, "earlyoom": False}
    node = with_node(
        case, "n1", docker_problem="down", docker="", docker_members=(), groups=("nvidia",), toolkit="",
        docker_stopped=("docker.service",), problems={"toolkit": "no program nvidia-ctk"},
        is_clock_kept=False, is_guard_active=False, tools=tools,
    )  # fmt: skip
    plans = (plan_docker(node), plan_hardware(node), plan_guard(node))
    steps = [step for plan in plans for stage in plan.stages for step in stage.steps if step.node == "n1"]
    found = [action for step in steps for action in step.undo if not isinstance(action, SignInAnew)]
    return [action for action in found if isinstance(action, Run)]


def test_no_undo_of_docker_clock_or_guard_fails_where_nothing_was_done(tmp_path: Path) -> None:
    for name, script in _PROGRAMS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    runs = undo_commands()
    assert len(runs) == 7, "daemon, toolkit, runtime, group, clock, guard and its package"
    for run in runs:
        env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LC_ALL": "C"}
        done = subprocess.run(run.command.argv, env=env, capture_output=True, timeout=30, check=False)
        assert done.returncode in run.expect.exit_codes, (run.command.argv, done.stderr)
