"""The program's parts are told that this computer's clock was set, each of those that remember times."""

from __future__ import annotations

import time

from sparkdesk.app.stack import Stack
from sparkdesk.core.cluster.topology import Topology
from sparkdesk.core.jobs.rate import GENERATED_RATE
from sparkdesk.core.telemetry.probe import RawSample
from sparkdesk.services.clock import ClockWatch, SystemClock

HOUR_MS = 3_600_000


async def test_all_that_remembers_times_is_moved_with_the_clock() -> None:
    stack = Stack()
    seen_ms = stack.clock.now_ms()
    stack.fleet.topology.topology.set(Topology(seen_ms=seen_ms))
    stack.telemetry.feed("n1").take_reading(RawSample(1, "boot", 1.0, 1.0))
    stack.records.server_readings.add("s1", {GENERATED_RATE: 5.0})
    watch = ClockWatch(_behind(HOUR_MS), stack.clock_watch._moves)
    watch.look()
    moved_ms = stack.fleet.topology.topology.value.seen_ms - seen_ms
    assert abs(moved_ms - HOUR_MS) < 100
    assert abs(stack.telemetry.history("n1").last_ms - seen_ms - HOUR_MS) < 5000
    history = stack.records.server_readings.history("s1")
    assert history is not None
    assert abs(history.last_ms - seen_ms - HOUR_MS) < 5000
    await stack.close()


def _behind(by_ms: int) -> SystemClock:
    """A clock whose computer was put forward since the last look."""
    ahead_ns = [0]
    clock = SystemClock(lambda: time.time_ns() + ahead_ns[0])
    ahead_ns[0] = by_ms * 1_000_000
    return clock
