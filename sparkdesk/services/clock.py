"""Time as services see it: injected, so that tests move it. Durations come from `monotonic_s`, never from the wall.

The one rule: this computer's clock may be set at any moment, and no time that a service reads jumps because of it. Once
a second the `ClockWatch` looks whether it was set, and moves all that is remembered in one go.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

log = logging.getLogger(__name__)

LOOK_S = 1.0
SET_MS = 500
"""A clock that is only kept right is moved by far less between two looks."""
Move = Callable[[int], None]
"""Moves all times (Unix ms) that something remembers by so many ms."""


class Clock(Protocol):
    """Wall and monotonic time."""

    def now_ms(self) -> int:
        """Unix time in milliseconds by this computer."""
        ...

    def monotonic_s(self) -> float:
        """Seconds that never go back; they count on while this computer sleeps."""
        ...


def _steady_ns() -> int:
    """Nanoseconds that count on in sleep. Source: Linux's clock_gettime(2); elsewhere `monotonic` counts sleep."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return time.monotonic_ns()


class SystemClock:
    """This computer's clocks. The wall time goes on evenly from one `look` to the next."""

    def __init__(self, wall_ns: Callable[[], int] = time.time_ns, steady_ns: Callable[[], int] = _steady_ns) -> None:
        self._wall_ns = wall_ns
        self._steady_ns = steady_ns
        self._ahead_ns = wall_ns() - steady_ns()

    def now_ms(self) -> int:
        """Unix time in milliseconds."""
        return (self._ahead_ns + self._steady_ns()) // 1_000_000

    def monotonic_s(self) -> float:
        """Seconds since some moment."""
        return self._steady_ns() / 1e9

    def look(self) -> int:
        """Follow this computer's clock; by how many ms it was set since the last look, 0 when it was not."""
        ahead_ns = self._wall_ns() - self._steady_ns()
        moved_ms = (ahead_ns - self._ahead_ns) // 1_000_000
        self._ahead_ns = ahead_ns
        return moved_ms if abs(moved_ms) >= SET_MS else 0


class ClockWatch:
    """Tells those who remember times, one after another, that this computer's clock was set."""

    def __init__(self, clock: SystemClock, moves: Sequence[Move], every_s: float = LOOK_S) -> None:
        self._clock = clock
        self._moves = tuple(moves)
        self._every_s = every_s

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(self._every_s)
            self.look()

    def look(self) -> None:
        """Look now."""
        moved_ms = self._clock.look()
        if moved_ms:
            log.warning("this computer's clock was set by %.1f s", moved_ms / 1000.0)
            for move in self._moves:
                move(moved_ms)
