"""The guided tour tells the truth: it passes when all of it happened, and not when something was taken away."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import psutil
import pytest

from tests.app.program import require_demo, run_program, running_program

SAID = (
    r"4 nodes live over SSH after [0-9.]+ s, first samples [0-9.]+ s",
    r"Launch plan: smollm2-135m-instruct on spark-\w+: Fits, [0-9.]+ GiB left",
    r"    llama-server \\",
    r"Model server ready after [0-9.]+ s: a first token was generated",
    r"Speed of a fixed request: [0-9.]+ tok/s\b.*",
    r"Question: Write two short sentences about a \w+\.",
    r"The server was asked about the \w+: it read [0-9]+ tokens, as many as the question has",
    r"Answer: \w.*",
    r"TTFT [0-9]+ ms, [0-9.]+ tok/s, [0-9]+ tokens",
    r"The server's own counter agrees: [0-9]+ tokens generated",
    r"Stopped and verified; the tour took [0-9]+ s",
)
SCREENS = ("first-run", "cluster", "launch", "deployments", "chat", "settings")


@pytest.fixture(autouse=True)
def demo() -> None:
    require_demo()


def size_of(picture: Path) -> tuple[int, int]:
    """Width and height of a PNG, from its own header."""
    head = picture.read_bytes()[:24]
    assert head.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def test_the_tour_happens_says_so_and_leaves_its_pictures(tmp_path: Path) -> None:
    code, said, errors = run_program(tmp_path, "tour", "--out", str(tmp_path / "tour"), "--pace", "0.5", timeout_s=110)
    assert code == 0, said + errors
    for line in SAID:
        assert re.search(f"^{line}$", said, re.MULTILINE), f"{line} was not said:\n{said}"
    assert errors == ""
    pictures = sorted((tmp_path / "tour").glob("*.png"))
    for screen in SCREENS:
        for name in (screen, f"{screen}-light"):
            assert any(picture.stem.partition("-")[2] == name for picture in pictures), f"no picture of {name}"
    assert {size_of(picture) for picture in pictures} == {(1440, 900)}


def test_the_tour_fails_when_what_it_shows_is_killed(tmp_path: Path) -> None:
    words = ("tour", "--out", str(tmp_path / "tour"), "--pace", "0.5", "--hold", "2")
    with running_program(tmp_path, *words) as tour:
        tour.read_until("Model server ready")
        below = psutil.Process(tour.process.pid).children(recursive=True)
        tour.find("simulate").kill()  # a server alone would be started again by its guard
        code, said = tour.end(timeout_s=90)
        assert code == 1, said
        assert "FAILED: " in said
        assert "counter agrees" not in said
        assert "Traceback" not in said
        _, alive = psutil.wait_procs(below, timeout=10)
        assert alive == []
