"""Keeps a probe running on each live node and turns its lines into samples, facts and history.

The one rule: what is shown as live is live. A node whose lines stop is slow, then stale, with its age and the reason;
its last sample stays, marked, and no value is ever made up. A probe that ends is started again, ever more rarely.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from sparkdesk.core.cluster.node import NodeFacts
from sparkdesk.core.command import Exit, Outcome, Signal
from sparkdesk.core.errors import NodeError
from sparkdesk.core.feed import Latest
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.ports import Process, Shell
from sparkdesk.core.program import python_command
from sparkdesk.core.telemetry.builder import SampleBuilder
from sparkdesk.core.telemetry.frame import PROBE_LINE_BYTES, Line, LineFramer
from sparkdesk.core.telemetry.history import History
from sparkdesk.core.telemetry.probe import Malformed, RawSample, parse_line
from sparkdesk.core.telemetry.sample import Sample
from sparkdesk.services.clock import Clock

log = logging.getLogger(__name__)

HEARTBEAT_S = 3.0
"""Well below the 8 s of silence after which a probe leaves its node."""
SELDOM_HEARTBEAT_S = 5.0
"""At less than a sample a second: nobody looks, and each beat wakes two computers."""
SLOW_PERIODS = 1.5
STALE_PERIODS = 3.0
LATE_S = 0.01
"""A timer may ring a little early; so much after the moment it is certain."""
DEAD_S = 15.0
"""A probe that has said nothing for so long (and ten periods) is given up and started again."""
RESTART_S = (1.0, 2.0, 5.0, 10.0, 30.0)
STEADY_LINES = 30
"""After so many samples a restart counts as the first again."""
OUTCOME_TIMEOUT_S = 3.0
TOLD_TO_END = (Signal("TERM"), Signal("INT"), Signal("HUP"))
"""As a probe, or the shell around it, ends when it is told to: SparkDesk ends, a simulated node with it, a node shuts
down. A probe that hears nothing from here, because this computer slept, leaves with code 0."""


class PulseState(StrEnum):
    """How a node's telemetry stands."""

    STARTING = "starting"
    LIVE = "live"
    SLOW = "slow"
    STALE = "stale"
    PAUSED = "paused"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Pulse:
    """How a node's telemetry stands, since when (Unix ms of ours), why, and what to do."""

    state: PulseState
    since_ms: int
    message: str = ""
    remedy: str = ""
    restarts: int = 0


class _End(NamedTuple):
    """Why a probe ended, what to do, and how loud the log says it."""

    message: str
    remedy: str = "Look at the node if this goes on."
    level: int = logging.WARNING


class NodeFeed:
    """What is known of one node's telemetry; it outlives connections."""

    def __init__(self, node_id: str, clock: Clock, hz: float) -> None:
        self.node_id = node_id
        self.latest: Latest[Sample | None] = Latest(None)
        self.pulse: Latest[Pulse] = Latest(Pulse(PulseState.STOPPED, clock.now_ms()))
        self.history = History(1.0 / hz)
        self.lines = 0
        """Samples since the probe was started."""
        self._clock = clock
        self._builder = SampleBuilder(node_id)
        self._seen_s = self._paced_s = clock.monotonic_s()
        self._taken_s = math.nan
        self._complaint = ""

    def age_s(self) -> float:
        """Seconds since the last sample came, or since the probe was started."""
        return self._clock.monotonic_s() - self._seen_s

    def sample_age_s(self) -> float:
        """Seconds since the newest sample was taken, whatever this computer's clock says; NaN before the first."""
        return self._clock.monotonic_s() - self._taken_s

    def move_times(self, moved_ms: int) -> None:
        """This computer's clock was set by so much."""
        self._builder.move_times(moved_ms)
        self.history.move_times(moved_ms)
        self.pulse.set(replace(self.pulse.value, since_ms=self.pulse.value.since_ms + moved_ms))
        sample = self.latest.value
        if sample is not None:
            self.latest.set(replace(sample, t_ms=sample.t_ms + moved_ms))

    def begin(self) -> None:
        """A probe was started."""
        self.lines, self._complaint = 0, ""
        self._seen_s = self._clock.monotonic_s()
        self.tell(PulseState.STARTING)

    def rest(self) -> None:
        """No lines are due."""
        self._seen_s = self._clock.monotonic_s()
        self.tell(PulseState.PAUSED)

    def tell(self, state: PulseState, message: str = "", remedy: str = "", *, restarts: int | None = None) -> None:
        """Change the state; the same state with the same words is no change."""
        now = self.pulse.value
        count = now.restarts if restarts is None else restarts
        if (now.state, now.message, now.restarts) != (state, message, count):
            since_ms = now.since_ms if now.state is state else self._clock.now_ms()
            self.pulse.set(Pulse(state, since_ms, message, remedy, count))

    def take_reading(self, raw: RawSample) -> None:
        """Keep and publish a reading."""
        now_ms = self._clock.now_ms()
        sample = self._builder.build(raw, now_ms)
        self._seen_s = self._clock.monotonic_s()
        self._taken_s = self._seen_s - max(0.0, (now_ms - sample.t_ms) / 1000.0)
        self._complaint = ""
        self.lines += 1
        self.history.append(sample)
        if self.lines == STEADY_LINES:
            self.tell(PulseState.LIVE, restarts=0)
        self.tell(PulseState.LIVE)
        self.latest.set(sample)

    def take_complaint(self, found: Malformed) -> None:
        """Remember why a line could not be read."""
        if found.is_ours:
            self._complaint = found.reason
            log.info("probe line of %s: %s", self.node_id, found.reason)

    def late_s(self) -> float:
        """As `age_s`, but counted from the last change of the rate at the earliest."""
        return self._clock.monotonic_s() - max(self._seen_s, self._paced_s)

    def pace(self) -> None:
        """The rate is another from now on: what came late by the new one was not late."""
        self._paced_s = self._clock.monotonic_s()

    def next_look_s(self, period_s: float, dead_s: float) -> float:
        """Seconds until its age is to be looked at: when it becomes slow, stale or dead if nothing comes.

        Never longer than until it is slow: what comes in the next moment may be the last.
        """
        late_s = self.late_s()
        limits_s = (SLOW_PERIODS * period_s, STALE_PERIODS * period_s, dead_s)
        left_s = min((limit_s - late_s for limit_s in limits_s if limit_s >= late_s), default=0.0)
        return min(left_s, SLOW_PERIODS * period_s) + LATE_S

    def look_at_age(self, name: str, period_s: float) -> None:
        """Say slow or stale when lines are due."""
        late_s = self.late_s()
        if self.pulse.value.state is PulseState.STARTING or late_s <= SLOW_PERIODS * period_s:
            return
        if self._complaint:
            words = f"{name}'s probe sends lines that cannot be read: {self._complaint}"
        else:
            words = f"No telemetry from {name}"
        state = PulseState.SLOW if late_s <= STALE_PERIODS * period_s else PulseState.STALE
        remedy = "Wait: it is started again by itself. If the node answers nothing else either, look at its screen."
        self.tell(state, words, remedy)


