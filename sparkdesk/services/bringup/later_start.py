"""What a later start of the program takes up of the last bring-up: its run, and the plan that it followed.

The one rule: the journal alone tells what was begun; a bring-up of which nothing can be carried on or taken back is
closed here, so that nobody is asked about it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sparkdesk.core.bringup.plan import BringUpPlan
from sparkdesk.core.playbooks.run_view import RunView
from sparkdesk.services.bringup.look import knows_any, nodes_of
from sparkdesk.services.bringup.parts import BringUpParts
from sparkdesk.services.bringup.shelf import BringUpShelf, KeptBringUp


@dataclass(frozen=True, slots=True)
class LeftBringUp:
    """The newest bring-up of an earlier process. `plan` None: it cannot be understood any more."""

    kept: KeptBringUp
    run: RunView
    plan: BringUpPlan | None


async def take_up(parts: BringUpParts, shelf: BringUpShelf) -> LeftBringUp | None:
    """Recall it; None where there is none, or none of its nodes is in a cluster any more. Raises StoreError."""
    kept = await shelf.newest()
    run = await parts.runs.recall(kept.run_id) if kept is not None else None
    if kept is None or run is None:
        return None
    is_known = knows_any(parts.inventory, nodes_of(run))
    if run.is_all_back or not is_known:  # only its journal's last line is missing; or nothing can be done with it
        await parts.runs.set_aside(run.run_id)
        kept = replace(kept, is_over=True)
        await shelf.save(kept)
    return LeftBringUp(kept, parts.runs.runs.value[run.run_id], kept.plan(run.playbook)) if is_known else None
