"""The requirement files are locked by hash, name no index, and say the same as pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.tree import ROOT

LOCKS = sorted((ROOT / "requirements").glob("*.txt"), key=lambda path: path.name)
PYTHONS = ("3.11.7", "3.12.1", "3.13.0")


def entries(lock: Path) -> list[tuple[Requirement, list[str]]]:
    """Each requirement of a lock with its hashes."""
    joined = lock.read_text().replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    return [(Requirement(line.split("--hash")[0].strip()), re.findall(r"--hash=(\S+)", line)) for line in lines]


def active(lock: Path, python: str) -> dict[str, Requirement]:
    """What the lock installs on Linux with this Python."""
    environment = {
        "python_full_version": python,
        "python_version": python.rsplit(".", 1)[0],
        "sys_platform": "linux",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    chosen = [line for line, _ in entries(lock) if line.marker is None or line.marker.evaluate(environment)]
    assert len(chosen) == len({line.name for line in chosen}), f"{lock.name} names a package twice for {python}"
    return {canonicalize_name(line.name): line for line in chosen}


def test_there_are_four_locks() -> None:
    assert [lock.name for lock in LOCKS] == ["demo.txt", "dev.txt", "model.txt", "run.txt"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_names_no_index(lock: Path) -> None:
    text = lock.read_text()
    for word in ("http:", "https:", "file:", "--index-url", "--extra-index", "--find-links", "--trusted-host", " @ "):
        assert word not in text


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_each_locked_package_has_one_version_and_its_hashes(lock: Path) -> None:
    found = entries(lock)
    assert found
    for requirement, hashes in found:
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), requirement
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in hashes), requirement


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(("lock", "extras"), [("run", ""), ("demo", "demo"), ("dev", "demo dev")])
def test_a_lock_satisfies_what_the_project_asks_for(lock: str, extras: str, python: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = list(project["dependencies"])
    for extra in extras.split():
        wanted += project["optional-dependencies"][extra]
    locked = active(ROOT / "requirements" / f"{lock}.txt", python)
    for line in map(Requirement, wanted):
        if line.marker is None or line.marker.evaluate({"python_version": python.rsplit(".", 1)[0]}):
            version = str(locked[canonicalize_name(line.name)].specifier).removeprefix("==")
            assert line.specifier.contains(version), f"{line} against {version}"


@pytest.mark.parametrize("python", PYTHONS)
def test_each_lock_holds_the_one_before_it(python: str) -> None:
    """One virtual environment serves the program, the demo and the tests, so the versions must be the same."""
    run, demo, dev = (active(ROOT / "requirements" / f"{name}.txt", python) for name in ("run", "demo", "dev"))
    assert run.items() <= demo.items()
    assert demo.items() <= dev.items()


def test_the_locked_qt_works_on_every_supported_python() -> None:
    for python in PYTHONS:
        version = active(ROOT / "requirements" / "run.txt", python)["pyside6-essentials"].specifier
        assert version.contains("6.11.3"), "another Qt: run the drift test and the whole suite on 3.11, 3.12 and 3.13"
