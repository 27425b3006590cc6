"""What becomes of the job whose place another one takes: it is stopped by steps of the other's launch.

The one rule: it is called stopped only when those steps ended well; otherwise its node is asked what became of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sparkdesk.core.jobs.record import JobState
from sparkdesk.core.jobs.timeline import SWITCH
from sparkdesk.core.step import Playbook, StepEnded, StepEvent
from sparkdesk.services.jobs.deployment import Deployment
from sparkdesk.services.jobs.job_shelf import JobShelf

_GOOD = ("done", "unchanged")


class Handover:
    """One job that leaves for another. `settle` is called once, when it is known whether it was stopped."""

    def __init__(
        self,
        leaving: Deployment,
        playbook: Playbook,
        shelf: JobShelf,
        watch: Callable[[Deployment], None],
        start: Callable[[Callable[[], Awaitable[object]]], object],
    ) -> None:
        """`watch` has the job's node be asked from then on; `start` starts a task."""
        self.leaving = leaving
        self._left = {step.id for step in playbook.steps() if step.phase == SWITCH}
        self._shelf = shelf
        self._watch = watch
        self._start = start
        self._is_settled = False

    async def begin(self) -> None:
        """It is being stopped: so it is written down too, so that it is not carried on after the program died."""
        if not self.leaving.status.state.is_over:
            self.leaving.say("Stopped to make room for another server")
            self.leaving.change(JobState.STOPPING, message="")
            self.leaving.set_stop_error("")
            await self._shelf.keep_state(self.leaving)

    def hear(self, event: StepEvent) -> None:
        """An event of the other's launch."""
        if not isinstance(event, StepEnded) or event.step_id not in self._left:
            return
        if event.result not in _GOOD:
            self._settle(event.message or "The stop was cut off")
            return
        self._left.discard(event.step_id)
        if not self._left:
            self._settle("")

    def end(self, *, is_known: bool) -> None:
        """The other's launch is over, or was carried on past these steps (`is_known`)."""
        self._settle("" if is_known else "The stop was cut off")

    def _settle(self, stop_error: str) -> None:
        if self._is_settled or self.leaving.status.state.is_over:
            return
        self._is_settled = True
        if stop_error:
            self.leaving.set_stop_error(stop_error)
            self.leaving.change(JobState.UNKNOWN, message="The stop is not verified", remedy="Stop it again.")
            self._watch(self.leaving)
            return
        self.leaving.skip_phases()
        self.leaving.change(JobState.STOPPED, message="", readings=())
        self._start(self._keep)

    async def _keep(self) -> None:
        await self._shelf.keep_state(self.leaving)
