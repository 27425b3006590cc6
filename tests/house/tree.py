"""The project's own files, for the tests that read or copy them.

The one rule: what git ignores does not count.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("sparkdesk", "ui", "backends")


def source_files() -> list[Path]:
    """Every file of the working tree that git tracks or would add, as paths below ROOT, sorted.

    Without git or its folder (an unpacked source archive): every file outside the folders that building leaves behind.
    """
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    if shutil.which("git") is not None and (ROOT / ".git").exists():
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=30).stdout.decode()
        names = [Path(name) for name in listed.split("\0") if name]
    else:
        names = [path.relative_to(ROOT) for path in ROOT.rglob("*") if not _is_left_behind(path.relative_to(ROOT))]
    return sorted(path for path in names if (ROOT / path).is_file())


def python_files(*folders: str) -> list[Path]:
    """The Python sources in these top-level folders (default: the three packages), as paths below ROOT."""
    wanted = folders or PACKAGES
    return [path for path in source_files() if path.suffix == ".py" and path.parts[0] in wanted]


@cache
def syntax(path: Path) -> ast.Module:
    """The syntax tree of a file below ROOT."""
    return ast.parse((ROOT / path).read_text("utf-8"), filename=str(path))


def imported_names(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything a file imports."""
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def copy_tree(target: Path, *, without: str = "") -> None:
    """Copies the source files to ``target``, leaving out everything below the folder ``without``."""
    for path in source_files():
        if without and path.is_relative_to(without):
            continue
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, target / path)


def _is_left_behind(path: Path) -> bool:
    return bool({"build", "dist", "__pycache__"} & set(path.parts)) or any(part.startswith(".") for part in path.parts)
