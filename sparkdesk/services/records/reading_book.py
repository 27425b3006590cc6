"""The past of what model servers say about themselves: one home for every engine's readings, whoever started it.

The one rule: a gap stays a gap (NaN); nothing is interpolated, and a value that is old is not the value of now.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from sparkdesk.core.telemetry.history import History
from sparkdesk.core.telemetry.metric import METRICS
from sparkdesk.core.telemetry.sample import GAP_PERIODS, Sample

NAN = float("nan")
LEAST_STEP_MS = 500
"""Readings of one server closer together than this are one."""
PERIOD_S = 2.0
"""How often a server is read, unless it is said otherwise."""


class ReadingBook:
    """Readings by the id of a job or of a server. `now_ms` is the application's clock."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._histories: dict[str, History] = {}

    @property
    def ids(self) -> tuple[str, ...]:
        """Of whom there are readings."""
        return tuple(self._histories)

    def add(self, source_id: str, readings: Mapping[str, float], period_s: float = PERIOD_S) -> None:
        """What it said just now; it is due again in `period_s`. Kept is what the metric table says can be."""
        history = self._histories.setdefault(source_id, History(period_s))
        history.period_s = period_s
        now_ms = self._now_ms()
        if 0 <= now_ms - history.last_ms < LEAST_STEP_MS and history.keys:
            return
        values = {key: value for key, value in readings.items() if key in METRICS and METRICS[key].can_be(value)}
        history.append(Sample(source_id, now_ms, 0, "", values))

    def move_times(self, moved_ms: int) -> None:
        """This computer's clock was set by so much."""
        for history in self._histories.values():
            history.move_times(moved_ms)

    def keep_only(self, known: Collection[str]) -> None:
        """Forget all others."""
        for source_id in [key for key in self._histories if key not in known]:
            del self._histories[source_id]

    def history(self, source_id: str) -> History | None:
        """The recent past; None before the first reading."""
        return self._histories.get(source_id)

    def newest(self, source_id: str, key: str) -> float:
        """The newest value, NaN when there is none or it is older than a gap."""
        history = self._histories.get(source_id)
        if history is None or self._now_ms() - history.last_ms > GAP_PERIODS * history.period_s * 1000.0:
            return NAN
        return history.newest(key)

    def series(self, source_id: str, key: str) -> tuple[list[float], list[float]]:
        """The last hour: times in s before now (negative) and values; NaN where there is a gap."""
        history = self._histories.get(source_id)
        if history is None:
            return [], []
        now_ms = self._now_ms()
        times, values = history.since(key, now_ms - 3_600_000)
        return ((times - now_ms) / 1000.0).tolist(), values.tolist()

    def has(self, source_id: str, key: str) -> bool:
        """Whether it has ever told this."""
        history = self._histories.get(source_id)
        return history is not None and history.has(key)
