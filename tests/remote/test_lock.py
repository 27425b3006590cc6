"""A node's lock: one holder at a time, whichever account or computer asks, and nothing of a stranger's is believed."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.core.command import Command, Exit, Outcome
from sparkdesk.core.playbooks.lock import hold_command, is_not_begun
from tests.infra.sshd import require
from tests.remote.python_version import PYTHONS

PROGRAM = Path(__file__).parents[2] / "sparkdesk" / "remote" / "lock.py"
# As another account; everything is imported before, because that account may not read this Python's folder.
_AS = """import __future__, errno, fcntl, json, os, pwd, re, stat, sys, time, random, encodings.idna
uid, path = int(sys.argv[1]), sys.argv[2]
source = open(path).read()
os.setgroups([]); os.setgid(uid); os.setuid(uid)
sys.argv = [path, *sys.argv[3:]]
exec(compile(source, path, "exec"), {"__name__": "__main__"})
"""
Lock = Callable[..., dict[str, Any]]


@pytest.fixture
def folder() -> Iterator[Path]:
    """The shared, sticky folder of a node, where other accounts can reach it."""
    with tempfile.TemporaryDirectory(prefix="sparkdesk-lock-") as name:
        Path(name).chmod(0o1777)
        yield Path(name)


@pytest.fixture(params=PYTHONS)
def lock(request: pytest.FixtureRequest, folder: Path) -> Lock:
    """Runs the program, as another account where `uid` says so."""

    def run(*words: str, uid: int = 0, boot: str = "") -> dict[str, Any]:
        how = ["-c", _AS, str(uid), str(PROGRAM)] if uid else [str(PROGRAM)]
        env = {**os.environ, "SPARKDESK_LOCK_DIR": str(folder), "SPARKDESK_ROOT": boot, "HOME": str(folder.parent)}
        done = subprocess.run(
            [request.param, *how, *words], env=env, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.stdout, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    return run


def age(folder: Path, seconds: float, uid: int | None = None) -> None:
    """Let a lease be renewed last so many seconds earlier."""
    path = folder / f"sparkdesk-lease-{os.geteuid() if uid is None else uid}.json"
    value = json.loads(path.read_text())
    value["renewed_s"] -= seconds
    path.write_text(json.dumps(value))


def test_one_holds_and_the_other_is_told_who(lock: Lock) -> None:
    assert lock("take", "t1", "anna@laptop", "Set up Docker")["taken"] is True
    refused = lock("take", "t2", "bob@desk", "Restart")
    assert refused["taken"] is False
    assert (refused["holder"]["who"], refused["holder"]["what"]) == ("anna@laptop", "Set up Docker")
    assert lock("renew", "t1", "anna@laptop", "Set up Docker")["held"] is True
    assert lock("renew", "t2", "bob@desk", "Restart")["held"] is False
    lock("release", "t2")
    assert lock("take", "t2", "bob@desk", "Restart")["taken"] is False, "who holds nothing releases nothing"
    lock("release", "t1")
    taken = lock("take", "t2", "bob@desk", "Restart")
    assert (taken["taken"], taken["busy"], taken["expired"], taken["lease_s"]) == (True, [], [], 60.0)


def test_a_lease_that_nobody_renews_is_taken_over_and_its_holder_hears_it(lock: Lock, folder: Path) -> None:
    lock("take", "t1", "anna@laptop", "Set up Docker")
    age(folder, 59)
    assert lock("take", "t2", "bob@desk", "x")["taken"] is False
    age(folder, 2)
    taken = lock("take", "t2", "bob@desk", "x")
    assert [row["who"] for row in taken["expired"]] == ["anna@laptop"]
    assert lock("renew", "t1", "anna@laptop", "Set up Docker")["holder"]["who"] == "bob@desk"
    lock("release", "t2")
    assert lock("renew", "t1", "anna@laptop", "Set up Docker") == {"held": False, "holder": None}


def test_a_late_renewal_is_fine_when_nobody_came(lock: Lock, folder: Path) -> None:
    lock("take", "t1", "anna@laptop", "x")
    age(folder, 500)
    assert lock("renew", "t1", "anna@laptop", "x")["held"] is True
    assert lock("take", "t2", "bob@desk", "x")["taken"] is False


def test_breaking_names_whose_lease_is_meant(lock: Lock) -> None:
    lock("take", "t1", "anna@laptop", "x")
    assert lock("take", "t3", "eve@desk", "x", "t0")["taken"] is False
    assert lock("take", "t2", "bob@desk", "x", "t1")["taken"] is True
    assert lock("take", "t3", "eve@desk", "x", "t1")["holder"]["who"] == "bob@desk"
    assert lock("renew", "t1", "anna@laptop", "x")["held"] is False
    lock("release", "t2")
    assert lock("renew", "t1", "anna@laptop", "x")["held"] is False, "who was broken hears it later too"


def test_after_a_restart_nobody_holds_it(lock: Lock, tmp_path: Path) -> None:
    kernel = tmp_path / "boot/proc/sys/kernel/random"
    kernel.mkdir(parents=True)
    (kernel / "boot_id").write_text("another\n")
    lock("take", "t1", "anna@laptop", "Restart")
    assert lock("renew", "t1", "anna@laptop", "Restart", boot=str(tmp_path / "boot"))["held"] is True
    lock("release", "t1", boot=str(tmp_path / "boot"))
    assert lock("take", "t2", "bob@desk", "x", boot=str(tmp_path / "boot"))["taken"] is True


def test_two_accounts_share_one_lock_and_can_break_and_outlive_each_other(lock: Lock, folder: Path) -> None:
    require(os.geteuid() == 0, "another account needs root")
    assert lock("take", "t1", "anna@laptop", "x", uid=1901)["taken"] is True
    refused = lock("take", "t2", "bob@desk", "y", uid=1902)
    assert (refused["taken"], refused["holder"]["account"]) == (False, "1901")
    assert lock("take", "t2", "bob@desk", "y", "t1", uid=1902)["taken"] is True
    assert lock("renew", "t1", "anna@laptop", "x", uid=1901)["holder"]["who"] == "bob@desk"
    lock("release", "t2", uid=1902)
    assert lock("renew", "t1", "anna@laptop", "x", uid=1901)["held"] is False
    assert lock("take", "t3", "anna@laptop", "z", uid=1901)["taken"] is True
    age(folder, 61, 1901)
    assert lock("take", "t4", "bob@desk", "y", uid=1902)["expired"][0]["who"] == "anna@laptop"
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.glob("sparkdesk-lease-*")}
    assert modes == {"sparkdesk-lease-1901.json": 0o644, "sparkdesk-lease-1902.json": 0o644}
    assert {path.stat().st_mode & 0o777 for path in folder.glob("sparkdesk-busy-*")} == {0o644}


def test_a_link_in_the_way_is_neither_followed_nor_believed(lock: Lock, folder: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (folder / f"sparkdesk-lease-{os.geteuid()}.json").symlink_to(victim)
    assert lock("take", "t1", "anna@laptop", "x")["taken"] is True
    assert victim.read_text() == "precious"
    assert not (folder / f"sparkdesk-lease-{os.geteuid()}.json").is_symlink()


def test_a_lease_in_another_accounts_name_is_not_believed(lock: Lock, folder: Path) -> None:
    require(os.geteuid() == 0, "another account needs root")
    lock("take", "t1", "eve@desk", "x", uid=1901)
    (folder / "sparkdesk-lease-1902.json").write_text((folder / "sparkdesk-lease-1901.json").read_text())
    os.chown(folder / "sparkdesk-lease-1902.json", 1901, 1901)
    lock("release", "t1", uid=1901)
    assert lock("take", "t2", "bob@desk", "x", uid=1903)["taken"] is True
    refused = lock("take", "t3", "victim@desk", "x", uid=1902)
    assert "error" in refused or refused["taken"] is False, "the squatter can refuse, and no more"


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", '{"schema": 1}', "[" * 4000, "\x00" * 100,
        '{"schema": 1, "token": "T!", "taken_s": 1.0, "renewed_s": 1.0}',
        '{"schema": 1, "token": "t9", "taken_s": NaN, "renewed_s": 1e300, "boot_id": "b"}',
        '{"schema": 2, "token": "t9", "taken_s": 1.0, "renewed_s": 1.0}',
        '{"schema": 1, "token": "t9", "taken_s": 1.0, "renewed_s": 1.0, "voided": {"t1": 1}}',
    ],
)  # fmt: skip
def test_nonsense_is_passed_over(lock: Lock, folder: Path, text: str) -> None:
    (folder / f"sparkdesk-lease-{os.geteuid()}.json").write_text(text)
    assert lock("take", "t1", "anna@laptop", "x")["taken"] is True
    assert lock("renew", "t1", "anna@laptop", "x")["held"] is True


def test_what_is_no_token_is_refused(lock: Lock) -> None:
    for words in (("take", "T 1", "a", "b"), ("take", "t1"), ("steal", "t1"), ("release", "t" * 65), ()):
        assert "error" in lock(*words)


def test_of_twelve_at_once_one_gets_it(folder: Path) -> None:
    env = {**os.environ, "SPARKDESK_LOCK_DIR": str(folder)}

    def take(number: int) -> bool:
        done = subprocess.run(
            [sys.executable, str(PROGRAM), "take", f"t{number}", "w", "x"],
            env=env, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        return bool(json.loads(done.stdout)["taken"])

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(take, range(12))) == 1


def test_it_waits_while_another_one_decides(folder: Path) -> None:
    env = {**os.environ, "SPARKDESK_LOCK_DIR": str(folder)}
    shared = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(shared, fcntl.LOCK_EX)
        command = [sys.executable, str(PROGRAM), "take", "t1", "w", "x"]
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as asking:
            with pytest.raises(subprocess.TimeoutExpired):
                asking.wait(1.0)
            assert list(folder.iterdir()) == []
            fcntl.flock(shared, fcntl.LOCK_UN)
            assert asking.stdout is not None
            assert json.loads(asking.stdout.read())["taken"] is True
    finally:
        os.close(shared)


# Commands under a lease -----------------------------------------------------------------------------------------


def argv_of(command: Command, python: str = sys.executable) -> list[str]:
    """The command's words, with this Python."""
    assert command.argv[0] == "python3"
    return [python, *command.argv[1:]]


