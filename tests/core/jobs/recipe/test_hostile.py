"""A hundred hostile recipes: none makes anything happen on this computer, each is explained."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sparkdesk.core.jobs.plan import Severity
from sparkdesk.core.jobs.recipe.paste import read_paste
from sparkdesk.infra.yaml_text import read_yaml
from tests.core.jobs.recipe.hostile import CANARY, recipes
from tests.house.tree import ROOT

RECIPES = recipes()
WATCH = """
import json, sys
from sparkdesk.core.jobs.recipe.paste import read_paste
from sparkdesk.infra.yaml_text import read_yaml
seen = []
STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork",
          "os.forkpty", "pty.spawn")
CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.symlink", "os.link", "os.chmod", "os.truncate", "socket.connect",
           "import", "exec", "compile", "ctypes.dlopen", "shutil.copyfile")
def hook(event, arguments):
    if event in STARTS or event in CHANGES:
        seen.append([event, repr(arguments)[:200]])
    if event == "open":
        seen.append([event, repr(arguments)[:200]])
texts = json.load(sys.stdin)
read_paste("model: a/b\\nruntime: vllm\\n", load_yaml=read_yaml, is_recipe=True)
sys.addaudithook(hook)
for text in texts:
    for is_recipe in (True, False):
        read_paste(text, load_yaml=read_yaml, is_recipe=is_recipe)
if "plant" in sys.argv:
    open("planted", "w").close()
quiet, seen = seen, []
print(json.dumps(quiet))
"""
"""Reads all texts under an audit hook that notes each program started, file opened and module loaded."""


def watch(texts: list[str], folder: Path, *arguments: str) -> list[list[str]]:
    """What the hook saw while the texts were read, in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", WATCH, *arguments],
        input=json.dumps(texts),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    found: list[list[str]] = json.loads(done.stdout)
    return found


def test_there_are_a_hundred() -> None:
    assert len(RECIPES) >= 100


def test_no_hostile_recipe_makes_anything_happen(tmp_path: Path) -> None:
    assert watch(list(RECIPES.values()), tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_the_watch_sees_what_it_is_to_see(tmp_path: Path) -> None:
    assert [event for event, _ in watch([], tmp_path, "plant")] == ["open"]


@pytest.mark.parametrize("what", RECIPES)
def test_each_hostile_recipe_is_explained(what: str) -> None:
    imported = read_paste(RECIPES[what], load_yaml=read_yaml, is_recipe=True)
    assert imported.problems
    assert all(problem.message and problem.remedy for problem in imported.problems)
    is_only_off = what.startswith("hook ") or what in OFF
    assert imported.has_errors or is_only_off, imported
    if is_only_off:
        warned = [problem for problem in imported.problems if problem.severity is Severity.WARNING]
        assert warned or imported.unknown
    text = repr(imported.problems)
    assert not any(mark in text for mark in ("\x1b", "\0", "\u202e"))
    assert len(text) < 40_000


OFF = {"command 3", "command 5", "command 6", "command 11", "command 12"}
"""The rest of these is a good request: other commands are listed and left, code that it loads is warned of."""


def test_what_a_hostile_command_adds_is_listed() -> None:
    for what in ("command 3", "command 5"):
        imported = read_paste(RECIPES[what], load_yaml=read_yaml, is_recipe=True)
        assert any(CANARY in each.text for each in imported.unknown)
