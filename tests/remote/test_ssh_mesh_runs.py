"""Several runs of the SSH mesh's program, cut or taken back in any order: in the end each byte is as it was."""

from __future__ import annotations

import fcntl
import itertools
import os
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


def test_a_file_nearly_as_long_as_is_taken_is_changed_and_given_back(one: Home) -> None:
    others = b"".join(b"host-%d ssh-ed25519 AAAA\n" % number for number in range(36_000))
    assert 900_000 < len(others) < 1 << 20
    one.write("known_hosts", others)
    one.write("authorized_keys", others)
    before = one.everything()
    assert one.call("hosts", "r1", line(1), BLOCK)["changed"] is True
    assert one.call("let-in", "r1", COMMENT, key=make_key(1))["changed"] is True
    assert one.call("check", "hosts", "r1", line(1), BLOCK)["ok"] is True
    assert one.call("undo", "r1", "hosts")["ok"], "the note of it is longer than the file"
    assert one.call("undo", "r1", "let-in")["ok"]
    assert one.everything() == before


_ENTRY = '"mode": 384, "left_mode": 384, "added": [], "removed": [], "before": "", "left": [], "mixed": false'


@pytest.mark.parametrize(
    "note",
    ["", "[]", "null", "[" * 20_000, '{"files": []}', '{"files": {"authorized_keys": {}}}', '{"files": {"config": 7}}',
     f'{{"files": {{"authorized_keys": {{"former": 7, "number": 1, {_ENTRY}}}}}}}',
     f'{{"files": {{"authorized_keys": {{"former": null, "number": "1", {_ENTRY}}}}}}}',
     f'{{"files": {{"authorized_keys": {{"former": null, "number": 9, {_ENTRY.replace("[]", "[null]")}}}}}}}'],
)  # fmt: skip
def test_a_note_of_another_run_that_cannot_be_understood_is_passed_over_and_told(one: Home, note: str) -> None:
    state = one.path / ".local/state/sparkdesk/bringup"
    state.mkdir(parents=True)
    (state / "mesh-zz.json").write_text(note)
    before = one.everything()
    told = f"{state}/mesh-zz.json cannot be understood: it was passed over"
    done = {"ok": True, "changed": True, "message": told}
    assert one.call("let-in", "r1", COMMENT, key=make_key(1)) == done
    assert one.call("undo", "r1", "let-in") == done
    assert one.everything() == before
    own = one.call("undo", "zz", "let-in")
    assert (own["ok"], own["message"]) == (False, "the note of this run cannot be read")


_SHORT = """import sys
source = open(sys.argv[1]).read().replace("KEYGEN_S, LOCK_S = 30.0, 30.0", "KEYGEN_S, LOCK_S = 30.0, 0.2")
sys.argv = sys.argv[1:]
exec(compile(source, "x", "exec"), {"__name__": "__main__"})
"""


def test_a_run_that_another_one_keeps_waiting_says_so(one: Home) -> None:
    state = one.path / ".local/state/sparkdesk/bringup"
    state.mkdir(parents=True)
    handle = os.open(state, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        words = [sys.executable, "-I", "-S", "-c", _SHORT, str(PROGRAM), "let-in", "r1", COMMENT]
        env = {"HOME": str(one.path)}
        done = subprocess.run(words, input=make_key(1).encode(), env=env, capture_output=True, timeout=9, check=False)
    finally:
        os.close(handle)
    assert done.returncode == 1
    assert b"another run of SparkDesk" in done.stdout
    assert list(one.ssh.iterdir()) == []


def test_who_waited_for_a_folder_that_its_holder_removed_makes_a_new_one(one: Home) -> None:
    state = one.path / ".local/state/sparkdesk/bringup"
    state.mkdir(parents=True)
    handle = os.open(state, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    words = [sys.executable, "-I", "-S", str(PROGRAM), "let-in", "r1", COMMENT]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"HOME": str(one.path)}) as waiting:
        assert waiting.stdin is not None
        waiting.stdin.write(make_key(1).encode())
        waiting.stdin.close()
        waiting.stdin = None
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(0.4)
        state.rmdir()
        os.close(handle)
        said, _ = waiting.communicate(timeout=20)
    assert b'"changed": true' in said
    assert one.call("undo", "r1", "let-in")["changed"] is True
    assert not state.exists()
