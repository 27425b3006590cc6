"""A node's part of the SSH mesh: real files, real ssh-keygen. What others wrote stays; undo gives back each byte."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.core.program import python_command
from tests.core.bringup.mesh_cases import make_key
from tests.infra.sshd import require
from tests.remote.python_version import PYTHONS

PROGRAM = Path(__file__).parents[2] / "sparkdesk" / "remote" / "ssh_mesh.py"
UNDO = PROGRAM.with_name("mesh_undo.py")
COMMENT = "sparkdesk-mesh spark-2 n2"
KNOWN = f"10.0.20.32,spark-2 {make_key(9)} {COMMENT}"
BLOCK = f"""# >>> {COMMENT}
Host 10.0.20.32 spark-2
    User ana
Host *
# <<< sparkdesk-mesh
"""


class Home:
    """A node's home folder, and our program on it."""

    def __init__(self, folder: Path, python: str = sys.executable) -> None:
        self.path = folder
        self.ssh = folder / ".ssh"
        self.ssh.mkdir(mode=0o700, parents=True)
        self._python = python

    def call(self, *words: str, key: str = "", limit: Callable[[], None] | None = None) -> dict[str, Any]:
        """One call; its exit code says the same as its line."""
        argv, data = ("-I", "-S", str(PROGRAM), *words), key.encode()
        if words[:1] == ("undo",):
            sources = [UNDO.read_bytes(), PROGRAM.read_bytes()]
            argv, data = python_command(sources, *words).argv[1:], b"".join(sources)
        done = subprocess.run(
            [self._python, *argv],
            input=data,
            capture_output=True,
            env={"HOME": str(self.path), "PATH": os.environ["PATH"]},
            preexec_fn=limit,
            timeout=60,
            check=False,
        )
        assert done.stderr == b""
        said: dict[str, Any] = json.loads(done.stdout)
        assert (done.returncode == 0) is said["ok"]
        assert said["ok"] or said["remedy"]
        return said

    def write(self, name: str, data: bytes, mode: int = 0o600) -> None:
        """A file that was there before us."""
        (self.ssh / name).write_bytes(data)
        (self.ssh / name).chmod(mode)

    def everything(self) -> dict[str, tuple[str, str]]:
        """Every path with its mode and what is in it."""
        found = {}
        for path in sorted(self.path.rglob("*")):
            seen = path.lstat()
            data = path.read_bytes() if stat.S_ISREG(seen.st_mode) else b""
            found[str(path.relative_to(self.path))] = (f"{seen.st_mode:o}", hashlib.sha256(data).hexdigest())
        return found


@pytest.fixture(params=PYTHONS)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    (tmp_path / "home" / ".local" / "state" / "sparkdesk").mkdir(parents=True)
    return Home(tmp_path / "home", request.param)


@pytest.fixture
def one(tmp_path: Path) -> Home:
    """With this Python alone."""
    (tmp_path / "home" / ".local" / "state" / "sparkdesk").mkdir(parents=True)
    return Home(tmp_path / "home")


def test_a_pair_is_made_once_for_its_owner_alone_and_goes_again(home: Home) -> None:
    before = home.everything()
    assert home.call("check", "key", "r1", COMMENT)["ok"] is False
    assert home.everything() == before, "a check changed something"
    assert home.call("key", "r1", COMMENT) == {"ok": True, "changed": True}
    private, public = home.ssh / "id_ed25519_sparkdesk", home.ssh / "id_ed25519_sparkdesk.pub"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert public.read_text().endswith(f" {COMMENT}\n")
    derived = subprocess.run(["ssh-keygen", "-y", "-P", "", "-f", private], capture_output=True, check=True).stdout
    assert derived.split()[:2] == public.read_bytes().split()[:2]
    whole = home.everything()
    assert home.call("key", "r1", COMMENT) == {"ok": True, "changed": False}
    assert home.call("check", "key", "r2", COMMENT)["ok"] is True
    assert home.everything() == whole
    assert home.call("undo", "r1", "key")["changed"] is True
    assert home.everything() == before


