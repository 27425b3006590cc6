"""What the GPUs of a server's nodes drew while an answer was made.

The one rule: it is the whole rail's energy, whatever else ran there, and it is told only where samples cover the time;
a node that was silent in between makes it unknown, never less.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from sparkdesk.core.telemetry.metric import GPU_POWER
from sparkdesk.services.telemetry import Telemetry

MAX_SPAN_S = 3600.0
"""Older samples are kept as means of longer spans."""
LATE_PERIODS = 3.0
"""A node whose newest sample is older than so many periods was silent."""


def answer_energy_j(telemetry: Telemetry, node_ids: Iterable[str], span_s: float) -> float:
    """Joules of all these nodes' GPU rails over the last `span_s` seconds; NaN is not known.

    The mean of the samples of the span, and of half a period before it, times the span: at one sample a second an
    answer of a fifth of a second has the power of the newest one.
    """
    nodes = tuple(node_ids)
    if not nodes or not 0.0 < span_s <= MAX_SPAN_S:
        return math.nan
    return math.fsum(_mean_w(telemetry, node_id, span_s) for node_id in nodes) * span_s


def _mean_w(telemetry: Telemetry, node_id: str, span_s: float) -> float:
    period_s = 1.0 / telemetry.hz
    feed = telemetry.feed(node_id)
    if not feed.sample_age_s() <= LATE_PERIODS * period_s:
        return math.nan
    _, powers_w = telemetry.history(node_id).series(GPU_POWER, span_s + period_s / 2)
    # A gap in between is a NaN among them, and makes the mean one.
    return math.fsum(powers_w) / len(powers_w) if len(powers_w) else math.nan
