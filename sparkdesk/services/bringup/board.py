"""What is shown of a bring-up: one state, published anew when something of it changes, and not for every event.

The one rule: what it is made of is asked for at the moment at which it is shown, so that no part is older than another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sparkdesk.core.bringup.state import BringUpState, Phase
from sparkdesk.core.feed import Latest
from sparkdesk.services.clock import Clock

SHOW_EVERY_S = 0.05
"""Events of a run come in hundreds; the matrix is folded anew so often at most."""


class Board:
    """`fields`: what follows from the plan, the runs and the trials, by the names of BringUpState."""

    def __init__(self, clock: Clock, fields: Callable[[], Mapping[str, Any]]) -> None:
        self._clock = clock
        self._fields = fields
        self._timer: asyncio.TimerHandle | None = None
        self.state: Latest[BringUpState] = Latest(BringUpState())

    def refuse(self, words: str, remedy: str) -> None:
        """Say why what was asked for is not done; nothing else changes."""
        self.state.set(replace(self.state.value, message=words, remedy=remedy))

    def fail(self, message: str, remedy: str, *, is_wanted: bool = False) -> None:
        """It ended here; `is_wanted`: because a person wanted it to."""
        now_ms = self._clock.now_ms()
        self.set(Phase.FAILED, message=message, remedy=remedy, ended_ms=now_ms, is_wanted=is_wanted)

    def set(self, phase: Phase, **changes: Any) -> None:
        """Another phase, with what is to be said of it; nothing is said unless it is given."""
        self.show(
            replace(self.state.value, phase=phase, **{"message": "", "remedy": "", "is_wanted": False, **changes})
        )

    def show_soon(self) -> None:
        """Show what there is, with all that comes within a moment."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SHOW_EVERY_S, lambda: self.show(self.state.value))

    def show(self, state: BringUpState) -> None:
        """Show this, with what follows from plan, runs and trials now."""
        self.close()
        self.state.set(replace(state, **self._fields()))

    def close(self) -> None:
        """Show nothing later."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