def test_a_pair_that_somebody_closed_with_a_passphrase_since_stays(one: Home) -> None:
    one.call("key", "r1", COMMENT)
    private = one.ssh / "id_ed25519_sparkdesk"
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "theirs now", "-f", private], check=True)
    closed = private.read_bytes()
    assert one.call("undo", "r1", "key")["ok"] is True
    assert private.read_bytes() == closed


def test_a_pair_that_was_there_before_stays_with_its_missing_public_half_until_the_undo(one: Home) -> None:
    one.call("key", "r1", COMMENT)
    public = one.ssh / "id_ed25519_sparkdesk.pub"
    line = public.read_bytes()
    public.unlink()
    before = one.everything()
    assert one.call("key", "r2", COMMENT)["changed"] is True
    assert public.read_bytes() == line
    one.call("undo", "r2", "key")
    assert one.everything() == before


@pytest.mark.parametrize(
    ("data", "mode"),
    [
        (b"", 0o600),
        (b"ssh-rsa AAAA bob@desk\n", 0o600),
        (b"# mine\r\n\r\nssh-rsa AAAA bob@desk", 0o640),
        (b"\xff\xfe \0 ssh-rsa\n\n\n", 0o664),
    ],
)
def test_a_peers_key_stands_behind_what_others_wrote_and_the_undo_gives_back_each_byte(
    one: Home, data: bytes, mode: int
) -> None:
    one.write("authorized_keys", data, mode)
    before = one.everything()
    assert one.call("check", "let-in", "r1", COMMENT, key=make_key(1))["ok"] is False
    assert one.call("let-in", "r1", COMMENT, key=make_key(1))["changed"] is True
    assert one.call("let-in", "r1", "sparkdesk-mesh spark-3 n3", key=make_key(2))["changed"] is True
    now = (one.ssh / "authorized_keys").read_bytes()
    assert now.startswith(data)
    assert now.endswith(f"{make_key(1)} {COMMENT}\n{make_key(2)} sparkdesk-mesh spark-3 n3\n".encode())
    assert stat.S_IMODE((one.ssh / "authorized_keys").stat().st_mode) == mode & ~0o022
    assert one.call("check", "let-in", "r1", COMMENT, key=make_key(1))["ok"] is True
    assert one.call("let-in", "r1", COMMENT, key=make_key(1))["changed"] is False
    assert one.call("undo", "r1", "let-in")["changed"] is True
    assert one.everything() == before


def test_without_a_file_one_is_made_for_its_owner_alone_and_goes_again(one: Home) -> None:
    before = one.everything()
    one.call("let-in", "r1", COMMENT, key=make_key(1))
    assert stat.S_IMODE((one.ssh / "authorized_keys").stat().st_mode) == 0o600
    one.call("undo", "r1", "let-in")
    assert one.everything() == before


def test_what_others_write_meanwhile_stays_and_only_our_lines_go(one: Home) -> None:
    one.write("authorized_keys", b"ssh-rsa AAAA bob\n")
    one.call("let-in", "r1", COMMENT, key=make_key(1))
    with (one.ssh / "authorized_keys").open("ab") as file:
        file.write(b"ssh-rsa BBBB eve\n")
    one.call("let-in", "r1", "sparkdesk-mesh spark-3 n3", key=make_key(2))
    one.call("undo", "r1", "let-in")
    assert (one.ssh / "authorized_keys").read_bytes() == b"ssh-rsa AAAA bob\nssh-rsa BBBB eve\n"


def test_a_file_that_somebody_removed_stays_away(one: Home) -> None:
    one.write("authorized_keys", b"ssh-rsa AAAA bob\n")
    one.call("let-in", "r1", COMMENT, key=make_key(1))
    (one.ssh / "authorized_keys").unlink()
    assert one.call("undo", "r1", "let-in")["ok"] is True
    assert not (one.ssh / "authorized_keys").exists()


