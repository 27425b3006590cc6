"""A screen that nobody sees (Xvfb), for what must be shown to run against a real display.

The one rule: where Xvfb is missing the test is skipped with that reason, and in CI it fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


def need_program(name: str, package: str) -> str:
    """The program's path; without it the test is skipped, or failed where CI=true."""
    found = shutil.which(name)
    if found is None:
        reason = f"{name} is missing (Debian package {package})"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@contextmanager
def virtual_screen() -> Iterator[dict[str, str]]:
    """Starts Xvfb at 1440x900 on a free display and gives the environment of a person sitting at it."""
    reader, writer = os.pipe()
    options = ["-displayfd", str(writer), "-screen", "0", "1440x900x24", "-nolisten", "tcp"]
    command = [need_program("Xvfb", "xvfb"), *options]
    server = subprocess.Popen(command, pass_fds=[writer], stderr=subprocess.DEVNULL)
    os.close(writer)
    try:
        with os.fdopen(reader) as pipe:
            number = pipe.readline().strip()  # ends when the display is ready, or when the server dies
        assert number, "Xvfb did not start"
        environment = {key: value for key, value in os.environ.items() if key not in ("WAYLAND_DISPLAY", "XAUTHORITY")}
        yield {**environment, "DISPLAY": f":{number}", "QT_QPA_PLATFORM": "xcb"}
    finally:
        server.terminate()
        server.wait(timeout=10)
