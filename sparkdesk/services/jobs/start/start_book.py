"""What is remembered of launches beyond their jobs: how long they took, and the last one asked for.

The one rule: it is a memory, not a truth: what cannot be read or written is as if it had never been.
"""

from __future__ import annotations

import logging

from sparkdesk.core.errors import PlanError, SparkDeskError
from sparkdesk.core.jobs.plan_json import request_from_json
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.jobs.start_time import StartTimes, start_key
from sparkdesk.core.ports import Store
from sparkdesk.services.jobs.deployment import Deployment

log = logging.getLogger(__name__)

START_TIMES = "start_times"
LAST_LAUNCH = "last_launch"
LAST = "last"


class StartBook:
    """Reads once, keeps in memory, writes through."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._starts: dict[str, StartTimes] = {}
        self._is_read = False
        self.last_request: LaunchRequest | None = None
        """What was launched last from this computer; None before the first launch, or before `load`."""

    async def load(self) -> None:
        """Read what was kept, once."""
        if self._is_read:
            return
        self._is_read = True
        try:
            kept = await self._store.documents(START_TIMES)
            last = await self._store.documents(LAST_LAUNCH)
        except SparkDeskError as error:
            log.warning("earlier starts: %s", error.sentence())
            return
        self._starts = {key: StartTimes.from_json(data) for key, data in kept.items()} | self._starts
        if self.last_request is None and LAST in last:
            try:
                self.last_request = request_from_json(last[LAST])
            except PlanError as error:
                log.warning("the last launch: %s", error.sentence())

    def of(self, request: LaunchRequest) -> StartTimes:
        """What starts like this one took."""
        return self._starts.get(start_key(request), StartTimes())

    async def note_launch(self, request: LaunchRequest) -> None:
        """This is launched now."""
        self.last_request = request
        await self._save(LAST_LAUNCH, LAST, request.model_dump_json().encode())

    async def note_ready(self, deployment: Deployment) -> None:
        """It became ready: its phases count for the next start, if they were seen from the first to the last."""
        if deployment.plan is None or deployment.was_resumed or deployment.status.restarts:
            return
        key = start_key(deployment.plan.request)
        before = self._starts.get(key, StartTimes())
        after = before.with_start(deployment.status.phases)
        if after != before:
            self._starts[key] = after
            await self._save(START_TIMES, key, after.to_json())

    async def _save(self, kind: str, document_id: str, data: bytes) -> None:
        try:
            await self._store.save_document(kind, document_id, data)
        except SparkDeskError as error:
            log.warning("not remembered: %s", error.sentence())