def test_two_runs_are_undone_each_by_itself(one: Home) -> None:
    one.call("let-in", "r1", COMMENT, key=make_key(1))
    first = (one.ssh / "authorized_keys").read_bytes()
    one.call("let-in", "r2", "sparkdesk-mesh spark-3 n3", key=make_key(2))
    one.call("undo", "r1", "let-in")
    assert (one.ssh / "authorized_keys").read_bytes() == f"{make_key(2)} sparkdesk-mesh spark-3 n3\n".encode()
    one.call("let-in", "r1", COMMENT, key=make_key(1))
    one.call("undo", "r2", "let-in")
    assert (one.ssh / "authorized_keys").read_bytes() == first


def test_a_new_key_of_a_peer_takes_the_place_of_its_old_one_and_the_undo_brings_that_back(one: Home) -> None:
    one.call("let-in", "r1", COMMENT, key=make_key(1))
    old = (one.ssh / "authorized_keys").read_bytes()
    one.call("let-in", "r2", COMMENT, key=make_key(2))
    assert (one.ssh / "authorized_keys").read_bytes() == f"{make_key(2)} {COMMENT}\n".encode()
    with (one.ssh / "authorized_keys").open("ab") as file:
        file.write(b"ssh-rsa BBBB eve\n")
    one.call("undo", "r2", "let-in")
    assert (one.ssh / "authorized_keys").read_bytes() == b"ssh-rsa BBBB eve\n" + old


def test_a_key_that_somebody_let_in_already_is_left_as_it_stands(one: Home) -> None:
    one.write("authorized_keys", f"{make_key(1)} ana\n".encode())
    assert one.call("let-in", "r1", COMMENT, key=make_key(1)) == {"ok": True, "changed": False}


def test_a_key_that_stands_there_for_one_command_only_is_let_in_beside_it(one: Home) -> None:
    line = f'command="true" {make_key(1)} ana\n'
    one.write("authorized_keys", line.encode())
    one.call("let-in", "r1", COMMENT, key=make_key(1))
    assert (one.ssh / "authorized_keys").read_text() == f"{line}{make_key(1)} {COMMENT}\n"


@pytest.mark.parametrize(
    "key",
    [
        "",
        "ssh-rsa AAAA",
        f'command="true" {make_key(1)}',
        f"{make_key(1)}\n{make_key(2)}",
        f"{make_key(1)} ana",
        "x" * 100_000,
        make_key(1)[:-1],
    ],
)
def test_what_is_not_one_plain_key_is_refused(one: Home, key: str) -> None:
    before = one.everything()
    assert one.call("let-in", "r1", COMMENT, key=key)["message"] == "this is not one ed25519 public key"
    assert one.everything() == before


@pytest.mark.parametrize(
    "words",
    [
        ("key", "../r", COMMENT),
        ("key", "r1", "root ALL"),
        ("let-in", "r1", 'x\nssh-rsa AAAA" x'),
        ("hosts", "r1", "* ssh-rsa AAAA"),
        ("hosts", "r1", BLOCK.replace("User", "# User\n#")),
        ("undo", "r1", "all"),
        ("undo",),
        (),
        ("check",),
        ("check", "undo", "r1", "key"),
    ],
)
def test_arguments_that_are_not_ours_are_refused(one: Home, words: tuple[str, ...]) -> None:
    before = one.everything()
    assert one.call(*words, key=make_key(1))["ok"] is False
    assert one.everything() == before


def test_host_keys_go_behind_and_users_above_what_others_wrote(home: Home) -> None:
    home.write("known_hosts", b"|1|hash|hash ssh-rsa AAAA\n@revoked * ssh-rsa BBBB", 0o644)
    home.write("config", b"ServerAliveInterval 30\nHost *\n    User bob\n", 0o644)
    before = home.everything()
    assert home.call("check", "hosts", "r1", KNOWN, BLOCK)["ok"] is False
    assert home.everything() == before
    assert home.call("hosts", "r1", KNOWN, BLOCK) == {"ok": True, "changed": True}
    assert (home.ssh / "known_hosts").read_text().endswith(f"ssh-rsa BBBB\n{KNOWN}\n")
    assert (home.ssh / "config").read_text() == f"{BLOCK}ServerAliveInterval 30\nHost *\n    User bob\n"
    assert home.call("hosts", "r1", KNOWN, BLOCK) == {"ok": True, "changed": False}
    assert home.call("check", "hosts", "r1", KNOWN, BLOCK)["ok"] is True
    home.call("undo", "r1", "hosts")
    assert home.everything() == before


