"""Knows how much of its time a node's GPU is held at its power cap, where its samples do not tell.

The one rule: two readings of the driver's own counter and the time between them, on the node's clock; nothing else.
"""

from __future__ import annotations

import logging

from sparkdesk.core.errors import NodeError
from sparkdesk.core.findings.judge_power import share_between
from sparkdesk.core.ports import Connection
from sparkdesk.core.probes import form
from sparkdesk.services.fleet.reader import Reader
from sparkdesk.services.rhythm import Rhythm
from sparkdesk.services.telemetry import Telemetry

log = logging.getLogger(__name__)

EVERY_S = 30.0
COUNTER = "SW Power Capping"
TOLD_BY_SAMPLES = "gpu_power_capped"


class PowerCaps:
    """Reads the counters of live nodes; `watch` is a hook of the inventory's."""

    def __init__(self, *, reader: Reader, telemetry: Telemetry, every_s: float = EVERY_S) -> None:
        self._reader = reader
        self._telemetry = telemetry
        self._every_s = every_s
        self._shares: dict[str, float] = {}
        self.rhythm = Rhythm()

    def share(self, node_id: str) -> float:
        """Share of the time between the last two readings; NaN when it is not known."""
        return self._shares.get(node_id, float("nan"))

    async def watch(self, node_id: str, connection: Connection) -> None:
        """Read again and again until cancelled. Never raises a NodeError."""
        before: tuple[float, float] | None = None
        try:
            while True:
                sample = self._telemetry.latest(node_id).value
                after = None
                if sample is None or TOLD_BY_SAMPLES not in sample.values:
                    after = await self._read(node_id, connection)
                if before is not None and after is not None:
                    self._shares[node_id] = share_between(before, after)
                else:
                    self._shares.pop(node_id, None)
                before = after
                await self.rhythm.pause(self._every_s)
        finally:
            self._shares.pop(node_id, None)

    async def _read(self, node_id: str, connection: Connection) -> tuple[float, float] | None:
        try:
            answers = await self._reader.read(connection, (form.UPTIME, form.PERFORMANCE))
        except NodeError as error:
            log.info("power counters of %s: %s", node_id, error.sentence())
            return None
        performance, uptime = answers[form.PERFORMANCE], answers[form.UPTIME]
        capped_us = form.parse_performance(performance.text).get(COUNTER) if performance.is_ok else None
        uptime_s = form.parse_number(uptime.text) if uptime.is_ok else None
        return None if capped_us is None or uptime_s is None else (uptime_s, float(capped_us))
