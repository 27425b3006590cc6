"""The seven import contracts hold on the tree, and each of them breaks when it should.

A contract that names the wrong module holds for ever and says nothing; so each one is shown a violation in a copy.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.house.tree import PACKAGES, ROOT, copy_tree, imported_names, python_files

ANY = re.compile(r"^(\d) .*(KEPT|BROKEN)\s*$", re.MULTILINE)

# What lies on a simulated node's PATH: programs that are copied there, not a package.
PROGRAMS = Path("sparkdesk/simulator/program")

# (file to add, its text, the contracts that must break: these and no others)
VIOLATIONS = [
    ("sparkdesk/infra/seed.py", "import sparkdesk.app", "1"),
    ("ui/seed.py", "import sparkdesk.infra", "2"),
    ("backends/seed.py", "import ui", "23"),
    ("backends/seed.py", "import sparkdesk.services", "3"),
    ("backends/seed.py", "import time", "3"),
    ("backends/seed.py", "import attrs", "3"),
    ("sparkdesk/services/seed.py", "import sparkdesk.paths", "4"),
    ("sparkdesk/services/seed.py", "import sparkdesk.infra", "14"),
    ("sparkdesk/services/seed.py", "def late() -> None:\n    import attrs\n", "4"),
    ("sparkdesk/core/seed.py", "import attrs", "5"),
    ("sparkdesk/core/seed.py", "import asyncio", "5"),
    ("sparkdesk/core/seed.py", "import sparkdesk.services", "15"),
    ("sparkdesk/infra/seed.py", "import asyncssh", "6"),
    ("sparkdesk/infra/seed.py", "from httpx import AsyncClient", "6"),
    ("sparkdesk/infra/seed.py", "import keyring.backends", "6"),
    ("sparkdesk/infra/seed.py", "import yaml", "6"),
    ("sparkdesk/infra/seed.py", "import PySide6.QtCore", "6"),
    ("sparkdesk/verbs/seed.py", "from PySide6 import QtCore", "6"),
    ("sparkdesk/app_seed.py", "import sparkdesk.simulator", "6"),
    ("sparkdesk/infra/seed.py", "import sparkdesk.remote", "7"),
    ("sparkdesk/remote/seed.py", "import numpy", "7"),
    ("sparkdesk/remote/seed.py", "from sparkdesk import __version__", "7"),
    ("sparkdesk/remote/seed.py", "import sparkdesk.remote.probe", "7"),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree to sow violations in."""
    target = tmp_path_factory.mktemp("tree")
    copy_tree(target)
    return target


def verdicts(tree: Path) -> dict[str, str]:
    """KEPT or BROKEN by contract number, as import-linter says; a number is broken when one of its parts is."""
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    environment.pop("PYTHONPATH", None)
    program = "from importlinter.cli import lint_imports_command as main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", program, "--no-logo", "--no-cache"],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    found: dict[str, str] = {}
    for number, verdict in ANY.findall(ended.stdout):
        found[number] = "BROKEN" if "BROKEN" in (verdict, found.get(number)) else "KEPT"
    assert sorted(found) == list("1234567"), ended.stdout + ended.stderr
    assert (ended.returncode == 0) == ("BROKEN" not in found.values()), ended.stdout
    return found


def test_the_seven_contracts_hold() -> None:
    assert set(verdicts(ROOT).values()) == {"KEPT"}


@pytest.mark.parametrize(("path", "text", "broken"), VIOLATIONS)
def test_a_violation_breaks_exactly_its_contract(copy: Path, path: str, text: str, broken: str) -> None:
    seed = copy / path
    seed.write_text(text + "\n")
    try:
        found = verdicts(copy)
    finally:
        seed.unlink()
    assert {number for number, verdict in found.items() if verdict == "BROKEN"} == set(broken)


def test_every_contract_is_shown_a_violation_of_its_own() -> None:
    assert {broken for _, _, broken in VIOLATIONS} >= set("1234567")


def test_a_contract_that_names_a_missing_module_is_an_error(copy: Path) -> None:
    config = copy / "pyproject.toml"
    text = config.read_text()
    config.write_text(text.replace('"keyring: sparkdesk.infra.keychain"', '"keyring: sparkdesk.infra.keychian"'))
    try:
        with pytest.raises(AssertionError, match="keychian, which does not exist"):
            verdicts(copy)
    finally:
        config.write_text(text)


def test_every_module_of_sparkdesk_has_a_place_in_the_contracts() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    named = {name for contract in contracts for layer in contract.get("layers", []) for name in layer.split(" : ")}
    named |= {"sparkdesk.remote", "sparkdesk.__init__"}
    children = {".".join(path.with_suffix("").parts[:2]) for path in python_files("sparkdesk")}
    assert children <= named


def test_every_folder_with_python_in_it_is_a_package() -> None:
    """A folder without __init__.py is invisible to import-linter, so its imports would be free."""
    folders = {path.parent for path in python_files(*PACKAGES)} - {PROGRAMS}
    assert [folder for folder in sorted(folders) if not (ROOT / folder / "__init__.py").is_file()] == []


def test_the_programs_of_a_simulated_node_import_nothing_of_ours() -> None:
    """Import-linter cannot see them. They may import each other, and the model server its engine."""
    programs = [path for path in python_files("sparkdesk") if path.parent == PROGRAMS]
    assert programs
    allowed = sys.stdlib_module_names | {path.stem for path in programs} | {"xllamacpp"}
    assert [
        f"{path}:{line} {name}"
        for path in programs
        for line, name in imported_names(path)
        if name.split(".")[0] not in allowed
    ] == []
