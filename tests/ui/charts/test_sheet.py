"""What is written into files and said in words."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from tests.ui.charts.scene import Scene
from ui.charts.choice import Choice
from ui.charts.frame import build_frame
from ui.charts.sheet import csv_bytes, quoted, summary_of, table_of

TWO = Choice(plots=(("mem_used_bytes",), ("gpu_util",)))


def read(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode())))


@pytest.fixture
def scene() -> Scene:
    found = Scene(count=2)
    found.live(20)
    found.silent = {"node1"}
    found.live(10)
    found.silent = set()
    found.live(10)
    return found


def test_a_file_has_one_header_with_key_unit_and_source(scene: Scene) -> None:
    rows = read(csv_bytes(build_frame(scene.feeds(), TWO, scene.sources, scene.now_ms)))
    assert rows[0] == [
        "time_utc", "unix_ms", "mem_used_bytes [B] spark-5c2d", "mem_used_bytes [B] spark-bd26",
        "gpu_util [fraction] spark-5c2d", "gpu_util [fraction] spark-bd26",
    ]  # fmt: skip
    assert all(len(row) == 6 for row in rows)


def test_values_keep_all_their_digits_and_a_gap_is_an_empty_cell(scene: Scene) -> None:
    rows = read(csv_bytes(build_frame(scene.feeds(), TWO, scene.sources, scene.now_ms)))[1:]
    times, values = scene.histories["node0"].series("gpu_util", 300.0)
    assert [float(row[4]) for row in rows if row[4]] == values.tolist()
    quiet = [row for row in rows if row[3] == ""]
    assert len(quiet) >= 10
    assert all(row[5] == "" and row[2] for row in quiet if int(row[1]) in times)
    assert not any("nan" in cell for row in rows for cell in row)


def test_times_are_iso_in_utc_beside_unix_ms_and_ascend(scene: Scene) -> None:
    rows = read(csv_bytes(build_frame(scene.feeds(), TWO, scene.sources, scene.now_ms)))[1:]
    assert rows[0][:2] == ["2025-10-09T08:53:20.960Z", "1760000000960"]
    stamps = [int(row[1]) for row in rows]
    assert stamps == sorted(set(stamps))
    assert len(rows) <= 42, "nodes that measure 40 ms apart share their rows"


@pytest.mark.parametrize("name", ["=1+1", "+cmd|' /C calc'!A0", "-2", "@SUM(A1)", " =1", "\t=1", "a\r\n=1"])
def test_a_hostile_name_is_no_formula_and_no_second_row(scene: Scene, name: str) -> None:
    scene.rename(0, name)
    data = csv_bytes(build_frame(scene.feeds(), TWO, scene.sources, scene.now_ms))
    head = read(data)[0]
    assert len(head) == 6
    assert not any(cell.lstrip().startswith(("=", "+", "-", "@")) for cell in head)
    assert not quoted(name).strip('"').lstrip().startswith(("=", "+", "-", "@"))


def test_a_simulated_clusters_file_says_so(scene: Scene) -> None:
    frame = build_frame(scene.feeds(), TWO, scene.sources, scene.now_ms)
    assert csv_bytes(frame, is_simulated=True).startswith(b"time_utc (simulated),unix_ms")


def test_the_table_has_the_values_of_the_plots_newest_first(scene: Scene) -> None:
    frame = build_frame(scene.feeds(), TWO, scene.sources, scene.now_ms)
    heads, rows = table_of(frame)
    assert heads[:2] == ("Time", "Memory used (GiB), spark-5c2d")
    assert [row[0] for row in rows] == sorted((row[0] for row in rows), reverse=True)
    assert "n/a" in {row[2] for row in rows}
    assert all(cell != "0" for row in rows for cell in row[1:])


def test_the_summary_says_values_limits_and_gaps(scene: Scene) -> None:
    choice = Choice(plots=(("gpu_temp_c",), ("ttft_s",)))
    words = summary_of(build_frame(scene.feeds(), choice, scene.sources, scene.now_ms))
    assert "GPU temperature in °C: spark-5c2d now " in words
    assert "Limit: at most 86 °C." in words
    assert "Gap: spark-bd26: no value " in words
    assert "From NVML or nvidia-smi: temperature.gpu." in words
    assert "Time to first token in ms: no chosen source has it." in words
    assert summary_of(replace(build_frame(scene.feeds(), choice, (), scene.now_ms), plots=())) == "No plot is shown."
