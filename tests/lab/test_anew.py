"""What the tests of a file share is made anew after a failure, and only then."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOOKS = "from tests.lab.anew import pytest_runtest_makereport, pytest_runtest_teardown\n"
FILE = """
import pytest

made, taken = [], []

@pytest.fixture(scope="module")
def shared():
    made.append(len(made) + 1)
    if len(made) == 4:
        raise RuntimeError("does not start")
    yield made[-1]
    taken.append(made[-1])

@pytest.fixture
def spoilt(shared):
    yield
    raise RuntimeError("was not as before")

def test_1_first(shared): assert shared == 1
def test_2_first_still(shared): assert (shared, taken) == (1, [])
def test_3_fails(shared): assert shared == "nothing"
def test_4_second(shared): assert (shared, taken) == (2, [1])
def test_5_fails_at_its_end(spoilt): pass
def test_6_third(shared): assert (shared, taken) == (3, [1, 2])
def test_7_fails(shared): assert shared == "nothing"
def test_8_does_not_start(shared): pass
def test_9_was_made_anew_often_enough(shared): pass
"""


def test_after_a_failure_the_next_test_gets_a_fresh_lab_until_it_is_no_chance_any_more(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(HOOKS)
    (tmp_path / "test_file.py").write_text(FILE)
    argv = [sys.executable, "-m", "pytest", "-q", "-rA", "--rootdir", str(tmp_path), "-c",
            "/dev/null", "-o", f"cache_dir={tmp_path}/cache", str(tmp_path)]  # fmt: skip
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    told = {line.split()[0] + line.split("test_")[-1][0] for line in done.stdout.splitlines()
            if line.startswith(("PASSED ", "FAILED ", "ERROR "))}  # fmt: skip
    wanted = {"PASSED1", "PASSED2", "FAILED3", "PASSED4", "PASSED5", "ERROR5", "PASSED6", "FAILED7", "ERROR8", "ERROR9"}
    assert told == wanted, done.stdout + done.stderr
