"""Judges whether a node is about to wedge: unified memory runs out, and then nothing answers any more, SSH neither.

The one rule: early enough to act, so it looks at where memory is going, not only at where it is.
Source: NVIDIA/dgx-spark-playbooks#97, #102: a full node freezes until its power is removed. Thresholds are our own
choice; how soon a node freezes is unverified on hardware [memory-pressure].
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean

from sparkdesk.core.findings.concern import Concern, Judgement, Severity, concern_id
from sparkdesk.core.findings.view import NAN, NodeNow, Points, covers
from sparkdesk.core.jobs.record import JobStatus
from sparkdesk.core.probes.doctor_memory import FULL_FAIL_PERCENT, GIB, gib

RULE = "wedge"
TREND_S = 15.0
FRESH_S = 5.0
FLOOR_BYTES = 1 * GIB
"""Below this the kernel stops everything for every page."""
EMPTY_BYTES = 2 * GIB
CALM_BYTES = 12 * GIB
"""With more than this, a model that loads is no danger however fast it takes memory."""
HORIZON_S = 45.0
"""Stopping a server takes 10 to 20 s, and a person has to read first."""
SOON_S = 5.0
"""A smaller number is no more exact than "seconds"."""
SOME_SHARE = 0.05
APPEAR_S = 2.0
CLEAR_S = 20.0


def judge_wedge(view: NodeNow, _views: tuple[NodeNow, ...]) -> Iterator[Judgement]:
    """Whether the memory ends soon; the newest job is what to stop."""
    key = concern_id(RULE, view.node_id)
    points = view.past.points("mem_available_bytes", TREND_S)
    available = view.past.last("mem_available_bytes", FRESH_S)
    if available != available:
        yield Judgement(key, is_known=False, is_brief=True)
        return
    some, full = (view.past.last(f"psi_memory_{kind}_avg10", FRESH_S) for kind in ("some", "full"))
    left_s = seconds_left(points, available)
    is_stuck = full * 100 >= FULL_FAIL_PERCENT
    is_ending = left_s <= HORIZON_S and (available < CALM_BYTES / 2 or some >= SOME_SHARE)
    if available >= CALM_BYTES or not (available < EMPTY_BYTES or is_stuck or is_ending):
        # Plainly back is back at once; what is only better has to last, and says what there is meanwhile.
        easing = f"{gib(available)} of memory is left again; this goes when it lasts"
        yield Judgement(key, clear_s=0.0 if available >= CALM_BYTES else CLEAR_S, easing=easing)
        return
    yield Judgement(key, _tell(view, available, left_s, full), appear_s=APPEAR_S, clear_s=CLEAR_S)


def seconds_left(points: Points, available_bytes: float) -> float:
    """Until FLOOR_BYTES if it goes on as in these readings; infinite when it does not fall, NaN when not known."""
    if not covers(points, TREND_S):
        return NAN
    middle_ms, middle = fmean(t_ms for t_ms, _ in points), fmean(value for _, value in points)
    spread = sum((t_ms - middle_ms) ** 2 for t_ms, _ in points)
    slope = 1000 * sum((t_ms - middle_ms) * (value - middle) for t_ms, value in points) / spread
    return max(0.0, available_bytes - FLOOR_BYTES) / -slope if slope < 0 else float("inf")


def newest_job(view: NodeNow) -> JobStatus | None:
    """The job to stop: the newest that is ours to stop."""
    ours = [job for job in view.jobs if job.job_id in view.stop_plans]
    return max(ours, key=lambda job: job.created_ms, default=None)


def _tell(view: NodeNow, available: float, left_s: float, full: float) -> Concern:
    seen = [f"{gib(available)} of memory is left"]
    if left_s < SOON_S:
        seen.append("at this rate it is full within seconds")
    elif left_s <= 10 * HORIZON_S:
        seen.append(f"at this rate it is full in {left_s:.0f} s")
    if full > 0:
        seen.append(f"everything waited for memory {full * 100:.0f} % of the last 10 s")
    job = newest_job(view)
    stop = f"Stop {job.title}, the newest job here." if job is not None else "Stop a program on the node now."
    return Concern(
        rule=RULE,
        node_id=view.node_id,
        severity=Severity.CRIT,
        title="The node is about to freeze",
        evidence="; ".join(seen),
        cost="When unified memory is full the node freezes, SSH too; only removing its power helps then.",
        remedy=stop,
        fix=view.stop_plans[job.job_id] if job is not None else None,
        job_id=job.job_id if job is not None else "",
        fingerprint=" ".join(sorted(each.job_id for each in view.jobs)),
    )
