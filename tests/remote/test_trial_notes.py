"""What was before a trial: notes that cannot be understood, the file that a plan was made for, its readable copy."""

from __future__ import annotations

import ast
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.core.bringup.chapters.network import PROGRAMS
from tests.remote.trial_programs import REMOTE, load_programs

SETTING = "ipv6/conf/%s/accept_ra"
SOUND: dict[str, Any] = {
    "number": 1, "files": {}, "folders": [], "ports": {}, "ours": {}, "boot": "b", "items": [],
}  # fmt: skip


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, Any]:
    """The programs, with a folder of their own."""
    kept = str(tmp_path / "90-sparkdesk.yaml")
    places = {"STORE": str(tmp_path / "store"), "NOTES": str(tmp_path / "store/notes"), "KEPT_FILE": kept}
    (tmp_path / "store/notes").mkdir(parents=True)
    return load_programs(**places, COPY_FILE=str(tmp_path / "store/90-sparkdesk.yaml"))


def add_note(programs: dict[str, Any], name: str, text: str = "", **fields: object) -> None:
    """A note of a run."""
    note = {**SOUND, "name": name, "files": {programs["KEPT_FILE"]: None}, **fields}
    Path(programs["NOTES"], f"{name}.json").write_text(text or json.dumps(note))


def test_no_program_takes_a_name_of_another_one() -> None:
    owners: dict[str, str] = {}
    for program in PROGRAMS:
        for node in ast.parse((REMOTE / f"{program}.py").read_text()).body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            found = [one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)]
            found += [node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
            for name in set(found) - {"TYPE_CHECKING"}:
                is_the_same = name == "POLL_S"
                assert owners.setdefault(name, program) == program or is_the_same, name


@pytest.mark.parametrize(
    "text", ["{}", "[]", "no", '{"number": 3}', json.dumps({**SOUND, "number": "7"}), json.dumps(SOUND)]
)
def test_a_note_of_another_run_that_cannot_be_understood_is_named_and_hinders_nobody(
    programs: dict[str, Any], text: str
) -> None:
    add_note(programs, "a1", number=1)
    add_note(programs, "b2", number=5)
    add_note(programs, "zz", text)
    assert list(programs["read_notes"]("a1")) == ["b2", "a1"], "the newest first"
    assert programs["spoiled_notes"]() == [f"{programs['NOTES']}/zz.json cannot be understood and was left as it is"]
    with pytest.raises(programs["TrialError"]) as refused:
        programs["read_notes"]("zz")
    assert refused.value.args == (
        f"{programs['NOTES']}/zz.json cannot be understood",
        "Look at it on the node and move it away.",
    )


def test_an_empty_note_is_spoiled_too(programs: dict[str, Any]) -> None:
    Path(programs["NOTES"], "zz.json").write_text("")
    assert programs["read_notes"]("a1") == {}
    assert len(programs["spoiled_notes"]()) == 1


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("/tmp"), Path.touch])
def test_a_link_or_a_file_where_our_folder_should_be_is_told_with_what_to_do(
    programs: dict[str, Any], make: Any
) -> None:
    path = Path(programs["STORE"], "other")
    programs["refuse_strange_folders"](str(path), programs["NOTES"])
    make(path)
    with pytest.raises(programs["TrialError"]) as refused:
        programs["refuse_strange_folders"](str(path), programs["NOTES"])
    assert refused.value.args == (f"{path} is no folder of ours", "Look at it on the node and move it away.")


@pytest.mark.parametrize(
    ("lies", "former", "is_right"),
    [
        (None, "absent", True), (b"x", "absent", False), (b"x", "unknown", True), (None, "unknown", True),
        (b"x", hashlib.sha256(b"x").hexdigest(), True), (b"y", hashlib.sha256(b"x").hexdigest(), False),
        (None, hashlib.sha256(b"x").hexdigest(), False), (b"of this run", "absent", True),
    ],
)  # fmt: skip
def test_a_plan_is_for_the_file_that_it_was_made_from(
    programs: dict[str, Any], lies: bytes | None, former: str, is_right: bool
) -> None:
    add_note(programs, "a1", kept=hashlib.sha256(b"of this run").hexdigest())
    if lies is not None:
        Path(programs["KEPT_FILE"]).write_bytes(lies)
    if is_right:
        programs["refuse_other_file"]("a1", former)
        return
    with pytest.raises(programs["TrialError"]) as refused:
        programs["refuse_other_file"]("a1", former)
    assert refused.value.args[0].endswith("is not as it was when this plan was made")
    assert refused.value.args[1] == "Look again, and read the new plan."


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone may give a file to root")
def test_the_copy_has_the_bytes_and_the_time_of_the_kept_file_and_is_of_no_other(programs: dict[str, Any]) -> None:
    kept, copy = Path(programs["KEPT_FILE"]), Path(programs["COPY_FILE"])
    kept.write_bytes(b"ours")
    os.utime(kept, ns=(1, 1_700_000_000_123_456_789))
    programs["write_copy"]("0" * 64)
    assert not copy.exists(), "somebody else's words are not told to every account"
    programs["write_copy"](hashlib.sha256(b"ours").hexdigest())
    assert (copy.read_bytes(), copy.stat().st_mtime_ns) == (b"ours", kept.stat().st_mtime_ns)
    assert copy.stat().st_mode & 0o777 == 0o644