def test_a_peer_with_another_address_gets_a_new_line_and_a_new_block(one: Home) -> None:
    one.call("hosts", "r1", KNOWN, BLOCK)
    other = BLOCK.replace("n2", "n3").replace("spark-2", "spark-3")
    one.call("hosts", "r1", other)
    moved = BLOCK.replace("10.0.20.32", "10.0.20.99")
    one.call("hosts", "r2", KNOWN.replace(".32", ".99"), moved)
    assert (one.ssh / "known_hosts").read_text() == KNOWN.replace(".32", ".99") + "\n"
    assert (one.ssh / "config").read_text() == moved + other
    one.call("undo", "r2", "hosts")
    assert (one.ssh / "config").read_text() == other + BLOCK


def test_a_block_without_its_end_is_not_taken_for_ours(one: Home) -> None:
    torn = BLOCK.replace("# <<< sparkdesk-mesh\n", "")
    one.write("config", torn.encode())
    one.call("hosts", "r1", BLOCK)
    assert (one.ssh / "config").read_text() == BLOCK + torn


def test_ssh_takes_our_user_for_the_peer_and_the_persons_settings_for_all_others(one: Home) -> None:
    one.write("config", b"ServerAliveInterval 30\nHost *\n    User bob\n")
    one.call("hosts", "r1", BLOCK)

    def settings(host: str) -> list[str]:
        told = subprocess.run(["ssh", "-G", "-F", one.ssh / "config", host], capture_output=True, text=True, check=True)
        return [line for line in told.stdout.splitlines() if line.startswith(("user ", "serveraliveinterval "))]

    assert settings("10.0.20.32") == ["user ana", "serveraliveinterval 30"]
    assert settings("elsewhere") == ["user bob", "serveraliveinterval 30"]


# What is refused -----------------------------------------------------------------------------------------------------


def refused(home: Home) -> str:
    """The words with which a peer's key is refused; nothing is changed by it."""
    before = home.everything()
    said = home.call("let-in", "r1", COMMENT, key=make_key(1))
    assert said["ok"] is False
    assert home.everything() == before
    return str(said["message"])


def test_a_link_a_folder_a_pipe_and_a_huge_file_are_refused(one: Home) -> None:
    path = one.ssh / "authorized_keys"
    elsewhere = one.path / "elsewhere"
    elsewhere.write_text("")
    path.symlink_to(elsewhere)
    assert refused(one) == "authorized_keys is a link to somewhere else"
    path.unlink()
    path.mkdir()
    assert refused(one) == "authorized_keys is not a file"
    path.rmdir()
    os.mkfifo(path)
    assert refused(one) == "authorized_keys is not a file"
    path.unlink()
    path.write_bytes(b"#" * ((1 << 20) + 1))
    assert "more than" in refused(one)


def test_a_folder_that_is_a_link_or_not_there_is_refused(one: Home) -> None:
    one.ssh.rmdir()
    assert "No such file" in refused(one)
    one.ssh.symlink_to(one.path)
    assert refused(one) == "~/.ssh is not a folder"


def test_files_of_other_users_are_refused(one: Home) -> None:
    require(os.geteuid() == 0, "giving files to another user needs root")
    one.write("authorized_keys", b"")
    os.chown(one.ssh / "authorized_keys", 12345, 12345)
    assert refused(one) == "authorized_keys belongs to another user"
    os.chown(one.ssh, 12345, 12345)
    assert refused(one) == "~/.ssh belongs to another user"


def test_an_own_key_that_is_none_or_that_others_may_read_is_refused(one: Home) -> None:
    one.write("id_ed25519_sparkdesk", b"no key at all\n")
    assert one.call("key", "r1", COMMENT)["ok"] is False
    (one.ssh / "id_ed25519_sparkdesk").unlink()
    one.call("key", "r1", COMMENT)
    (one.ssh / "id_ed25519_sparkdesk").chmod(0o644)
    assert one.call("key", "r2", COMMENT)["message"] == "others may read ~/.ssh/id_ed25519_sparkdesk"


