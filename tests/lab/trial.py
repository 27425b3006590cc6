"""What is watched while nodes are in trouble: what commands claimed, what was shown, what is left over.

The one rule: whatever was claimed is compared with what the node itself kept.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from sparkdesk.core.cluster.node import NodeState
from sparkdesk.core.command import Command, Exit, Refused
from sparkdesk.core.errors import NodeError
from sparkdesk.services.telemetry import STALE_PERIODS, PulseState
from tests.lab.desk import Desk
from tests.lab.lab import LabNode

TICK_S = 0.05
LATE_S = 0.1
"""A tick that came later says nothing about anybody else's punctuality."""
TICKS_TO_TELL = 6
COMMAND_PAUSE_S = 0.25
COMMAND_TIMEOUT_S = 2.0
MARK_CHARS = 31
"""With the line's end a power of two: no line lies on two pages of a disk that fills up."""


@dataclass
class Claims:
    """What became, as we were told, of commands that each leave a mark on the node."""

    node: LabNode
    label: str
    done: list[str] = field(default_factory=list)
    """The node said that it was done."""
    undone: list[str] = field(default_factory=list)
    """It was said that nothing was done."""
    unknown: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Claims that are wrong in themselves."""

    async def work(self, desk: Desk) -> None:
        """Run commands until cancelled."""
        number = 0
        while True:
            number += 1
            await self._claim(desk, f"{self.label}-{number}-".ljust(MARK_CHARS, "x"))
            await asyncio.sleep(COMMAND_PAUSE_S)

    async def _claim(self, desk: Desk, mark: str) -> None:
        command = Command(("sh", "-c", 'echo "$1" >> ~/marks && echo "wrote $1"', "sh", mark))
        self.unknown.append(mark)  # cancelled from here on, nobody knows
        try:
            outcome = await desk.inventory.shell(self.node.name).run(command, timeout_s=COMMAND_TIMEOUT_S)
        except NodeError as error:
            self._settle(mark, self.undone)
            if not error.message or not error.remedy:
                self.wrong.append(f"no next step: {error!r}")
            return
        if outcome.is_ok:
            self._settle(mark, self.done)
            if outcome.text != f"wrote {mark}\n":
                self.wrong.append(f"success without its words: {outcome}")
        elif isinstance(outcome.fate, Exit | Refused):
            self._settle(mark, self.undone)

    def _settle(self, mark: str, where: list[str]) -> None:
        self.unknown.remove(mark)
        where.append(mark)

    def judge(self) -> list[str]:
        """Where the node's own marks contradict the claims."""
        marks = self.node.root / "home/nvidia/marks"
        found = Counter(marks.read_text().split() if marks.exists() else [])
        lies = [f"said to be done, and is not: {mark}" for mark in self.done if found[mark] == 0]
        lies += [f"said to be not done, and is: {mark}" for mark in self.undone if found[mark]]
        twice = [f"done {found[mark]} times: {mark}" for mark in (*self.done, *self.unknown) if found[mark] > 1]
        return [f"{self.node.name}: {words}" for words in (*self.wrong, *lies, *twice)]


class Watch:
    """Looks all the time at what is shown of every node."""

    def __init__(self, desk: Desk, *, steady: frozenset[str]) -> None:
        self._desk = desk
        self._steady = steady
        """Nodes whose line must never fall: nothing happens to it."""
        self._old_ticks: Counter[str] = Counter()
        self.wrong: dict[str, str] = {}

    async def look(self) -> None:
        """Until cancelled."""
        before_s = time.monotonic()
        while True:
            await asyncio.sleep(TICK_S)
            now_s = time.monotonic()
            if now_s - before_s > TICK_S + LATE_S:
                self._old_ticks.clear()
            before_s = now_s
            for status in self._desk.inventory.nodes.value:
                name = status.record.name
                if name in self._steady and not status.is_connected:
                    self._complain(name, f"nothing happened to its line, yet it is {status.state}: {status.message}")
                if status.state not in (NodeState.LIVE, NodeState.CONNECTING) and not (
                    status.message and status.remedy
                ):
                    self._complain(name, f"{status.state} without words: {status}")
                self._look_at_age(name, status.state)

    def _look_at_age(self, name: str, state: NodeState) -> None:
        """Old samples may be shown as live for no longer than it takes the telemetry's own clock to look."""
        feed = self._desk.telemetry.feed(name)
        is_shown_live = state is NodeState.LIVE and feed.pulse.value.state is PulseState.LIVE
        is_old = feed.age_s() > STALE_PERIODS * feed.history.period_s
        self._old_ticks[name] = self._old_ticks[name] + 1 if is_shown_live and is_old else 0
        if self._old_ticks[name] >= TICKS_TO_TELL:
            self._complain(name, f"a sample {feed.age_s():.2f} s old is shown as live")

    def _complain(self, name: str, words: str) -> None:
        self.wrong.setdefault(f"{name}: {words}", name)


@dataclass(frozen=True, slots=True)
class Belongings:
    """What this process has: its tasks, threads and descriptors."""

    tasks: Counter[str]
    threads: Counter[str]
    descriptors: Counter[str]

    @classmethod
    def count(cls) -> Belongings:
        """As it is now."""
        gc.collect()
        tasks = Counter(task.get_name().rstrip("0123456789") for task in asyncio.all_tasks())
        # The event loop keeps the threads of its executor until its own end.
        threads = Counter(t.name for t in threading.enumerate() if not t.name.startswith("asyncio_"))
        descriptors: Counter[str] = Counter()
        for number in os.listdir("/proc/self/fd"):
            with suppress(OSError):
                descriptors[os.readlink(f"/proc/self/fd/{number}").split(":")[0]] += 1
        return cls(tasks, threads, descriptors)

    def more_than(self, before: Belongings) -> list[str]:
        """What there is now that was not there before."""
        pairs = ((self.tasks, before.tasks), (self.threads, before.threads), (self.descriptors, before.descriptors))
        return [f"{count} x {name}" for now, then in pairs for name, count in (now - then).items()]
