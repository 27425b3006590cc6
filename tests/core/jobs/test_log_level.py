"""The level of a line is the same here and on the node that searches for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sparkdesk.core.jobs.log_level import LEVELS, read_level, split_source

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
