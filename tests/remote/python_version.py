"""The Pythons that programs on a node are tried with: this one and, where there is one, the oldest that is promised."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

OLDEST = "3.8"


@cache
def find_oldest() -> str | None:
    """A working Python 3.8: SPARKDESK_OLD_PYTHON, one on the PATH, or one of pyenv's."""
    named = [os.environ.get("SPARKDESK_OLD_PYTHON"), shutil.which(f"python{OLDEST}")]
    if shutil.which("pyenv"):
        root = subprocess.run(["pyenv", "root"], capture_output=True, text=True, timeout=30, check=False).stdout.strip()
        named += [str(path) for path in Path(root, "versions").glob(f"{OLDEST}.*/bin/python")]
    for path in filter(None, named):
        done = subprocess.run(
            [path, "-c", "import sys;print(sys.version)"], capture_output=True, timeout=30, check=False
        )
        if done.stdout.startswith(OLDEST.encode()):
            return path
    return None


PYTHONS = [
    pytest.param(sys.executable, id="this"),
    pytest.param(
        find_oldest() or "",
        id="oldest",
        marks=[]
        if find_oldest()
        else pytest.mark.skip(reason=f"no Python {OLDEST} here (SPARKDESK_OLD_PYTHON names one)"),
    ),
]