def full_disk() -> None:
    """No file can grow beyond a few bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, resource.RLIM_INFINITY))


@pytest.mark.parametrize(
    "words",
    [("let-in", "r1", COMMENT), ("hosts", "r1", KNOWN, BLOCK), ("key", "r1", COMMENT)],
)
def test_a_full_disk_leaves_every_file_as_it_was(one: Home, words: tuple[str, ...]) -> None:
    for name in ("authorized_keys", "known_hosts", "config"):
        one.write(name, b"# kept\n" * 20)
    before = one.everything()
    said = one.call(*words, key=make_key(1), limit=full_disk)
    assert said["ok"] is False
    assert "pace" in said["remedy"]
    assert one.everything() == before
    assert one.call(*words, key=make_key(1))["changed"] is True


def test_an_undo_on_a_full_disk_leaves_the_file_and_works_later(one: Home) -> None:
    one.write("authorized_keys", b"# kept\n" * 20)
    before = one.everything()
    one.call("let-in", "r1", COMMENT, key=make_key(1))
    after = one.everything()
    assert one.call("undo", "r1", "let-in", limit=full_disk)["ok"] is False
    assert one.everything() == after
    assert one.call("undo", "r1", "let-in")["ok"] is True
    assert one.everything() == before


# Ended in the middle -------------------------------------------------------------------------------------------------

_ENDED_AT = """
import os, sys
left = [int(sys.argv.pop(1))]
def ending(real):
    def call(*words, **named):
        left[0] -= 1
        if left[0] < 0:
            os._exit(137)
        return real(*words, **named)
    return call
for name in ("open", "rename", "unlink", "fsync", "fchmod", "rmdir"):
    setattr(os, name, ending(getattr(os, name)))
for source in [open(sys.argv.pop(1)).read() for _ in range(2)]:
    exec(compile(source, "ssh_mesh", "exec"))
"""
"""Runs the program until so many calls that open or change something were made, and then ends without a word."""


def ended_at(home: Home, count: int, *words: str) -> bool:
    """Whether the call was ended in the middle."""
    done = subprocess.run(
        [sys.executable, "-c", _ENDED_AT, str(count), str(UNDO), str(PROGRAM), *words],
        input=make_key(1).encode(), capture_output=True, env={"HOME": str(home.path), "PATH": os.environ["PATH"]},
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 137), done.stderr
    return done.returncode == 137


@pytest.mark.parametrize(
    ("part", "words"),
    [("let-in", ("let-in", "r1", COMMENT)), ("hosts", ("hosts", "r1", KNOWN, BLOCK)), ("key", ("key", "r1", COMMENT))],
)
def test_ended_at_any_point_it_is_gone_on_from_and_taken_back(one: Home, part: str, words: tuple[str, ...]) -> None:
    one.write("config", b"# kept\n", 0o664)
    before = one.everything()
    count = 0
    while ended_at(one, count, *words):
        one.call("undo", "r1", part)
        assert one.everything() == before, f"undone after {count} calls"
        ended_at(one, count, *words)
        one.call(*words, key=make_key(1))
        at = count % 7
        while ended_at(one, at, "undo", "r1", part):
            at += 7
        assert one.everything() == before, f"gone on and undone after {count} calls"
        count += 1
    assert count > 8


def test_a_second_key_that_was_ended_in_the_middle_does_not_make_the_first_one_others(one: Home) -> None:
    one.write("authorized_keys", b"# mine\r\nno end", 0o640)
    before = one.everything()
    for count in range(4, 24, 2):
        one.call("let-in", "r1", "sparkdesk-mesh spark-3 n3", key=make_key(3))
        ended_at(one, count, "let-in", "r1", COMMENT)
        one.call("undo", "r1", "let-in")
        assert one.everything() == before, f"ended after {count} calls"
