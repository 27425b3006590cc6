"""Several runs of the SSH mesh's program, cut or taken back in any order: in the end each byte is as it was."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from tests.core.bringup.mesh_cases import make_key
from tests.remote.test_ssh_mesh import BLOCK, COMMENT, PROGRAM, Home

OTHERS = b"ssh-ed25519 AAAAorig me@x"
"""A last line without its end."""
OTHER = "sparkdesk-mesh spark-3 n3"
_KILLED = """import os, sys
source = open(sys.argv[1]).read().replace(
    'os.rename(beside(path), path)', 'os._exit(9) if name == "authorized_keys" else os.rename(beside(path), path)')
sys.argv = sys.argv[1:]
exec(compile(source, "x", "exec"), {"__name__": "__main__"})
"""


@pytest.fixture
def one(tmp_path: Path) -> Home:
    (tmp_path / "home" / ".local" / "state" / "sparkdesk").mkdir(parents=True)
    return Home(tmp_path / "home")


def killed_before_the_file(home: Home, run: str, comment: str, key: str) -> None:
    """A `let-in` that is killed when its note is written and the file is not."""
    words = [sys.executable, "-I", "-S", "-c", _KILLED, str(PROGRAM), "let-in", run, comment]
    done = subprocess.run(words, input=key.encode(), env={"HOME": str(home.path)}, timeout=60, check=False)
    assert done.returncode == 9


@pytest.mark.parametrize("goes_on", [False, True])
@pytest.mark.parametrize("is_second", [False, True])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_change_that_was_cut_at_one_place_again_and_again_is_taken_back_exactly(
    one: Home, times: int, is_second: bool, goes_on: bool
) -> None:
    one.write("authorized_keys", OTHERS, 0o640)
    before = one.everything()
    if is_second:
        one.call("let-in", "r1", COMMENT, key=make_key(1))
    for _ in range(times):
        killed_before_the_file(one, "r1", OTHER, make_key(2))
    if goes_on:
        one.call("let-in", "r1", OTHER, key=make_key(2))
    assert one.call("undo", "r1", "let-in")["ok"]
    assert one.everything() == before


def line(run: int) -> str:
    """A host line about one node, another one in each run."""
    return f"10.0.20.{run},spark-2 {make_key(9)} {COMMENT}"


@pytest.mark.parametrize("others", [b"github.com ssh-ed25519 AAAA", b"github.com ssh-ed25519 AAAA\n", None])
@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))))
def test_runs_that_replaced_each_others_lines_leave_nothing_in_whatever_order_they_are_taken_back(
    one: Home, order: tuple[int, ...], others: bytes | None
) -> None:
    if others is not None:
        one.write("known_hosts", others, 0o664)
        one.write("config", b"Host x\n    User y")
    before = one.everything()
    for run in (1, 2, 3):
        assert one.call("hosts", f"r{run}", line(run), BLOCK.replace("ana", f"ana{run}"))["changed"]
    for run in order:
        assert one.call("undo", f"r{run}", "hosts")["changed"]
        assert f"10.0.20.{run}," not in _text(one, "known_hosts")
        assert f"ana{run}\n" not in _text(one, "config")
    assert one.everything() == before


def _text(home: Home, name: str) -> str:
    path = home.ssh / name
    return path.read_text() if path.exists() else ""


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))))
def test_what_a_person_wrote_between_stays_and_our_lines_go(one: Home, order: tuple[int, ...]) -> None:
    one.write("authorized_keys", OTHERS + b"\n")
    for run in (1, 2, 3):
        one.call("let-in", f"r{run}", COMMENT, key=make_key(run))
        if run == 2:
            path = one.ssh / "authorized_keys"
            path.write_bytes(b"ssh-rsa AAAA mine\n" + path.read_bytes())
    for run in order:
        one.call("undo", f"r{run}", "let-in")
    assert (one.ssh / "authorized_keys").read_bytes() == b"ssh-rsa AAAA mine\n" + OTHERS + b"\n"
    assert not (one.path / ".local/state/sparkdesk/bringup").exists(), "the notes are gone"


def test_a_run_that_brings_an_earlier_line_back_keeps_the_order(one: Home) -> None:
    one.write("known_hosts", b"github.com ssh-ed25519 AAAA")
    before = one.everything()
    for run, text in (("r1", line(1)), ("r2", line(2)), ("r3", line(1))):
        one.call("hosts", run, text)
    for run in ("r3", "r1", "r2"):
        one.call("undo", run, "hosts")
    assert one.everything() == before
