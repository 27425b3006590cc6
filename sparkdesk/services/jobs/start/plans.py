"""Makes plans: puts together what is known of the nodes, and asks the engine's adapter. Quick; asks no node.

The one rule: a plan is made from what was last seen; a launch looks again before it begins.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Protocol

from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.backend import Backend, NodeContext, PlanContext
from sparkdesk.core.jobs.flag_table import FlagTables
from sparkdesk.core.jobs.image import Images
from sparkdesk.core.jobs.plan import LaunchPlan, Problem, Severity
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.models.catalogue import find_model
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.launch.preflight import has_errors
from sparkdesk.core.playbooks.switch import load_timeout_of, with_load_timeout
from sparkdesk.services.fleet.inventory import Inventory
from sparkdesk.services.ident import new_id
from sparkdesk.services.jobs.deployment import Deployment
from sparkdesk.services.jobs.node_context import NodeContexts
from sparkdesk.services.jobs.start.repair import planned_bytes
from sparkdesk.services.jobs.start.residence import refuse_crowd
from sparkdesk.services.jobs.start.start_book import StartBook

NO_ID = "a" * 16
"""Stands for the job in checks, where no job is begun."""
PATIENCE = 3.0
"""A load is waited for so many times as long as loads like it took."""


@dataclass(frozen=True, slots=True)
class PlanParts:
    """What plans are made of beside the request and the nodes. `owner` is who launches from here, user@computer."""

    backends: Mapping[str, Backend]
    owner: str
    job_program: bytes
    """The text of remote/job.py."""
    catalogue: tuple[ModelSpec, ...] = ()
    programs: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    """More of our programs for nodes, by the name of their module in remote/."""
    images: Images = field(default_factory=lambda: MappingProxyType({}))
    flag_tables: FlagTables = field(default_factory=lambda: MappingProxyType({}))


class Corrector(Protocol):
    """What earlier starts taught about plans (services/appraisal/corrections.py)."""

    def knows(self, request: LaunchRequest) -> bool:
        """Whether starts like this one taught anything."""
        ...

    def correct(self, plan: LaunchPlan) -> LaunchPlan:
        """The plan with what was learned, and a note that says so."""
        ...

    def problems(self, plan: LaunchPlan) -> Sequence[Problem]:
        """What that changes about whether the plan fits; it takes no problem away."""
        ...


class Plans:
    """Checks requests and makes plans of them. `leaving` is a job that is stopped first: its place counts as free."""

    def __init__(self, parts: PlanParts, inventory: Inventory, contexts: NodeContexts, book: StartBook) -> None:
        self._parts = parts
        self._inventory = inventory
        self._contexts = contexts
        self._book = book
        self.corrector: Corrector | None = None

    def problems(self, request: LaunchRequest, leaving: Deployment | None = None) -> list[Problem]:
        """What speaks against the request now; empty is fine."""
        backend = self._parts.backends.get(request.engine)
        if backend is None:
            known = ", ".join(self._parts.backends)
            words = f"There is no engine {request.engine}"
            return [Problem(Severity.ERROR, words, f"Choose one of: {known}.", "engine")]
        context = self._context(request, NO_ID, leaving)
        found = backend.problems(request, context)
        if self.corrector is None or has_errors(found) or not self.corrector.knows(request):
            return found
        return [*found, *self.corrector.problems(backend.plan(request, context))]

    def make(
        self,
        request: LaunchRequest,
        leaving: Deployment | None = None,
        *,
        patience: tuple[float, float] = (math.nan, math.nan),
    ) -> LaunchPlan:
        """A plan, as a new job. Raises PlanError.

        `patience`: how long its load may take, in seconds: as asked for now, and in the last launch of the same; NaN
        is not said. What is asked for now counts alone; else it is waited as long as any of what is known wants.
        """
        backend = self._parts.backends.get(request.engine)
        if backend is None:
            raise PlanError(f"There is no engine {request.engine}", remedy="Choose another engine.")
        plan = backend.plan(request, self._context(request, new_id(), leaving))
        if self.corrector is not None:
            plan = self.corrector.correct(plan)
        asked_s, before_s = patience
        if not math.isfinite(asked_s):
            wanted = (PATIENCE * self._book.of(request).usual_s, before_s, load_timeout_of(plan.playbook))
            asked_s = max((one for one in wanted if math.isfinite(one)), default=math.nan)
        return replace(plan, playbook=with_load_timeout(plan.playbook, asked_s))

    def refuse_crowd(self, plan: LaunchPlan, leaving: Deployment | None = None) -> NodeContext | None:
        """Its node as it is now. Raises PlanError where a server that still loads was promised what the plan takes."""
        nodes = self._context(plan.request, NO_ID, leaving).nodes
        node = next((one for one in nodes if one.record.id == plan.request.nodes[0]), None)
        if node is not None:
            refuse_crowd(plan, node)
        return node

    def _context(self, request: LaunchRequest, job_id: str, leaving: Deployment | None) -> PlanContext:
        cluster = self._inventory.cluster.value
        match = find_model(self._parts.catalogue, request.model)
        nodes = self._contexts.current()
        return PlanContext(
            job_id=job_id,
            owner=self._parts.owner,
            nodes=nodes if leaving is None else tuple(without_job(node, leaving) for node in nodes),
            spec=match.spec if match is not None else None,
            engine_notes=cluster.engine_notes if cluster is not None else {},
            job_program=self._parts.job_program,
            programs=self._parts.programs,
            images=self._parts.images,
            flag_tables=self._parts.flag_tables,
        )


def without_job(node: NodeContext, leaving: Deployment) -> NodeContext:
    """The node as it will be once the job is stopped: its port free, and what its plan gave it, as far as it is used.

    What it really holds no node tells of one job; so never more is freed than the node has in use.
    """
    endpoint = leaving.status.endpoint
    if node.record.id not in leaving.status.node_ids or leaving.status.state.is_over:
        return node  # what it held is free already, or another's by now
    port = endpoint.port if endpoint is not None else 0
    ports = {number: holder for number, holder in node.used_ports.items() if number != port}
    own = next((one for one in node.residents if one.job_id == leaving.job_id), None)
    staying = tuple(one for one in node.residents if one.job_id != leaving.job_id)
    loading = tuple(one.title for one in staying if one.is_loading)
    node = replace(node, residents=staying, loading=loading)
    if own is not None and own.is_loading and own.coming_bytes is None:
        return replace(node, used_ports=ports, mem_available_bytes=None)  # how much of its plan it has is not known
    freed = planned_bytes(leaving.plan, node.record.id)
    if freed is None or node.mem_total_bytes is None or node.mem_available_bytes is None:
        return replace(node, used_ports=ports, mem_available_bytes=None)  # what it holds is not known
    freed -= (own.coming_bytes or 0) if own is not None else 0  # what it did not take yet
    available = min(node.mem_available_bytes + freed, node.mem_total_bytes)
    return replace(node, used_ports=ports, mem_available_bytes=available)
