"""What failed in a lane of tests is tried once more, alone, and only when it is little."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lane import AGAIN_AT_MOST

LANE = Path(__file__).parents[1] / "lane.py"
CONFIG = "[tool.pytest.ini_options]\ncache_dir = 'build/pytest'\n"
ONLY_AT_FIRST = """
import pathlib, pytest

@pytest.mark.parametrize("word", ["a\\nb", "$(x) [é]"])
def test_late(word):
    seen = pathlib.Path(f"seen-{len(word)}")
    was_seen = seen.exists()
    seen.touch()
    assert was_seen
"""


def run_lane(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "pyproject.toml").write_text(CONFIG)
    (folder / "test_it.py").write_text(text + "\ndef test_good():\n    pass\n")
    words = [sys.executable, str(LANE), "-p", "xdist", "-n", "2"]
    # Each run is three processes, and loading Qt's and the other plugins would be most of what they do.
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(words, cwd=folder, env=alone, capture_output=True, text=True, timeout=100, check=False)


def test_what_failed_beside_others_and_passes_alone_is_shown_and_forgiven(tmp_path: Path) -> None:
    ran = run_lane(tmp_path, ONLY_AT_FIRST)
    assert ran.returncode == 0
    assert "2 failed, 1 passed" in ran.stdout
    assert "2 failed. Once more, alone" in ran.stdout
    assert "2 passed" in ran.stdout


@pytest.mark.parametrize(("count", "is_tried_again"), [(1, True), (AGAIN_AT_MOST + 1, False)])
def test_what_is_broken_fails_the_lane(tmp_path: Path, count: int, is_tried_again: bool) -> None:
    ran = run_lane(tmp_path, "\n".join(f"def test_bad_{number}():\n    assert 0" for number in range(count)))
    assert ran.returncode == 1
    assert ("Once more" in ran.stdout) == is_tried_again


def test_a_lane_that_cannot_be_read_fails(tmp_path: Path) -> None:
    assert run_lane(tmp_path, "import nothing_of_that_name").returncode != 0
