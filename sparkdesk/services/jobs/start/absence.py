"""Says of a launch whose node does not answer that it is not known how far it is, and takes that back afterwards.

The one rule: nothing is decided here. What was begun goes on at the node, and the launch goes on waiting for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from sparkdesk.core.errors import SparkDeskError
from sparkdesk.core.jobs.record import JobState
from sparkdesk.core.ports import Shell
from sparkdesk.services.clock import Clock
from sparkdesk.services.jobs.deployment import Deployment

_ON_THE_WAY = (JobState.STARTING, JobState.LOADING)
REMEDY = "Wait until the node is back; a stop is carried out then."


class Absence:
    """Looks once a second whether the node of one launch is connected."""

    def __init__(self, deployment: Deployment, shells: Callable[[str], Shell], clock: Clock) -> None:
        self._deployment = deployment
        self._shells = shells
        self._clock = clock
        self._before: JobState | None = None
        self._message = ""

    def look(self) -> None:
        """See whether the node is there, and bring the job's state up to that."""
        deployment = self._deployment
        try:
            self._shells(deployment.node_id)
        except SparkDeskError:
            if deployment.status.state in _ON_THE_WAY:
                self._begin()
            return
        self.end()

    def _begin(self) -> None:
        deployment = self._deployment
        since = time.strftime("%H:%M:%S", time.localtime(self._clock.now_ms() / 1000))
        self._before = deployment.status.state
        self._message = f"Its node does not answer since {since}; what was begun goes on there"
        deployment.say(self._message, level="warning")
        deployment.change(JobState.UNKNOWN, message=self._message, remedy=REMEDY)

    def end(self) -> None:
        """It answers again: as it was before, unless more was learnt meanwhile."""
        status = self._deployment.status
        if self._before is not None and status.state is JobState.UNKNOWN and status.message == self._message:
            self._deployment.say("Its node answers again")
            self._deployment.change(self._before, message="")
        self._before = None
