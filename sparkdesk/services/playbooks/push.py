"""Sends files of this computer to a node for a step: goes on from what is there, checked by SHA-256 on the node.

The one rule: links, and with them a hub snapshot, are made last, so that nothing partial is ever seen as whole.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from sparkdesk.core.command import Exit, Outcome, Refused, Unknown
from sparkdesk.core.errors import NodeError, StepFailed, Unreachable
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.ports import LocalFiles, LocalItem, Process, Shell
from sparkdesk.core.program import python_command
from sparkdesk.core.step import Push
from sparkdesk.core.telemetry.frame import LineFramer
from sparkdesk.core.transfer import TransferRate, transfer_words
from sparkdesk.services.playbooks.site import NotBegun, OutcomeUnknown, Site

STALL_S = 120.0
"""Nothing moved for so long: the line, or one of the disks, hangs."""
LINE_BYTES = 16_384
SAY_EVERY_S = 1.0


async def push(action: Push, site: Site) -> None:
    """Send it. Raises StepFailed and its kinds; what was sent stays on the node as .incomplete then."""
    files = site.supplies.files
    if files is None or not site.supplies.receive_program:
        raise StepFailed(
            f"{site.step.title}: this program cannot send files of this computer", remedy="Run it from the window."
        )
    site.say("looking at what there is to send")
    items = await files.items(action.kind, action.source, action.platform)
    total = sum(item.size_bytes for item in items)
    sending = _Sending(action, site, files, total)
    for item in items:
        await sending.send(item)
    await files.release(action.kind, action.source)


@dataclass(slots=True)
class _Sending:
    """One Push under way: how much of it the node has."""

    action: Push
    site: Site
    files: LocalFiles
    total_bytes: int
    done_bytes: int = 0
    rate: TransferRate = field(default_factory=TransferRate)
    said_s: float = 0.0

    async def send(self, item: LocalItem) -> None:
        """One file or link, to its end on the node."""
        path = f"{self.action.path}/{item.path}" if item.path else self.action.path
        shell = self.site.shell()
        words = ("link", path, item.link) if item.link else ("take", path, str(item.size_bytes))
        source = self.site.supplies.receive_program
        transfer = _Transfer(self, item)
        outcome: Outcome
        try:
            async with shell.open(python_command([source], *words)) as process:
                await process.write(source)
                outcome = await transfer.run(process)
        except Unreachable as error:
            raise self._lost(error.message, shell) from error
        except TimeoutError as error:
            raise self._lost(f"nothing moved for {STALL_S:.0f} s", shell) from error
        self._judge(transfer.last, outcome, shell)
        self.done_bytes += item.size_bytes

    def tell(self, item_bytes: int, what: str = "") -> None:
        """How far all of it is, once a second."""
        now_s = self.site.clock.monotonic_s()
        done = self.done_bytes + item_bytes
        if not what:
            self.rate.add(now_s, done)
        if now_s - self.said_s < SAY_EVERY_S:
            return
        self.said_s = now_s
        words = what or transfer_words(done, self.total_bytes, self.rate.bytes_per_s())
        self.site.say(words, done / self.total_bytes if self.total_bytes else None)

    def _lost(self, why: str, shell: Shell) -> OutcomeUnknown:
        return OutcomeUnknown(
            f"{self.site.step.title}: {why}",
            remedy="Try again: it goes on from what the node has.",
            node=shell.node,
        )

    def _judge(self, last: dict[str, Any], outcome: Outcome, shell: Shell) -> None:
        if outcome.fate == Exit(0) and last.get("ok") is True:
            return
        if isinstance(outcome.fate, Refused):
            raise NotBegun(f"{self.site.step.title}: {outcome.explain()}", remedy="Try again in a moment.")
        if isinstance(outcome.fate, Unknown):
            raise self._lost(outcome.explain(), shell)
        said, remedy = last.get("error"), last.get("remedy")
        message = make_line(said, max_chars=400) if isinstance(said, str) and said else outcome.explain()
        raise StepFailed(
            f"{self.site.step.title}: {message}",
            remedy=make_line(remedy, max_chars=400) if isinstance(remedy, str) else "Look at the node, then try again.",
            detail=outcome.explain(),
            node=shell.node,
        )


class _Transfer:
    """One file on its way: what the node says, and what it is sent."""

    def __init__(self, sending: _Sending, item: LocalItem) -> None:
        self._sending = sending
        self._item = item
        self._start: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.last: dict[str, Any] = {}

    async def run(self, process: Process) -> Outcome:
        """To the program's end. Raises Unreachable, TimeoutError (nothing moved)."""
        failure: NodeError | StepFailed | None = None
        async with asyncio.timeout(STALL_S) as limit, asyncio.TaskGroup() as group:
            self._limit = limit
            feeding = group.create_task(self._feed(process)) if not self._item.link else None
            await self._listen(process)
            if feeding is not None:
                if not self._start.done():
                    feeding.cancel()  # it refused before it took anything
                else:
                    failure = await _failure_of(feeding)
        async with asyncio.timeout(STALL_S):
            outcome = await process.outcome()
        if failure is not None and not (isinstance(failure, Unreachable) and isinstance(outcome.fate, Exit)):
            raise failure
        return outcome

    async def _listen(self, process: Process) -> None:
        framer = LineFramer(LINE_BYTES)
        async for chunk in process.chunks():
            for line in framer.feed(chunk):
                self._moved()
                self._take(line.data)

    def _take(self, line: bytes) -> None:
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            return  # what a start-up file of the user's prints
        if not isinstance(said, dict):
            return
        self.last = said
        for key, what in (("at", ""), ("got", ""), ("checked", "checking what is there already")):
            count = said.get(key)
            if isinstance(count, int) and not isinstance(count, bool) and 0 <= count <= self._item.size_bytes:
                self._sending.tell(count, what)
                if key == "at" and not self._start.done():
                    self._start.set_result(count)

    async def _feed(self, process: Process) -> NodeError | StepFailed | None:
        """Send what is missing, and then what all of it must add up to; gives what went wrong."""
        at = await self._start
        digest = hashlib.sha256()
        seen = 0
        action = self._sending.action
        try:
            async with aclosing(self._sending.files.read(action.kind, action.source, self._item.path)) as pieces:
                async for piece in pieces:
                    self._moved()
                    digest.update(piece)
                    seen += len(piece)
                    if seen > at:
                        await process.write(piece[max(0, len(piece) - (seen - at)) :])
            if seen != self._item.size_bytes:
                await process.close_stdin()
                return StepFailed(
                    f"{self._sending.site.step.title}: {self._item.path or action.source} changed while it was sent",
                    remedy="Wait until nobody writes it, then try again.",
                )
            await process.write(digest.hexdigest().encode())
            await process.close_stdin()
        except (NodeError, StepFailed) as error:
            await process.close_stdin()
            return error
        return None

    def _moved(self) -> None:
        self._limit.reschedule(asyncio.get_running_loop().time() + STALL_S)


async def _failure_of(feeding: asyncio.Task[NodeError | StepFailed | None]) -> NodeError | StepFailed | None:
    """What the sender came to; one that still waits for a program that has ended is told to stop."""
    done, _ = await asyncio.wait({feeding}, timeout=5.0)
    if not done:
        feeding.cancel()
        return None
    return feeding.result()
