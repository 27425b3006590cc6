"""Nothing but its own verb needs the simulator: without it, core, backends and their parsers pass their tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tree import copy_tree


@pytest.mark.timeout(600)
def test_core_and_backends_pass_their_tests_without_the_simulator(tmp_path: Path) -> None:
    copy_tree(tmp_path, without="sparkdesk/simulator")
    assert (tmp_path / "sparkdesk").is_dir()
    assert not (tmp_path / "sparkdesk" / "simulator").exists()
    # Here it counts that each test runs at all: its many examples are tried where it stands.
    few = ("--hypothesis-profile", "few")
    command = [sys.executable, "-m", "pytest", "tests/core", "tests/backends", "-q", "-x", *few]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=580)
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-2000:]
    assert " passed" in ended.stdout
