"""What is wrong with docker on a node is told apart: not there, down, not ours, no GPU. A stand-in speaks its words."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from sparkdesk.app.remote import read_remote
from sparkdesk.core.cluster.node import NodeRecord
from sparkdesk.core.jobs.backend import NodeContext
from sparkdesk.services.jobs.node_context import read_survey
from sparkdesk.services.remote_program import run_program
from tests.fakes.shell import LocalShell

SURVEY = read_remote("survey")
IMAGES = """case "$*" in
"image ls"*) echo nvcr.io/nvidia/vllm:26.05-py3; echo old/x86:1; echo "<none>:<none>";;
"image inspect"*) echo arm64; echo amd64;;
info*) echo '%s';;
*) exit 64;; esac"""
DENIED = (
    "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get "
    '"http://%2Fvar%2Frun%2Fdocker.sock/v1.51/images/json": dial unix /var/run/docker.sock: connect: permission denied'
)
DOWN = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"


async def look(folder: Path, script: str | None) -> NodeContext:
    """The survey of a node whose docker is this script; None: it has none."""
    programs = folder / "bin"
    programs.mkdir()
    for name in ("sh", "cat", "env"):
        (programs / name).symlink_to(shutil.which(name) or "")
    (programs / "python3").symlink_to(Path(sys.executable).resolve())  # that of the PATH may be a script that needs it
    if script is not None:
        (programs / "docker").write_text(f"#!/bin/sh\n{script}\n")
        (programs / "docker").chmod(0o755)
    shell = LocalShell(folder, env={"PATH": str(programs), "HF_ENDPOINT": "http://127.0.0.1:1"})
    found = await run_program(shell, SURVEY, ("docker",))
    return read_survey(NodeContext(NodeRecord("n1", "spark-1", "127.0.0.1", 22, "spark")), found)


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        (None, "absent"),
        (f"cat >&2 <<'E'\n{DENIED}\nE\nexit 1", "group"),
        (f"cat >&2 <<'E'\n{DOWN}\nE\nexit 1", "down"),
        (IMAGES % '{"runc":{"path":"runc"}}', "runtime"),
        (IMAGES % '{"nvidia":{"path":"nvidia-container-runtime"},"runc":{"path":"runc"}}', ""),
        ("echo something else >&2; exit 1", None),
    ],
)
async def test_each_trouble_of_docker_is_told_apart(tmp_path: Path, script: str | None, problem: str | None) -> None:
    assert (await look(tmp_path, script)).docker_problem == problem


async def test_images_come_with_their_architectures(tmp_path: Path) -> None:
    context = await look(tmp_path, IMAGES % '{"nvidia":{}}')
    assert context.images == ("nvcr.io/nvidia/vllm:26.05-py3", "old/x86:1")
    assert context.image_architectures == {"nvcr.io/nvidia/vllm:26.05-py3": "arm64", "old/x86:1": "amd64"}
    assert context.reaches_hub is None
