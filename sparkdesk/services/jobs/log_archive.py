"""What of a job's log lies on its node beyond the rows that are held here: older lines, a search, the whole of it.

The one rule: the node's answers are a stranger's text, bounded and read by type; a search is bounded on the node in
time, bytes and lines, so that no pattern can keep it busy.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sparkdesk.core.command import Command, Exit
from sparkdesk.core.errors import CommandFailed, PlanError, Unreachable
from sparkdesk.core.jobs.log_level import read_level, split_source
from sparkdesk.core.jobs.record import LogLine
from sparkdesk.core.jobs.report import JOB_ID
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.playbooks.job import JOBS_FOLDER
from sparkdesk.core.playbooks.reader import last_object
from sparkdesk.core.ports import Process, Shell
from sparkdesk.core.program import python_command
from sparkdesk.core.telemetry.frame import LineFramer
from sparkdesk.services.remote_program import raise_failure, run_program, unreadable

OLDER_BYTES = 256 * 1024
MAX_LINES = 20_000
PATTERN_CHARS = 1000
"""As remote/log_search.py takes them."""
LINE_CHARS = 8192
MAX_OFFSET = 1 << 60
TIMEOUT_S = 30.0
SEARCH_TIMEOUT_S = 150.0
PART_BYTES = 6 << 20
SAVE_TIMEOUT_S = 1800.0
_NO_LOG = 66
"""Our own exit code for a job without a log."""


@dataclass(frozen=True, slots=True)
class LogSearch:
    """Lines that match, the oldest first. `is_more`: older ones were not searched; `next_offset` is where to go on."""

    lines: tuple[LogLine, ...]
    is_more: bool
    scanned_bytes: int
    next_offset: int = 0
    problem: str = ""
    """Why no more was searched; "" when the lines were enough."""
    left_bytes: int = 0
    """Older bytes that were not searched yet."""

    @property
    def fraction(self) -> float | None:
        """How much of the log was searched; None while nothing was."""
        whole = self.scanned_bytes + self.left_bytes
        return self.scanned_bytes / whole if whole else None


class LogArchive:
    """Asks a node for what its jobs have said. `program` is the text of remote/log_search.py."""

    def __init__(self, shells: Callable[[str], Shell], program: bytes) -> None:
        self._shells = shells
        self._program = program

    async def older(
        self, job_id: str, node_id: str, before_offset: int, max_bytes: int = OLDER_BYTES
    ) -> tuple[LogLine, ...]:
        """Lines that end before this offset, as many of the last of them as `max_bytes` hold; () when there are none.

        Raises a NodeError when the node cannot be asked.
        """
        before = min(before_offset, MAX_OFFSET)
        lines: tuple[LogLine, ...] = ()
        while before > 0 and not lines:  # a stretch without a line's end is one very long line
            begin = max(before - max_bytes, 0)
            words = ("range", _folder(job_id), str(begin), str(before - begin))
            answer = await run_program(self._shells(node_id), self._program, words, timeout_s=TIMEOUT_S)
            lines, before = _read_lines(answer.get("lines"), node_id), begin if answer.get("more") is True else 0
        return lines

    async def search(
        self,
        job_id: str,
        node_id: str,
        pattern: str,
        *,
        level: str = "",
        before_offset: int = -1,
        on_part: Callable[[LogSearch], bool] = lambda _part: True,
    ) -> LogSearch:
        """Search back from an offset (negative: the end) for a regular expression, in lines of this level or worse:
        the whole log in one go. `on_part` hears what was found so far and how far it is, twice a second or so; False
        ends the search.

        Raises PlanError when the pattern is none or too long, and a NodeError when the node cannot be asked.
        """
        if len(pattern) > PATTERN_CHARS:
            raise PlanError(
                f"The pattern is longer than {PATTERN_CHARS:,} characters", remedy="Search for a part of it."
            )
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise PlanError(
                f"This is not a pattern: {error}", remedy="Write a regular expression, or put \\ before its signs."
            ) from None
        words = ("search", _folder(job_id), pattern, level, str(before_offset))
        shell, found = self._shells(node_id), LogSearch((), True, 0, problem="it was ended")
        try:
            async with (
                asyncio.timeout(SEARCH_TIMEOUT_S),
                shell.open(python_command([self._program], *words)) as process,
            ):
                with suppress(Unreachable):  # what has ended already takes no program: its outcome says why
                    await process.write(self._program)
                    await process.close_stdin()
                async for part, is_over in _parts(process):
                    found = _join(found, part, node_id)
                    if is_over or not on_part(found):
                        return found
                outcome = await process.outcome()
        except TimeoutError:
            raise Unreachable(
                f"The search of the log on {shell.node} broke off", remedy="Check the connection, then search again.",
                node=shell.node,
            ) from None  # fmt: skip
        if not outcome.is_ok:
            raise_failure(shell.node, outcome, words)
        raise unreadable(shell.node, outcome.text)

    async def save(self, job_id: str, node_id: str, path: Path | str) -> int:
        """Write the whole log as it lies on the node into a file of this computer; gives its bytes.

        The file shows up only when it is whole. Raises a NodeError, or PlanError when the file cannot be written.
        """
        target = Path(path)
        part = target.with_name(f".{target.name}.part")
        shell = self._shells(node_id)
        try:
            async with asyncio.timeout(SAVE_TIMEOUT_S):
                size = await self._copy(shell, job_id, part)
            await asyncio.to_thread(os.replace, part, target)
        except TimeoutError:
            raise Unreachable(
                f"The log did not come from {shell.node} in time", remedy="Save it again.", node=shell.node
            ) from None
        except OSError as error:
            raise PlanError(
                f"{target.name} cannot be written: {error.strerror}", remedy="Choose another folder."
            ) from error
        finally:
            await asyncio.to_thread(part.unlink, missing_ok=True)
        return size

    async def _copy(self, shell: Shell, job_id: str, part: Path) -> int:
        """All files of the log in their order: their names are offsets of one length."""
        relative = _folder(job_id).removeprefix("~/")
        script = f'cd "$HOME/{relative}" && ls log-* >/dev/null 2>&1 || exit {_NO_LOG}; exec cat log-*'
        size = 0
        with await asyncio.to_thread(part.open, "wb") as file:
            async with shell.open(Command(("sh", "-c", script))) as process:
                async for chunk in process.chunks():
                    size += len(chunk)
                    await asyncio.to_thread(file.write, chunk)
                outcome = await process.outcome()
        if outcome.fate == Exit(_NO_LOG):
            raise CommandFailed(
                f"There is no log of this job on {shell.node}", remedy="It was removed, or never began."
            )
        if not outcome.is_ok:
            raise Unreachable(
                f"The log of {shell.node} did not come whole",
                remedy="Save it again.",
                detail=outcome.explain(),
                node=shell.node,
            )
        return size


async def _parts(process: Process) -> AsyncIterator[tuple[Mapping[str, object], bool]]:
    """The parts of a search's answer as they come, and whether it is the last."""
    framer = LineFramer(PART_BYTES)
    async for chunk in process.chunks():
        for line in framer.feed(chunk):
            part = last_object(line.data.decode("utf-8", "replace"))
            if part is not None and isinstance(part.get("lines"), list):
                yield part, part.get("over") is True


