"""Which SSH servers were touched without a sign-in, and when: at most once a minute each, whoever asks.

The one rule: a search's knock, a look at a host key, and a sign-in that met another key than the trusted one all count
here alike. One look is one touch, though it may be two connections: where sshd hangs up before it shows a key, its list
of key kinds is heard at once, in the same visit. What nobody answered is no touch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sparkdesk.services.clock import Clock

REST_S = 60.0
"""OpenSSH 9.8 and newer shut out a client that comes again and again (Source: sshd_config.5, PerSourcePenalties)."""

MAX_KEPT = 4096

Tell = Callable[[float, float], None]
"""Hears how long ago a server was touched, and how long it is left alone, in seconds."""

Server = tuple[str, int, str]
"""Address, port, and the host key of the jump host through which it was reached, or ""."""


class Touches:
    """The ledger. A server is known by its address and port and the way there."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._touched_s: dict[Server, float] = {}

    def note(self, address: str, port: int, way: str = "") -> None:
        """It was touched just now."""
        now_s = self._clock.monotonic_s()
        if len(self._touched_s) >= MAX_KEPT:
            self._touched_s = {each: at_s for each, at_s in self._touched_s.items() if now_s - at_s < REST_S}
        self._touched_s[address, port, way] = now_s

    def forget(self, address: str, port: int, way: str = "") -> None:
        """Nobody was there to be touched."""
        self._touched_s.pop((address, port, way), None)

    def age_s(self, address: str, port: int, way: str = "") -> float | None:
        """Seconds since the last touch; None when that is over a minute ago, so that it may be touched."""
        at_s = self._touched_s.get((address, port, way))
        age_s = self._clock.monotonic_s() - at_s if at_s is not None else REST_S
        return age_s if age_s < REST_S else None

    async def rest(self, address: str, port: int, way: str, tell: Tell) -> None:
        """Wait until it may be touched again; `tell` hears of it each second."""
        while (age_s := self.age_s(address, port, way)) is not None:
            tell(age_s, REST_S - age_s)
            await asyncio.sleep(min(1.0, REST_S - age_s))
