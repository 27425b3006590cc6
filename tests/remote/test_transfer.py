"""A transfer runs apart from whoever began it, tells how it stands, and leaves no process and no secret behind."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TRANSFER = Path(__file__).resolve().parents[2] / "sparkdesk" / "remote" / "transfer.py"
SLOW = """import json, os, time
print(json.dumps({"done": 1, "total": 9, "pid": os.getpid()}), flush=True)
while True:
    time.sleep(0.05)
    print("{}", flush=True) if False else None
"""
TALKING = SLOW.replace("if False else None", "").replace('print("{}"', 'print(json.dumps({"pid": os.getpid()})')


class Node:
    """A home folder with one transfer's folder."""

    def __init__(self, home: Path) -> None:
        self.folder = home / ".local/state/sparkdesk/transfers/t1"
        self.folder.mkdir(parents=True)
        self.env = {"HOME": str(home), "PATH": os.environ["PATH"]}

    def ask(self, verb: str, *words: str, **more: Any) -> dict[str, Any]:
        """One verb."""
        argv = [sys.executable, "-I", "-S", str(TRANSFER), verb, str(self.folder), *words]
        done = subprocess.run(argv, env=self.env, capture_output=True, timeout=30, check=True, **more)
        return dict(json.loads(done.stdout.splitlines()[-1]))

    def start(self, program: str) -> dict[str, Any]:
        """Begin this program."""
        (self.folder / "p.py").write_text(program)
        (self.folder / "secrets.json").write_text('{"HF_TOKEN": "x"}')
        return self.ask("start", "p.py")

    def until(self, state: str) -> dict[str, Any]:
        """Ask until it is so."""
        for _ in range(400):
            said = self.ask("status")
            if said["state"] == state:
                return said
            time.sleep(0.02)
        raise AssertionError(said)

    def pids(self) -> list[int]:
        """The supervisor, and the program once it has spoken."""
        for _ in range(400):
            said = self.ask("status")
            if "pid" in said:
                return [int(json.loads((self.folder / "run.json").read_text())["pid"]), int(said["pid"])]
            time.sleep(0.02)
        raise AssertionError(said)


def are_gone(pids: list[int]) -> bool:
    """Whether none of them runs, soon."""
    for _ in range(400):
        if not any(is_alive(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def is_alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node; what still runs is ended."""
    node = Node(tmp_path)
    yield node
    node.ask("stop")


def test_its_end_is_told_with_its_last_words(node: Node) -> None:
    assert node.ask("status")["ended"] is True
    assert node.start('print(\'{"ok": true, "bytes": 5}\')')["started"] is True
    assert node.until("done")["bytes"] == 5
    assert not (node.folder / "secrets.json").exists()
    node.start('print(\'{"ok": false, "message": "the disk is full"}\')')
    assert node.until("failed")["message"] == "the disk is full"
    node.start("raise SystemExit(3)")
    assert "code 3" in node.until("failed")["message"]


def test_a_second_start_finds_the_first_one_running(node: Node) -> None:
    node.start(SLOW)
    pids = node.pids()
    assert node.start(SLOW)["was_running"] is True
    assert node.pids() == pids


def test_a_stop_leaves_no_process_and_no_secret(node: Node) -> None:
    node.start(SLOW)
    pids = node.pids()
    assert node.ask("stop")["stopped"] is True
    assert are_gone(pids)
    assert not (node.folder / "secrets.json").exists()
    assert node.ask("status")["state"] == "failed"


def test_one_that_was_killed_is_lost_and_can_begin_again(node: Node) -> None:
    node.start(SLOW)
    pids = node.pids()
    os.killpg(pids[0], signal.SIGKILL)
    assert are_gone(pids)
    said = node.until("lost")
    assert (said["ended"], said["ok"]) == (True, False)
    node.start("print('{\"ok\": true}')")
    node.until("done")


def test_what_nobody_asks_for_ends_by_itself(node: Node) -> None:
    node.env["SPARKDESK_LEASE_S"] = "1"
    node.start(TALKING)
    pids = node.pids()
    assert are_gone(pids)


def test_a_clock_that_is_set_ends_nothing(node: Node) -> None:
    node.env["SPARKDESK_LEASE_S"] = "600"
    node.start(TALKING)
    pids = node.pids()
    os.utime(node.folder / "asked", (1, 1))  # as old as it looks after the clock was put years ahead
    time.sleep(0.3)
    assert all(is_alive(pid) for pid in pids)


def test_a_program_that_is_killed_alone_is_told_by_its_signal(node: Node) -> None:
    node.start(SLOW)
    os.kill(node.pids()[1], signal.SIGKILL)
    said = node.until("failed")
    assert ("signal 9" in said["message"], said["done"], said["total"]) == (True, 1, 9)


def test_a_full_disk_is_told_before_a_transfer_begins_and_when_its_end_cannot_be_written(node: Node) -> None:
    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    (node.folder / "p.py").write_text(SLOW)
    (node.folder / "secrets.json").write_text("{}")
    said = node.ask("start", "p.py", preexec_fn=fill)
    assert (said["started"], said["kind"], said["message"]) == (False, "disk", "the node's disk is full")
    assert said["remedy"]
    node.start(SLOW)
    supervisor, program = node.pids()
    resource.prlimit(supervisor, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    os.kill(program, signal.SIGKILL)
    said = node.until("failed")
    assert (said["kind"], bool(said["remedy"])) == ("disk", True)
    assert not (node.folder / "secrets.json").exists()
    node.start("print('{\"ok\": true}')")
    assert node.until("done")["ok"] is True


def test_only_a_folder_of_a_transfer_is_touched(node: Node, tmp_path: Path) -> None:
    argv = [sys.executable, "-I", "-S", str(TRANSFER), "stop", str(tmp_path)]
    assert subprocess.run(argv, env=node.env, capture_output=True, timeout=30, check=False).returncode == 1


def test_a_disk_that_takes_no_file_at_all_is_told_as_full(node: Node) -> None:
    """A real one: its room for names is used up by what must be there before a transfer begins."""
    place = node.folder.parent
    script = (
        f"mount -t tmpfs -o nr_inodes=6 none {place} && mkdir {node.folder} || exit 99; cd {node.folder}"
        ' && touch p.py lock asked && { touch more even_more 2>/dev/null; "$@"; }'
    )
    start = [sys.executable, "-I", "-S", str(TRANSFER), "start", str(node.folder), "p.py"]
    argv = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", *start]
    done = subprocess.run(argv, env=node.env, capture_output=True, timeout=30, check=False)
    if done.returncode == 99 or b"unshare" in done.stderr:
        pytest.skip("namespaces are not allowed here")
    said = json.loads(done.stdout or b"{}")
    assert (said.get("started"), said.get("kind")) == (False, "disk"), done.stderr


def test_a_last_line_that_speaks_of_another_try_is_an_end(node: Node) -> None:
    node.start('print(\'{"ok": true, "again": {"in_s": 1}, "bytes": 5}\')')
    said = node.until("done")
    assert (said["bytes"], said["again"]) == (5, {"in_s": 1})
