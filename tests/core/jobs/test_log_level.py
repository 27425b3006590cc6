"""The level of a line is the same here and on the node that searches for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sparkdesk.core.jobs.log_level import LEVELS, drop_prefix, read_level, split_source

SOURCE = (Path(__file__).parents[3] / "sparkdesk/remote/jobs.py").read_text()
LINES = {
    "INFO 07-01 server started": "info",
    "0 errors so far": "info",
    "(EngineCore pid=7) ERROR 07-01 [core.py:1] failed": "error",
    "Traceback (most recent call last):": "error",
    "torch.cuda.OutOfMemoryError: CUDA out of memory": "error",
    "ValueError: bad": "error",
    "0.00.123.456 E cannot load": "error",
    "0.00.123.456 W slow": "warning",
    "UserWarning: deprecated": "warning",
    "WARNING 07-01 slow": "warning",
    "error_code=0": "info",
}


@pytest.mark.parametrize(("line", "level"), LINES.items())
def test_a_line_has_one_level_here_and_on_the_node(line: str, level: str) -> None:
    program: dict[str, Any] = {"__name__": "jobs"}
    exec(SOURCE, program)
    assert read_level(line) == level
    assert program["read_level"](line.encode()) == level
    assert program["LEVELS"] == LEVELS


def test_a_line_of_the_guards_is_told_from_one_of_the_engines() -> None:
    assert split_source("[sparkdesk] try 2 begins") == ("job", "try 2 begins")
    assert split_source("says [sparkdesk] x") == ("engine", "says [sparkdesk] x")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("(EngineCore pid=873) ERROR 11-22 03:01:02 [core.py:1510] EngineCore failed to start.",
         "EngineCore failed to start."),
        ("(Worker_TP0 pid=9) (EngineCore_DP0 pid=8) ERROR 11-22 03:01:02.123 [a/b-c.py:1] ValueError: no room",
         "ValueError: no room"),
        ("[2026-11-22 03:01:02 TP0] Not enough memory", "Not enough memory"),
        ("[11/22/2026-03:01:02] [TRT-LLM] [RANK 0] [E] Out of memory", "Out of memory"),
        ("[TensorRT-LLM][ERROR] CUDA error", "CUDA error"),
        ("0.01.234.567 E srv  load_model: failed", "srv  load_model: failed"),
        ("RuntimeError: (rank pid=3) died", "RuntimeError: (rank pid=3) died"),
        ("ERROR: plain words", "ERROR: plain words"),
        ("(EngineCore pid=873) ", "(EngineCore pid=873)"),
        ("", ""),
    ],
)  # fmt: skip
def test_the_words_of_a_line_come_without_what_engines_write_before_them(line: str, words: str) -> None:
    assert drop_prefix(line) == words
