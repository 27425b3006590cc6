"""A container outlives docker's client, is found by its label, and stays until its end was fetched.

The docker here is tests/remote/docker_stand_in.py: real processes behind docker's documented words.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.remote.job_node import CRASHES, Node, clean, kill, log_of, state_of, wait_for
from tests.remote.test_guard import MIB, NO_PROOF, end_of, set_memory

STAND_IN = Path(__file__).with_name("docker_stand_in.py")
NAME = "sparkdesk-boxed"
TICKS = "n=0; while :; do n=$((n+1)); echo tick $n; sleep 0.05; done"


class Docker:
    """The stand-in, installed on a node's PATH."""

    def __init__(self, node: Node) -> None:
        self.folder = node.home / "docker"
        self.folder.mkdir()
        tool = node.home / "bin" / "docker"
        tool.parent.mkdir()
        tool.write_text(f'#!/bin/sh\nexec {sys.executable} -S {STAND_IN} "$@"\n')
        tool.chmod(0o755)
        node.env |= {"PATH": f"{tool.parent}:{node.env['PATH']}", "DOCKER_FOLDER": str(self.folder)}
        self._env = node.env

    def containers(self) -> list[Path]:
        return sorted(self.folder.glob("c-*"))

    def pid(self) -> int:
        """The process of the one container, once it runs."""
        (folder,) = wait_for(self.containers)
        return int(wait_for(lambda: (folder / "pid").exists() and (folder / "pid").read_text()))

    def ask(self, *words: str) -> None:
        subprocess.run(["docker", *words], env=self._env, check=True, timeout=30, capture_output=True)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path, sys.executable)
    yield made
    clean(made)
    for path in tmp_path.glob("docker/c-*/pid"):
        kill(int(path.read_text()))


@pytest.fixture
def docker(node: Node) -> Docker:
    return Docker(node)


def put_boxed(node: Node, script: str = TICKS, **more: Any) -> Path:
    argv = [
        "docker",
        "run",
        "--name",
        NAME,
        "--label",
        "sparkdesk.job=boxed",
        "image:1",
        "sh",
        "-c",
        script,
        "{folder}",
    ]
    return node.put("boxed", argv, **{"container": NAME, "stop_grace_s": 1, **more})


def client_of(node: Node, folder: Path) -> int:
    return int(node.run("status", folder)["pid"])


def test_a_killed_client_of_docker_does_not_lose_the_container(node: Node, docker: Docker) -> None:
    folder = put_boxed(node)
    node.run("start", folder)
    wait_for(lambda: "tick 2" in log_of(folder))
    first = client_of(node, folder)
    kill(first)
    wait_for(lambda: state_of(node, folder) == "running" and client_of(node, folder) != first)
    seen = log_of(folder).count("tick")
    wait_for(lambda: log_of(folder).count("tick") > seen + 3)
    assert "the container runs: following it again" in log_of(folder)
    assert node.run("stop", folder) == {"stopped": True}
    assert node.run("status", folder)["reason"] == "stopped by user"
    with pytest.raises(ProcessLookupError):
        os.kill(docker.pid(), 0)


def test_a_container_that_ends_while_nobody_listens_is_told_with_its_own_exit_code(node: Node, docker: Docker) -> None:
    folder = put_boxed(node, "sleep 0.5; exit 42")
    node.run("start", folder)
    docker.pid()
    kill(client_of(node, folder))
    ended = end_of(node, folder)
    assert (ended["code"], ended["reason"]) == (42, "ended with exit code 42")
    assert ended["container"]["status"] == "exited"


def test_the_kernels_kill_for_memory_is_told_from_a_crash(node: Node, docker: Docker) -> None:
    folder = put_boxed(node)
    node.run("start", folder)
    pid = docker.pid()
    (docker.containers()[0] / "oom").touch()
    kill(pid)
    ended = end_of(node, folder)
    assert ended["reason"] == "ended with exit code 137: out of memory within its container's limit"
    assert ended["container"]["oom_killed"] is True


