"""The reader answers every read, says why where it cannot, and neither hangs nor grows, whatever it is given."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.core.probes.read import Answer, Fault, Read, ReadClock, ReadCommand, ReadDisk, ReadFile
from sparkdesk.core.probes.read_json import MAX_READS, decode_answers, decode_span, encode_reads
from sparkdesk.core.program import python_command
from tests.remote.python_version import PYTHONS
from tests.remote.spark_root import make_spark, write

SOURCE = (Path(__file__).parents[2] / "sparkdesk" / "remote" / "reader.py").read_bytes()
BECOME_NOBODY = b"""
import __future__, errno, glob, hashlib, json, os, selectors, signal, stat, subprocess, time
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
"""
"""Sent before the program: what it imports may lie where only root may look."""
PATH = os.environ.get("PATH", "/usr/bin:/bin")


def run(
    request: bytes,
    *,
    seconds: float = 20,
    python: str = sys.executable,
    env: dict[str, str] | None = None,
    before: bytes = b"",
) -> dict[str, Any]:
    """One run of the program, after `before`; what it printed."""
    command = python_command([before, SOURCE], "reading", str(len(request)), f"{seconds:g}")
    done = subprocess.run(
        [python, *command.argv[1:]],
        input=before + SOURCE + request,
        capture_output=True,
        timeout=60,
        env={"PATH": PATH, "HOME": "/", "LANG": "de_DE.UTF-8"} | (env or {}),
    )
    assert (done.returncode, done.stderr) == (0, b"")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def ask(*reads: Read, **options: Any) -> list[Answer]:
    """The answers to these reads."""
    answers = list(decode_answers(reads, run(encode_reads(reads), **options)).values())
    assert None not in answers
    return [answer for answer in answers if answer is not None]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users reach."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.mark.parametrize("python", PYTHONS)
def test_files_globs_commands_disks_and_the_clock_are_answered_in_order(python: str, tmp_path: Path) -> None:
    make_spark(tmp_path)
    reads = (
        ReadFile("/proc/sys/kernel/osrelease"),
        ReadFile("/sys/class/net/*/mtu"),
        ReadCommand(("sh", "-c", "echo $LC_ALL; cat; echo bad >&2; exit 3")),
        ReadDisk("/"),
        ReadClock(),
    )
    began_ms = time.time() * 1000
    kernel, units, command, disk, clock = ask(*reads, python=python, env={"SPARKDESK_ROOT": str(tmp_path)})
    assert kernel.text == "6.14.0-1015-nvidia"
    assert kernel.numbers is not None
    assert abs(kernel.numbers["/proc/sys/kernel/osrelease"] - time.time()) < 60
    assert [path for path, _ in units.texts] == ["/sys/class/net/enP2p1s0f0np0/mtu", "/sys/class/net/enp1s0f0np0/mtu"]
    assert (command.text, command.errors, command.code, command.is_ok) == ("C", "bad\n", 3, False)
    assert disk.numbers is not None
    assert disk.numbers["total_bytes"] > disk.numbers["free_bytes"] > 0
    assert clock.numbers is not None
    assert abs(clock.numbers["t_ms"] - began_ms) < 30_000


def test_the_kinds_of_failure_are_told_apart(open_folder: Path) -> None:
    (open_folder / "secret").write_text("mine")
    (open_folder / "secret").chmod(0o600)
    (open_folder / "closed").mkdir(mode=0o700)
    (open_folder / "tool").write_text("#!/bin/sh\n")
    (open_folder / "tool").chmod(0o644)
    before = BECOME_NOBODY if os.getuid() == 0 else b""
    found = ask(
        ReadFile(f"{open_folder}/none"),
        ReadFile(f"{open_folder}/none/*"),
        ReadFile(f"{open_folder}/sec*/x"),
        ReadCommand(("no-such-program",)),
        ReadFile(f"{open_folder}"),
        ReadFile("/dev/zero"),
        ReadCommand(("sh", "-c", "kill -SEGV $$")),
        *((ReadFile(f"{open_folder}/secret"), ReadFile(f"{open_folder}/closed/*")) if before else ()),
        ReadCommand((f"{open_folder}/tool",)),
        before=before,
    )
    faults = [answer.fault for answer in found]
    assert faults[:4] == [Fault.ABSENT] * 4
    assert faults[4:7] == [Fault.UNREADABLE] * 3
    assert set(faults[7:]) == {Fault.DENIED}
    assert all(answer.problem for answer in found)


def test_a_pipe_a_device_and_a_huge_file_do_not_hold_it_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    with open(tmp_path / "huge", "wb") as huge:
        huge.truncate(1 << 40)
    started = time.monotonic()
    pipe, link, device, huge_answer, glob = ask(
        ReadFile(f"{tmp_path}/pipe"),
        ReadFile(f"{tmp_path}/link"),
        ReadFile("/dev/tty"),
        ReadFile(f"{tmp_path}/huge", max_bytes=100),
        ReadFile(f"{tmp_path}/*", max_bytes=10),
    )
    assert {pipe.problem, link.problem, device.problem} == {"not a plain file"}
    assert (len(huge_answer.texts[0][1]), huge_answer.is_cut) == (100, True)
    assert [path for path, _ in glob.texts] == [f"{tmp_path}/huge"]
    assert time.monotonic() - started < 15


def test_a_file_that_blocks_costs_its_own_answer_only() -> None:
    """The child that reads files is stopped, as if the kernel held it in a read."""
    stop = (
        "while :; do for p in $(cat /proc/$PPID/task/$PPID/children); do "
        '[ "$p" != $$ ] && kill -STOP "$p" && exit 0; done; done'
    )
    slow = [ReadFile("/proc/*/task/*/stat", max_bytes=size) for size in range(1, 60)]
    answers = ask(ReadCommand(("sh", "-c", stop)), *slow, ReadDisk("/"), ReadFile("/proc/version"))
    faults = [answer.fault for answer in answers]
    assert answers[0].is_ok
    assert faults.count(Fault.TIMED_OUT) == 1
    assert answers[-1].text.startswith("Linux")
    assert faults.count(None) == len(answers) - 1


def test_a_command_that_hangs_is_killed_with_its_group_and_the_others_run_beside_it(tmp_path: Path) -> None:
    hang = f"sleep 300 & echo $! > {tmp_path}/pid; sleep 300"
    started = time.monotonic()
    hung, held, endless, quick = ask(
        ReadCommand(("sh", "-c", hang), timeout_s=1),
        ReadCommand(("sh", "-c", "sleep 300 & echo told"), timeout_s=10),
        ReadCommand(("sh", "-c", "yes"), timeout_s=1, max_bytes=100),
        ReadCommand(("id", "-u")),
    )
    assert (hung.fault, endless.fault) == (Fault.TIMED_OUT, Fault.TIMED_OUT)
    assert held.text == "told"  # a grandchild keeps the pipe; the command itself has ended
    assert quick.text == str(os.getuid())
    pid = int((tmp_path / "pid").read_text())
    assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]
    assert time.monotonic() - started < 15


def test_all_together_has_an_end_too() -> None:
    reads = [ReadCommand(("sleep", str(300 + number)), timeout_s=30) for number in range(9)]
    started = time.monotonic()
    answers = ask(*reads, seconds=1)
    assert {answer.fault for answer in answers} == {Fault.TIMED_OUT}
    assert time.monotonic() - started < 20


def test_what_has_no_room_is_left_to_be_asked_for_again(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"f{number}").write_bytes(b"\xff" * 65536)  # six characters each, once they are JSON
    reads = [ReadFile(f"{tmp_path}/f{number}", max_bytes=65536) for number in range(30)]
    data = run(encode_reads(reads))
    assert len(json.dumps(data)) < 1 << 20
    answers = list(decode_answers(reads, data).values())
    assert answers[0] is not None
    assert answers[0].text == "\N{REPLACEMENT CHARACTER}" * 65536
    assert answers[-1] is None


def test_serial_numbers_leave_the_node_only_as_a_hash(tmp_path: Path) -> None:
    make_spark(tmp_path)
    env = {"SPARKDESK_ROOT": str(tmp_path)}
    release, plain = ask(ReadFile("/etc/dgx-release"), ReadFile("/sys/class/dmi/id/product_serial"), env=env)
    machine = (tmp_path / "etc/machine-id").read_text().strip()
    expected = "sha256:" + hashlib.sha256(f"{machine}\nSECRET-SERIAL".encode()).hexdigest()
    assert "SECRET" not in release.text + plain.text
    assert f'DGX_SERIAL_NUMBER="{expected}"' in release.text
    assert plain.text == expected
    write(tmp_path, "sys/class/dmi/id/product_serial", "Default string\n")
    (empty,) = ask(ReadFile("/sys/class/dmi/id/product_serial"), env=env)
    assert (empty.text, empty.is_ok) == ("", True)


def test_the_home_is_the_users_own_and_never_below_the_root(tmp_path: Path) -> None:
    (tmp_path / "home" / "nccl[1]").mkdir(parents=True)
    (tmp_path / "home" / "note").write_text("hello")
    env = {"HOME": str(tmp_path / "home"), "SPARKDESK_ROOT": "/nowhere"}
    plain, glob, none = ask(ReadFile("~/note"), ReadFile("~/no*e"), ReadFile("~/x*"), env=env)
    assert (plain.text, glob.text, none.fault) == ("hello", "hello", Fault.ABSENT)


@pytest.mark.parametrize(
    "read",
    [7, {}, {"k": "file"}, {"k": "file", "path": "relative"}, {"k": "file", "path": "/a\0"}, {"k": "what"},
     {"k": "command", "argv": []}, {"k": "command", "argv": "id"}, {"k": "command", "argv": ["a\0"]}],
)  # fmt: skip
def test_a_read_that_is_none_is_answered_as_such(read: object) -> None:
    data = run(json.dumps({"reads": [read, {"k": "clock"}]}).encode())
    assert data["answers"][0]["f"] == "unreadable"
    assert data["answers"][1]["n"]["t_ms"] > 0


def test_it_says_when_it_began_and_ended() -> None:
    span = decode_span(run(encode_reads([ReadCommand(("sleep", "0.3"))])))
    assert span is not None
    assert 250 < span[1] - span[0] < 20_000


def test_it_imports_the_standard_library_only() -> None:
    found = {
        (node.module if isinstance(node, ast.ImportFrom) else name.name) or ""
        for node in ast.walk(ast.parse(SOURCE))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert {name.partition(".")[0] for name in found} <= set(sys.stdlib_module_names)


def test_more_reads_than_it_takes_are_refused_before_they_are_sent() -> None:
    with pytest.raises(ValueError, match="at most"):
        encode_reads([ReadFile(f"/{number}") for number in range(MAX_READS + 1)])
