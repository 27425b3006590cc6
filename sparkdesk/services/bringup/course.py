"""The one course of a bring-up: what is done now, as a task, whose end is always told.

The one rule: a task can be cancelled before its first line runs, and then nothing within it can tell so; whoever waits
for its end hears of it from here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec

from sparkdesk.core.errors import SparkDeskError
from sparkdesk.services.tasks import Tasks

P = ParamSpec("P")

COURSE = "bring-up: course"


class Course:
    """`on_error` hears what failed, and `on_end` the end of the newest course, however it came; `on_end` is told
    whether it was cut short."""

    def __init__(self, tasks: Tasks, on_error: Callable[[str, str], None], on_end: Callable[[bool], None]) -> None:
        self._tasks = tasks
        self._on_error = on_error
        self._on_end = on_end
        self._newest: asyncio.Task[None] | None = None

    def go(self, work: Callable[P, Awaitable[None]], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Do it, instead of what is done now."""

        async def guarded() -> None:
            try:
                await work(*args, **kwargs)
            except SparkDeskError as error:
                self._on_error(error.message, error.remedy)

        self._newest = task = self._tasks.start_exclusive(COURSE, guarded)
        if task is not None:
            task.add_done_callback(self._end)

    def cancel(self) -> None:
        """Cut it short; where nothing is done, that is told at once."""
        if self._newest is None or self._newest.done():
            self._on_end(True)
        else:
            self._newest.cancel()

    def _end(self, task: asyncio.Task[None]) -> None:
        if task is self._newest:
            self._on_end(task.cancelled())