def test_a_container_that_somebody_renamed_is_still_ours(node: Node, docker: Docker) -> None:
    folder = put_boxed(node)
    node.run("start", folder)
    docker.pid()
    docker.ask("rename", NAME, "theirs")
    kill(client_of(node, folder))
    wait_for(lambda: "its container is called theirs now" in log_of(folder))
    assert node.run("stop", folder) == {"stopped": True}
    assert node.run("tidy", folder) == {"tidied": True, "container": True}
    assert docker.containers() == []


def test_a_container_that_somebody_removed_is_said_to_be_removed(node: Node, docker: Docker) -> None:
    folder = put_boxed(node, restart_limit=3, token=NO_PROOF)
    node.run("start", folder)
    docker.pid()
    node.run("token", folder)
    docker.ask("rm", "--force", NAME)
    ended = end_of(node, folder)
    assert (ended["kind"], ended["reason"]) == ("removed", "its container was removed by someone else")


def test_the_container_stays_until_its_end_and_its_last_lines_were_fetched(node: Node, docker: Docker) -> None:
    folder = put_boxed(node, "echo loading; echo 'ValueError: no such model'; exit 1")
    node.run("start", folder)
    ended = end_of(node, folder)
    assert ended["cause"] == "ValueError: no such model"
    assert len(docker.containers()) == 1
    assert node.run("tidy", folder) == {"tidied": True, "container": True}
    assert docker.containers() == []
    kept = node.run("status", folder)
    assert (kept["reason"], kept["container"]["code"]) == ("ended with exit code 1", 1)
    assert kept["container"]["log"] == ["loading", "ValueError: no such model"]
    assert node.run("tidy", folder) == {"tidied": True, "container": False}


def test_a_running_container_is_not_tidied_away(node: Node, docker: Docker) -> None:
    folder = put_boxed(node)
    node.run("start", folder)
    docker.pid()
    assert "not over" in node.run("tidy", folder, code=1)["error"]
    node.run("stop", folder)


def test_low_memory_kills_the_container_too(node: Node, docker: Docker) -> None:
    set_memory(node, 900 * MIB)
    folder = put_boxed(node, memory_floor_bytes=500 * MIB)
    node.run("start", folder)
    pid = docker.pid()
    set_memory(node, 100 * MIB)
    ended = end_of(node, folder)
    assert ended["kind"] == "memory"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert f"kill {NAME}" in (docker.folder / "asked").read_text()


def test_a_container_that_docker_did_not_end_is_ended_as_soon_as_it_can(node: Node, docker: Docker) -> None:
    set_memory(node, 900 * MIB)
    folder = put_boxed(node, memory_floor_bytes=500 * MIB)
    node.run("start", folder)
    pid = docker.pid()
    (docker.folder / "down").touch()
    set_memory(node, 100 * MIB)
    wait_for(lambda: "[sparkdesk] docker ps: Cannot connect" in log_of(folder))
    os.kill(pid, 0)
    (docker.folder / "down").unlink()
    ended = end_of(node, folder)
    assert (ended["kind"], log_of(folder).count("MiB wanted\n")) == ("memory", 2), "said once, and at the end"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_guard_and_client_killed_leave_a_container_that_is_known_and_gets_a_new_guard(
    node: Node, docker: Docker
) -> None:
    folder = put_boxed(node)
    node.run("start", folder)
    pid = docker.pid()
    now = node.run("status", folder)
    kill(now["guard_pid"])
    kill(now["pid"])
    wait_for(lambda: not node.run("status", folder)["guarded"])
    found = node.run("status", folder)
    assert (found["state"], found["reason"]) == ("running", "its container runs, and nobody guards it")
    assert node.run("start", folder)["guard"] == "new"
    wait_for(lambda: node.run("status", folder)["guarded"])
    os.kill(pid, 0)
    assert node.run("stop", folder) == {"stopped": True}
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_while_docker_does_not_answer_the_fate_of_the_container_is_not_known(node: Node, docker: Docker) -> None:
    folder = put_boxed(node)
    node.run("start", folder)
    docker.pid()
    now = node.run("status", folder)
    (docker.folder / "down").touch()
    kill(now["guard_pid"])
    kill(now["pid"])
    wait_for(lambda: not node.run("status", folder)["guarded"])
    found = node.run("status", folder)
    assert found["state"] == "unknown"
    assert "cannot be asked" in found["reason"]
    assert "Docker daemon" in node.run("stop", folder, code=1)["error"]
    (docker.folder / "down").unlink()
    assert node.run("stop", folder)["stopped"] is True


