"""Who may sign in to a node: keys given at the start, the user's own authorized_keys, and perhaps the password.

The one rule: what lies in the node's home was written by a stranger. No link is followed, little is read, and a file
that others could have written is refused, as sshd's StrictModes does.
"""

from __future__ import annotations

import logging
import os
import stat
from dataclasses import dataclass
from pathlib import Path

import asyncssh

_MAX_FILE_BYTES = 64 * 1024
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SignIn:
    """What the simulator was started with. `keys` are public data; `password` is "" where none is taken over SSH."""

    keys: frozenset[bytes]
    password: str = ""


def read_authorized_keys(root: Path) -> asyncssh.SSHAuthorizedKeys | None:
    """The keys that the node's user installed; None when there are none, or when the file may not be trusted."""
    try:
        text = _read_strictly(root, ("home", "nvidia", ".ssh", "authorized_keys"))
    except OSError as error:
        if not isinstance(error, FileNotFoundError):
            _log.warning("Authentication refused: %s", error)
        return None
    try:
        return asyncssh.import_authorized_keys(text)
    except ValueError:
        return None


def _read_strictly(root: Path, names: tuple[str, ...]) -> str:
    """A file's text, if it and the folders on the way from the home on are its owner's alone. Raises OSError."""
    number = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for depth, name in enumerate(names):
        kind = os.O_NONBLOCK if name == names[-1] else os.O_DIRECTORY
        try:
            inner = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | kind, dir_fd=number)
        finally:
            os.close(number)
        number, found = inner, os.fstat(inner)
        if depth and found.st_mode & _WRITABLE_BY_OTHERS:
            os.close(number)
            raise PermissionError(f"bad ownership or modes for /{'/'.join(names[: depth + 1])}")
    with open(number, "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise PermissionError("authorized_keys is no plain file")
        return stream.read(_MAX_FILE_BYTES).decode("utf-8", "replace")
