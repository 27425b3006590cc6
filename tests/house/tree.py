"""The project's own files, for the tests that read or copy them.

The one rule: what git ignores does not count.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("sparkdesk", "ui", "backends")


@cache
def source_files() -> tuple[Path, ...]:
    """Every file of the working tree that git tracks or would add, as paths below ROOT, sorted.

    Without git or its folder (an unpacked source archive): every file outside the folders that building leaves behind.
    """
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    if shutil.which("git") is not None and (ROOT / ".git").exists():
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=30).stdout.decode()
        names = [Path(name) for name in listed.split("\0") if name]
    else:
        names = [path.relative_to(ROOT) for path in ROOT.rglob("*") if not _is_left_behind(path.relative_to(ROOT))]
    return tuple(sorted(path for path in names if (ROOT / path).is_file()))


def python_files(*folders: str) -> list[Path]:
    """The Python sources in these top-level folders (default: the three packages), as paths below ROOT."""
    wanted = folders or PACKAGES
    return [path for path in source_files() if path.suffix == ".py" and path.parts[0] in wanted]


@dataclass(frozen=True)
class Call:
    """A call that is looked at: its line, the last part of the called name, and the whole of it as written."""

    line: int
    name: str
    written: str


@dataclass
class Facts:
    """What the rules of the house ask of a file; lines count from 1."""

    has_docstring: bool
    imports: list[tuple[int, str]] = field(default_factory=list)
    """Line and full dotted name of everything it imports."""
    calls: list[Call] = field(default_factory=list)
    """Those whose name is one of WATCHED_CALLS."""
    functions: list[tuple[int, str, int]] = field(default_factory=list)
    """Line, name and length in lines, from ``def`` to the last."""
    catch_alls: list[int] = field(default_factory=list)
    """Handlers of everything that do more than clean up and raise again."""
    blind_trusts: list[int] = field(default_factory=list)
    """Calls with ``known_hosts=None``."""
    colours: list[tuple[int, str]] = field(default_factory=list)
    """Texts in which a colour is written in hexadecimal."""


WATCHED_CALLS = {"exec", "exec_", "ensure_future", "create_task"}
HEX_COLOUR = re.compile(r"#(?:[0-9a-fA-F]{8}|[0-9a-fA-F]{6}|[0-9a-fA-F]{3,4})\b")


@cache
def facts(path: Path) -> Facts:
    """What the syntax tree of a file below ROOT says. The trees are not kept: all of them are 400 MB."""
    tree = ast.parse((ROOT / path).read_text("utf-8"), filename=str(path))
    found = Facts(has_docstring=bool(ast.get_docstring(tree)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            _note_call(node, found)
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, str) and HEX_COLOUR.search(node.value):
                found.colours.append((node.lineno, node.value))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            found.functions.append((node.lineno, node.name, node.end_lineno - node.lineno + 1))
        elif isinstance(node, ast.ExceptHandler):
            is_all = node.type is None or re.search(r"\b(Base)?Exception\b", ast.unparse(node.type))
            if is_all and not (isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None):
                found.catch_alls.append(node.lineno)
        elif isinstance(node, ast.Import):
            found.imports += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.imports += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def _note_call(call: ast.Call, found: Facts) -> None:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in WATCHED_CALLS:
        found.calls.append(Call(call.lineno, name, ast.unparse(call.func)))
    for keyword in call.keywords:
        if keyword.arg == "known_hosts" and isinstance(keyword.value, ast.Constant) and keyword.value.value is None:
            found.blind_trusts.append(call.lineno)


def imported_names(path: Path) -> list[tuple[int, str]]:
    """Line and full dotted name of everything a file imports."""
    return facts(path).imports


def copy_tree(target: Path, *, without: str = "") -> None:
    """Copies the source files to ``target``, leaving out everything below the folder ``without``."""
    for path in source_files():
        if without and path.is_relative_to(without):
            continue
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, target / path)


def _is_left_behind(path: Path) -> bool:
    return bool({"build", "dist", "__pycache__"} & set(path.parts)) or any(part.startswith(".") for part in path.parts)
