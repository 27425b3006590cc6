"""A node's lock: one holder at a time, whichever account or computer asks, and nothing of a stranger's is believed."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

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
    assert lock("renew", "t1", "anna@laptop", "Set up Docker") == {"held": True}
    assert lock("renew", "t2", "bob@desk", "Restart")["held"] is False
    lock("release", "t2")
    assert lock("take", "t2", "bob@desk", "Restart")["taken"] is False, "who holds nothing releases nothing"
    lock("release", "t1")
    assert lock("take", "t2", "bob@desk", "Restart") == {"taken": True, "expired": [], "lease_s": 60.0}


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
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == {"sparkdesk-lease-1901.json": 0o644, "sparkdesk-lease-1902.json": 0o644}


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
