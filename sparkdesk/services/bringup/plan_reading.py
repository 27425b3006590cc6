"""Reads the nodes and makes the plan of how they are; before an older plan runs, it is seen whether it is true still.

The one rule: what runs is what was shown: where the nodes have changed since, nothing runs, and the new plan is shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from sparkdesk.core.bringup.case import Choices
from sparkdesk.core.bringup.plan import BringUpPlan
from sparkdesk.core.bringup.proof.image_choice import common_images
from sparkdesk.core.feed import Latest
from sparkdesk.services.bringup.look import FRESH_S, Tell, read_case
from sparkdesk.services.bringup.parts import BringUpParts


class PlanReading:
    """The readings of one bring-up. `tell` hears how far one is."""

    def __init__(self, parts: BringUpParts, tell: Tell) -> None:
        self._parts = parts
        self._tell = tell
        self._began_s = 0.0
        self.images: Latest[tuple[str, ...]] = Latest(())
        """Container images that are on all nodes, as they were read last."""

    async def plan(
        self, node_ids: Sequence[str], choices: Choices, *, max_age_s: float = FRESH_S, mark: str = ""
    ) -> BringUpPlan:
        """Read, and plan. `mark`: that of another plan, with which it is to be compared."""
        self._began_s = self._parts.clock.monotonic_s()
        case = await read_case(self._parts, node_ids, choices, self._tell, max_age_s=max_age_s)
        images = common_images(case)
        if images != self.images.value:
            self.images.set(images)
        case = replace(case, mark=mark or case.mark)
        return await asyncio.to_thread(self._parts.plan, case, self._parts.clock.now_ms())

    @property
    def is_old(self) -> bool:
        """Whether the newest plan is so old that the nodes are to be read again before it runs."""
        return self._parts.clock.monotonic_s() - self._began_s >= self._parts.fresh_s

    async def changed(self, plan: BringUpPlan) -> BringUpPlan | None:
        """The plan of how the nodes are now, where that would change them in another way than this one."""
        now = await self.plan(plan.node_ids, plan.choices, mark=plan.mark)
        is_same = (plan.playbook, plan.diffs, plan.obstacles) == (now.playbook, now.diffs, now.obstacles)
        return None if is_same else now
