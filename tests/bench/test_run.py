"""The benchmark runner: a table and a file of figures, and no benchmark takes the others down."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.bench import run
from tests.bench.figure import Figure

GOOD = """
from tests.bench.figure import Figure
NAMES = ("good.speed", "good.size")
def measure():
    print("talking on stdout harms nothing")
    return [Figure.at_most("good.speed", 1.25, "s", 2), Figure.at_least("good.size", 3.0, "MB", 1, baseline=2.0)]
"""
CRASHING = """
NAMES = ("bad.crash",)
def measure():
    raise RuntimeError("the disk is gone")
"""
HANGING = """
import time
NAMES = ("bad.hang",)
def measure():
    time.sleep(60)
"""
FORGETFUL = """
NAMES = ("bad.forgotten",)
def measure():
    return []
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"good": GOOD, "crash": CRASHING, "forgetful": FORGETFUL}.items():
        (tmp_path / f"bench_{name}.py").write_text(text)
    return tmp_path


def rows_of(folder: Path, *words: str) -> tuple[int, list[dict[str, object]]]:
    output = folder / "out" / "bench.json"
    code = run.main(["--folder", str(folder), "--output", str(output), *words])
    return code, json.loads(output.read_text()) if output.is_file() else []


def test_every_figure_is_a_row_and_a_crash_is_one_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, rows = rows_of(folder)
    assert code == 1
    assert [(row["name"], row["ok"]) for row in rows] == [
        ("bad.crash", False),
        ("bad.forgotten", False),
        ("good.speed", True),
        ("good.size", True),
    ]
    assert all(list(row) == ["name", "value", "unit", "goal", "ok", "baseline", "note"] for row in rows)
    assert "the disk is gone" in str(rows[0]["note"])
    printed = capsys.readouterr().out
    assert "MISSED  bad.crash" in printed
    assert "1.25" in printed


def test_a_word_chooses_the_figures(folder: Path) -> None:
    code, rows = rows_of(folder, "--only", "size")
    assert (code, [row["name"] for row in rows]) == (0, ["good.size"])


def test_a_word_that_no_name_contains_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rows_of(folder, "--only", "nothing") == (2, [])
    assert "'nothing'" in capsys.readouterr().err


def test_a_benchmark_that_hangs_is_ended(tmp_path: Path) -> None:
    module = tmp_path / "bench_hang.py"
    module.write_text(HANGING)
    (row,) = run.measure_apart(module, time_limit_s=1.0)
    assert row["ok"] is False
    assert "1 s" in str(row["note"])


def test_an_unknown_value_is_not_ok() -> None:
    figure = Figure.at_most("a.b", math.nan, "s", 1)
    assert (figure.value, figure.ok) == (None, False)


def test_every_benchmark_names_its_figures() -> None:
    names = [name for module in run.HERE.glob("bench_*.py") for name in run.names_of(module)]
    assert names
    assert len(names) == len(set(names))
