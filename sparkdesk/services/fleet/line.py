"""The line to one node: connects, stays connected, and says in words how it stands.

The one rule: it tries for ever, but never in a way that harms. Without an answer again after at most two seconds;
after a refused sign-in not within half a minute, and after the second one only when a person acts (OpenSSH 9.8 shuts a
client out for failed sign-ins); after a changed identity never, until a person acts.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from sparkdesk.core.cluster.node import NodeFacts, NodeRecord, NodeState, NodeStatus
from sparkdesk.core.command import Command, Unknown
from sparkdesk.core.errors import AuthFailed, HostKeyChanged, HostKeyUnknown, NodeBusy, NodeError
from sparkdesk.core.ports import Connection
from sparkdesk.services.clock import Clock
from sparkdesk.services.tasks import Tasks

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 2.0
REFUSED_PAUSE_S = 30.0
MAX_REFUSALS = 2
UNREACHABLE_AFTER_S = 30.0
"""A line that was lost is "reconnecting" for so long, then "unreachable"."""

VERIFY_TIMEOUT_S = 3.0
STOP_TIMEOUT_S = 5.0
LOG_LINES = 40

Connect = Callable[[NodeRecord, str | None], Awaitable[Connection]]
LiveHook = Callable[[str, Connection], Awaitable[None]]


class Line:
    """One node's connection and its state; `on_change` is called whenever `status` is another."""

    def __init__(
        self,
        record: NodeRecord,
        *,
        tasks: Tasks,
        clock: Clock,
        connect: Connect,
        hooks: Sequence[LiveHook],
        on_change: Callable[[], None],
    ) -> None:
        self._tasks = tasks
        self._clock = clock
        self._connect = connect
        self._hooks = hooks
        self._on_change = on_change
        self._password: str | None = None
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failures = 0
        self._refusals = 0
        self._lost_at_s: float | None = None
        self._is_held = False
        self._log: list[tuple[str, int]] = []
        self.connection: Connection | None = None
        self.status = NodeStatus(
            record,
            NodeState.IDLE,
            clock.now_ms(),
            "Not connected yet",
            "SparkDesk connects when the cluster is opened.",
        )

    @property
    def record(self) -> NodeRecord:
        """The node's record as it is kept."""
        return self.status.record

    def start(self) -> None:
        """Begin to connect."""
        if self._task is None:
            self._set(NodeState.CONNECTING)
            self._task = self._tasks.start(self._run)

    async def stop(self) -> None:
        """Disconnect and end, bounded."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task}, timeout=STOP_TIMEOUT_S)
        self._set(NodeState.IDLE, "Not connected", "Open the cluster to connect.")

    def retry_now(self) -> None:
        """Try at once; a connection that stands is closed and made anew."""
        self._failures = self._refusals = 0
        self._is_held = False
        self._wake.set()
        if self.connection is not None:
            self._tasks.start(self.connection.close)

    def use_password(self, password: str) -> None:
        """Sign in with this password, now and for as long as the program runs."""
        self._password = password
        self.retry_now()

    def verify(self) -> None:
        """Find out soon whether the line still stands (this computer may have slept); reconnect if not."""
        if self.connection is not None:
            self._tasks.start(self._verify, self.connection)
        elif self.status.state in (NodeState.RECONNECTING, NodeState.UNREACHABLE):
            self._failures = 0
            self._wake.set()

    def learn(self, facts: NodeFacts) -> NodeRecord | None:
        """Take in what the node says about itself; gives the record when it has changed.

        Another machine behind the same record is refused: its connection is closed until a person acts.
        """
        record = self.record
        if facts.machine_id and record.machine_id and facts.machine_id != record.machine_id:
            self._hold(
                f"{record.name} is another machine than before",
                "If you replaced it on purpose, remove it here and add it again.",
                f"machine id was {record.machine_id}\nmachine id is {facts.machine_id}",
            )
            return None
        is_new = bool(facts.machine_id) and not record.machine_id
        if is_new:
            record = replace(record, machine_id=facts.machine_id)
        self.status = replace(self.status, record=record, facts=facts)
        self._on_change()
        return record if is_new else None

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                self._note(f"connecting to {self.record.address} port {self.record.port} as {self.record.user}")
                connection = await self._connect(self.record, self._password)
            except NodeError as error:
                await self._pause(self._judge(error))
            else:
                await self._live(connection)
                await self._pause(None if self._is_held else FIRST_PAUSE_S * random.random())

    async def _pause(self, pause_s: float | None) -> None:
        """Wait, or until something wakes the line; None waits for a person alone."""
        try:
            async with asyncio.timeout(pause_s):
                await self._wake.wait()
        except TimeoutError:
            return

    def _judge(self, error: NodeError) -> float | None:
        """Show the failure; gives how long to wait before the next try, None for "until a person acts"."""
        self._note(error.message)
        match error:
            case HostKeyChanged():
                self._set(NodeState.IDENTITY_CHANGED, error.message, error.remedy, error.detail)
                return None
            case HostKeyUnknown():
                self._set(NodeState.REFUSED, error.message, error.remedy, error.detail)
                return None
            case AuthFailed():
                self._refusals += 1
                self._set(NodeState.REFUSED, error.message, error.remedy, error.detail)
                return REFUSED_PAUSE_S * random.uniform(1.0, 1.2) if self._refusals < MAX_REFUSALS else None
        self._failures += 1
        now_s = self._clock.monotonic_s()
        was_live = self._lost_at_s is not None and now_s - self._lost_at_s < UNREACHABLE_AFTER_S
        self._set(
            NodeState.RECONNECTING if was_live else NodeState.UNREACHABLE, error.message, error.remedy, error.detail
        )
        if isinstance(error, NodeBusy):
            return REFUSED_PAUSE_S * random.uniform(1.0, 1.2)
        longest_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._failures, 10))
        return longest_s * random.uniform(0.5, 1.0)

    async def _live(self, connection: Connection) -> None:
        """Until the connection is gone: the node is live and its hooks run."""
        name = self.record.name
        self._failures = self._refusals = 0
        self.connection = connection
        self._note("live")
        self._set(NodeState.LIVE)
        running = [self._tasks.start(hook, self.record.id, connection) for hook in self._hooks]
        reason = ""
        try:
            reason = await connection.wait_closed()
            self._tasks.start(connection.close)  # not waited for: a dead line takes its time to close
        finally:
            self.connection = None
            self._lost_at_s = self._clock.monotonic_s()
            if reason and not self._is_held:
                self._note(f"connection lost: {reason}")
                self._set(NodeState.RECONNECTING, f"{name} was lost: {reason}", "SparkDesk tries again.")
            await self._end([task for task in running if task is not None])
            if not reason:  # ended from here, perhaps with the whole program: no later task would close it
                await connection.close()

    async def _end(self, running: list[asyncio.Task[None]]) -> None:
        for task in running:
            task.cancel()
        if running:
            _, left = await asyncio.wait(running, timeout=STOP_TIMEOUT_S)
            for task in left:
                log.warning("%s: %s goes on after the connection", self.record.name, task.get_name())

    async def _verify(self, connection: Connection) -> None:
        outcome = await connection.run(Command(("true",)), timeout_s=VERIFY_TIMEOUT_S)
        if isinstance(outcome.fate, Unknown) and connection is self.connection:
            self._note("no answer after this computer was away")
            self._wake.set()
            await connection.close()

    def _hold(self, message: str, remedy: str, detail: str) -> None:
        self._is_held = True
        self._wake.clear()
        self._note(message)
        self._set(NodeState.IDENTITY_CHANGED, message, remedy, detail)
        if self.connection is not None:
            self._tasks.start(self.connection.close)

    def _set(self, state: NodeState, message: str = "", remedy: str = "", detail: str = "") -> None:
        since_ms = self.status.since_ms if state is self.status.state else self._clock.now_ms()
        self.status = replace(
            self.status,
            state=state,
            since_ms=since_ms,
            message=message,
            remedy=remedy,
            detail=detail,
        )
        self._on_change()

    def _note(self, words: str) -> None:
        """A line of the attempt's log; what repeats is counted, so that the log keeps its beginning in sight."""
        for index, (text, count) in enumerate(self._log[-2:], start=max(0, len(self._log) - 2)):
            if text[9:] == words:
                self._log[index] = (text, count + 1)
                break
        else:
            clock = time.strftime("%H:%M:%S", time.localtime(self._clock.now_ms() / 1000))
            self._log.append((f"{clock} {words}", 1))
            del self._log[:-LOG_LINES]
        lines = tuple(text if count == 1 else f"{text} ({count} times)" for text, count in self._log)
        self.status = replace(self.status, log=lines)
        self._on_change()
