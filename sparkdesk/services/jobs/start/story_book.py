"""Keeps how jobs went with them, so that a row tells it after this program was started anew.

The one rule: a phase that began or ended is on the disk soon after, and before its job's end is; what cannot be written
or read is as if it had not been told, and keeps no job from anything.
"""

from __future__ import annotations

import logging

from sparkdesk.core.errors import SparkDeskError
from sparkdesk.core.jobs.record import PhaseState
from sparkdesk.core.jobs.story import Story
from sparkdesk.core.ports import Store
from sparkdesk.services.jobs.deployment import Deployment
from sparkdesk.services.tasks import Tasks

log = logging.getLogger(__name__)

STORIES = "job_story"


class StoryBook:
    """Reads once, and writes a job's story whenever it is another."""

    def __init__(self, store: Store, tasks: Tasks) -> None:
        self._store = store
        self._tasks = tasks
        self._kept: dict[str, Story] = {}
        self._forgotten: set[str] = set()
        """Jobs of which nothing is kept any more, unless they are taken up again."""
        self._is_read = False

    async def load(self) -> None:
        """Read what was kept, once."""
        if self._is_read:
            return
        try:
            found = await self._store.documents(STORIES)
        except SparkDeskError as error:
            log.warning("how jobs went: %s", error.sentence())
            return
        self._is_read = True
        for job_id, data in found.items():
            try:
                self._kept.setdefault(job_id, Story.from_json(data))
            except SparkDeskError as error:
                log.warning("how job %s went: %s", job_id, error.sentence())

    def recall(self, deployment: Deployment) -> None:
        """Tell the job what was kept of it."""
        self._forgotten.discard(deployment.job_id)
        story = self._kept.get(deployment.job_id)
        if story is not None:
            deployment.recall(story)

    def follow(self, deployment: Deployment) -> None:
        """It has changed: keep it beside what goes on, if a phase or a try of it is another."""
        if self._is_news(deployment):
            self._tasks.start_exclusive(_task_of(deployment.job_id), self.keep, deployment)

    async def keep(self, deployment: Deployment) -> None:
        """Keep it as it stands now; also what is told while it is being written."""
        while self._is_news(deployment):
            story = self._kept[deployment.job_id] = deployment.story
            try:
                await self._store.save_document(STORIES, deployment.job_id, story.to_json())
            except SparkDeskError as error:
                log.warning("how a job went is not kept: %s", error.sentence())
                return

    async def forget(self, job_id: str) -> None:
        """Its job is forgotten: what is being written of it ends, and no later story of it is kept."""
        self._forgotten.add(job_id)
        self._tasks.cancel(_task_of(job_id))
        self._kept.pop(job_id, None)
        try:
            await self._store.remove_document(STORIES, job_id)
        except SparkDeskError as error:
            log.warning("how a job went is not forgotten: %s", error.sentence())

    def _is_news(self, deployment: Deployment) -> bool:
        if deployment.job_id in self._forgotten:
            return False
        kept, story = self._kept.get(deployment.job_id), deployment.story
        if kept is None:
            return story.restarts > 0 or any(phase.state is not PhaseState.TO_DO for phase in story.phases)
        return kept.marks != story.marks


def _task_of(job_id: str) -> str:
    return f"story of {job_id}"
