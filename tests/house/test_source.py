"""Rules of the house that import-linter and ruff cannot see, read from the source's own syntax trees.

The one rule: a test names every place that breaks it, as ``path:line``, so that nobody has to search.
"""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tree import ROOT, facts, imported_names, python_files, source_files

SUPERVISOR = Path("sparkdesk/services/tasks.py")
# Files that may break a rule, each with the reason.
CATCH_ALL = {
    SUPERVISOR: "reports what no task expected",
    Path("sparkdesk/app.py"): "the last resort before the program ends",
    Path("sparkdesk/app/plugin.py"): "a third party's backend runs while it is imported",
}
START_TASKS = {
    SUPERVISOR: "is the supervisor",
    Path("sparkdesk/infra/ssh/session.py"): "shields the opening of a channel, whose late answer must be closed",
}
DRAWER_NAMES = {"util", "utils", "misc", "common", "helper", "helpers", "base", "manager", "managers"}


def lines_of(path: Path) -> int:
    """How long a file is."""
    return len((ROOT / path).read_text("utf-8").splitlines())


def test_view_models_know_no_widgets() -> None:
    models = [path for path in python_files("ui") if path.name == "model.py"]
    assert [
        f"{path}:{line} {name}"
        for path in models
        for line, name in imported_names(path)
        if re.match(r"PySide6\.Qt(Widgets|Gui|Svg)", name)
    ] == []


def test_nothing_opens_a_modal_dialog() -> None:
    """What is named ``app`` or ``loop`` is the program's own event loop."""
    faces = [*python_files("ui"), *(path for path in python_files("sparkdesk") if path.parts[1].startswith("app"))]
    found = [
        f"{path}:{call.line}"
        for path in faces
        for call in facts(path).calls
        if call.name in ("exec", "exec_") and call.written not in ("app.exec", "loop.exec")
    ]
    assert found == []


def test_tasks_are_started_by_the_supervisor_alone() -> None:
    """A task group inside one function is fine: it cannot outlive the function."""
    found = [
        f"{path}:{call.line}"
        for path in python_files()
        if path not in START_TASKS
        for call in facts(path).calls
        if call.name == "ensure_future" or (call.name == "create_task" and "group" not in call.written)
    ]
    assert found == []


def test_only_the_supervisor_and_the_app_catch_everything() -> None:
    """Cleaning up and raising again is not catching."""
    found = [f"{path}:{line}" for path in python_files() if path not in CATCH_ALL for line in facts(path).catch_alls]
    assert found == []


def test_no_connection_skips_the_host_key() -> None:
    found = [
        f"{path}:{line}"
        for path in python_files("sparkdesk", "ui", "backends", "tests")
        for line in facts(path).blind_trusts
    ]
    assert found == []


def test_colours_come_from_the_theme() -> None:
    found = [
        f"{path}:{line} {text!r}"
        for path in python_files("ui")
        if path != Path("ui/theme.py")
        for line, text in facts(path).colours
    ]
    assert found == []


def test_no_file_is_over_500_lines() -> None:
    python = python_files("sparkdesk", "ui", "backends", "tests", "packaging")
    assert [f"{path} {lines_of(path)}" for path in python if lines_of(path) > 500] == []
    assert statistics.median(lines_of(path) for path in python_files()) < 200


def test_no_function_is_over_60_lines() -> None:
    python = python_files("sparkdesk", "ui", "backends", "tests", "packaging")
    found = [(f"{path}:{line} {name}", lines) for path in python for line, name, lines in facts(path).functions]
    assert [entry for entry in found if entry[1] > 60] == []
    lengths = [lines for path in python_files() for _, _, lines in facts(path).functions]
    assert statistics.quantiles(lengths, n=10)[8] <= 35


def test_every_module_says_why_it_exists() -> None:
    assert [str(path) for path in python_files() if not facts(path).has_docstring] == []


def test_no_module_is_a_drawer() -> None:
    named = [*python_files(), *python_files("tests")]
    assert [str(path) for path in named if DRAWER_NAMES & {*path.parts[:-1], path.stem}] == []


def test_code_for_a_node_is_python_3_8() -> None:
    for path in python_files("sparkdesk"):
        if path.is_relative_to("sparkdesk/remote"):
            ast.parse((ROOT / path).read_text("utf-8"), filename=str(path), feature_version=(3, 8))


def test_no_test_mocks_what_is_ours() -> None:
    tests = python_files("tests")
    assert [f"{path}:{line}" for path in tests for line, name in imported_names(path) if "mock" in name] == []


def test_packaging_and_resources_are_no_packages() -> None:
    """A package of ours named ``packaging`` would hide the library of that name."""
    assert not (ROOT / "packaging" / "__init__.py").exists()
    assert python_files("resources") == []


@pytest.mark.parametrize("verb", sorted(path.stem for path in (ROOT / "sparkdesk" / "verbs").glob("*.py")))
def test_a_verb_is_imported_without_qt(verb: str) -> None:
    name = "sparkdesk.verbs" if verb == "__init__" else f"sparkdesk.verbs.{verb}"
    program = f"import sys, {name}; print([name for name in sys.modules if name.startswith(('PySide6', 'qasync'))])"
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout.strip()) == (0, "[]"), ended.stderr


def test_no_file_names_a_package_index_or_this_machine() -> None:
    # Put together here, so that this file does not name them either.
    hosts = ["py" + "pi.org", "python" + "hosted", "registry.npm" + "js", "deb.deb" + "ian", "archive.ub" + "untu"]
    places = [str(ROOT), str(ROOT.parent / "shared")]
    places += [prefix for prefix in (sys.prefix, sys.base_prefix) if not prefix.startswith("/usr")]
    words = [word.encode() for word in (*hosts, *places)]
    found = [
        f"{path} names {word.decode()}"
        for path in source_files()
        for text in [(ROOT / path).read_bytes()]
        for word in words
        if word in text
    ]
    assert found == []


def test_nothing_is_left_to_do() -> None:
    marks = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
    python = python_files("sparkdesk", "ui", "backends", "tests", "packaging")
    assert [str(path) for path in python if marks.search((ROOT / path).read_text("utf-8"))] == []