class Telemetry:
    """The probes of all nodes. `programs`: sources that run on a node, one after another (remote/gpu.py, probe.py)."""

    def __init__(
        self,
        *,
        clock: Clock,
        programs: Sequence[bytes],
        hz: float = 1.0,
        on_facts: Callable[[str, NodeFacts], None] | None = None,
        dead_s: float = DEAD_S,
    ) -> None:
        """`on_facts` is told a node's id and facts, when its probe begins and when they change."""
        self._clock = clock
        self._programs = tuple(programs)
        self._hz = hz
        self._is_paused = False
        self._feeds: dict[str, NodeFeed] = {}
        self._rate_changed = asyncio.Event()
        self._dead_s = dead_s
        self._looks: set[Callable[[], None]] = set()
        """What looks at the ages of the probes that run."""
        self.on_facts = on_facts

    def feed(self, node_id: str) -> NodeFeed:
        """Everything about one node; made when it is first asked for."""
        if node_id not in self._feeds:
            self._feeds[node_id] = NodeFeed(node_id, self._clock, self._hz)
        return self._feeds[node_id]

    def latest(self, node_id: str) -> Latest[Sample | None]:
        """The node's newest sample; None before the first."""
        return self.feed(node_id).latest

    def pulse(self, node_id: str) -> Latest[Pulse]:
        """How the node's telemetry stands."""
        return self.feed(node_id).pulse

    def history(self, node_id: str) -> History:
        """The node's recent past."""
        return self.feed(node_id).history

    def move_times(self, moved_ms: int) -> None:
        """This computer's clock was set by so much: what is known of the nodes keeps its age."""
        for feed in self._feeds.values():
            feed.move_times(moved_ms)

    @property
    def hz(self) -> float:
        """Samples a second that are asked of every node."""
        return self._hz

    def set_rate(self, hz: float) -> None:
        """Samples a second (0.1 to 10) from every node, from now on."""
        hz = min(max(hz, 0.1), 10.0)
        if hz == self._hz:
            return
        self._hz = hz
        for feed in self._feeds.values():
            feed.history.period_s = 1.0 / self._hz
        self._wake()

    def pause(self) -> None:
        """Let every probe rest; it stays on its node."""
        self._is_paused = True
        self._wake()

    def resume(self) -> None:
        """Go on after `pause`."""
        self._is_paused = False
        self._wake()

    def _wake(self) -> None:
        self._rate_changed.set()
        self._rate_changed = asyncio.Event()
        for feed in self._feeds.values():
            feed.pace()
        for look in tuple(self._looks):
            look()

    async def watch(self, node_id: str, shell: Shell) -> None:
        """Keep a probe running through this connection until cancelled (which is how it ends when the node goes)."""
        feed = self.feed(node_id)
        failures = 0
        try:
            while True:
                message, remedy, level = await self._run_probe(feed, shell)
                failures = 1 if feed.lines >= STEADY_LINES else failures + 1
                wait_s = RESTART_S[min(failures, len(RESTART_S)) - 1]
                log.log(level if failures == 1 else logging.DEBUG, "telemetry: %s", message)
                feed.tell(PulseState.STOPPED, message, f"{remedy} Tried again in {wait_s:g} s.", restarts=failures)
                await asyncio.sleep(wait_s)
        finally:
            feed.tell(PulseState.STOPPED, f"{shell.node} is not connected", "Telemetry goes on when it is back.")

    async def _run_probe(self, feed: NodeFeed, shell: Shell) -> _End:
        """One life of a probe."""
        marker = secrets.token_hex(8)
        command = python_command(self._programs, marker, f"{self._rate():g}")
        feed.begin()
        try:
            async with shell.open(command) as process:
                lost: NodeError | None = None
                try:
                    await process.write(b"".join(self._programs))
                except NodeError as error:
                    lost = error  # it may have ended before it read its source; how it ended says more
                else:
                    if await self._talk(feed, shell.node, process, marker.encode()):
                        return _End(f"The probe on {shell.node} has hung")
                async with asyncio.timeout(OUTCOME_TIMEOUT_S):
                    outcome = await process.outcome()
                if lost is not None and not isinstance(outcome.fate, Exit):
                    return _End(lost.message, lost.remedy)
        except NodeError as error:
            return _End(error.message, error.remedy)
        except TimeoutError:
            return _End(f"The probe on {shell.node} ended in an unknown way")
        return _explain(shell.node, outcome)

    async def _talk(self, feed: NodeFeed, name: str, process: Process, marker: bytes) -> bool:
        """Listen until the probe's output ends (False) or it has hung (True), with heartbeats beside it."""
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(self._listen(feed, process, marker))
            beating = group.create_task(self._beat(process))
            try:
                with self._looking(feed, name) as hung:
                    await asyncio.wait({listening, hung}, return_when=asyncio.FIRST_COMPLETED)
                return not listening.done()
            finally:
                listening.cancel()
                beating.cancel()

    @contextmanager
    def _looking(self, feed: NodeFeed, name: str) -> Iterator[asyncio.Future[None]]:
        """Look at the feed's age whenever it may have become late; the future is done when the probe has hung."""
        loop = asyncio.get_running_loop()
        hung: asyncio.Future[None] = loop.create_future()
        timer: asyncio.TimerHandle | None = None

        def look() -> None:
            nonlocal timer
            if timer is not None:
                timer.cancel()
            if self._is_paused:
                feed.rest()
                return
            period_s = 1.0 / self._hz
            dead_s = max(self._dead_s, 10 * period_s)
            feed.look_at_age(name, period_s)
            if feed.late_s() <= dead_s:
                timer = loop.call_later(feed.next_look_s(period_s, dead_s), look)
            elif not hung.done():
                hung.set_result(None)

        self._looks.add(look)
        look()
        try:
            yield hung
        finally:
            self._looks.discard(look)
            if timer is not None:
                timer.cancel()

    async def _listen(self, feed: NodeFeed, process: Process, marker: bytes) -> None:
        framer = LineFramer(PROBE_LINE_BYTES)
        async for chunk in process.chunks():
            for line in framer.feed(chunk):
                self._take(feed, line, marker)

    def _take(self, feed: NodeFeed, line: Line, marker: bytes) -> None:
        found = parse_line(line, marker)
        if isinstance(found, RawSample):
            feed.take_reading(found)
        elif isinstance(found, Malformed):
            feed.take_complaint(found)
        elif self.on_facts is not None:
            self.on_facts(feed.node_id, found.facts)

    async def _beat(self, process: Process) -> None:
        """Say that somebody listens, and at which rate."""
        try:
            while True:
                changed = self._rate_changed
                await process.write(f"hz {self._rate():g}\n".encode())
                try:
                    async with asyncio.timeout(SELDOM_HEARTBEAT_S if self._hz < 1 else HEARTBEAT_S):
                        await changed.wait()
                except TimeoutError:
                    pass
        except NodeError:
            pass  # the channel is gone: its output ends too, and that is where the reason is told

    def _rate(self) -> float:
        return 0.0 if self._is_paused else self._hz


def _explain(name: str, outcome: Outcome) -> _End:
    """Why a probe ended, for people."""
    if outcome.fate == Exit(127):
        return _End(f"{name} has no python3", "Install it on the node: sudo apt install python3.")
    if outcome.is_ok or outcome.fate in TOLD_TO_END:
        return _End(f"The probe on {name} was ended", level=logging.INFO)
    return _End(f"The probe on {name} ended: {make_line(outcome.explain(), max_chars=300)}")
