"""Where SparkDesk keeps its own: folders for the owner alone, all of them moved by one variable."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from sparkdesk import paths

KINDS = [paths.data_dir, paths.config_dir, paths.state_dir, paths.cache_dir, paths.log_dir]


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_is_made_for_its_owner_alone(kind, own_home: Path) -> None:
    folder = kind()
    assert folder.is_relative_to(own_home / "sparkdesk")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_no_two_kinds_share_a_folder() -> None:
    assert len({kind() for kind in KINDS}) == len(KINDS)


def test_an_open_folder_is_closed(own_home: Path) -> None:
    folder = own_home / "sparkdesk" / "data"
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    assert stat.S_IMODE(paths.data_dir().stat().st_mode) == 0o700


@pytest.mark.parametrize("kind", KINDS)
def test_without_the_variable_the_folders_lie_in_the_home(kind, own_home: Path, monkeypatch) -> None:
    monkeypatch.delenv(paths.HOME_VARIABLE)
    assert kind().is_relative_to(own_home)


def test_the_resources_are_found_from_a_clone() -> None:
    assert (paths.resources_dir() / "icons").is_dir()
