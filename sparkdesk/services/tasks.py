"""The supervisor of background work. The one rule: no task runs without an owner that hears how it ended.

Every task but the application's root is started here. An exception never ends another task: an expected one goes to
`on_error`, any other is a bug and goes to `on_bug`. After `close()` starting is a logged no-op, because a window
that is closing still sends signals.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import ParamSpec

from sparkdesk.core.bug import describe_bug
from sparkdesk.core.errors import SparkDeskError

P = ParamSpec("P")
log = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 10.0


class Tasks:
    """Starts, names, replaces and ends background work."""

    def __init__(
        self,
        *,
        on_error: Callable[[str, SparkDeskError], None] | None = None,
        on_bug: Callable[[str, BaseException], None] | None = None,
    ) -> None:
        self._running: dict[asyncio.Task[None], str] = {}
        self._exclusive: dict[str, asyncio.Task[None]] = {}
        self._is_closed = False
        self.on_error = on_error
        self.on_bug = on_bug

    def start(
        self, fn: Callable[P, Awaitable[object]], /, *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Task[None] | None:
        """Start `fn(*args, **kwargs)`; the task carries the function's name. None after `close()`."""
        return self._start(getattr(fn, "__qualname__", repr(fn)), fn, *args, **kwargs)

    def start_exclusive(
        self, key: str, fn: Callable[P, Awaitable[object]], /, *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Task[None] | None:
        """As `start`, but the running task of the same key is cancelled first (a new turn replaces the old)."""
        self.cancel(key)
        task = self._start(key, fn, *args, **kwargs)
        if task is not None:
            self._exclusive[key] = task
        return task

    def cancel(self, key: str) -> None:
        """Cancel the exclusive task of this key, if it runs."""
        task = self._exclusive.pop(key, None)
        if task is not None:
            task.cancel()

    def is_running(self, key: str) -> bool:
        """Whether the exclusive task of this key runs."""
        task = self._exclusive.get(key)
        return task is not None and not task.done()

    def _start(
        self, name: str, fn: Callable[P, Awaitable[object]], /, *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Task[None] | None:
        if self._is_closed:
            log.info("not started, closing: %s", name)
            return None

        async def guarded() -> None:
            try:
                await fn(*args, **kwargs)
            except SparkDeskError as error:
                log.warning("%s: %s", name, error.sentence())
                if self.on_error is not None:
                    self.on_error(name, error)
            except Exception as bug:  # noqa: BLE001 - reported, and it ends no other task
                log.error("bug in %s\n%s", name, describe_bug(bug))
                if self.on_bug is not None:
                    self.on_bug(name, bug)

        task = asyncio.get_running_loop().create_task(guarded(), name=name)
        self._running[task] = name
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[None]) -> None:
        name = self._running.pop(task, None)
        if name is not None and self._exclusive.get(name) is task:
            del self._exclusive[name]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of what runs now."""
        return tuple(self._running.values())

    async def close(self) -> None:
        """Cancel everything and wait, bounded; what does not end is named in the log."""
        self._is_closed = True
        running = list(self._running)
        for task in running:
            task.cancel()
        if running:
            _, left = await asyncio.wait(running, timeout=CLOSE_TIMEOUT_S)
            for task in left:
                log.error("did not end in %s s: %s", CLOSE_TIMEOUT_S, task.get_name())