def _join(found: LogSearch, part: Mapping[str, object], node_id: str) -> LogSearch:
    """What was found before, and older lines of another part."""
    problem, left = part.get("problem"), _count(part.get("left"))
    return LogSearch(
        lines=(_read_lines(part.get("lines"), node_id) + found.lines)[-MAX_LINES:],
        is_more=part.get("over") is not True or part.get("more") is True,
        scanned_bytes=_count(part.get("scanned")),
        next_offset=_count(part.get("next")),
        problem=make_line(problem, max_chars=300) if isinstance(problem, str) else "",
        left_bytes=left,
    )


def _folder(job_id: str) -> str:
    if not JOB_ID.match(job_id):
        raise PlanError("This is no job's name", remedy="Choose a deployment of the list.")
    return f"{JOBS_FOLDER}/{job_id}"


def _read_lines(found: object, node_id: str) -> tuple[LogLine, ...]:
    rows = found[:MAX_LINES] if isinstance(found, list) else []
    return tuple(line for row in rows if (line := _read_line(row, node_id)) is not None)


def _read_line(row: object, node_id: str) -> LogLine | None:
    """[offset, text, cut]; when it came is not known any more."""
    if not (isinstance(row, list) and len(row) == 3 and isinstance(row[1], str)):
        return None
    source, words = split_source(row[1])
    text = make_line(words, max_chars=LINE_CHARS)
    return LogLine(0, source, read_level(text), text, _count(row[2]), node_id, offset=_count(row[0]))


def _count(value: object) -> int:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_OFFSET
    return value if is_count and isinstance(value, int) else 0
