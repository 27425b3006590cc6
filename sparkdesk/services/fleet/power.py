"""Restarts nodes, shuts them down and wakes them: what that costs first, then the playbook.

The one rule: every job that dies with a node is named before, ours and what others run there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from sparkdesk.core.cluster.found_server import FoundServer
from sparkdesk.core.cluster.identity import addresses_of
from sparkdesk.core.cluster.node import NodeState, NodeStatus
from sparkdesk.core.cluster.port import PortState
from sparkdesk.core.errors import PlanError, Unreachable
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.record import JobStatus
from sparkdesk.core.playbooks.power import (
    BUTTON_WARNING,
    PEER_WARNING,
    RESTART,
    SHUT_DOWN,
    reboot_playbook,
    shutdown_playbook,
)
from sparkdesk.core.ports import Waker
from sparkdesk.core.step import Playbook, RunEnded, Step, StepEnded, StepEvent
from sparkdesk.core.telemetry.cage import ports_of
from sparkdesk.core.telemetry.sample import Sample
from sparkdesk.services.fleet.inventory import Inventory
from sparkdesk.services.ident import new_id
from sparkdesk.services.playbooks.passage import OnEvent
from sparkdesk.services.playbooks.runs import PlaybookRuns

log = logging.getLogger(__name__)

_ABSENCES = {RESTART: ("It restarts, as ordered from here", False), SHUT_DOWN: ("It was shut down from here", True)}
WAKING = "It was told to wake up"


@dataclass(frozen=True, slots=True)
class PowerPlan:
    """A restart or a shut-down, to be shown before it runs."""

    node_id: str
    playbook: Playbook
    dying: tuple[str, ...]
    """Titles of the jobs that end with it, ours and others'."""
    warnings: tuple[str, ...]


class Power:
    """Power of the open cluster's nodes. `stop_plan` gives the playbook that stops a job, None for others' jobs."""

    def __init__(  # noqa: PLR0913 - called once, where the program is put together
        self,
        *,
        inventory: Inventory,
        runs: PlaybookRuns,
        waker: Waker,
        jobs: Latest[tuple[JobStatus, ...]],
        stop_plan: Callable[[str], Playbook | None],
        servers: Latest[tuple[FoundServer, ...]] | None = None,
        samples: Callable[[str], Latest[Sample | None]] | None = None,
    ) -> None:
        self._inventory = inventory
        self._runs = runs
        self._waker = waker
        self._jobs = jobs
        self._stop_plan = stop_plan
        self._servers = servers
        self._samples = samples
        runs.on_step.append(self._hear)

    def reboot_plan(self, node_id: str) -> PowerPlan:
        """What a restart would do. Raises PlanError when there is no such node."""
        return self._plan(node_id, is_reboot=True)

    def shutdown_plan(self, node_id: str) -> PowerPlan:
        """What a shut-down would do. Raises PlanError when there is no such node."""
        return self._plan(node_id, is_reboot=False)

    async def run(self, plan: PowerPlan, on_event: OnEvent) -> RunEnded:
        """Do it, to the end; the run is in the list of playbook runs as well. A cancelled caller does not end it."""
        return await self._runs.wait(self._runs.start(plan.playbook, on_event=on_event))

    def can_wake(self, node_id: str) -> str:
        """Why the node cannot be woken from here; "" when it can be tried. Unverified on hardware [wake-on-lan]."""
        status = self._status(node_id)
        if status.is_connected:
            return "It is awake."
        cluster = self._inventory.cluster.value
        if cluster is not None and cluster.is_simulated:
            return "A simulated Spark has no network card that could wake it."
        if not status.record.macs:
            return "The hardware address of its RJ45 port is not known: it was never read while the node was on."
        return ""

    async def wake(self, node_id: str) -> None:
        """Send the wake-up; whether it works shows when the node answers. Raises PlanError, Unreachable."""
        obstacle = self.can_wake(node_id)
        if obstacle:
            raise PlanError(f"It cannot be woken from here. {obstacle}", remedy="Press the power button of the Spark.")
        record = self._status(node_id).record
        addresses = tuple(dict.fromkeys(address for address, _port in addresses_of(record)))
        try:
            await self._waker.wake(record.macs, addresses)
        except Unreachable as error:
            raise Unreachable(error.message, remedy=error.remedy, detail=error.detail, node=record.name) from error
        self._inventory.expect_waking(node_id, WAKING)

    # Inside -----------------------------------------------------------------------------------------------------------

    def _plan(self, node_id: str, *, is_reboot: bool) -> PowerPlan:
        status = self._status(node_id)
        name = status.record.name
        ours: list[str] = []
        others: list[str] = []
        stops: list[Playbook] = []
        for job in self._jobs.value:
            if node_id in job.node_ids and not job.state.is_over:
                stop = self._stop_of(job)
                (others if stop is None else ours).append(_title(job))
                stops += [] if stop is None else [stop]
        servers = self._servers.value if self._servers is not None else ()
        others += [
            f"{server.title or 'a server'}, port {server.port}" for server in servers if server.node_id == node_id
        ]
        playbook = (
            reboot_playbook(node_id, name, new_id(), stops) if is_reboot else shutdown_playbook(node_id, name, stops)
        )
        return PowerPlan(node_id, playbook, (*ours, *others), self._warnings(status, others, is_reboot))

    def _warnings(self, status: NodeStatus, others: list[str], is_reboot: bool) -> tuple[str, ...]:
        found = []
        if others:
            found.append(f"Not started from here, and not asked to stop first: {', '.join(others)}.")
        if self._may_have_peer(status):
            found.append(PEER_WARNING)
        if not is_reboot:
            found.append(BUTTON_WARNING)
        if status.state is not NodeState.LIVE:
            found.append(f"{status.record.name} is not live now: {status.state.words.lower()}.")
        return tuple(found)

    def _may_have_peer(self, status: NodeStatus) -> bool:
        """Whether another Spark may hang on its CX-7 ports, known here or not. What is not known counts as a cable."""
        clusters = (*self._inventory.clusters.value, self._inventory.cluster.value)
        nodes = {node.id for cluster in clusters if cluster is not None for node in cluster.nodes}
        if nodes - {status.record.id}:
            return True
        sample = self._samples(status.record.id).value if self._samples is not None and status.is_live else None
        return sample is None or any(port.state is not PortState.DOWN for port in ports_of(sample))

    def _stop_of(self, job: JobStatus) -> Playbook | None:
        try:
            return self._stop_plan(job.job_id)
        except PlanError as error:
            log.info("no stop for %s: %s", job.job_id, error)
            return None

    def _status(self, node_id: str) -> NodeStatus:
        for status in self._inventory.nodes.value:
            if status.record.id == node_id:
                return status
        raise PlanError("There is no such node in this cluster", remedy="Choose one from the list.")

    def _hear(self, step: Step, event: StepEvent) -> None:
        """The order was given: from now on it is no error that the node goes."""
        absence = _ABSENCES.get(step.phase)
        if absence is None or not isinstance(event, StepEnded) or event.result != "done":
            return
        words, is_asleep = absence
        try:
            self._inventory.expect_absence(step.node, words, is_asleep)
        except KeyError:
            log.info("%s was removed meanwhile", step.node)


def _title(job: JobStatus) -> str:
    return f"{job.title}, of {job.owner}" if job.owner else job.title
