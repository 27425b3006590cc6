"""What is ours in ~/.ssh goes also where somebody changed it since; what of it stays is said, and so is a lost note."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.core.bringup.mesh_cases import make_key
from tests.remote.test_ssh_mesh import BLOCK, COMMENT, KNOWN, Home

USED = BLOCK.replace("Host *\n", "    IdentityFile ~/.ssh/id_ed25519_sparkdesk\n    IdentitiesOnly yes\nHost *\n")
WENT = "SparkDesk's part of ~/.ssh/{}, which somebody had changed since, went too"
LOST = "this run has no note any more, so that it cannot be told what was there before: "


@pytest.fixture
def one(tmp_path: Path) -> Home:
    (tmp_path / "home" / ".local" / "state" / "sparkdesk").mkdir(parents=True)
    return Home(tmp_path / "home")


def edit(home: Home, name: str, change: Callable[[str], str]) -> None:
    """Somebody writes into a file."""
    path = home.ssh / name
    path.write_text(change(path.read_text()))


@pytest.mark.parametrize("change", [
    lambda line: 'from="10.0.0.0/8" ' + line,
    lambda line: line.replace(COMMENT, "the other spark"),
])  # fmt: skip
def test_a_key_whose_options_or_comment_somebody_changed_lets_nobody_in_after_the_undo(
    one: Home, change: Callable[[str], str]
) -> None:
    mine = f'command="true" {make_key(2)} ana\n'
    one.write("authorized_keys", mine.encode())
    one.call("let-in", "r1", COMMENT, key=make_key(1))
    edit(one, "authorized_keys", lambda text: mine + change(text.removeprefix(mine)))
    said = one.call("undo", "r1", "let-in")
    assert said == {"ok": True, "changed": True, "message": WENT.format("authorized_keys")}
    assert (one.ssh / "authorized_keys").read_text() == mine


@pytest.mark.parametrize("order", [("r1", "r2"), ("r2", "r1")])
def test_a_changed_key_that_a_later_run_replaced_comes_back_only_as_long_as_its_run_stands(
    one: Home, order: tuple[str, ...]
) -> None:
    one.call("let-in", "r1", COMMENT, key=make_key(1))
    edit(one, "authorized_keys", lambda line: 'from="10.0.0.0/8" ' + line)
    one.call("let-in", "r2", COMMENT, key=make_key(2))
    one.call("undo", order[0], "let-in")
    left = (one.ssh / "authorized_keys").read_text()
    assert (make_key(1) in left, make_key(2) in left) == (order[0] == "r2", order[0] == "r1")
    edit(one, "authorized_keys", lambda text: text + "# mine\n")
    one.call("undo", order[1], "let-in")
    assert (one.ssh / "authorized_keys").read_text() == "# mine\n"


def test_hosts_that_were_hashed_since_go_by_their_names_and_others_stay(one: Home) -> None:
    mine = f"10.0.20.32 {make_key(9)} mine\n"
    one.write("known_hosts", mine.encode())
    one.call("hosts", "r1", KNOWN)
    path = one.ssh / "known_hosts"
    subprocess.run(["ssh-keygen", "-H", "-f", path], capture_output=True, check=True)
    assert path.read_text().count(make_key(9)) == 3
    said = one.call("undo", "r1", "hosts")
    assert said["message"] == WENT.format("known_hosts")
    (left,) = path.read_text().splitlines()
    assert left.startswith("|1|")
    assert left.endswith(f" {make_key(9)} mine")


def test_our_words_go_from_a_block_that_somebody_wrote_into(one: Home) -> None:
    one.call("key", "r1", COMMENT)
    one.call("hosts", "r1", USED)
    edit(one, "config", lambda text: text.replace("User ana\n", "User ana\n\n    # slow\n    Compression yes\n"))
    assert one.call("undo", "r1", "hosts")["message"] == WENT.format("config")
    rest = "    # slow\nHost 10.0.20.32 spark-2\n    Compression yes\nHost *\n"
    assert (one.ssh / "config").read_text() == rest
    assert one.call("undo", "r1", "key") == {"ok": True, "changed": True}
    assert [path.name for path in one.ssh.iterdir()] == ["config"]


@pytest.mark.parametrize("is_key_first", [False, True])
def test_a_block_that_cannot_be_told_from_others_words_stays_with_its_key_and_is_said(
    one: Home, is_key_first: bool
) -> None:
    one.call("key", "r1", COMMENT)
    one.call("hosts", "r1", USED)
    edit(one, "config", lambda text: text.replace("# <<< sparkdesk-mesh\n", "Host x\n"))
    torn = (one.ssh / "config").read_text()
    said = {part: one.call("undo", "r1", part)["message"] for part in (("key", "hosts")[:: 1 if is_key_first else -1])}
    assert said["hosts"] == "lines 1, 4 of ~/.ssh/config are SparkDesk's still: take them out by hand"
    assert "id_ed25519_sparkdesk stays, because ~/.ssh/config still names it" in said["key"]
    assert (one.ssh / "config").read_text() == torn
    assert (one.ssh / "id_ed25519_sparkdesk").exists()
    assert (one.ssh / "id_ed25519_sparkdesk.pub").exists()


def test_a_lost_note_is_said_with_the_lines_that_stay_and_never_a_plain_ok(one: Home) -> None:
    one.write("authorized_keys", b"# mine\n")
    one.call("let-in", "r1", COMMENT, key=make_key(1))
    shutil.rmtree(one.path / ".local/state/sparkdesk/bringup")
    before = one.everything()
    said = one.call("undo", "r1", "let-in")
    line = "line 2 of ~/.ssh/authorized_keys is SparkDesk's still, for a peer to sign in: take it out by hand"
    assert said == {"ok": True, "changed": False, "message": LOST + line}
    assert one.everything() == before
    edit(one, "authorized_keys", lambda _: "# mine\n")
    assert one.call("undo", "r1", "let-in") == {"ok": True, "changed": False}, "nothing of ours is left"
