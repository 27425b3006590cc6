"""Our key goes into authorized_keys and out again; nothing of anybody else's is touched. Real shells, real files."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from sparkdesk.core.playbooks.keys import FormerRights, key_playbook, make_comment, rights_step
from sparkdesk.core.playbooks.reader import last_object
from sparkdesk.core.step import Action, Run, Step
from sparkdesk.core.step_json import from_json, to_json

BLOB = "AAAAC3NzaC1lZDI1NTE5AAAAINsjRub+eT7y88uYMuZ/OJbZa93keEw22Sm0AbTQX/Qv"
OURS = f"ssh-ed25519 {BLOB} SparkDesk on ana@laptop"
OTHERS = f'# mine\nfrom="10.0.0.1" ssh-ed25519 {BLOB[:-4]}aaaa ana\n\nssh-rsa AAAA {"x" * 300}\n'


class Home:
    """A home folder in which the playbook's commands run, as a node's shell would run them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(mode=0o755)
        self.steps = list(key_playbook("n", OURS).steps())

    @property
    def file(self) -> Path:
        return self.path / ".ssh" / "authorized_keys"

    def run(self, actions: tuple[Action, ...]) -> tuple[bool, str]:
        """Whether all of them end well, and what the last one said."""
        said = ""
        for action in actions:
            assert isinstance(action, Run)
            done = subprocess.run(
                ["sh", "-c", action.command.to_shell()],
                env={"HOME": str(self.path), "PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=20,
            )  # fmt: skip
            said = done.stdout
            if done.returncode:
                return False, said
        return True, said

    def apply(self) -> tuple[list[Step], str]:
        """As the runner does it: check, apply, verify. Gives the steps that were begun, and what failed."""
        begun = []
        for step in self.steps:
            if self.run(step.check)[0]:
                continue
            begun.append(step)
            is_done, said = self.run(step.apply)
            if not is_done or not self.run(step.verify)[0]:
                return begun, str((last_object(said) or {}).get("message", "no words"))
        return begun, ""

    def undo(self, begun: list[Step]) -> None:
        for step in reversed(begun):
            assert self.run(step.undo)[0]

    def mode(self, path: Path) -> int:
        return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_an_empty_home_gets_folder_file_and_line_and_is_empty_after_the_undo(home: Home) -> None:
    begun, failed = home.apply()
    assert failed == ""
    assert home.file.read_text() == OURS + "\n"
    assert home.mode(home.file) == 0o600
    assert home.mode(home.file.parent) == 0o700
    home.undo(begun)
    assert list(home.path.iterdir()) == []


@pytest.mark.parametrize("has_end", [True, False])
def test_other_peoples_lines_stay_as_they_are_and_ours_has_a_line_of_its_own(home: Home, has_end: bool) -> None:
    home.file.parent.mkdir(mode=0o700)
    before = OTHERS if has_end else OTHERS.rstrip("\n")
    home.file.write_text(before)
    home.file.chmod(0o600)
    node = home.file.stat().st_ino
    begun, failed = home.apply()
    assert failed == ""
    assert [step.id for step in begun] == ["line"]
    assert home.file.read_text() == OTHERS + OURS + "\n"
    assert home.file.stat().st_ino == node  # added to, not written anew
    home.undo(begun)
    assert home.file.read_text() == OTHERS
    assert home.mode(home.file) == 0o600
    assert os.listdir(home.file.parent) == ["authorized_keys"]


def test_a_second_time_there_is_nothing_to_do(home: Home) -> None:
    home.apply()
    assert home.apply() == ([], "")
    assert home.run(home.steps[-1].apply)[0]
    assert home.file.read_text() == OURS + "\n"


def test_lines_that_only_look_like_ours_stay(home: Home) -> None:
    home.file.parent.mkdir(mode=0o700)
    near = f"# {OURS}\n{OURS} too\nssh-ed25519 {BLOB} other\n \xff\x00{OURS}\n".encode("latin1")
    home.file.write_bytes(near)
    home.file.chmod(0o600)
    begun, failed = home.apply()
    assert failed == ""
    assert home.file.read_bytes() == near + OURS.encode() + b"\n"
    home.undo(begun)
    assert home.file.read_bytes() == near


def test_open_rights_are_closed(home: Home) -> None:
    home.file.parent.mkdir(mode=0o755)
    home.file.parent.chmod(0o775)
    home.file.write_text(OTHERS)
    home.file.chmod(0o664)
    assert home.apply()[1] == ""
    assert home.mode(home.file) == 0o600
    assert home.mode(home.file.parent) == 0o700


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
def test_a_home_that_others_may_write_to_is_said_and_left_alone(home: Home, mode: int) -> None:
    home.path.chmod(mode)
    begun, failed = home.apply()
    assert "Other users may write to the home folder" in failed
    assert list(home.path.iterdir()) == []
    assert home.mode(home.path) == mode
    home.undo(begun)


@pytest.mark.parametrize("what", [".ssh", ".ssh/authorized_keys"])
def test_a_link_is_not_followed(home: Home, tmp_path: Path, what: str) -> None:
    target = tmp_path / "target"
    if what == ".ssh":
        target.mkdir(mode=0o700)
    else:
        (home.path / ".ssh").mkdir(mode=0o700)
        target.write_text("secret")
        target.chmod(0o600)
    (home.path / what).symlink_to(target)
    _, failed = home.apply()
    assert "is a link" in failed
    assert target.is_dir() or target.read_text() == "secret"
    assert not target.is_dir() or list(target.iterdir()) == []


def test_a_link_put_in_later_is_not_followed_by_the_undo(home: Home, tmp_path: Path) -> None:
    begun, _ = home.apply()
    (tmp_path / "target").write_text(OURS + "\n")
    home.file.unlink()
    home.file.symlink_to(tmp_path / "target")
    assert not home.run(begun[-1].undo)[0]
    assert (tmp_path / "target").read_text() == OURS + "\n"


def test_a_file_where_the_folder_should_be_is_said(home: Home) -> None:
    (home.path / ".ssh").write_text("a file")
    assert "not a folder" in home.apply()[1]
    assert (home.path / ".ssh").read_text() == "a file"


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk is made by root")
def test_a_full_disk_leaves_the_file_as_it_was(home: Home) -> None:
    # A disk of one page, in a view of its own: 4 KiB are full with what others have in it.
    home.file.parent.mkdir(mode=0o700)
    others = "x" * 4050 + "\n"
    script = (
        f'mount -t tmpfs -o size=4k,mode=700 t "{home.file.parent}" && printf %s "$1" > "{home.file}" && '
        f'chmod 600 "{home.file}" && sh -c "$2" sh; echo "code $?"; cat "{home.file}"'
    )
    (step,) = [step for step in home.steps if step.id == "line"]
    (apply,) = step.apply
    assert isinstance(apply, Run)
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", others, apply.command.to_shell()],
        env={"HOME": str(home.path), "PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert "cannot be written" in done.stdout
    assert done.stdout.endswith(f"code 1\n{others}")


def test_the_playbook_is_data_and_holds_the_public_half_alone() -> None:
    playbook = key_playbook("n", OURS)
    assert from_json(to_json(playbook)) == playbook
    assert not playbook.needs_lock
    assert b"PRIVATE" not in to_json(playbook)


@pytest.mark.parametrize(
    "line",
    ["", "ssh-ed25519", f"ssh-ed25519 {BLOB}", OURS + "\nssh-rsa AAAA x", f"ssh-rsa {BLOB} x", f'command="x" {OURS}'],
)
def test_only_a_line_of_ours_is_taken(line: str) -> None:
    with pytest.raises(ValueError, match="not a public-key line"):
        key_playbook("n", line)


def test_the_comment_names_this_computer_in_plain_letters() -> None:
    assert make_comment("ana@laptop") == "SparkDesk on ana@laptop"
    assert make_comment("ana's \n$(rm) töp") == "SparkDesk on ana-s-rm-t-p"
    assert make_comment("") == "SparkDesk on a computer"


# Rights of whole nodes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("home", "folder", "file"), [("775", "755", "664"), ("700", "", ""), ("757", "700", ""), ("777", "777", "600")]
)
def test_rights_are_as_the_ssh_server_wants_them_and_go_back_to_what_they_were(
    tmp_path: Path, home: str, folder: str, file: str
) -> None:
    node = Home(tmp_path / "home")
    if folder:
        node.file.parent.mkdir()
        node.file.parent.chmod(int(folder, 8))
    if file:
        node.file.write_text("# mine\n")
        node.file.chmod(int(file, 8))
    node.path.chmod(int(home, 8))
    step = rights_step("r", "Rights", "n", FormerRights(folder, file), home=home)
    assert not node.run(step.check)[0]
    assert node.run(step.apply)[0]
    assert node.run(step.check)[0]
    assert node.run(step.verify)[0]
    assert stat.S_IMODE(node.path.stat().st_mode) == int(home, 8) & ~0o022
    assert stat.S_IMODE(node.file.parent.stat().st_mode) == 0o700
    assert node.file.exists() is bool(file)
    assert node.run(step.apply)[0], "once more does no harm"
    assert node.run(step.undo)[0]
    assert stat.S_IMODE(node.path.stat().st_mode) == int(home, 8)
    assert node.file.parent.exists() is bool(folder)
    if folder:
        assert stat.S_IMODE(node.file.parent.stat().st_mode) == int(folder, 8)
    if file:
        assert stat.S_IMODE(node.file.stat().st_mode) == int(file, 8)


def test_a_home_that_somebody_gave_other_rights_since_keeps_them(tmp_path: Path) -> None:
    node = Home(tmp_path / "home")
    node.path.chmod(0o775)
    step = rights_step("r", "Rights", "n", FormerRights(), home="775")
    assert node.run(step.apply)[0]
    node.path.chmod(0o700)
    assert node.run(step.undo)[0]
    assert stat.S_IMODE(node.path.stat().st_mode) == 0o700


def test_a_folder_and_a_file_that_somebody_gave_other_rights_since_keep_them(home: Home) -> None:
    home.file.parent.mkdir(mode=0o755)
    home.file.write_text("# mine\n")
    home.file.chmod(0o664)
    home.steps = list(key_playbook("n", OURS, former=FormerRights("755", "664")).steps())
    begun, _ = home.apply()
    assert (home.mode(home.file.parent), home.mode(home.file)) == (0o700, 0o600)
    home.file.chmod(0o640)
    home.file.parent.chmod(0o750)
    home.undo([step for step in begun if step.id in ("folder", "file")])
    assert (home.mode(home.file.parent), home.mode(home.file)) == (0o750, 0o640)


def test_a_home_whose_rights_are_not_known_is_said_and_not_changed(tmp_path: Path) -> None:
    node = Home(tmp_path / "home")
    node.path.chmod(0o775)
    step = rights_step("r", "Rights", "n", FormerRights())
    is_well, said = node.run(step.apply)
    assert not is_well
    assert "chmod go-w ~" in said
    assert stat.S_IMODE(node.path.stat().st_mode) == 0o775
    assert not any('"$HOME/."' in action.command.argv[2] for action in step.undo if isinstance(action, Run))
