"""The verbs without a window, and the window without a screen."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sparkdesk.infra.store.lock import FileLock
from tests.app.program import PROJECT, environment, run_program


def test_nodes_lists_four_live_nodes_with_figures_as_json(tmp_path: Path) -> None:
    code, said, errors = run_program(tmp_path, "nodes", "--simulated", "--json")
    assert code == 0, errors
    assert errors == ""
    document = json.loads(said)
    assert document["schema"] == 1
    nodes = document["nodes"]
    assert len(nodes) == 4
    for node in nodes:
        assert node["state"] == "live"
        assert node["is_simulated"] is True
        assert node["product"] == "NVIDIA_DGX_Spark"
        assert 100e9 < node["mem_total_bytes"] < 140e9
        assert 0 < node["mem_available_bytes"] <= node["mem_total_bytes"]
        assert node["gpu_power_w"] > 0
        assert node["gpu_temp_c"] > 0
    assert len({(node["address"], node["port"]) for node in nodes}) == 4


def test_nodes_without_any_says_how_to_get_one_and_fails(tmp_path: Path) -> None:
    code, said, errors = run_program(tmp_path, "nodes", "--json")
    assert code == 1
    assert json.loads(said)["nodes"] == []
    assert "--simulated" in errors


@pytest.mark.parametrize("words", [("run",), ("run", "--simulated"), ("run", "--first-frame"), ("tour",), ()])
def test_without_a_screen_the_window_says_so_and_what_to_do(tmp_path: Path, words: tuple[str, ...]) -> None:
    code, said, errors = run_program(tmp_path, *words, has_screen=False)
    assert code == 1
    assert said == ""
    assert errors.count("\n") == 1
    assert "SparkDesk needs a display and found none" in errors
    assert "QT_QPA_PLATFORM=offscreen python -m sparkdesk tour" in errors


def test_the_headless_list_runs_without_qt(tmp_path: Path) -> None:
    look = "import sys; from sparkdesk.__main__ import main; main(['nodes']); print('PySide6' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", look], cwd=PROJECT, env=environment(tmp_path), capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "False", done.stderr


@pytest.mark.parametrize("words", [("run", "--simulated"), ("tour",), ("nodes",)])
def test_a_folder_that_cannot_be_made_is_said_in_a_sentence(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "sparkdesk").write_text("a file is in the way")
    code, said, errors = run_program(tmp_path, *words)
    assert (code, said) == (1, "")
    assert errors.count("\n") == 1
    assert "cannot make its folder" in errors
    assert "SPARKDESK_HOME" in errors


def test_nodes_says_when_the_window_holds_the_data(tmp_path: Path) -> None:
    folder = tmp_path / "sparkdesk" / "data"
    folder.mkdir(parents=True)
    lock = FileLock(folder / "app.db.lock")
    assert lock.take()
    try:
        code, said, errors = run_program(tmp_path, "nodes")
    finally:
        lock.release()
    assert (code, said) == (1, "")
    assert errors.startswith("SparkDesk: SparkDesk is already running")


def test_a_tour_of_a_model_that_nobody_knows_fails(tmp_path: Path) -> None:
    code, said, _ = run_program(tmp_path, "tour", "--model", "nobody/knows-it", "--out", str(tmp_path), "--pace", "0.1")
    assert code == 1
    assert "FAILED: The catalogue has no model nobody/knows-it" in said
    assert "SmolLM2-135M-Instruct" in said