def test_a_daemon_that_is_away_for_a_while_does_not_end_the_job(node: Node, docker: Docker) -> None:
    folder = put_boxed(node)
    node.run("start", folder)
    pid = docker.pid()
    (docker.folder / "down").touch()
    kill(client_of(node, folder))
    wait_for(lambda: "is not known: docker ps" in log_of(folder))
    assert state_of(node, folder) == "unknown"
    (docker.folder / "down").unlink()
    wait_for(lambda: state_of(node, folder) == "running")
    os.kill(pid, 0)
    node.run("stop", folder)


def test_a_docker_that_is_replaced_just_now_does_not_end_the_job(node: Node, docker: Docker) -> None:
    """Its program is gone right behind the question whether the container runs, as in the middle of an upgrade."""
    folder = put_boxed(node)
    tools = node.home / "bin"
    for name in ("sh", "sleep", "mv"):
        (tools / name).symlink_to(str(shutil.which(name)))
    node.env["PATH"] = str(tools)  # no other docker is found
    node.run("start", folder)
    pid = docker.pid()
    ask = f'{sys.executable} -S {STAND_IN} "$@"; code=$?; [ "$1" = inspect ] && mv "$0" "$0.away"; exit $code\n'
    (tools / "new").write_text(f"#!/bin/sh\n{ask}")
    (tools / "new").chmod(0o755)
    (tools / "docker").rename(tools / "old")
    (tools / "new").rename(tools / "docker")
    kill(client_of(node, folder))
    wait_for(lambda: "[sparkdesk] docker cannot be started: " in log_of(folder))
    os.kill(pid, 0)
    (tools / "old").rename(tools / "docker")
    seen = log_of(folder).count("tick")
    wait_for(lambda: log_of(folder).count("tick") > seen + 3)
    assert node.run("stop", folder) == {"stopped": True}


def test_a_launch_that_docker_refused_leaves_nothing_to_tidy_up(node: Node, docker: Docker) -> None:
    (docker.folder / "down").touch()
    folder = put_boxed(node)
    assert "Cannot connect to the Docker daemon" in node.run("start", folder, code=1)["error"]
    assert node.run("stop", folder) == {"stopped": True, "already": True}
    assert node.run("tidy", folder) == {"tidied": True, "container": False}


def test_a_container_that_may_be_there_is_not_called_tidied_while_docker_is_away(node: Node, docker: Docker) -> None:
    folder = put_boxed(node, "exit 1")
    node.run("start", folder)
    end_of(node, folder)
    (docker.folder / "down").touch()
    assert "Docker daemon" in node.run("tidy", folder, code=1)["error"]
    (docker.folder / "down").unlink()
    assert node.run("tidy", folder)["container"] is True


def test_a_container_that_crashed_is_replaced_by_a_new_one(node: Node, docker: Docker) -> None:
    folder = put_boxed(node, CRASHES, restart_limit=1, token=NO_PROOF)
    node.run("start", folder)
    node.run("token", folder)
    ended = end_of(node, folder)
    assert (ended["restarts"], ended["code"]) == (1, 3)
    assert log_of(folder).count("attempt") == 2
    assert len(docker.containers()) == 1


def test_an_image_that_cannot_be_run_is_told_in_dockers_words(node: Node, docker: Docker) -> None:
    (docker.folder / "c-other").mkdir()
    for name, text in (("name", NAME), ("label", "sparkdesk.job=another"), ("exit", "0")):
        (docker.folder / "c-other" / name).write_text(text)
    folder = put_boxed(node)
    node.run("start", folder)
    ended = end_of(node, folder)
    assert (ended["code"], ended["kind"]) == (125, "crash")
    assert "Conflict" in log_of(folder)
    time.sleep(0.1)
    assert len(docker.containers()) == 1
