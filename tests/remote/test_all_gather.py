"""The all_gather refuses what freezes nodes, checks what arrives, and says in one line what came of it."""

from __future__ import annotations

import ast
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.remote import all_gather
from tests.remote.python_version import PYTHONS

PROGRAM = Path(all_gather.__file__)
GIB = 1 << 30
NCCL_LOG = """\
spark:12:12 [0] NCCL INFO NCCL_IB_HCA set to rocep1s0f1,roceP2p1s0f1
spark:12:12 [0] NCCL INFO NET/IB : Using [0]rocep1s0f1:1/RoCE [1]roceP2p1s0f1:1/RoCE [RO]
spark:12:12 [0] NCCL INFO Using network IB
spark:12:12 [0] NCCL INFO Channel 08/0 : 0[0] -> 1[0] [receive] via NET/IBext_v10/0
spark:12:12 [0] NCCL INFO Channel 00/0 : 0[0] -> 1[0] [send] via NET/IB/0
"""


def find_torch() -> str | None:
    """A Python that has PyTorch: SPARKDESK_TORCH_PYTHON, or this one."""
    for python in filter(None, (os.environ.get("SPARKDESK_TORCH_PYTHON"), sys.executable)):
        done = subprocess.run(
            [python, "-c", "import importlib.util as u, sys; sys.exit(u.find_spec('torch') is None)"],
            capture_output=True, timeout=30, check=False,
        )  # fmt: skip
        if done.returncode == 0:
            return python
    return None


def said(*arguments: str, python: str = sys.executable) -> tuple[int, dict[str, Any]]:
    """How the program ends, and its one line."""
    command = [python, str(PROGRAM), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    (line,) = done.stdout.splitlines()
    return done.returncode, json.loads(line)


@pytest.mark.parametrize("size", [4 * GIB + 1, 16 * GIB, 10**18, 0, -5])
@pytest.mark.parametrize("python", PYTHONS)
def test_a_size_that_is_too_large_or_none_is_refused(python: str, size: int) -> None:
    code, answer = said("--bytes", str(size), python=python)
    assert (code, answer["ok"]) == (1, False)
    assert "refused" in answer["message"]
    assert answer["remedy"] == "Choose 1 to 4 GiB."


@pytest.mark.parametrize("python", PYTHONS)
def test_an_image_without_pytorch_is_named_as_the_cause(python: str, tmp_path: Path) -> None:
    (tmp_path / "all_gather.py").write_bytes(PROGRAM.read_bytes())
    (tmp_path / "torch.py").write_text("raise ImportError('none here')")
    done = subprocess.run(
        [python, str(tmp_path / "all_gather.py"), "--backend", "gloo"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    answer = json.loads(done.stdout)
    assert answer["message"] == "The image has no PyTorch: none here"
    assert answer["ok"] is False


def test_a_node_whose_memory_is_taken_is_not_measured() -> None:
    with pytest.raises(all_gather.Refused, match="GiB of memory are available"):
        all_gather.check_size(GIB, "cuda", 9 * GIB)
    all_gather.check_size(GIB, "cuda", 11 * GIB)
    all_gather.check_size(GIB, "cuda", None)


def test_memory_that_cannot_be_read_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:       125513048 kB\nMemAvailable:    1024 kB\n")
    assert all_gather.available_bytes(str(tmp_path / "meminfo")) == 1024 * 1024
    assert all_gather.available_bytes(str(tmp_path / "absent")) is None
    (tmp_path / "other").write_text("nothing")
    assert all_gather.available_bytes(str(tmp_path / "other")) is None


def test_the_way_of_the_data_is_read_from_what_nccl_used() -> None:
    read = all_gather.read_transports(NCCL_LOG)
    assert read["transports"] == ["NET/IB"]
    assert read["devices"] == ["roceP2p1s0f1", "rocep1s0f1"]
    assert len(read["lines"]) == 4


def test_a_way_that_was_only_looked_for_does_not_count() -> None:
    log = "a:1:1 [0] NCCL INFO NET/IB : No device found.\na:1:1 [0] NCCL INFO Using network Socket\n"
    assert all_gather.read_transports(log)["transports"] == ["NET/Socket"]
    assert all_gather.read_transports("")["transports"] == []


def test_what_nccl_says_is_bounded() -> None:
    log = f"via NET/IB/0 {'x' * 9000}\n" * 500
    read = all_gather.read_transports(log)
    assert len(read["lines"]) == all_gather.MAX_LINES
    assert all(len(line) <= 160 for line in read["lines"])


def test_nothing_but_the_standard_library_is_imported_by_name() -> None:
    tree = ast.parse(PROGRAM.read_text())
    names = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert names <= sys.stdlib_module_names


# With a real PyTorch -------------------------------------------------------------------------------------------------

TORCH = find_torch()
needs_torch = pytest.mark.skipif(
    TORCH is None, reason="no PyTorch here (SPARKDESK_TORCH_PYTHON names a Python with it)"
)


def gather(count: int, *arguments: str) -> list[dict[str, Any]]:
    """What so many nodes say, each with a torchrun of its own as on a real cluster."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    processes = [
        subprocess.Popen(
            [TORCH or "", "-m", "torch.distributed.run", "--nnodes", str(count), "--nproc-per-node", "1",
             "--node-rank", str(rank), "--master-addr", "127.0.0.1", "--master-port", str(port),
             str(PROGRAM), "--backend", "gloo", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        for rank in range(count)
    ]  # fmt: skip
    return [json.loads(process.communicate(timeout=120)[0]) for process in processes]


@needs_torch
@pytest.mark.parametrize("count", [2, 3])
def test_nodes_gather_the_right_data_and_tell_the_bandwidth_of_their_bus(count: int) -> None:
    answers = gather(count, "--bytes", str(1 << 22), "--iterations", "3")
    assert sorted(answer["rank"] for answer in answers) == list(range(count))
    for answer in answers:
        assert answer["ok"] is True
        assert answer["wrong"] == 0
        assert answer["world"] == count
        assert answer["algbw_gbs"] == pytest.approx(answer["bytes"] / answer["median_s"] / 1e9)
        assert answer["busbw_gbs"] == pytest.approx(answer["algbw_gbs"] * (count - 1) / count)


@needs_torch
def test_a_node_alone_says_that_there_is_nothing_to_gather() -> None:
    (answer,) = gather(1, "--bytes", str(1 << 22))
    assert answer["ok"] is False
    assert "nothing to gather" in answer["message"]


@needs_torch
def test_nodes_that_never_come_end_the_measuring_in_time(tmp_path: Path) -> None:
    environment = {
        **os.environ, "RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0",
        "TMPDIR": str(tmp_path),
    }  # fmt: skip
    done = subprocess.run(
        [TORCH or "", str(PROGRAM), "--backend", "gloo", "--bytes", str(1 << 22), "--limit-s", "6"],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    answer = json.loads(done.stdout)
    assert answer["ok"] is False
    assert answer["message"]