def run_held(python: str, file: str, token: str, *argv: str, stdin: bytes = b"") -> Outcome:
    """How a command under a lease ends."""
    words = argv_of(hold_command(Command(argv), file, token), python)
    done = subprocess.run(words, input=stdin, capture_output=True, timeout=60, check=False)
    return Outcome(Exit(done.returncode), done.stdout, done.stderr)


@pytest.fixture
def orphan(lock: Lock) -> Iterator[tuple[str, Callable[[], None]]]:
    """The file of lease t1, of which the grandchild of a killed command still runs; and what ends that one."""
    file = lock("take", "t1", "anna@laptop", "Set up Docker")["file"]
    script = "exec 3<&0; { read line <&3; echo over; } & echo begun; wait"
    words = argv_of(hold_command(Command(("sh", "-c", script)), file, "t1"))
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.kill()
        process.wait()

        def end() -> None:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            assert process.stdout.read() == b"over\n"  # with its end the pipe ends

        yield file, end
        if not process.stdin.closed:
            end()


def when_free(take: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The answer without a busy row; a process that closed its pipe may yet be on its way out."""
    taken = take()
    for _ in range(100):
        if taken["busy"]:
            taken = take()
    return taken


def test_who_takes_over_is_told_of_a_command_that_outlives_its_sender(
    lock: Lock, folder: Path, orphan: tuple[str, Callable[[], None]]
) -> None:
    file, end = orphan
    broken = lock("take", "t2", "bob@desk", "x", "t1")
    assert broken["taken"] is True
    assert [(row["who"], row["what"], row["file"]) for row in broken["busy"]] == [
        ("anna@laptop", "Set up Docker", file)
    ]
    age(folder, 61)
    third = lock("take", "t3", "eve@desk", "y")
    assert [row["who"] for row in third["expired"]] == ["bob@desk"]
    assert [row["who"] for row in third["busy"]] == ["anna@laptop"], (
        "told with its own name, whoever held the lock since"
    )
    end()
    assert when_free(lambda: lock("take", "t3", "eve@desk", "y"))["taken"] is True
    assert not Path(file).exists()


def test_a_release_forgets_no_command_that_still_runs(lock: Lock, orphan: tuple[str, Callable[[], None]]) -> None:
    _, end = orphan
    lock("release", "t1")
    assert [row["who"] for row in lock("take", "t2", "bob@desk", "x")["busy"]] == ["anna@laptop"]
    end()
    assert when_free(lambda: lock("take", "t2", "bob@desk", "x"))["busy"] == []


def test_commands_of_one_lease_run_beside_each_other(lock: Lock, orphan: tuple[str, Callable[[], None]]) -> None:
    file, _ = orphan
    assert lock("take", "t1", "anna@laptop", "Set up Docker")["busy"] == [], "its own are nobody else's"
    assert run_held(sys.executable, file, "t1", "echo", "beside").stdout == b"beside\n"


@pytest.mark.parametrize("how", ["broken", "expired", "let go", "another account's"])
def test_a_lease_that_is_over_begins_no_command(lock: Lock, folder: Path, how: str) -> None:
    file = lock("take", "t1", "anna@laptop", "x")["file"]
    marker = folder / "done"
    if how == "let go":
        lock("release", "t1")
    elif how == "expired":
        age(folder, 61)
        lock("take", "t2", "bob@desk", "y")
    elif how == "broken":
        lock("take", "t2", "bob@desk", "y", "t1")
    else:
        require(os.geteuid() == 0, "another account needs root")
        lock("take", "t2", "bob@desk", "y", "t1", uid=1901)
        assert Path(file).exists(), "another account's file stays, and is of no use"
    outcome = run_held(sys.executable, file, "t1", "touch", str(marker))
    assert is_not_begun(outcome, "t1")
    assert not is_not_begun(outcome, "t2")
    assert not marker.exists()


def has_open(pid: int, path: str) -> bool:
    """Whether the process has this file open; what it closes meanwhile is passed over."""
    return any(os.path.realpath(fd) == path for fd in Path(f"/proc/{pid}/fd").iterdir())


def test_a_command_that_comes_as_its_lease_is_let_go_is_not_begun(lock: Lock, folder: Path) -> None:
    file = lock("take", "t1", "anna@laptop", "x")["file"]
    marker = folder / "done"
    with open(file) as looking:
        fcntl.flock(looking, fcntl.LOCK_EX)
        words = argv_of(hold_command(Command(("touch", str(marker))), file, "t1"))
        with subprocess.Popen(words, stderr=subprocess.PIPE) as coming:
            while not has_open(coming.pid, file):
                assert coming.poll() is None
                time.sleep(0.01)
            os.unlink(file)
            fcntl.flock(looking, fcntl.LOCK_UN)
            _, said = coming.communicate(timeout=60)
    assert is_not_begun(Outcome(Exit(coming.returncode), b"", said), "t1")
    assert not marker.exists()


@pytest.mark.parametrize("python", PYTHONS)
def test_a_held_command_gets_its_input_and_ends_as_it_would_alone(lock: Lock, python: str) -> None:
    file = lock("take", "t1", "anna@laptop", "x")["file"]
    assert run_held(python, file, "t1", "cat", stdin=b"\x00\xff word").stdout == b"\x00\xff word"
    assert run_held(python, file, "t1", "sh", "-c", "echo no >&2; exit 75").fate == Exit(75)
    assert not is_not_begun(run_held(python, file, "t1", "sh", "-c", "exit 75"), "t1")
    assert run_held(python, file, "t1", "sh", "-c", "kill -TERM $$").fate == Exit(-15)
    assert run_held(python, file, "t1", "sh", "-c", "kill -PIPE $$; echo ignored").fate == Exit(-13)
    absent = run_held(python, file, "t1", "no-such-program")
    assert (absent.fate, absent.stderr) == (Exit(127), b"no-such-program: No such file or directory\n")


def test_root_can_hold_an_accounts_lease(lock: Lock) -> None:
    require(os.geteuid() == 0, "another account needs root")
    file = lock("take", "t1", "anna@laptop", "x", uid=1901)["file"]
    assert run_held(sys.executable, file, "t1", "id", "-u").stdout == b"0\n"


def test_nonsense_in_the_way_of_a_held_command_stops_nothing(lock: Lock, folder: Path) -> None:
    file = lock("take", "t1", "anna@laptop", "x")["file"]
    for number, text in enumerate(("", "[]", '{"voided": 7}', "[" * 4000, '{"voided": null}')):
        (folder / f"sparkdesk-lease-9{number}.json").write_text(text)
    os.mkfifo(folder / "sparkdesk-lease-99.json")
    (folder / "sparkdesk-busy-7-t9.json").symlink_to("/etc/passwd")
    os.mkfifo(folder / f"sparkdesk-busy-{os.geteuid()}-t8.json")
    assert run_held(sys.executable, file, "t1", "echo", "x").stdout == b"x\n"
    assert lock("take", "t1", "anna@laptop", "x")["busy"] == []
