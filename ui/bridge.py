"""The only place where feeds and tasks meet Qt.

`watch` carries a Latest into a slot, `StreamPump` empties a Stream into one at a bounded rate, `Bridge` starts
coroutines from slots and turns a dialog's answer into something to await. The one rule: nothing here, or in any
view-model, blocks or calls `.exec()`.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, ParamSpec, TypeVar

from PySide6.QtCore import QObject, QTimer

from sparkdesk.core.errors import SparkDeskError
from sparkdesk.core.feed import Latest, Lost, Stream, StreamReader, Subscription
from sparkdesk.services.tasks import Tasks

T = TypeVar("T")
P = ParamSpec("P")

MOST_AT_ONCE = 4096
"""Items of a stream that a slot gets in one call."""


def watch(latest: Latest[T], parent: QObject, slot: Callable[[T], None]) -> Subscription:
    """Call `slot` with the value now and at each change, until `parent` is destroyed or the result is closed."""
    subscription = latest.subscribe(slot)
    return Subscription(_end_with(parent, subscription.close))


def _end_with(parent: QObject, close: Callable[[], None]) -> Callable[[], None]:
    """Call `close` when `parent` is destroyed; gives what calls it before, and leaves nothing with the parent then."""
    # Through a function: Qt wants to refer weakly to a method's object, which may have slots and no room for that.
    connection = parent.destroyed.connect(lambda: close())

    def end() -> None:
        QObject.disconnect(connection)
        close()

    return end


def make_turns() -> AbstractAsyncContextManager[None]:
    """A gate that lets through one after the other, in the order of coming: for questions to a person."""
    return asyncio.Lock()


def telling(
    tell: Callable[[SparkDeskError], None], fn: Callable[P, Awaitable[object]]
) -> Callable[P, Coroutine[Any, Any, None]]:
    """The same work, whose expected errors are given to `tell` and not to the application's banner."""

    async def told(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            await fn(*args, **kwargs)
        except SparkDeskError as error:
            tell(error)

    return told


class StreamPump(QObject, Generic[T]):
    """Empties a stream into `slot(items)`: at once after a pause, then at most `rate_hz` times a second."""

    def __init__(
        self, stream: Stream[T], slot: Callable[[list[T | Lost]], None], *, rate_hz: float, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._slot = slot
        self._interval_ms = 0
        self._rest = QTimer(self)
        """Runs from the first item until the next update."""
        self._due_s = 0.0
        """Before this it is too early for one."""
        self._rest.setSingleShot(True)
        self._rest.timeout.connect(self._flush)
        self.set_rate(rate_hz)
        self._reader: StreamReader[T] = stream.read(self._wake, limit=16384)
        self._end = _end_with(parent, self._reader.close)

    def set_rate(self, rate_hz: float) -> None:
        """Change the most updates a second."""
        self._interval_ms = max(1, round(1000 / rate_hz))

    def _wake(self) -> None:
        # Through the event loop even for the first item: the slot must never run inside the producer's call.
        if not self._rest.isActive():
            self._rest.start(max(0, math.ceil((self._due_s - time.perf_counter()) * 1000)))

    def _flush(self) -> None:
        items = self._reader.drain(MOST_AT_ONCE)
        if not items:
            return
        begun_s = time.perf_counter()
        self._slot(items)
        # From the start of the slot: what comes in even steps must not fall behind. Yet a slow slot leaves room.
        rest_s = self._interval_ms / 1000
        self._due_s = max(begun_s + rest_s, time.perf_counter() + rest_s / 2)
        if self._reader.waits:
            # What is left is taken in pieces, so that the window stays alive over 50,000 lines of a log.
            self._rest.start(0 if len(items) >= MOST_AT_ONCE else self._interval_ms // 2)

    def close(self) -> None:
        """Stop reading; what waits is dropped."""
        self._rest.stop()
        self._end()


class Bridge(QObject):
    """Starts background work for slots."""

    def __init__(self, tasks: Tasks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tasks = tasks

    def start(self, fn: Callable[P, Awaitable[object]], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Start a coroutine function; its errors reach the application's error banner."""
        self._tasks.start(fn, *args, **kwargs)

    def start_exclusive(
        self, key: str, fn: Callable[P, Awaitable[object]], /, *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Start a coroutine function in place of the one that runs under the same key."""
        self._tasks.start_exclusive(key, fn, *args, **kwargs)

    def cancel(self, key: str) -> None:
        """Cancel the exclusive work of this key."""
        self._tasks.cancel(key)

    @staticmethod
    async def ask(dialog: Any) -> int:
        """Open a QDialog without blocking and await its result code."""
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def settle(code: int) -> None:
            if not answer.done():
                answer.set_result(code)

        dialog.finished.connect(settle)
        dialog.open()
        try:
            return await answer
        finally:
            dialog.deleteLater()
