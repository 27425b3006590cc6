"""Nodes that are not there: their shells replay the lines of a real probe, with other numbers, at the rate asked for.

The one rule: the lines are those that remote/probe.py printed here; only time, counter and a few readings are written
anew in each, so that parsing, history and painting do what they do for real nodes. There is no SSH in it.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from sparkdesk.core.command import Command, Exit, Outcome
from sparkdesk.core.program import python_command
from tests.remote.spark_root import make_spark

SOURCES = [(Path(__file__).parents[2] / "sparkdesk" / "remote" / name).read_bytes() for name in ("gpu.py", "probe.py")]
GPU = {"u": 58, "t": 58, "p": 44.1, "c": 2411, "cm": 3003, "th": 0, "vp": 0, "vt": 0}
RECORD_S = 3.0


def record_lines(folder: Path) -> tuple[dict[str, object], dict[str, object]]:
    """A hello and a reading of the real probe on the files of a Spark. Raises RuntimeError: it said nothing."""
    make_spark(folder)
    command = python_command(SOURCES, "marker", "10")
    env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": "/", "SPARKDESK_ROOT": str(folder)}
    process = subprocess.Popen(
        [sys.executable, *command.argv[1:]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"".join(SOURCES))
    process.stdin.flush()
    found: list[dict[str, object]] = []
    until_s = time.monotonic() + RECORD_S
    while len(found) < 4 and time.monotonic() < until_s:
        line = process.stdout.readline()
        found += [json.loads(line.split(b" ", 1)[1])] if line.startswith(b"marker ") else []
    process.stdin.close()
    process.wait(10)
    process.stdout.close()
    hello = next((line for line in found if "hello" in line), None)
    readings = [line for line in found if "hello" not in line]
    if hello is None or not readings:
        raise RuntimeError("the probe said nothing")
    return hello, {**readings[-1], "gpu": [GPU], "gs": "nvml", "pr": []}


class ReplayProcess:
    """A probe that is replayed. `on_line` is told of each reading that is handed over."""

    def __init__(self, marker: bytes, node: int, lines: tuple[bytes, bytes], on_line: Callable[[int], None]) -> None:
        self._marker, self._node, self._on_line = marker, node, on_line
        self._hello, self._rest = lines
        self._hz = 1.0
        self._is_closed = asyncio.Event()

    async def chunks(self) -> AsyncIterator[bytes]:
        """A hello, then readings for ever. Nodes begin at different moments of the second, as real ones do."""
        yield self._marker + b" " + self._hello + b"\n"
        loop = asyncio.get_running_loop()
        due_s, number = loop.time() + (self._node * 0.618) % 1.0 / self._hz, 0
        while True:
            try:
                async with asyncio.timeout(max(0.0, due_s - loop.time())):
                    await self._is_closed.wait()
                return
            except TimeoutError:
                pass
            due_s, number = due_s + 1.0 / self._hz, number + 1
            self._on_line(self._node)
            yield self._reading(number)

    def _reading(self, number: int) -> bytes:
        wave = math.sin(number / 20 + self._node)
        free_kb = int(60_000_000 + 40_000_000 * wave + 7_000 * (number % 40))
        now = b'{"q":%d,"m":%.3f,"w":%.3f,"mem":{"mt":127535084,"ma":%d,"ca":2000},' % (
            number, time.monotonic(), time.time(), free_kb
        )  # fmt: skip
        return self._marker + b" " + now + self._rest + b"\n"

    def error_tail(self) -> bytes:
        """Nothing."""
        return b""

    async def write(self, data: bytes) -> None:
        """A change of rate is heard."""
        if data.startswith(b"hz "):
            self._hz = float(data[3:]) or 1.0

    async def close_stdin(self) -> None:
        """The end."""
        self._is_closed.set()

    async def outcome(self) -> Outcome:
        """It ended well."""
        return Outcome(Exit(0))

    def close(self) -> None:
        """The channel is gone."""
        self._is_closed.set()


class ReplayShell:
    """As much of a shell as telemetry needs."""

    def __init__(self, node: int, lines: tuple[dict[str, object], dict[str, object]]) -> None:
        self.node = f"spark-{node:04x}"
        self._number = node
        hello, reading = lines
        kept = {key: value for key, value in reading.items() if key not in ("q", "m", "w", "mem")}
        kept["b"] = f"boot-{node}"
        self._lines = (json.dumps(hello).encode(), json.dumps(kept).encode()[1:])
        self.on_line: Callable[[int], None] = lambda _node: None

    @asynccontextmanager
    async def open(self, command: Command) -> AsyncIterator[ReplayProcess]:
        """Replay a probe. The marker is the last word but one."""
        process = ReplayProcess(command.argv[-2].encode(), self._number, self._lines, self.on_line)
        try:
            yield process
        finally:
            process.close()
