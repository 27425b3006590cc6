"""The lab itself: what it made is gone when it ends, also when its runner is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.infra.sshd import require
from tests.lab.lab import Lab, find_obstacle

pytestmark = pytest.mark.lab

ROOT = Path(__file__).resolve().parents[2]
_RUNNER = """
import pathlib, sys, time
from tests.lab.lab import Lab
with Lab(2, pathlib.Path(sys.argv[1]), marker=sys.argv[2]) as lab, lab.workstation():
    print(*(node.holder.pid for node in lab.nodes), flush=True)
    time.sleep(600)
"""


def networks() -> dict[str, list[int]]:
    """Every network space that a process holds, with its processes."""
    found: dict[str, list[int]] = {}
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                found.setdefault(os.readlink(process / "ns/net"), []).append(int(process.name))
            except OSError:
                continue
    return found


def wait_until_gone(spaces: set[str]) -> dict[str, list[int]]:
    """What is left of these network spaces after at most half a minute."""
    for _ in range(300):
        left = {space: pids for space, pids in networks().items() if space in spaces}
        if not left:
            return {}
        time.sleep(0.1)
    return left


def test_nothing_is_left_after_the_lab(tmp_path: Path) -> None:
    before, mounts = set(networks()), Path("/proc/self/mountinfo").read_text()
    with Lab(2, tmp_path) as lab:
        ours = {child.pid for child in psutil.Process().children(recursive=True)}  # another file's lab may be made now
        made = {space for space, pids in networks().items() if space not in before and ours.intersection(pids)}
        assert len(made) == 4
        assert Path("/proc/self/mountinfo").read_text() == mounts
        with lab.workstation():
            assert os.readlink("/proc/thread-self/ns/net") in made
        assert os.readlink("/proc/thread-self/ns/net") not in made
        assert not Path("/home/nvidia/.ssh/authorized_keys").exists()
    assert wait_until_gone(made) == {}
    assert Path("/proc/self/mountinfo").read_text() == mounts


def test_nothing_is_left_after_the_runner_was_killed(tmp_path: Path) -> None:
    require(not (obstacle := find_obstacle()), obstacle)
    before = set(networks())
    runner = subprocess.Popen(
        [sys.executable, "-c", _RUNNER, str(tmp_path), "killed"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert runner.stdout is not None
    with runner.stdout:
        pids = [int(pid) for pid in runner.stdout.readline().split()]
    assert len(pids) == 2
    made = {os.readlink(f"/proc/{pid}/ns/net") for pid in pids}
    assert made.isdisjoint(before)
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    assert wait_until_gone(made) == {}


def test_two_labs_with_the_same_addresses_do_not_meet(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with Lab(1, tmp_path / "a") as one, Lab(1, tmp_path / "b") as other:
        assert one.nodes[0].address == other.nodes[0].address
        assert one.nodes[0].host_key != other.nodes[0].host_key
        one.nodes[0].run("touch", "/etc/only-here")
        assert not (other.nodes[0].root / "etc/only-here").exists()
