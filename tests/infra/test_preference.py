"""Preferences survive a restart and never stop the program."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from sparkdesk.infra.preference import PreferenceFile


def test_a_value_is_there_after_a_restart_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "window.json"
    PreferenceFile(path).set("window.page", "chat")
    assert PreferenceFile(path).get("window.page") == "chat"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", [b"{", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_a_broken_file_is_kept_aside_and_the_last_good_copy_is_used(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "window.json"
    first = PreferenceFile(path)
    first.set("theme", "light")
    first.set("scale", 110)
    path.write_bytes(text)
    again = PreferenceFile(path)
    assert again.get("theme") == "light"
    assert "kept as" in again.problem
    assert [kept.read_bytes() for kept in tmp_path.glob("*.broken-*")] == [text]


def test_keys_of_another_version_stay(tmp_path: Path) -> None:
    path = tmp_path / "window.json"
    path.write_text('{"future.key": 7}')
    PreferenceFile(path).set("theme", "dark")
    assert PreferenceFile(path).get("future.key") == 7


def test_a_value_that_is_not_plain_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        PreferenceFile(tmp_path / "window.json").set("key", ["list"])


def test_a_folder_that_is_gone_is_told_and_the_value_still_holds(tmp_path: Path) -> None:
    preferences = PreferenceFile(tmp_path / "gone" / "window.json")
    preferences.set("theme", "dark")
    assert preferences.get("theme") == "dark"
    assert "cannot be written" in preferences.problem


def test_nothing_is_written_before_the_program_knows_that_it_is_alone(tmp_path: Path) -> None:
    path = tmp_path / "window.json"
    preferences = PreferenceFile(path, is_held=True)
    preferences.set("window.page", "chat")
    assert not path.exists()
    preferences.allow_writes()
    assert PreferenceFile(path).get("window.page") == "chat"
    preferences.set("window.page", "launch")
    assert PreferenceFile(path).get("window.page") == "launch"


def test_a_disk_that_begins_to_refuse_is_told_once(tmp_path: Path) -> None:
    told: list[str] = []
    preferences = PreferenceFile(tmp_path / "gone" / "window.json")
    preferences.on_problem = told.append
    preferences.set("theme", "dark")
    preferences.set("theme", "light")
    assert len(told) == 1
    assert "cannot be written" in told[0]
