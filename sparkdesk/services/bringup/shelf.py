"""What a later start of the program needs to go on with a bring-up: its plan, by the id of its run.

The one rule: the run itself lives in its journal. What is kept here is a help: without it a bring-up is undone or
carried on all the same, and the nodes are read anew for the rest.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace

from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.bringup.kept_plan import plan_from_json, plan_to_json
from sparkdesk.core.bringup.plan import BringUpPlan
from sparkdesk.core.errors import PlanError
from sparkdesk.core.ports import Store
from sparkdesk.core.step import Playbook
from sparkdesk.core.untrusted import parse_object

log = logging.getLogger(__name__)

KIND = "bringup"
MAX_KEPT = 32
"""So many are kept with their plans. Of older ones that can still be taken back the id of the run stays, for ever."""
MAX_UNDONE = 8
MAX_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class KeptBringUp:
    """A bring-up that was begun. `plan_json` is that of core/bringup/kept_plan.py; "" once it is old."""

    run_id: str
    started_ms: int
    plan_json: str
    proof_run_id: str = ""
    """The run that measures, once it has begun."""
    is_over: bool = False
    """It was proved, or taken back: nothing is left to go on with."""
    chapters: frozenset[str] = frozenset()
    """Those that were asked for last; empty: all of them."""
    is_undone: bool = False
    """Nothing of it stands on any node any more."""

    def plan(self, playbook: Playbook) -> BringUpPlan | None:
        """The plan of this playbook; None where it cannot be understood, or is not kept, any more."""
        if not self.plan_json:
            return None
        try:
            return plan_from_json(self.plan_json.encode(), playbook)
        except PlanError as error:
            log.warning("the plan of %s: %s", self.run_id, error.sentence())
            return None


def keep_plan(run_id: str, plan: BringUpPlan, started_ms: int) -> KeptBringUp:
    """What is to be kept of a bring-up that begins."""
    return KeptBringUp(run_id, started_ms, plan_to_json(plan).decode("ascii"))


class BringUpShelf:
    """The bring-ups of this computer: the newest ones, and all that can still be taken back."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def save(self, kept: KeptBringUp) -> None:
        """Keep it, and forget of the oldest what is not needed to take them back. Raises StoreError."""
        await self._write(kept)
        found = await self.all()
        undone = [one for one in found if one.is_undone]
        gone = {one.run_id for one in (*undone[MAX_UNDONE:], *found[MAX_KEPT:]) if one.is_undone}
        for run_id in gone:
            await self._store.remove_document(KIND, run_id)
        for old in found[MAX_KEPT:]:
            if old.plan_json and old.run_id not in gone:
                await self._write(replace(old, plan_json=""))

    async def _write(self, kept: KeptBringUp) -> None:
        data = {
            "started_ms": kept.started_ms,
            "plan": kept.plan_json,
            "proof_run_id": kept.proof_run_id,
            "is_over": kept.is_over,
            "is_undone": kept.is_undone,
            "chapters": sorted(kept.chapters),
        }
        await self._store.save_document(KIND, kept.run_id, json.dumps(data).encode())

    async def newest(self) -> KeptBringUp | None:
        """The one that was begun last. Raises StoreError."""
        return next(iter(await self.all()), None)

    async def all(self) -> list[KeptBringUp]:
        """All that are kept, the newest first. Raises StoreError."""
        found = []
        for run_id, data in (await self._store.documents(KIND)).items():
            try:
                found.append(_read(run_id, data))
            except PlanError as error:
                log.warning("the bring-up %s is left out: %s", run_id, error.sentence())
                await self._store.remove_document(KIND, run_id)
        return sorted(found, key=lambda kept: kept.started_ms, reverse=True)


def _read(run_id: str, data: bytes) -> KeptBringUp:
    fields = parse_object(data, max_bytes=MAX_BYTES, what="bring-up")
    listed = fields.data.get("chapters")
    chapters = listed if isinstance(listed, list) else []
    return KeptBringUp(
        run_id=run_id,
        started_ms=fields.whole("started_ms", low=0, high=1 << 53),
        plan_json=fields.text("plan", max_chars=MAX_BYTES),
        proof_run_id=fields.text("proof_run_id", "", max_chars=64),
        is_over=fields.data.get("is_over") is True,
        is_undone=fields.data.get("is_undone") is True,
        chapters=frozenset(each.value for each in Chapter if each.value in chapters),
    )
