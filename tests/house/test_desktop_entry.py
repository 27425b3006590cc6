"""Double click works: the desktop entry is valid, starts this clone wherever it lies, and goes without a trace."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.house.tree import ROOT, copy_tree, python_files
from tests.house.virtual_screen import need_program, virtual_screen

AWKWARD = 'a "clone" $HOME 100% `x` \\ ü'


def desktop(clone: Path, verb: str) -> str:
    """Runs the installer of a clone, as make does; returns what it printed."""
    command = [sys.executable, str(clone / "packaging" / "desktop_entry.py"), verb]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def entry_of(home: Path) -> Path:
    return home / ".local/share/applications/sparkdesk.desktop"


def exec_arguments(entry: Path) -> list[str]:
    """The command of an entry's Exec line, read as a desktop reads it: value, then quoting, then field codes."""
    line = next(line for line in entry.read_text("utf-8").splitlines() if line.startswith("Exec="))
    value = re.sub(r"\\(.)", r"\1", line.removeprefix("Exec="))
    words = re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', value)
    return [(re.sub(r"\\(.)", r"\1", quoted) if quoted else plain).replace("%%", "%") for quoted, plain in words]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of the tree at a path that is hard to quote, with a virtual environment of its own."""
    target = tmp_path / AWKWARD
    copy_tree(target)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(target / ".venv")], check=True, timeout=60)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site_packages = target / ".venv" / "lib" / version / "site-packages"
    paths = [str(target), sysconfig.get_path("purelib")]
    (site_packages / "sparkdesk-clone.pth").write_text("\n".join(paths) + "\n", "utf-8")
    return target


def test_the_entry_is_valid_wherever_the_clone_lies(clone: Path, own_home: Path) -> None:
    validate = need_program("desktop-file-validate", "desktop-file-utils")
    for place in (clone, ROOT):
        desktop(place, "install")
        ended = subprocess.run([validate, str(entry_of(own_home))], capture_output=True, text=True, timeout=60)
        assert (ended.returncode, ended.stdout) == (0, "")


def test_the_exec_line_names_this_clones_python(clone: Path, own_home: Path) -> None:
    desktop(clone, "install")
    assert exec_arguments(entry_of(own_home)) == [str(clone / ".venv/bin/python"), "-m", "sparkdesk", "run"]


def test_the_exec_line_comes_to_its_first_frame(clone: Path, own_home: Path) -> None:
    desktop(clone, "install")
    command = [*exec_arguments(entry_of(own_home)), "--first-frame"]
    with virtual_screen() as environment:
        ended = subprocess.run(command, cwd=own_home, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout.splitlines()[-1])["first_frame_cpu_s"] > 0


def test_the_entry_names_the_window_as_the_program_does() -> None:
    """X11 desktops match windows to entries by this class, which Qt takes from the application's name."""
    named = re.search(r"^StartupWMClass=(.*)$", (ROOT / "packaging/sparkdesk.desktop.in").read_text(), re.MULTILINE)
    assert named is not None
    sources = [(ROOT / path).read_text("utf-8") for path in python_files("sparkdesk") if path.parts[1] == "app"]
    assert any(f'setApplicationName("{named[1]}")' in text for text in sources)
    assert any('"sparkdesk"' in text and "setDesktopFileName(" in text for text in sources)


def test_uninstalling_leaves_no_file(own_home: Path) -> None:
    desktop(ROOT, "install")
    written = sorted(path for path in own_home.rglob("*") if path.is_file() and "sparkdesk" in path.name)
    assert [path.name for path in written] == ["sparkdesk.desktop", "sparkdesk.svg"]
    desktop(ROOT, "uninstall")
    assert [path for path in written if path.exists()] == []
    desktop(ROOT, "uninstall")


def test_the_entry_of_another_clone_is_left_alone(clone: Path, own_home: Path) -> None:
    desktop(clone, "install")
    assert "another clone" in desktop(ROOT, "uninstall")
    assert entry_of(own_home).is_file()


def test_the_data_home_is_respected(own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    desktop(ROOT, "install")
    assert (tmp_path / "applications/sparkdesk.desktop").is_file()
    assert (tmp_path / "icons/hicolor/scalable/apps/sparkdesk.svg").is_file()
    assert not entry_of(own_home).exists()