def test_what_networkd_set_on_a_port_is_put_back_unless_somebodys_file_sets_the_port(tmp_path: Path) -> None:
    files = [tmp_path / "ipv6/conf/cx7/accept_ra", tmp_path / "ipv4/conf/cx7/promote_secondaries"]
    for file in files:
        file.parent.mkdir(parents=True)
    theirs = tmp_path / "cx7.network"
    places = {"SETTINGS_FOLDER": str(tmp_path), "connection_files": lambda port: []}
    programs = load_programs(**places, network_files=lambda port: [str(theirs)])

    def set_to(ra: str, promoted: str) -> None:
        files[0].write_text(ra)
        files[1].write_text(promoted)

    set_to("1\n", "0\n")
    note = {"settings": {"cx7": programs["read_settings"]("cx7"), "gone": {SETTING: "1"}}}
    set_to("0\n", "1\n")
    theirs.touch()
    assert programs["put_settings_back"](note, "cx7") == []
    assert files[0].read_text() == "0\n", "somebody's file sets it"
    theirs.unlink()
    for port in ("cx7", "gone", "unknown"):
        assert programs["put_settings_back"](note, port) == []
    assert [file.read_text().strip() for file in files] == ["1", "0"]
    for odd in ({}, {"settings": {"cx7": {SETTING: "1; x"}}}):
        assert programs["put_settings_back"](odd, "cx7") == [], "as older notes are, and none of ours"
    assert [file.read_text().strip() for file in files] == ["1", "0"]


NEW = b"network:\n  version: 2\n  ethernets:\n    cx7:\n      mtu: 9000\n"
HEAD = "# ours\nnetwork:\n  version: 2\n  ethernets:\n"
OURS = "    cx7:\n      mtu: 1400\n"
OTHER = "    cx8:\n      mtu: 1500\n      addresses: [10.1.1.1/24]\n"


@pytest.mark.parametrize(
    ("kept", "added", "words"),
    [
        ("", "", ""),
        (HEAD + OURS, "", ""),
        (HEAD + OURS + "# by hand\n" + OTHER, OTHER, "what {} says of cx8 stays in it"),
        (HEAD + OTHER + OURS, OTHER, "what {} says of cx8 stays in it"),
        ("network: {version: 2}\n", "", "what {} said was not understood, and is replaced"),
        (HEAD + OTHER + "  bridges: {}\n", "", "what {} said was not understood, and is replaced"),
    ],
)
def test_the_lines_of_ports_that_a_plan_does_not_name_stay(
    programs: dict[str, Any], kept: str, added: str, words: str
) -> None:
    path = Path(programs["KEPT_FILE"])
    if kept:
        path.write_text(kept)
    assert programs["with_other_lines"](NEW, {"cx7": {}}) == (NEW + added.encode(), words.format(path))
    assert programs["with_other_lines"](NEW, {"cx7": {}, "cx8": {}})[0] == NEW, "a port of the plan is the plan's"


def test_a_file_with_others_lines_beside_is_the_planned_one_and_no_other_is(programs: dict[str, Any]) -> None:
    planned, kept = hashlib.sha256(NEW).hexdigest(), hashlib.sha256(b"more").hexdigest()
    add_note(programs, "a1", planned=planned, kept=kept)
    is_planned = programs["is_planned"]
    assert is_planned("a1", NEW, planned) is True
    assert is_planned("a1", b"more", planned) is True
    assert is_planned("a1", b"other", planned) is False
    assert is_planned("a1", b"more", kept[::-1]) is False
    assert is_planned("b2", b"more", planned) is False
