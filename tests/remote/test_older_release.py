"""A job that the release before started is listed, stopped and removed by this one: its own program lies in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkdesk.core.playbooks.job_removal import removal_playbook
from sparkdesk.core.step import Run
from tests.fakes.shell import LocalShell
from tests.remote.job_node import Node, clean, session_of

OLDER = Path(__file__).parents[1] / "data" / "job_of_release_5.txt"
JOB = "abcdefghijklmnop"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path, sys.executable)
    yield made
    clean(made)


def put_older(node: Node) -> Path:
    """A folder as that release wrote it: one program, fewer words in the spec."""
    folder = node.jobs / JOB
    folder.mkdir(parents=True)
    (folder / "job.py").write_bytes(OLDER.read_bytes())
    spec = {"schema": 1, "job_id": JOB, "argv": ["sleep", "600"], "owner": "ada@desk", "stop_argv": [], "title": "old"}
    (folder / "spec.json").write_text(json.dumps(spec))
    return folder


def test_a_job_of_the_release_before_is_listed_and_stopped(node: Node) -> None:
    folder = put_older(node)
    pid = node.run("start", folder)["pid"]
    (listed,) = node.list()["jobs"]
    assert (listed["job_id"], listed["state"], listed["title"]) == (JOB, "running", "old")
    assert node.run("stop", folder) == {"stopped": True}
    assert session_of(pid) == []
    assert node.list()["jobs"][0]["reason"] == "stopped by user"


async def test_its_folder_is_removed_although_it_knows_no_tidying(node: Node) -> None:
    folder = put_older(node)
    shell = LocalShell(node.home, node="n1")
    tidy, remove = removal_playbook(JOB, "n1", "old").steps()
    (check,) = tidy.check
    assert isinstance(check, Run)
    assert (await shell.run(check.command)).is_ok, "nothing to do"
    (apply,) = remove.apply
    assert isinstance(apply, Run)
    assert (await shell.run(apply.command)).is_ok
    assert not folder.exists()


def test_a_new_folder_makes_the_removal_look_for_a_container(node: Node) -> None:
    folder = node.put(JOB, ["true"])
    assert (folder / "guard.py").exists()
    tidy, _ = removal_playbook(JOB, "n1", "new").steps()
    (apply,) = tidy.apply
    assert isinstance(apply, Run)
    assert " tidy " in apply.command.to_shell()
