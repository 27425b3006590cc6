"""Takes back what a bring-up did, and those before it: the newest first, as far as the nodes can be reached.

The one rule: on a node where something newer stands still, nothing older is taken back; what rests on a step goes with
it; what stands on a node that is gone for good is let go of by a person only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from sparkdesk.core.bringup.left_behind import left_words
from sparkdesk.core.bringup.plan import BringUpPlan
from sparkdesk.core.bringup.state import BringUpState, Phase
from sparkdesk.core.bringup.undo_stake import UndoStake, undo_question, undo_stakes
from sparkdesk.core.errors import PlanError
from sparkdesk.core.playbooks.run_view import PAUSED, RunView
from sparkdesk.core.step import RunEnded, Step, StepEvent
from sparkdesk.services.bringup.earlier import EarlierRuns
from sparkdesk.services.bringup.look import knows_any, nodes_of
from sparkdesk.services.bringup.parts import BringUpParts
from sparkdesk.services.bringup.resting import resting_words, steps_to_undo, with_resting
from sparkdesk.services.bringup.undo_words import UndoWords
from sparkdesk.services.bringup.words import let_go_words
from sparkdesk.services.playbooks.runs import Owner

NOT_TAKEN = "Nothing was taken back: what runs on the nodes goes on."


class TakingBack:
    """The undo of the run in sight and of those before it. `name_of` gives a node's name."""

    def __init__(self, parts: BringUpParts, earlier: EarlierRuns, name_of: Callable[[str], str]) -> None:
        self._parts = parts
        self._earlier = earlier
        self._name_of = name_of
        self.words = UndoWords(name_of)
        self.is_under_way = False
        """A run's undo is one of several then, whose end is told when all of them are over."""

    def part_of(self, run: RunView | None, only: frozenset[str] | None) -> RunView | None:
        """The run in sight, where something of it is to be taken back; `only`: these steps, and what rests on them."""
        wanted = with_resting(only)
        return run if run is not None and (run.undoable if wanted is None else run.undoable & wanted) else None

    def has_earlier(self, current: RunView | None, only: frozenset[str] | None) -> bool:
        """Whether something of the runs before the one in sight is to be taken back."""
        return self._earlier.can_undo(current, with_resting(only))

    async def may_take(self, current: RunView | None, only: frozenset[str] | None, told: Sequence[UndoStake]) -> bool:
        """Whether a person accepts what stops on the nodes: asked once, and only for what they were not `told` of
        before they wanted it. Raises PlanError where there is nobody to ask."""
        runs = (*(() if current is None else (current,)), *self._earlier.views(current))
        stakes = undo_stakes(steps_to_undo(runs, only), self._parts.busy())
        if set(stakes) <= set(told):
            return True
        if (ask := self._parts.runs.asks.confirm) is None:
            words = "Undo can stop what runs on the nodes, and there is nobody to ask"
            raise PlanError(words, remedy="Undo it from the window.")
        return await ask(undo_question(stakes, self._name_of))

    async def take(
        self, own: RunView | None, current: RunView | None, only: frozenset[str] | None
    ) -> tuple[RunView, ...]:
        """Take it back, or `only` these steps of it and what rests on them; gives the runs of which that could not be
        done. `own`: the one in sight, where something of it is to be taken back; `current`: the one in sight.

        Raises PlanError and StoreError.
        """
        self.is_under_way = True
        try:
            failed = await self._take(own, current, only)
            is_cut = any(run.result in ("cancelled", PAUSED) for run in failed)
            return failed if is_cut or only is not None else await self._let_go(failed, current)
        finally:
            self.is_under_way = False

    async def _take(
        self, own: RunView | None, current: RunView | None, only: frozenset[str] | None
    ) -> tuple[RunView, ...]:
        runs, blocked = self._parts.runs, set[str]()
        chosen, only = only, with_resting(only)
        failed: list[RunView] = []
        for run in (*(() if own is None else (own,)), *self._earlier.views(current)):
            free = {step.id for step in run.playbook.steps() if step.node not in blocked}
            wanted = run.undoable & free & (run.undoable if only is None else only)
            if not wanted:
                continue
            if run is not own:
                runs.own(run.run_id, Owner(partial(self._hear, run)))
            runs.undo(run.run_id, only if run is own else wanted)
            await runs.wait(run.run_id)
            ended = runs.runs.value[run.run_id]
            for words in resting_words(ended, wanted if chosen is None else chosen, wanted):
                self.words.add(words)
            if ended.result == "done":
                continue
            failed.append(ended)
            if ended.result in ("cancelled", PAUSED):
                break
            blocked |= {step.node for step in run.playbook.steps() if step.id in ended.undoable & wanted}
        return tuple(failed)

    def _hear(self, run: RunView, event: StepEvent) -> None:
        if isinstance(event, RunEnded):
            return
        for step in run.playbook.steps():
            if step.id == event.step_id:
                self.words.hear(step, event)

    async def _let_go(self, failed: tuple[RunView, ...], current: RunView | None) -> tuple[RunView, ...]:
        """Ask whether to let go of what stands on nodes that are in no cluster any more."""
        runs, ask = self._parts.runs, self._parts.runs.asks.confirm
        gone = {run.run_id: nodes for run in self._earlier.all_views(current) if (nodes := self._gone(run))}
        if ask is None or not gone:
            return failed
        names = dict.fromkeys(self._name_of(node_id) for nodes in gone.values() for node_id in nodes)
        titles = [step.title for run_id, nodes in gone.items() for step in _standing(runs.runs.value[run_id], nodes)]
        if not await ask(let_go_words(tuple(names), titles)):
            return failed
        for run_id, nodes in gone.items():
            await runs.let_go(run_id, nodes)
            let_go = runs.runs.value[run_id]
            for words in left_words(let_go, {node_id: self._name_of(node_id) for node_id in nodes_of(let_go)}):
                self.words.add(words)
        return tuple(run for one in failed if (run := runs.runs.value[one.run_id]).undoable)

    def _gone(self, run: RunView) -> tuple[str, ...]:
        """Nodes in no cluster on which something of the run stands."""
        nodes = dict.fromkeys(step.node for step in run.playbook.steps() if step.id in run.undoable)
        return tuple(node_id for node_id in nodes if not knows_any(self._parts.inventory, (node_id,)))


def as_before(before: BringUpState, plan: BringUpPlan | None) -> BringUpState:
    """What is shown where an undo was not accepted; a look that was under way ended when it was wanted."""
    at_rest = Phase.IDLE if plan is None else Phase.PLANNED
    phase = at_rest if before.phase is Phase.READING else before.phase
    return replace(before, phase=phase, message=NOT_TAKEN, remedy="")


def _standing(run: RunView, node_ids: Sequence[str]) -> list[Step]:
    return [step for step in run.playbook.steps() if step.id in run.undoable and step.node in node_ids]
