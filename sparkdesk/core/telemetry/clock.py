"""Puts a node's moments on this computer's clock, without asking the node to be right about the time.

A reading that arrives with the least delay tells how far the node's wall clock is from ours; later ones only come
later. The one rule: within a boot of the node the result never goes back.
"""

from __future__ import annotations

from collections import deque

WINDOW = 60
"""Readings over which the least delay is looked for."""
JUMP_S = 1.0
"""Wall and monotonic clock of the node apart by more than this between two readings: its wall clock was set."""
SET_BACK_S = 120.0
"""A reading so much earlier than the quickest before it was not sent faster (a silent probe ends long before that is
possible): our own clock was set back."""


class NodeClock:
    """State of one node's clock against ours."""

    __slots__ = ("_last_boot", "_last_mono_s", "_last_t_ms", "_last_wall_s", "_offsets_ms")

    def __init__(self) -> None:
        self._offsets_ms: deque[float] = deque(maxlen=WINDOW)
        self._last_boot = ""
        self._last_wall_s = 0.0
        self._last_mono_s = 0.0
        self._last_t_ms = 0

    def place(self, boot_id: str, monotonic_s: float, wall_s: float, now_ms: int) -> int:
        """When a reading was taken, as Unix ms of ours; `now_ms` is when it arrived.

        A reading that does not tell its boot ("") is taken for one of the same boot. When our own clock is set back by
        minutes, times go on as they began until the node's next boot: else all of them would be one moment.
        """
        if boot_id not in ("", self._last_boot):
            self._offsets_ms.clear()
            self._last_t_ms, self._last_boot = 0, boot_id
        elif self.has_jumped(monotonic_s, wall_s):
            self._offsets_ms.clear()
        offset_ms = now_ms - wall_s * 1000.0
        least_ms = min(self._offsets_ms, default=offset_ms)
        self._offsets_ms.append(offset_ms if offset_ms > least_ms - SET_BACK_S * 1000.0 else least_ms)
        self._last_wall_s, self._last_mono_s = wall_s, monotonic_s
        t_ms = int(wall_s * 1000.0 + min(self._offsets_ms))
        self._last_t_ms = max(t_ms, self._last_t_ms + 1)
        return self._last_t_ms

    def move_times(self, moved_ms: int) -> None:
        """Our own clock was set by so much."""
        self._offsets_ms = deque((offset_ms + moved_ms for offset_ms in self._offsets_ms), WINDOW)
        self._last_t_ms += moved_ms if self._last_t_ms else 0

    def has_jumped(self, monotonic_s: float, wall_s: float) -> bool:
        """Whether the node's wall clock was set (or the node slept) since the reading before."""
        if not self._offsets_ms:
            return False
        return abs((wall_s - self._last_wall_s) - (monotonic_s - self._last_mono_s)) > JUMP_S

    @property
    def offset_s(self) -> float:
        """How far the node's clock is ahead of ours; NaN before the first reading."""
        return -min(self._offsets_ms) / 1000.0 if self._offsets_ms else float("nan")
