"""The level of a line is the same here and on the node, and of a failed start the line that says why is pulled up."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.core.jobs.log_level import ERROR, LEVELS, MILD, drop_prefix, names_cause, read_level, split_source
from tests.core.jobs.failed_starts import FAILED, HEALTHY

REMOTE = Path(__file__).parents[3] / "sparkdesk/remote"
LINES = {
    "INFO 07-01 server started": "info",
    "0 errors so far": "info",
    "(EngineCore pid=7) ERROR 07-01 [core.py:1] failed": "error",
    "Traceback (most recent call last):": "error",
    "torch.cuda.OutOfMemoryError: CUDA out of memory": "error",
    "ValueError: bad": "error",
    "AssertionError": "error",
    "0.00.123.456 E cannot load": "error",
    "0.00.123.456 I srv  error: none so far": "info",
    "0.00.123.456 W slow": "warning",
    "UserWarning: deprecated": "warning",
    "WARNING 07-01 slow": "warning",
    "(Worker_TP0 pid=9) (EngineCore_DP0 pid=8) WARNING 11-22 [x.py:1] no ValueError: here": "warning",
    "[11/22/2026-03:01:02] [TRT-LLM] [RANK 0] [E] Out of memory": "error",
    "[11/22/2026-03:01:02] [TRT-LLM] [I] error: none": "info",
    "[TensorRT-LLM][ERROR] CUDA error": "error",
    'time=2026-11-22T03:01:02.000Z level=INFO source=x.go:1 msg="error: none"': "info",
    "error: invalid argument: --foo": "error",
    'error while handling argument "--ctx-size": stoi': "error",
    "gguf_init_from_file: failed to open GGUF file '/x.gguf' (No such file or directory)": "error",
    "srv          init: exiting due to model loading error": "error",
    "main: exiting due to HTTP server error": "error",
    "docker: Error response from daemon: unknown or invalid runtime name: nvidia": "error",
    "docker: permission denied while trying to connect to the Docker daemon socket": "error",
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?": "error",
    "unknown flag: --gpuz": "error",
    "exec /usr/bin/vllm: exec format error": "error",
    "[Errno 98] error while attempting to bind on address ('127.0.0.1', 8000): address already in use": "error",
    "ptxas fatal   : Value 'sm_121a' is not defined for option 'gpu-name'": "error",
    "error_code=0": "info",
}


@cache
def program_of(name: str) -> dict[str, Any]:
    path = REMOTE / f"{name}.py"
    program: dict[str, Any] = {"__name__": name, "__file__": str(path)}
    exec(path.read_text(), program)
    return program


@pytest.mark.parametrize(("line", "level"), LINES.items())
def test_a_line_has_one_level_here_and_on_the_node(line: str, level: str) -> None:
    program = program_of("log_search")
    assert read_level(line) == level
    assert program["read_level"](line.encode()) == level
    assert level == "info" or any(sign in line.encode() for sign in program["SIGNS"] + program["WARNING_SIGNS"])


def test_the_programs_on_the_node_know_errors_by_the_same_words() -> None:
    assert program_of("log_search")["LEVELS"] == LEVELS
    for name in ("log_search", "jobs"):
        assert program_of(name)["ERROR"].pattern.decode() == ERROR.pattern
        assert program_of(name)["MILD"].pattern.decode() == MILD.pattern


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_start_has_no_error(name: str) -> None:
    assert [line for line in HEALTHY[name].splitlines() if read_level(line) == "error"] == []


@pytest.mark.parametrize("name", FAILED)
def test_of_a_failed_start_the_line_that_says_why_is_pulled_up(name: str) -> None:
    log, why = FAILED[name]
    errors = [line for line in log.splitlines() if read_level(line) == "error"]
    assert errors, "nothing is pulled up"
    assert why in next(filter(names_cause, errors), errors[0])


class Log:
    """A job's log on the node, in one file."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        path.write_text(text)

    def log_files(self) -> list[tuple[int, str]]:
        return [(0, str(self.path))]

    def log_end(self) -> int:
        return self.path.stat().st_size


@pytest.mark.parametrize("name", FAILED)
def test_the_guard_names_a_line_that_says_why_as_the_cause(name: str, tmp_path: Path) -> None:
    log, why = FAILED[name]
    before = f"{HEALTHY['vllm_cpu']}\n[sparkdesk] error: ours\n"
    assert why in program_of("guard")["find_cause"](Log(tmp_path / "log", before + log), 0)


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
