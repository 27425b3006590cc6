"""What every test runs in: its own home, no screen, no proxy, and no log line that nobody expected.

The one rule: a test never sees or changes anything of the person who runs it.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A machine that is busy elsewhere is no reason to fail; in CI the examples are the same each time; `make deep` wants
# many. What a test sets itself holds for it in both.
settings.register_profile(
    "house",
    deadline=None,
    max_examples=10_000 if os.environ.get("SPARKDESK_DEEP") else 100,
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
# For a second run of tests whose examples have been tried in the first (`--hypothesis-profile few`).
settings.register_profile("few", settings.get_profile("house"), max_examples=5)
settings.load_profile("house")

# Before anything imports Qt: most machines that run tests have no screen.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("PYTEST_QT_API", "pyside6")


def put_python_first() -> None:
    """Let `python3` be a real interpreter, as on a node: a version manager's is a script that needs more programs."""
    real = Path(sys.executable).resolve()
    if Path(shutil.which("python3") or "python3").resolve() == real:
        return
    folder = Path(tempfile.mkdtemp(prefix="sparkdesk-python-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    (folder / "python3").symlink_to(real)
    os.environ["PATH"] = f"{folder}:{os.environ['PATH']}"


put_python_first()

_HOME_VARIABLES = ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_DIRS")
_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
_AGENT_VARIABLES = ("SSH_AUTH_SOCK", "SSH_AGENT_PID")


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty HOME and SPARKDESK_HOME for each test: asyncssh reads ~/.ssh, the app its data folder."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.setenv("SPARKDESK_HOME", str(home / "sparkdesk"))
    # A real keychain belongs to the person at the screen.
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    for name in (*_HOME_VARIABLES, *_PROXY_VARIABLES, *_AGENT_VARIABLES, "SPARKDESK_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    return home


class _ErrorLines(logging.Handler):
    """Keeps what the program's own loggers say at ERROR or above."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name}: {record.getMessage()}")


@pytest.fixture(autouse=True)
def no_unexpected_errors(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test in which SparkDesk logged an error, unless it is marked ``expects_errors``."""
    if request.node.get_closest_marker("expects_errors") is not None:
        yield
        return
    handler = _ErrorLines()
    loggers = [logging.getLogger(name) for name in ("sparkdesk", "ui", "backends", "asyncio")]
    for logger in loggers:
        logger.addHandler(handler)
    yield
    for logger in loggers:
        logger.removeHandler(handler)
    if handler.lines:
        pytest.fail("logged at ERROR:\n" + "\n".join(handler.lines), pytrace=False)
