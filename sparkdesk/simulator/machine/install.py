"""Write files of a node from outside of it, before its root is taken.

The one rule: no link is followed. Whoever was root of the node may have left links that point out of it; what stands
where a folder or a file of ours belongs, and is neither, is removed.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path


def install(base: Path, files: Mapping[str, str | bytes], *, is_kept: bool = False, mode: int = 0o644) -> None:
    """Write these files below `base`; with `is_kept`, those that are there stay as they are."""
    for name, content in files.items():
        *folders, last = name.split("/")
        number = open_folder(base, folders)
        try:
            _write(number, last, content, is_kept=is_kept, mode=mode)
        finally:
            os.close(number)


def open_folder(base: Path, names: list[str]) -> int:
    """An open file of a folder below `base`, made if it is missing."""
    number = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for name in names:
        try:
            _make_folder(number, name)
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=number)
        finally:
            os.close(number)
        number = inner
    return number


def clear(folder: Path) -> None:
    """An empty folder, whatever was there."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(exist_ok=True)


def _make_folder(number: int, name: str) -> None:
    found = _look(number, name)
    if found is not None and not stat.S_ISDIR(found.st_mode):
        os.unlink(name, dir_fd=number)
        found = None
    if found is None:
        os.mkdir(name, 0o755, dir_fd=number)


def _write(number: int, name: str, content: str | bytes, *, is_kept: bool, mode: int) -> None:
    found = _look(number, name)
    if found is not None and not stat.S_ISREG(found.st_mode):
        if is_kept:
            return  # a person's own doing, and nothing of ours is written through it
        os.unlink(name, dir_fd=number)
    elif found is not None and is_kept:
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(name, flags, mode, dir_fd=number), "wb") as stream:
        stream.write(content.encode("utf-8") if isinstance(content, str) else content)


def _look(number: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=number, follow_symlinks=False)
    except FileNotFoundError:
        return None
