"""A whole SparkDesk without its window that brings Sparks of a lab up, with a person who answers as a test says.

The one rule: what is done here is what the page's buttons do; nothing reaches round the services.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from sparkdesk import paths
from sparkdesk.app.stack import Stack
from sparkdesk.core.bringup.case import Choices
from sparkdesk.core.bringup.plan import BringUpPlan
from sparkdesk.core.bringup.state import BringUpState, Phase
from sparkdesk.core.cluster.node import ClusterRecord, NodeRecord
from sparkdesk.services.playbooks.root import SharedPassword
from sparkdesk.services.playbooks.runner import Asks
from sparkdesk.services.wait import wait_for_value
from tests.lab.bringup.spark_lab import IMAGE
from tests.lab.lab import PASSWORD, Lab

WAIT_S = 200.0
"""However slow the machine is."""
CHOICES = Choices(image=IMAGE)
OVER = (Phase.DONE, Phase.FAILED, Phase.UNDONE, Phase.PAUSED, Phase.INTERRUPTED)


class BringUpDesk:
    """The services, and the person. `passwords`: what they type for a node, by its name; else the lab's for all."""

    def __init__(self, stack: Stack, lab: Lab) -> None:
        self.stack = stack
        self.lab = lab
        self.bring_up = stack.bring_up
        self.passwords: dict[str, str] = {}
        self.asked: list[str] = []
        self.running: asyncio.Future[object] | None = None
        """What a test does beside it."""
        self.node_ids = tuple(node.name for node in lab.nodes)
        stack.runner.asks = Asks(self._confirm, self._give_password, self._refuse_break)

    @property
    def state(self) -> BringUpState:
        """How it stands."""
        return self.bring_up.state.value

    async def _confirm(self, _question: str) -> bool:
        return True

    async def _refuse_break(self, _holder: object) -> bool:
        return False

    async def _give_password(self, node_id: str, why: str) -> str | SharedPassword | None:
        self.asked.append(f"{node_id}: {why}")
        return self.passwords.get(node_id) or SharedPassword(PASSWORD)

    async def look(self, choices: Choices = CHOICES, node_ids: Sequence[str] = ()) -> BringUpPlan:
        """Read, and plan; a plan that cannot run is an error."""
        await self.bring_up.look(tuple(node_ids) or self.node_ids, choices)
        assert self.state.phase is Phase.PLANNED, self.words()
        assert self.state.plan is not None
        return self.state.plan

    async def until(self, *phases: Phase, is_so: Callable[[BringUpState], bool] | None = None) -> BringUpState:
        """Until it stands so."""
        try:
            return await wait_for_value(
                self.bring_up.state,
                lambda state: state.phase in phases and (is_so is None or is_so(state)),
                timeout_s=WAIT_S,
            )
        except TimeoutError:
            raise AssertionError(f"never {phases}: {self.words()}") from None

    async def apply(self, *wanted: Phase) -> BringUpState:
        """Press the button and wait for the end, the proof and the report included."""
        self.bring_up.start()
        return await self._end_in(*wanted or (Phase.DONE,))

    async def resume(self, *wanted: Phase) -> BringUpState:
        """Go on where it stopped."""
        self.bring_up.resume()
        return await self._end_in(*wanted or (Phase.DONE,))

    async def undo(self, *step_ids: str) -> BringUpState:
        """Take everything back, or these steps."""
        self.bring_up.undo(frozenset(step_ids) or None)
        return await self._end_in(Phase.UNDONE)

    async def _end_in(self, *wanted: Phase) -> BringUpState:
        await self.until(*_UNDER_WAY)
        state = await self.until(*OVER, is_so=lambda now: now.phase is not Phase.DONE or bool(now.report_paths))
        assert state.phase in wanted, self.words()
        return state

    def words(self) -> str:
        """How it stands, for a person who reads a failed test."""
        state = self.state
        lines = [f"{state.phase}: {state.message} | {state.remedy}"]
        for run in (state.run, state.proof_run):
            if run is not None:
                lines.append(f"run {run.result!r}: {run.message}")
                lines += [
                    f"  {step_id}: {view.state} {view.part} {view.text} {view.remedy}"
                    for step_id, view in run.steps.items()
                    if view.state not in ("done", "unchanged", "undone", "waiting")
                ]
                lines.append(run.output[-3000:])
        if state.plan is not None:
            lines += [f"obstacle: {one}" for one in state.plan.obstacles]
        return "\n".join(lines)

    async def open(self, records: Sequence[NodeRecord] = ()) -> None:
        """Open the store and the cluster, until its nodes are live and what was left half done is offered."""
        await self.stack.open()
        known = await self.stack.known_clusters()
        told = ClusterRecord("lab", "Lab", tuple(records) or tuple(node.record() for node in self.lab.nodes))
        await self.stack.inventory.open(known[0] if known else told)
        await self.until_live(*self.node_ids)

    async def reconnect(self, node_id: str) -> None:
        """Try now, as a person who knows that it is back; the next attempt by itself may be half a minute away."""
        self.stack.inventory.reconnect(node_id)
        await self.until_live(node_id)

    async def until_live(self, *node_ids: str) -> None:
        """Until these nodes are connected."""
        await wait_for_value(
            self.stack.inventory.nodes,
            lambda nodes: all(node.is_live for node in nodes if node.record.id in node_ids),
            timeout_s=WAIT_S,
        )


_UNDER_WAY = (Phase.RUNNING, Phase.PROVING, Phase.UNDOING, *OVER)


@asynccontextmanager
async def opened_bring_up(lab: Lab, folder: Path | None = None) -> AsyncIterator[BringUpDesk]:
    """A desk whose cluster is the lab's. `folder` None: the test's own home."""
    stack = Stack(folder=folder or paths.data_dir())
    desk = BringUpDesk(stack, lab)
    try:
        await desk.open()
        yield desk
    finally:
        async with asyncio.timeout(WAIT_S):
            await stack.close()
