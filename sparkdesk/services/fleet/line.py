"""The line to one node: connects, stays connected, and says in words how it stands.

What follows on what stands in core/cluster/session.py; here it is done for real. The one rule: whatever happens becomes
an event, `_tell` is the only place where the session moves, and everything that is under way belongs to its phase.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from sparkdesk.core.cluster.identity import addresses_of
from sparkdesk.core.cluster.node import NodeFacts, NodeRecord, NodeState, NodeStatus
from sparkdesk.core.cluster.session import Action, Connect, Do, Event, Failure, Happened, Pause, Phase, Session, advance
from sparkdesk.core.command import Command, Unknown
from sparkdesk.core.errors import AuthFailed, HostKeyChanged, HostKeyUnknown, KeyLocked, NodeBusy, SparkDeskError
from sparkdesk.core.ports import Connection
from sparkdesk.services.clock import Clock
from sparkdesk.services.fleet.address import Impostors, Opener, connect_in_turn
from sparkdesk.services.tasks import Tasks
from sparkdesk.services.telemetry import Pulse, PulseState

log = logging.getLogger(__name__)

VERIFY_TIMEOUT_S = 5.0
"""A Spark that is short of memory may need seconds for the smallest command; its connection is worth more than that."""
STOP_TIMEOUT_S = 5.0
LOG_LINES = 40

LiveHook = Callable[[str, Connection], Awaitable[None]]

_SAMPLES = {
    PulseState.LIVE: Happened.SAMPLE_ON_TIME,
    PulseState.PAUSED: Happened.SAMPLE_ON_TIME,
    PulseState.SLOW: Happened.SAMPLE_LATE,
    PulseState.STALE: Happened.SAMPLES_STOPPED,
    PulseState.STOPPED: Happened.SAMPLES_STOPPED,
}
_FAILURES: tuple[tuple[type[SparkDeskError], Failure], ...] = (
    (HostKeyChanged, Failure.KEY_CHANGED),
    (HostKeyUnknown, Failure.NEEDS_PERSON),
    (KeyLocked, Failure.NEEDS_PERSON),
    (AuthFailed, Failure.REFUSED),
    (NodeBusy, Failure.BUSY),
)


@dataclass(frozen=True, slots=True)
class Words:
    """What is said beside a state."""

    message: str = ""
    remedy: str = ""
    detail: str = ""


_NOT_YET = Words("Not connected yet", "SparkDesk connects when the cluster is opened.")
_STOPPED = Words("Not connected", "Open the cluster to connect.")
_MISTAKE = Words("SparkDesk made a mistake while it connected", "It tries again. Please report what the log says.")


class Line:
    """One node's connection and its state; `on_change` is called whenever `status` is another."""

    def __init__(
        self,
        record: NodeRecord,
        *,
        tasks: Tasks,
        clock: Clock,
        connect: Opener,
        hooks: Sequence[LiveHook],
        on_change: Callable[[], None],
    ) -> None:
        self._tasks = tasks
        self._clock = clock
        self._connect = connect
        self._impostors = Impostors(clock)
        self._hooks = hooks
        self._on_change = on_change
        self._session = Session()
        self._arrived: Connection | None = None
        """A connection between its making and the step that takes or drops it."""
        self._attempt: asyncio.Task[None] | None = None
        self._standing: asyncio.Task[None] | None = None
        """Keeps the hooks of the newest connection; ends after they have."""
        self._closing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._absence_words = ""
        self._pulse: PulseState | None = None
        self._is_verifying = False
        self._log: list[tuple[str, int]] = []
        self.connection: Connection | None = None
        self.status = NodeStatus(record, NodeState.IDLE, clock.now_ms(), _NOT_YET.message, _NOT_YET.remedy)

    @property
    def record(self) -> NodeRecord:
        """The node's record as it is kept."""
        return self.status.record

    def start(self) -> None:
        """Begin to connect."""
        self._tell(Happened.STARTED)

    async def stop(self, *, is_removed: bool = False) -> None:
        """Disconnect and end, bounded. A line that was removed never begins again."""
        self._tell(Happened.REMOVED if is_removed else Happened.STOPPED, _STOPPED)
        left = {task for task in (self._attempt, self._standing, self._closing) if task is not None}
        if left:
            await asyncio.wait(left, timeout=STOP_TIMEOUT_S)

    def retry_now(self) -> None:
        """Try at once, at every address; a connection that stands is closed and made anew."""
        self._impostors.forget()
        self._tell(Happened.RETRY_ASKED)

    def hear_password(self) -> None:
        """A person gave a password: it is used when next one is needed, at once where the sign-in was refused."""
        self._tell(Happened.PASSWORD_GIVEN)

    def hear_network_change(self) -> None:
        """This computer's network is another: find out soon whether the line still stands, or try now."""
        self._tell(Happened.NETWORK_CHANGED)

    def hear_resume(self) -> None:
        """This computer slept: find out soon whether the line still stands, or try now."""
        self._tell(Happened.RESUMED)

    def hear_pulse(self, pulse: Pulse) -> None:
        """How the node's telemetry stands: it moves a line that stands between live, slow and stale."""
        self._pulse = pulse.state
        kind = _SAMPLES.get(pulse.state)
        if kind is None or (kind is Happened.SAMPLES_STOPPED and not pulse.message):
            return  # a probe that begins has said nothing yet; why the last one ended still holds
        since = time.strftime("%H:%M:%S", time.localtime(pulse.since_ms / 1000))
        words = Words(f"{pulse.message}, since {since}" if pulse.message else "", pulse.remedy)
        before = self.status.state
        self._tell(kind, Words() if kind is Happened.SAMPLE_ON_TIME else words)
        if self.status.state is NodeState.STALE and before is not NodeState.STALE:
            self._note(f"stale: {pulse.message}")
        elif before is NodeState.STALE and self.status.is_live:
            self._note("samples come again")

    def expect_absence(self, words: str, *, is_asleep: bool) -> None:
        """A reboot or a shut-down was ordered from here: that the node goes is no error, and `words` say why."""
        self._absence_words = words
        self._tell(Happened.ABSENCE_EXPECTED, is_asleep=is_asleep)

    def expect_waking(self, words: str) -> None:
        """It was told to wake up: it is looked for often again."""
        self._absence_words = words
        self._tell(Happened.WOKE)

    def learn(self, facts: NodeFacts) -> NodeRecord | None:
        """Take in what the node says about itself; gives the record when it has changed.

        Another machine behind the same record is refused: its connection is closed until a person acts.
        """
        record = self.record
        if facts.machine_id and record.machine_id and facts.machine_id != record.machine_id:
            self.hold(f"machine id was {record.machine_id}\nmachine id is {facts.machine_id}")
            return None
        is_new = bool(facts.machine_id) and not record.machine_id
        if is_new:
            record = replace(record, machine_id=facts.machine_id)
        self.status = replace(self.status, record=record, facts=facts)
        if facts.machine_id:
            self._tell(Happened.IDENTITY_CONFIRMED)
        self._on_change()
        return record if is_new else None

    def hold(self, detail: str) -> None:
        """It let us in and is another machine: close, and wait for a person."""
        message = f"{self.record.name} is another machine than before"
        self._note(message)
        remedy = "If you replaced it on purpose, remove it here and add it again."
        self._tell(Happened.IDENTITY_DIFFERS, Words(message, remedy, detail))

    def update(self, record: NodeRecord) -> None:
        """Keep this record from now on; a connection that stands is left alone."""
        self.status = replace(self.status, record=record)
        self._on_change()

    # The session -----------------------------------------------------------------------------------------------

    def _tell(
        self,
        kind: Happened,
        words: Words | None = None,
        *,
        failure: Failure = Failure.UNREACHABLE,
        is_asleep: bool = False,
    ) -> None:
        """Something happened: move the session, show it, and do what follows."""
        before = self._session
        self._session, actions = advance(before, Event(kind, failure, is_asleep), self._clock.monotonic_s())
        leaving = self.connection
        if self._session.phase is not Phase.OPEN:
            self.connection = None
        elif before.phase is not Phase.OPEN:
            self.connection, self._arrived, self._pulse = self._arrived, None, None
        if self._timer is not None and self._session.phase is not Phase.WAITING:
            self._timer.cancel()
            self._timer = None
        has_news = kind is Happened.SAMPLES_STOPPED and self._session.state is NodeState.STALE
        if self._session != before or has_news:
            self._show(words)
        for action in actions:
            self._do(action, leaving)

    def _do(self, action: Action, leaving: Connection | None) -> None:
        match action:
            case Connect(is_bare):
                self._attempt = self._tasks.start(self._try, is_bare)
            case Pause(least_s, most_s):
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(random.uniform(least_s, most_s), self._tell, Happened.PAUSE_OVER)
            case Do.ABORT:
                if self._attempt is not None:
                    self._attempt.cancel()
            case Do.CLOSE:
                assert leaving is not None
                self._closing = self._tasks.start(leaving.close)
            case Do.DROP:
                if self._arrived is not None:
                    self._tasks.start(self._arrived.close)
                    self._arrived = None
            case Do.VERIFY:
                if self.connection is not None and not self._is_verifying:
                    self._tasks.start(self._verify, self.connection)

    def _show(self, words: Words | None) -> None:
        """The state in `status`. Without words of their own, states keep theirs and a new state has none."""
        session = self._session
        is_same = session.state is self.status.state
        absence = session.absence
        is_absent = absence is not None and self._clock.monotonic_s() < absence.until_s
        if is_absent and session.state is NodeState.ASLEEP:
            words = Words(self._absence_words, "Wake it, or switch it on: SparkDesk connects as soon as it answers.")
        elif is_absent and session.state is NodeState.RECONNECTING:
            words = Words(self._absence_words, "SparkDesk connects as soon as it is back.")
        elif words is None:
            words = Words(self.status.message, self.status.remedy, self.status.detail) if is_same else Words()
        since_ms = self.status.since_ms if is_same else self._clock.now_ms()
        self.status = replace(
            self.status,
            state=session.state,
            since_ms=since_ms,
            message=words.message,
            remedy=words.remedy,
            detail=words.detail,
        )
        self._on_change()

    # What is under way -----------------------------------------------------------------------------------------

    async def _try(self, is_bare: bool) -> None:
        """One attempt, told by CONNECTED or FAILED."""
        if self._standing is not None:
            await asyncio.wait({self._standing})  # the hooks of the connection before are ended first
        is_told = False
        try:
            connection = await connect_in_turn(self.record, self._connect, self._note, self._impostors, is_bare=is_bare)
            is_told = True
        except SparkDeskError as error:
            is_told = True
            failure = next((kind for error_type, kind in _FAILURES if isinstance(error, error_type)), None)
            self._note(error.message)
            words = Words(error.message, error.remedy, error.detail)
            self._tell(Happened.FAILED, words, failure=failure or Failure.UNREACHABLE)
            return
        except asyncio.CancelledError:
            is_told = True
            raise
        finally:
            if not is_told:  # a mistake of ours flies on to its report, and the line lives on
                self._tell(Happened.FAILED, _MISTAKE, failure=Failure.BUSY)
        self._note("live")
        self._arrived = connection
        self._tell(Happened.CONNECTED)
        if self.connection is connection:
            self._standing = self._tasks.start(self._stand, connection)

    async def _stand(self, connection: Connection) -> None:
        """Until the connection is gone: its hooks run."""
        running = [self._tasks.start(hook, self.record.id, connection) for hook in self._hooks]
        reason = ""
        try:
            reason = await connection.wait_closed()
            self._lose(connection, reason)
        finally:
            await self._end([task for task in running if task is not None])
            if not reason:  # ended with the whole program: no later task would close it
                await connection.close()

    def _lose(self, connection: Connection, reason: str) -> None:
        if connection is not self.connection:
            return  # closed from here, or lost before
        self._note(f"connection lost: {reason}")
        self._tell(Happened.LOST, Words(f"{self.record.name} was lost: {reason}", "SparkDesk tries again."))
        self._tasks.start(connection.close)  # not waited for: a dead line takes its time to close

    async def _end(self, running: list[asyncio.Task[None]]) -> None:
        for task in running:
            task.cancel()
        if running:
            _, left = await asyncio.wait(running, timeout=STOP_TIMEOUT_S)
            for task in left:
                log.warning("%s: %s goes on after the connection", self.record.name, task.get_name())

    async def _verify(self, connection: Connection) -> None:
        """Ask the node for a sign of life; without one the line is lost, unless its samples still come."""
        self._is_verifying = True
        try:
            outcome = await connection.run(Command(("true",)), timeout_s=VERIFY_TIMEOUT_S)
        finally:
            self._is_verifying = False
        is_heard = self._pulse is PulseState.LIVE and self._session.state is NodeState.LIVE
        if isinstance(outcome.fate, Unknown) and not is_heard:
            self._lose(connection, "no answer after this computer slept or its network changed")

    def _note(self, words: str) -> None:
        """A line of the attempt's log; what repeats is counted, so that the log keeps its beginning in sight."""
        places = len(addresses_of(self.record))
        newest = 2 * places + (places > 1)  # as many lines as an attempt has
        for index, (text, count) in enumerate(self._log[-newest:], start=max(0, len(self._log) - newest)):
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
