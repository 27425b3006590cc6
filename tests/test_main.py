"""The command line: a verb is found by its file, a wrong word is explained, nothing heavy is imported on the way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sparkdesk import __main__ as entry
from sparkdesk import __version__

ROOT = Path(__file__).resolve().parents[1]


def sparkdesk(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sparkdesk", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_a_wrong_verb_is_explained() -> None:
    ended = sparkdesk("fly")
    assert ended.returncode == 2
    assert "no verb 'fly'" in ended.stderr


def test_help_names_every_verb_with_its_first_line() -> None:
    ended = sparkdesk("help")
    assert ended.returncode == 0
    rows = {line.split()[0]: line.split(maxsplit=1)[1:] for line in ended.stdout.splitlines() if line.startswith("  ")}
    assert sorted(rows) == entry.verb_names()
    assert all(rows.values())


def test_the_version_is_the_packages() -> None:
    assert sparkdesk("--version").stdout.strip() == __version__


def test_finding_the_verb_imports_nothing_heavy() -> None:
    program = "import sys, sparkdesk.__main__ as entry; entry.usage(); print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    heavy = {"pydantic", "numpy", "pyqtgraph", "asyncssh", "httpx", "keyring", "PySide6", "asyncio"}
    assert heavy.isdisjoint(ended.stdout.split()), ended.stderr


def test_a_reader_that_ends_first_gets_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "sparkdesk", "models"]
    ended = subprocess.run(command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, "")
