"""What is built can be installed: the wheel holds the programs, their data and the code for the nodes, and no more."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

from tests.house.tree import ROOT, copy_tree, source_files


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy by the locked build tool without the network."""
    source, output = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    copy_tree(source)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(output)]
    ended = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    (built,) = output.glob("*.whl")
    return built


def test_the_wheel_holds_every_source_and_resource(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {str(path) for path in source_files() if path.parts[0] in ("sparkdesk", "ui", "backends", "resources")}
    assert names == wanted
    assert "sparkdesk/remote/probe.py" in names


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        info = next(name.split("/")[0] for name in archive.namelist() if ".dist-info/" in name)
        metadata = message_from_string(archive.read(f"{info}/METADATA").decode())
        scripts = archive.read(f"{info}/entry_points.txt").decode()
        assert any(name.endswith("licenses/LICENSE") for name in archive.namelist())
    assert metadata["Name"] == "sparkdesk-control-center"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert scripts.split() == ["[gui_scripts]", "sparkdesk", "=", "sparkdesk.__main__:main_gui"]


def test_an_installed_wheel_finds_its_resources(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    program = "from sparkdesk import paths; print(paths.resources_dir())"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), sysconfig.get_path("purelib")])}
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert ended.stdout.strip() == str(tmp_path / "resources"), ended.stderr
    assert tmp_path != ROOT
