"""Judges how much of its time a GPU is held at its power cap, by counters that only grow.

The one rule: the throttle reasons of the moment are not asked: on a GB10 they read 0 while the counter runs on.
Source: NVIDIA developer forum captures 58057396158; unverified on hardware [gpu-capped-counters].
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean, median

from sparkdesk.core.findings.concern import Concern, Judgement, Severity, concern_id
from sparkdesk.core.findings.doctored import loaded_clocks
from sparkdesk.core.findings.view import NAN, NodeNow, covers
from sparkdesk.core.probes.doctor_gpu import HEALTHY_MHZ

RULE = "power-capped"
SPAN_S = 60.0
NOTED_SHARE = 0.25
"""Own choice: a GB10 under load is often at its cap; a quarter of the time is felt in tokens a second."""
SUSTAINED_S = 10.0


def judge_power(view: NodeNow, _views: tuple[NodeNow, ...]) -> Iterator[Judgement]:
    """A note where the cap is felt; a warning where it keeps the clock below what is healthy under load."""
    key = concern_id(RULE, view.node_id)
    found = view.past.points("gpu_power_capped", SPAN_S)
    share = fmean(value for _, value in found) if covers(found, SPAN_S) else view.power_capped
    if share != share:
        yield Judgement(key, is_known=False)
        return
    if share < NOTED_SHARE:
        yield Judgement(key, clear_s=SUSTAINED_S)
        return
    clocks = loaded_clocks(view.past, SPAN_S)
    clock_mhz = median(mhz for _, mhz in clocks) if clocks else NAN
    is_slow = clock_mhz < HEALTHY_MHZ
    seen = f"Held at its power cap for {share * 100:.0f} % of the time"
    concern = Concern(
        rule=RULE,
        node_id=view.node_id,
        severity=Severity.WARN if is_slow else Severity.NOTE,
        title="The GPU is held back by its power cap",
        evidence=seen if clock_mhz != clock_mhz else f"{seen}; {clock_mhz:.0f} MHz under load",
        cost="The clock is lower than it could be, and with it the tokens a second." if is_slow else "",
        remedy="A GB10's cap cannot be set. Use the 240 W adapter that came with the node, without a dock or hub "
        "between; fewer requests at once on this node leave more for each.",
    )
    yield Judgement(key, concern, appear_s=SUSTAINED_S, clear_s=SUSTAINED_S)


def share_between(before: tuple[float, float], after: tuple[float, float]) -> float:
    """Share of time between two readings of (uptime s, counter us); NaN where they do not belong together."""
    step_s, capped_s = after[0] - before[0], (after[1] - before[1]) / 1e6
    if not 1.0 <= step_s <= 600.0 or not 0 <= capped_s <= step_s * 1.2:
        return NAN  # a restart, a counter that went back, or one that was misread
    return min(capped_s / step_s, 1.0)
