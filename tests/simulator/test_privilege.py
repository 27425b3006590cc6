"""An unconfined node's commands are an ordinary user's, also when root started the simulator."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkdesk.simulator.confinement import privilege
from tests.simulator.conftest import PROJECT, TINY_MODEL, Simulator, llama, read_line, running, spawn

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can leave root")

# Nothing here changes the computer: the rights are read, a file is opened, and signal 0 only asks.
PROBE = """
import os, sys
sys.path.insert(0, sys.argv[1])
from sparkdesk.simulator.confinement import privilege
privilege.leave_root(65534, 65534)
print(os.getresuid(), os.getresgid(), os.getgroups())
print([line.split()[1] for line in open("/proc/self/status") if line.startswith(("Cap", "NoNewPrivs"))])
for attempt in (lambda: open("/etc/shadow"), lambda: os.kill(int(sys.argv[2]), 0), lambda: os.setuid(0)):
    try:
        attempt()
        print("allowed")
    except PermissionError:
        print("refused")
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter; pytest's own are root's alone."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def can_nobody_use_python() -> bool:
    """Whether the user `nobody` could run this Python."""
    parents = (*Path(os.path.realpath(sys.executable)).parents, *Path(os.__file__).resolve().parents)
    return all(parent.stat().st_mode & 0o001 for parent in parents)


@needs_root
def test_who_has_left_root_has_no_right_left_and_cannot_come_back() -> None:
    words = [sys.executable, "-c", PROBE, str(PROJECT), str(os.getpid())]
    lines = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True).stdout.splitlines()
    assert lines[0] == "(65534, 65534, 65534) (65534, 65534, 65534) []"
    assert lines[1] == str(["0" * 16] * 5 + ["1"])
    assert lines[2:] == ["refused"] * 3


def test_root_is_never_a_node_user() -> None:
    with pytest.raises(OSError, match="run it as an ordinary user"):
        privilege.leave_root(0, 0)


@needs_root
@pytest.mark.parametrize(
    ("sudo_uid", "user"),
    [("", 65534), ("0", 65534), ("-1", 65534), ("x", 65534), ("4294967295", 65534), ("1001", 1001)],
)
def test_who_came_by_sudo_becomes_themselves_again(monkeypatch: pytest.MonkeyPatch, sudo_uid: str, user: int) -> None:
    monkeypatch.setenv("SUDO_UID", sudo_uid)
    monkeypatch.delenv("SUDO_GID", raising=False)
    assert privilege.plain_user() == (user, user)


@needs_root
def test_a_folder_of_another_user_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    with pytest.raises(OSError, match="remove it"):
        privilege.give(str(tmp_path / "theirs"), 65534, 65534)
    assert (tmp_path / "theirs").stat().st_uid == 0


@needs_root
def test_a_folder_that_the_plain_user_cannot_enter_stops_the_start_with_a_remedy(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    process = spawn(tmp_path, tmp_path / "state", "--nodes", "1", "--unconfined")
    assert read_line(process) == b""
    words = process.communicate(timeout=30)[1].decode()
    assert process.returncode == 1
    assert "run it as an ordinary user" in words
    assert "Traceback" not in words


@needs_root
async def test_commands_of_an_unconfined_node_that_root_started_are_not_root(open_folder: Path) -> None:
    if not can_nobody_use_python():
        pytest.skip("this Python lies where only root can use it, so the simulator refuses to start")
    with running(
        open_folder, open_folder / "state", "--nodes", "1", "--unconfined", "--model", str(TINY_MODEL)
    ) as simulator:
        assert simulator.line["confined"] is False
        await check_rights(simulator)


async def check_rights(simulator: Simulator) -> None:
    """What a command may do; nothing is tried that would change the computer."""
    async with simulator.connect() as connection:
        # Not by `id`: that is the simulated node's own, and tells whom the node has.
        ids = str((await connection.run("grep -E '^(Uid|Gid|Groups)' /proc/self/status", check=True)).stdout)
        assert set(ids.replace(":", "").split()) == {"Uid", "Gid", "Groups", "65534"}
        rights = str((await connection.run("grep -E '^(Cap|NoNewPrivs)' /proc/self/status", check=True)).stdout)
        assert rights.split()[1::2] == ["0" * 16] * 5 + ["1"]
        for command in ("cat /etc/shadow", f"kill -0 {os.getpid()}", f"ls {simulator.state}", "ls /etc"):
            result = await connection.run(command)
            assert result.exit_status != 0, command
        assert (await connection.run("hostname; echo x > ~/a && cat ~/a")).stdout == "spark-5c2d\nx\n"
        async with llama(connection, 8098):
            assert "NVIDIA GB10" in str((await connection.run("nvidia-smi -L", check=True)).stdout)
