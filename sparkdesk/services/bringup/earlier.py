"""The bring-ups before the one in sight: what of theirs still stands on the same nodes, and how it is taken back.

The one rule: a bring-up that failed and was followed by another one is not forgotten: until it is taken back too, the
nodes are not as they were. Nothing is done on nodes that a person did not pick.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sparkdesk.core.playbooks.run_view import RunView
from sparkdesk.services.bringup.shelf import BringUpShelf
from sparkdesk.services.playbooks.runs import PlaybookRuns


class EarlierRuns:
    """The runs of bring-ups on the shelf that touched these nodes, newest first."""

    def __init__(self, runs: PlaybookRuns, shelf: BringUpShelf) -> None:
        self._runs = runs
        self._shelf = shelf
        self._node_ids: frozenset[str] = frozenset()
        self._run_ids: tuple[str, ...] = ()

    async def find(self, node_ids: Sequence[str]) -> None:
        """Look for them; `views` has them from now on. Raises StoreError."""
        found = []
        for kept in await self._shelf.all():
            run = None if kept.is_undone else await self._runs.recall(kept.run_id)
            if run is not None and run.is_over and not run.undoable and kept.is_over:
                await self._shelf.save(replace(kept, is_undone=True))
            elif run is not None:
                found.append(kept.run_id)
        self._node_ids, self._run_ids = frozenset(node_ids), tuple(found)

    def knows(self, run_id: str) -> bool:
        """Whether it is one of them."""
        return run_id in self._run_ids

    def views(self, current: RunView | None) -> tuple[RunView, ...]:
        """Those of which something stands on these nodes, newest first, without the run in sight. Of each, only what
        belongs to these nodes counts as begun."""
        shown = self._runs.runs.value
        runs = (shown.get(run_id) for run_id in self._run_ids if current is None or run_id != current.run_id)
        parts = (self._part(run) for run in runs if run is not None)
        return tuple(run for run in parts if run.undoable)

    def _part(self, run: RunView) -> RunView:
        ours = {step.id for step in run.playbook.steps() if step.node in self._node_ids}
        return replace(run, begun=run.begun & ours)

    def can_undo(self, current: RunView | None, only: frozenset[str] | None) -> bool:
        """Whether something of theirs is to be taken back; `only`: of these steps."""
        return any(only is None or run.undoable & only for run in self.views(current))

    def all_views(self, current: RunView | None) -> tuple[RunView, ...]:
        """The run in sight and those that touched one of these nodes, each with all of its nodes."""
        shown = self._runs.runs.value
        runs = {run_id: shown[run_id] for run_id in self._run_ids if run_id in shown}
        found = [run for run in runs.values() if any(step.node in self._node_ids for step in run.playbook.steps())]
        return (*(() if current is None else (current,)), *(run for run in found if not _is(run, current)))

    def cancel(self) -> bool:
        """End what is being taken back; whether there was something."""
        shown = self._runs.runs.value
        under_way = [run_id for run_id in self._run_ids if run_id in shown and not shown[run_id].is_over]
        for run_id in under_way:
            self._runs.cancel(run_id)
        return bool(under_way)


def _is(run: RunView, other: RunView | None) -> bool:
    return other is not None and run.run_id == other.run_id
