"""The load of a GPU ends by itself and says so; what is read meanwhile is bounded, and what was not told is null."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.remote import gpu_load
from tests.remote.python_version import PYTHONS

PROGRAM = Path(gpu_load.__file__)
TORCH = """\
import time
from types import SimpleNamespace
float16 = "float16"
cuda = SimpleNamespace(is_available=lambda: {gpu}, set_device=lambda _: None, synchronize=lambda: time.sleep(0.01))
def rand(rows, columns, dtype, device): return (rows, columns, dtype, device)
def matmul(left, right, out=None): {matmul}
"""
CONTAINER = 'echo "# simulated: no GPU"; exec {python} {program} load --seconds 1'


@pytest.fixture
def node(tmp_path: Path) -> dict[str, str]:
    """The environment of a node whose nvidia-smi answers, and whose images have a PyTorch of a few lines."""
    write_smi(tmp_path, "echo '2411, 61.20, 96'")
    write_torch(tmp_path)
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(tmp_path)}


def write_smi(folder: Path, script: str) -> None:
    """Let nvidia-smi be this."""
    (folder / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "nvidia-smi").chmod(0o755)


def write_torch(folder: Path, gpu: bool = True, matmul: str = "return 1") -> None:
    """Let PyTorch be this."""
    (folder / "torch.py").write_text(TORCH.format(gpu=gpu, matmul=matmul))


def watch(node: dict[str, str], script: str, *options: str, python: str = sys.executable) -> tuple[int, str, Any, str]:
    """How a watch ends: its code, its lines before the last, that line's object, its errors."""
    command = [python, str(PROGRAM), "watch", *options, "--", "sh", "-c", script]
    done = subprocess.run(command, env=node, capture_output=True, text=True, timeout=60, check=False)
    *before, last = done.stdout.splitlines()
    return done.returncode, "\n".join(before), json.loads(last), done.stderr


@pytest.mark.parametrize("python", PYTHONS)
def test_the_clock_is_read_while_the_load_runs(node: dict[str, str], python: str) -> None:
    code, before, said, _ = watch(node, CONTAINER.format(python=python, program=PROGRAM), python=python)
    assert (code, before, said["kind"], said["ok"], said["trouble"]) == (0, "# simulated", "gpu_load", True, "")
    assert 1 <= len(said["samples"]) <= 3
    assert said["samples"][0] == {"mhz": 2411.0, "watts": 61.2, "percent": 96.0}


@pytest.mark.parametrize(
    ("torch", "message"),
    [
        ({"gpu": False}, "PyTorch sees no GPU in the container"),
        ({"matmul": "raise RuntimeError('CUDA out of memory.\\nMore.')"}, "RuntimeError: CUDA out of memory."),
    ],
)
def test_an_image_that_cannot_load_says_why(
    node: dict[str, str], tmp_path: Path, torch: dict[str, Any], message: str
) -> None:
    write_torch(tmp_path, **torch)
    code, _, said, _ = watch(node, CONTAINER.format(python=sys.executable, program=PROGRAM))
    assert (code, said["ok"], said["message"]) == (1, False, message)
    assert said["remedy"]


def test_what_docker_complains_of_is_kept_to_its_end(node: dict[str, str]) -> None:
    script = "yes complaint | head -n 5000 >&2; echo 'docker: No such image: x' >&2; exit 125"
    code, _, said, errors = watch(node, script)
    assert (code, said["samples"], said["message"]) == (1, [], "docker: No such image: x")
    assert len(errors) <= gpu_load.MAX_TAIL


def test_a_program_that_is_not_there_is_named(node: dict[str, str]) -> None:
    command = [sys.executable, str(PROGRAM), "watch", "--", "no-such-docker"]
    done = subprocess.run(command, env=node, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == "no-such-docker: No such file or directory\n"
    assert json.loads(done.stdout)["ok"] is False


def test_a_load_that_does_not_end_is_ended(node: dict[str, str]) -> None:
    begun_s = time.monotonic()
    _, _, said, _ = watch(node, """echo '{"at": "begin"}'; exec sleep 60""", "--limit-s", "1")
    assert time.monotonic() - begun_s < 20
    assert said["message"] == "no end after 1 s"


def test_a_flood_from_the_container_is_no_answer(node: dict[str, str]) -> None:
    _, before, said, _ = watch(node, "yes '{\"at\": [1, 2' | head -c 300000; head -c 300000 /dev/zero")
    assert (before, said["ok"], said["message"]) == ("", False, "the load ended with code 0")


def test_a_gpu_that_does_not_answer_is_told(node: dict[str, str], tmp_path: Path) -> None:
    write_smi(tmp_path, "echo 'No devices were found'; exit 6")
    _, _, said, _ = watch(node, """echo '{"at": "begin"}'; sleep 0.8; echo '{"at": "end", "ok": true}'""")
    assert (said["ok"], said["samples"], said["trouble"]) == (True, [], "nvidia-smi: No devices were found")


@pytest.mark.parametrize(
    ("text", "sample"),
    [
        ("2411, 61.20, 96\n", {"mhz": 2411.0, "watts": 61.2, "percent": 96.0}),
        ("2411, [N/A], [Not Supported]\n", {"mhz": 2411.0, "watts": None, "percent": None}),
        ("nan, inf, -5\nx", {"mhz": None, "watts": None, "percent": None}),
        ("No devices were found\n", None),
        ("", None),
    ],
)
def test_what_is_no_figure_is_none(text: str, sample: dict[str, float | None] | None) -> None:
    assert gpu_load.read_sample(text) == sample


def test_a_node_whose_memory_is_taken_is_not_loaded() -> None:
    with pytest.raises(gpu_load.Refused, match=r"1\.0 GiB of memory are available, 8\.0 GiB are needed"):
        gpu_load.check_memory(1 << 30)
    gpu_load.check_memory(8 << 30)
    gpu_load.check_memory(None)
