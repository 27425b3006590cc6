"""Which of our servers a node has, and how much of its free memory is promised to those that still load.

The one rule: memory is promised once: what a loading server's plan gives it, less what it has by now, is not free for
another one, though the node calls it available.
"""

from __future__ import annotations

from collections.abc import Iterable

from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.backend import NodeContext, Resident
from sparkdesk.core.jobs.plan import GIB, LaunchPlan
from sparkdesk.core.jobs.record import JobState
from sparkdesk.services.jobs.deployment import Deployment
from sparkdesk.services.jobs.start.repair import planned_bytes

LOADS = (JobState.STARTING, JobState.LOADING)


def residents_of(deployments: Iterable[Deployment], available_bytes: int | None) -> tuple[Resident, ...]:
    """Those of one node's jobs that have memory there, or are about to; `available_bytes` is what it has now.

    What a loading server holds no node tells of one job: it is by how much less is available than before its start, the
    oldest first.
    """
    here = [one for one in deployments if not one.status.state.is_over and one.status.state is not JobState.PLANNED]
    loading = sorted((one for one in here if one.status.state in LOADS), key=lambda one: one.status.created_ms)
    before = loading[0].free_before_bytes if loading else None
    fallen = max(before - available_bytes, 0) if before is not None and available_bytes is not None else None
    coming: dict[str, int] = {}
    for one in loading:
        planned = planned_bytes(one.plan, one.node_id)
        if planned is None or fallen is None:
            break
        held = min(planned, fallen)
        coming[one.job_id], fallen = planned - held, fallen - held
    return tuple(
        Resident(
            one.job_id,
            one.status.title,
            planned_bytes(one.plan, one.node_id),
            is_loading=one.status.state in LOADS,
            coming_bytes=coming.get(one.job_id),
        )
        for one in here
    )


def uncommitted_bytes(node: NodeContext) -> int | None:
    """What the node has available and nobody of ours will take; None where that is not known."""
    coming = [one.coming_bytes for one in node.residents if one.is_loading]
    known = [count for count in coming if count is not None]
    if node.mem_available_bytes is None or len(known) < len(coming):
        return None
    return node.mem_available_bytes - sum(known)


def refuse_crowd(plan: LaunchPlan, node: NodeContext) -> None:
    """Raise PlanError where the plan counts on memory that a server which still loads was promised.

    Once that one is ready, what is available tells the truth, and the plan's own words judge it.
    """
    need, left = planned_bytes(plan, node.record.id), uncommitted_bytes(node)
    loading = [one for one in node.residents if one.is_loading]
    if need is None or left is None or not loading or need <= left:
        return
    names = " and ".join(one.title for one in loading)
    load, take, are = ("still loads", "takes", "is") if len(loading) == 1 else ("still load", "take", "are")
    coming = ((node.mem_available_bytes or 0) - left) / GIB
    raise PlanError(
        f"{names} {load} on {node.record.name} and {take} {coming:.1f} GiB more: this launch needs "
        f"{need / GIB:.1f} GiB, and {max(left, 0) / GIB:.1f} GiB are left for it",
        remedy=f"Wait until {names} {are} ready, ask for less, or choose another node.",
    )
