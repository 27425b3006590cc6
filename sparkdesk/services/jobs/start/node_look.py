"""Looks at nodes again when what was seen of them may be another now: docker, ports, disk, images.

The one rule: one look at a node at a time, and the older view stands until the new one is there; what ended while a
look ran is looked at once more.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable

from sparkdesk.core.errors import SparkDeskError
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.ports import Shell
from sparkdesk.core.step import Step, StepEnded, StepEvent
from sparkdesk.services.clock import Clock
from sparkdesk.services.jobs.node_context import NodeContexts
from sparkdesk.services.tasks import Tasks

log = logging.getLogger(__name__)

_Stand = tuple[bool, bool]
"""Whether a job is over, and whether it is ready."""


class NodeLooks:
    """Reads nodes' surveys anew, in the background."""

    def __init__(self, contexts: NodeContexts, shells: Callable[[str], Shell], tasks: Tasks, clock: Clock) -> None:
        self._contexts = contexts
        self._shells = shells
        self._tasks = tasks
        self._clock = clock
        self._looked_s: dict[str, float] = {}
        self._again: set[str] = set()
        self._stands: dict[str, _Stand] = {}

    async def look(self, node_id: str, shell: Shell | None = None) -> None:
        """Look at a node now. Raises NodeError."""
        await self._contexts.refresh(node_id, shell or self._shells(node_id))
        self._looked_s[node_id] = self._clock.monotonic_s()

    def age_s(self, node_id: str) -> float:
        """How long ago the node was looked at; NaN when it was not."""
        looked_s = self._looked_s.get(node_id, math.nan)
        return self._clock.monotonic_s() - looked_s

    def start(self, node_ids: Iterable[str], *, has_changed: bool = False) -> None:
        """Look at these nodes in the background. One that is looked at now is left to that, unless it has changed."""
        for node_id in dict.fromkeys(node_ids):
            key = f"node look {node_id}"
            if not self._tasks.is_running(key):
                self._tasks.start_exclusive(key, self._look_until_known, node_id)
            elif has_changed:
                self._again.add(node_id)

    def follow_jobs(self, jobs: tuple[JobStatus, ...]) -> None:
        """A job that has become ready, or is over, leaves its nodes other than they were seen."""
        stands = {job.job_id: (job.state.is_over, job.state is JobState.READY) for job in jobs}
        nodes = {job.job_id: job.node_ids for job in jobs}
        for job_id, stand in stands.items():
            if any(stand) and self._stands.get(job_id, stand) != stand:
                self.start(nodes[job_id], has_changed=True)
        self._stands = stands

    def take_step(self, step: Step, event: StepEvent) -> None:
        """A step that a person ran has changed its node: a package, docker, an image, a file."""
        if isinstance(event, StepEnded) and event.result != "unchanged":
            self.start((step.node,), has_changed=True)

    async def _look_until_known(self, node_id: str) -> None:
        while True:
            self._again.discard(node_id)
            try:
                await self.look(node_id)
            except SparkDeskError as error:  # it is not connected: it is looked at when it comes
                log.info("look at a node: %s", error.sentence())
                return
            if node_id not in self._again:
                return
