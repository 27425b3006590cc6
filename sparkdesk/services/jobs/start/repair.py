"""Gathers what is known of a failed launch, so that the rules (core/jobs/fix.py) can say what to change.

The one rule: it changes nothing and asks no node; a fix is shown in the launch form before anything runs.
"""

from __future__ import annotations

from collections.abc import Callable

from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.backend import NodeContext
from sparkdesk.core.jobs.fix import FailedLaunch, Fix, Neighbour, apply_fix, difference, find_fixes, same_again
from sparkdesk.core.jobs.plan import LaunchPlan
from sparkdesk.core.jobs.record import JobState
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.playbooks.switch import load_timeout_of, stopped_first
from sparkdesk.services.jobs.deployment import Deployment
from sparkdesk.services.jobs.job_shelf import JobShelf

LAST_LINES = 40
"""Of the engine's log: its own words name the cause more exactly than the adapter's."""


class Repair:
    """Says what may help a failed job."""

    def __init__(self, shelf: JobShelf, contexts: Callable[[], tuple[NodeContext, ...]]) -> None:
        self._shelf = shelf
        self._contexts = contexts

    def fixes_of(self, job_id: str) -> tuple[Fix, ...]:
        """What may help, the likeliest first; at least where to look; () for a job that did not fail."""
        deployment = self._shelf.find(job_id)
        if deployment is None or deployment.status.state is not JobState.FAILED or deployment.plan is None:
            return ()
        request = deployment.plan.request
        context = next((node for node in self._contexts() if node.record.id == request.nodes[0]), None)
        failed = FailedLaunch(
            request=request,
            words=_words_of(deployment),
            load_timeout_s=load_timeout_of(deployment.plan.playbook),
            used_ports=context.used_ports if context is not None else {},
            neighbours=self._neighbours(deployment),
        )
        found = (*find_fixes(failed), *self._before(deployment, request))
        return found or (same_again(failed, deployment.cause_line),)

    def _before(self, deployment: Deployment, request: LaunchRequest) -> tuple[Fix, ...]:
        """The server that made room for this one, offered again."""
        plan = deployment.plan
        other = self._shelf.find(stopped_first(plan.playbook)) if plan is not None else None
        if other is None or other.plan is None or not other.status.state.is_over:
            return ()
        change = difference(request, other.plan.request)
        # A restart that failed: the server that made room is the very one that failed, and would fail again.
        return (Fix(f"Start {other.status.title} again instead", change),) if change else ()

    def request_after(self, job_id: str, fix: Fix) -> LaunchRequest:
        """The job's request with the fix's changes. Raises PlanError."""
        deployment = self._shelf.find(job_id)
        if deployment is None or deployment.plan is None:
            raise PlanError("How this was launched is not known", remedy="Launch it anew.")
        return apply_fix(deployment.plan.request, fix)

    def _neighbours(self, deployment: Deployment) -> tuple[Neighbour, ...]:
        """Our other servers that run on the same node and may be stopped from here."""
        others = [
            other
            for other in self._shelf.on_node(deployment.node_id)
            if other is not deployment and not other.status.state.is_over and self._shelf.may_change(other)
        ]
        return tuple(Neighbour(other.job_id, other.status.title, planned_bytes(other.plan)) for other in others)


def planned_bytes(plan: LaunchPlan | None, node_id: str = "") -> int | None:
    """Memory that a plan gives its own server on a node ("" is the first); None when a part is not known."""
    ledger = next((row for row in plan.ledgers if node_id in ("", row.node_id)), None) if plan is not None else None
    if ledger is None:
        return None
    model = (ledger.weights_bytes, ledger.kv_bytes) if ledger.undivided_bytes is None else (ledger.undivided_bytes,)
    parts = (*model, ledger.runtime_bytes)
    known = [part for part in parts if part is not None]
    spare = ledger.reserve_bytes if ledger.others_bytes is not None else 0  # else it is the system's own, in part
    return sum(known) + spare if len(known) == len(parts) else None


def _words_of(deployment: Deployment) -> str:
    """All that names the cause: what the node said, what the adapter understood, the engine's last lines."""
    failure = deployment.failure
    lines = deployment.log.last_texts(LAST_LINES, "engine")
    own = [failure.message] if failure is not None else []
    return "\n".join([deployment.status.message, *own, deployment.cause_line, *lines])
