"""The password of the simulated nodes' user: made once a state folder, told to people, known to nodes as a hash only.

The one rule: it never stands in a command line, an environment or a log; its file is for the owner only.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from sparkdesk.simulator.identity import StateError
from sparkdesk.simulator.node.secret import MAX_CHARS

_WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "inlet", "jetty", "knoll", "lagoon",
          "maple", "north", "ocean", "pebble", "quartz", "river", "stone", "tundra")  # fmt: skip


def load(folder: Path, given: Path | None) -> str:
    """The first line of `given`, else what this state folder has, made if it is missing.

    Raises:
        StateError: the given file holds no password.
    """
    file = file_of(folder)
    if given is not None:
        password = (given.read_text("utf-8").splitlines() or [""])[0]
        if not 0 < len(password) <= MAX_CHARS:
            raise StateError(f"{given} must hold a password of at most {MAX_CHARS} characters in its first line")
    elif file.exists():
        return file.read_text("utf-8").strip("\n")
    else:
        password = "-".join([*(secrets.choice(_WORDS) for _ in range(3)), str(10 + secrets.randbelow(90))])
    file.unlink(missing_ok=True)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(password + "\n")
    return password


def file_of(folder: Path) -> Path:
    """Where it lies."""
    return folder / "password"
