"""Follows the logs of all of a node's jobs over one channel (remote/jobs.py follow).

The one rule: the offset behind the last whole line is kept, so that after a lost connection the log goes on without a
gap and without a line twice; what the node gave up in between, or left out because more came than anybody reads, is
said, and no line is given a time that is not known.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sparkdesk.core.errors import NodeError
from sparkdesk.core.ports import Process, Shell
from sparkdesk.core.program import python_command
from sparkdesk.core.telemetry.frame import LineFramer

log = logging.getLogger(__name__)

JOBS_FOLDER = "~/.local/state/sparkdesk/jobs"
MESSAGE_BYTES = 128 * 1024
"""A line of 8 KiB, each of its bytes written as an escape, fits."""
MAX_T_MS = 1 << 42
"""A moment in the year 2109: no clock is further on."""
HEARTBEAT_S = 2.0
RETRY_S = 2.0
LATE_MS = 10_000
"""A line is not longer on its way: a greater difference of the clocks is one of the clocks."""
BATCH = 200
"""Messages that are handled before others get their turn."""


@dataclass(frozen=True, slots=True)
class LogPiece:
    """One message: a line, what was lost, or the end of the job (exit.json) after its last line."""

    job_id: str
    line: str | None = None
    cut_bytes: int = 0
    lost_bytes: int = 0
    """Given up on the node: the log there is bounded."""
    dropped_lines: int = 0
    """Left out in a flood; they lie on the node and can be read back."""
    passed_bytes: int = 0
    """Left out besides, so much at once that their lines were not even counted."""
    t_ms: int = 0
    """The node's clock at the look that found the line, shared by all lines of it; 0 when it may be much older."""
    offset: int = -1
    """Where in its rank's log the line, or what was left out, ends; -1 is not known."""
    rank: int = 0
    end: Mapping[str, object] | None = field(default=None)

    @property
    def loss(self) -> str:
        """What was lost, in words; "" when nothing was."""
        parts = []
        if self.dropped_lines:
            parts.append("1 line" if self.dropped_lines == 1 else f"{self.dropped_lines:,} lines")
        if self.passed_bytes:
            parts.append(f"{self.passed_bytes:,} bytes")
        if parts:
            is_one = self.dropped_lines == 1 and not self.passed_bytes
            verb, they = ("is", "it lies") if is_one else ("are", "they lie")
            return f"{' and '.join(parts)} {verb} not shown here; {they} on the node, where a search goes through all"
        return f"{self.lost_bytes:,} bytes of the log are gone" if self.lost_bytes else ""


class NodeClock:
    """Tells moments of a node's clock by ours. The line that was fastest on its way shows how much the two differ."""

    def __init__(self) -> None:
        self._gap_ms: int | None = None

    def read(self, node_ms: int, now_ms: int) -> int:
        """The moment by our clock, never later than now; 0 for one that is not known."""
        if node_ms <= 0:
            return 0
        gap_ms = now_ms - node_ms
        if self._gap_ms is None or not 0 <= gap_ms - self._gap_ms <= LATE_MS:  # or one of the two was set
            self._gap_ms = gap_ms
        return node_ms + self._gap_ms


class NodeLog:
    """The log channel of one node. `deliver` is called with each piece."""

    def __init__(self, program: bytes, deliver: Callable[[LogPiece], None]) -> None:
        self._program = program
        self._deliver = deliver
        self._offsets: dict[str, int] = {}
        self._new: list[str] = []
        self._changed = asyncio.Event()

    def follow(self, job_id: str, offset: int = 0) -> None:
        """Follow a job's log from here (negative: from the end); a job that is followed goes on where it is."""
        if job_id not in self._offsets:
            self._offsets[job_id] = offset
            self._new.append(job_id)
            self._changed.set()

    def drop(self, job_id: str) -> None:
        """Follow it no more."""
        if self._offsets.pop(job_id, None) is not None:
            self._changed.set()

    async def run(self, shell: Shell) -> None:
        """Follow through this connection until the task is cancelled; a channel that dies is opened again."""
        while True:
            while not self._offsets:
                self._changed.clear()
                await self._changed.wait()
            try:
                await self._follow(shell)
            except* NodeError as group:
                log.info("log channel of %s: %s", shell.node, group.exceptions[0])
            await asyncio.sleep(RETRY_S)

    async def _follow(self, shell: Shell) -> None:
        self._new.clear()
        targets = [f"{JOBS_FOLDER}/{job_id}:{offset}" for job_id, offset in self._offsets.items()]
        async with shell.open(python_command([self._program], "follow", *targets)) as process:
            await process.write(self._program)
            async with asyncio.TaskGroup() as group:
                beating = group.create_task(self._beat(process))
                await self._listen(process)
                beating.cancel()

    async def _beat(self, process: Process) -> None:
        """Tell the program that somebody listens, and which jobs came to be."""
        while self._offsets:
            self._changed.clear()
            lines = [{"follow": f"{JOBS_FOLDER}/{job_id}:{self._offsets[job_id]}"} for job_id in self._take_new()]
            await process.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines) or b"\n")
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._changed.wait()
            except TimeoutError:
                pass
        await process.close_stdin()

    def _take_new(self) -> list[str]:
        found = [job_id for job_id in self._new if job_id in self._offsets]
        self._new.clear()
        return found

    async def _listen(self, process: Process) -> None:
        framer = LineFramer(MESSAGE_BYTES)
        async for chunk in process.chunks():
            for number, line in enumerate(framer.feed(chunk), 1):
                self._take(line.data)
                if number % BATCH == 0:
                    await asyncio.sleep(0)

    def _take(self, data: bytes) -> None:
        try:
            message = json.loads(data)
        except (ValueError, RecursionError):
            return  # a greeting of the login shell, or a line that was cut
        if not isinstance(message, dict):
            return
        job_id, offset = message.get("job"), message.get("offset")
        if not isinstance(job_id, str) or job_id not in self._offsets:
            return
        at = offset if isinstance(offset, int) and 0 <= offset < 1 << 60 else -1
        if at >= 0:
            self._offsets[job_id] = at
        if isinstance(message.get("line"), str):
            cut, t_ms = _count(message.get("cut")), _count(message.get("t"))
            t_ms = t_ms if t_ms < MAX_T_MS else 0
            self._deliver(LogPiece(job_id, message["line"], cut_bytes=cut, t_ms=t_ms, offset=at))
        elif "dropped" in message:
            lines, passed = _count(message["dropped"]), _count(message.get("passed"))
            self._deliver(LogPiece(job_id, dropped_lines=lines, passed_bytes=passed, offset=at))
        elif "lost" in message:
            self._deliver(LogPiece(job_id, lost_bytes=_count(message["lost"])))
        elif isinstance(message.get("ended"), dict):
            self._deliver(LogPiece(job_id, end=message["ended"]))


def _count(value: object) -> int:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return value if is_count and isinstance(value, int) else 0
