"""The one event loop of the application, asyncio's and Qt's in one thread (qasync), from its start to its end.

The one rule: nothing outlives it. Signals ask the application to close as its window does; what is left half done at
the end is ended here, in order, before Qt takes its objects away.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from typing import Any

import qasync
from PySide6.QtCore import QCoreApplication, QEvent, QObject, QSocketNotifier, QTimerEvent
from PySide6.QtWidgets import QApplication

from ui.collector import collecting_here

END_SIGNALS = (signal.SIGINT, signal.SIGTERM)
LAST_TASKS_TIMEOUT_S = 5.0
THREADS = 10
"""At most, for work that would hold the loop."""
ROUNDS = 3
"""Of calls that ask for others to be called at once, in one turn of Qt's loop: between two turns the window paints."""
LAST_TURNS = 20 * ROUNDS
"""Closing a connection takes a few turns of the loop: of the SSH library, of asyncio, and of those who are told."""


class _Waits(QObject):
    """Calls that are due later. Each has a timer of Qt's, which ends with the call, done or cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self._handles: dict[int, asyncio.TimerHandle] = {}
        self._timers: dict[int, int] = {}
        """By the handle's identity: handles of equal calls are equal."""

    def __len__(self) -> int:
        return len(self._timers)

    def add(self, handle: asyncio.TimerHandle, delay_s: float) -> None:
        """Run it after so long."""
        timer = self.startTimer(int(delay_s * 1000))
        self._handles[timer] = handle
        self._timers[id(handle)] = timer

    def drop(self, handle: asyncio.TimerHandle) -> None:
        """Run it no more; nothing where it has run."""
        timer = self._timers.pop(id(handle), None)
        if timer is not None:
            self.killTimer(timer)
            del self._handles[timer]

    def timerEvent(self, event: QTimerEvent) -> None:
        handle = self._handles.get(event.timerId())
        if handle is not None:
            self.drop(handle)
            handle._run()

    def clear(self) -> None:
        """Run none of them."""
        for handle in tuple(self._handles.values()):
            self.drop(handle)


class _Ready(QObject):
    """Calls that are due at once, in their order. One timer of Qt's stands for all of them."""

    def __init__(self) -> None:
        super().__init__()
        self._handles: deque[asyncio.Handle] = deque()
        self._timer = 0

    def add(self, handle: asyncio.Handle) -> None:
        """Run it in the next turn of Qt's loop."""
        self._handles.append(handle)
        if not self._timer:
            self._timer = self.startTimer(0)

    def timerEvent(self, event: QTimerEvent) -> None:
        self.killTimer(event.timerId())
        self._timer = -1
        try:
            # What these call at once runs in the same turn, a few times over: a read wakes a task, which wakes another.
            for _ in range(ROUNDS):
                for _ in range(len(self._handles)):
                    handle = self._handles.popleft()
                    if not handle.cancelled():
                        handle._run()
        finally:
            self._timer = self.startTimer(0) if self._handles else 0

    def __bool__(self) -> bool:
        return bool(self._handles)

    def clear(self) -> None:
        """Run none of them."""
        self._handles.clear()


class _Reader(QObject):
    """Calls when a file descriptor can be read, again and again, by one notifier of Qt's."""

    def __init__(self, loop: Loop, number: int) -> None:
        super().__init__()
        self._loop = loop
        self._handle: asyncio.Handle | None = None
        self._notifier = QSocketNotifier(number, QSocketNotifier.Type.Read, self)
        self._notifier.setEnabled(False)
        self._notifier.activated.connect(self._note)

    def begin(self, handle: asyncio.Handle) -> None:
        """Call this from now on."""
        self._handle = handle
        self._notifier.setEnabled(True)

    def end(self) -> bool:
        """Call nothing; tells whether anything was to be called."""
        was_begun, self._handle = self._handle is not None, None
        self._notifier.setEnabled(False)
        return was_begun

    def _note(self) -> None:
        """In its turn: what was called last time and waits to run may end this, as it does in asyncio's own loop."""
        if self._handle is not None and not self._loop.soon:
            self._handle._run()
            return
        self._notifier.setEnabled(False)
        if self._handle is not None:
            self._loop.call_soon(self._call, self._handle)

    def _call(self, handle: asyncio.Handle) -> None:
        if handle is self._handle:
            handle._run()
        if self._handle is not None:
            self._notifier.setEnabled(True)


class Loop(qasync.QEventLoop):  # type: ignore[misc]  # qasync is not annotated
    """qasync's loop, but what is cancelled is gone, and what pauses is kept.

    qasync keeps a cancelled call and its timer until it would have been due. Every token of an answer is waited for
    with a limit of a minute: at 200 a second 12,000 timers would stand at any time. And it makes a notifier anew each
    time a connection reads on, which is with every token too, and with each of them PySide loses count of None.
    And it makes a timer for each call that is due at once, of which a token took five. And its threads are objects of
    Qt's, ten at once and ten more with the next loop, which PySide ends when it likes, or never: here they are Python's
    own, made when there is work, and gone when the loop is closed.
    """

    def __init__(self, app: QApplication) -> None:
        self.waits = _Waits()
        """What is due later."""
        self.soon = _Ready()
        """What is due at once."""
        self._readers: dict[int, _Reader] = {}
        """By number. They stay: the next connection gets the number of one that was closed."""
        super().__init__(app)
        self.set_default_executor(ThreadPoolExecutor(THREADS, thread_name_prefix="loop"))

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """As asyncio's."""
        if delay <= 0:
            handle: asyncio.Handle = super().call_later(delay, callback, *args, context=context)
            return handle
        later = asyncio.TimerHandle(self.time() + delay, callback, args, self, context)
        self.waits.add(later, delay)
        return later

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        """As asyncio's."""
        handle = asyncio.Handle(callback, args, self, context)
        self.soon.add(handle)
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """asyncio's own hook: called by the handle."""
        self.waits.drop(handle)

    def _add_reader(self, fd: Any, callback: Callable[..., object], *args: Any) -> None:
        """asyncio's own hook: its transports call it."""
        number = _number_of(fd)
        if number not in self._readers:
            self._readers[number] = _Reader(self, number)
        self._readers[number].begin(asyncio.Handle(_unless_done(callback), args, self))

    def _remove_reader(self, fd: Any) -> bool:
        """asyncio's own hook."""
        reader = self._readers.get(_number_of(fd))
        return reader is not None and reader.end()

    def close(self) -> None:
        """As asyncio's."""
        self.waits.clear()
        self.soon.clear()
        for reader in self._readers.values():
            reader.end()
        super().close()


def _unless_done(callback: Callable[..., object]) -> Callable[..., object]:
    """A library waits with a future's own `set_result`: one that was cancelled in this very turn is left alone."""
    future = getattr(callback, "__self__", None)
    if not isinstance(future, asyncio.Future) or callback.__name__ != "set_result":
        return callback
    return lambda *args: None if future.done() else callback(*args)


def _number_of(fd: Any) -> int:
    return fd if isinstance(fd, int) else int(fd.fileno())


def run_in_loop(app: QApplication, main: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """Run `main` in a new loop to its end; gives its exit code. Its exceptions fly."""
    loop = Loop(app)
    with contextlib.closing(loop), _ended_generators(loop), collecting_here():
        asyncio.set_event_loop(loop)
        try:
            code: int = loop.run_until_complete(main())
        finally:
            loop.run_until_complete(_end_tasks())
            loop.run_until_complete(loop.shutdown_asyncgens())
            # Widgets that asked to be deleted go now, while their loop is there.
            QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
            gc.collect()
            asyncio.set_event_loop(None)
    return code


@contextlib.contextmanager
def _ended_generators(loop: Any) -> Iterator[None]:
    """Have the loop end generators that nobody reads on, as asyncio's own loop does and qasync's does not."""
    before = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(firstiter=loop._asyncgen_firstiter_hook, finalizer=loop._asyncgen_finalizer_hook)
    try:
        yield
    finally:
        sys.set_asyncgen_hooks(*before)


async def _end_tasks() -> None:
    """End what libraries started, and let what was closed close; our own tasks were ended by their supervisor."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=LAST_TASKS_TIMEOUT_S)
    for _ in range(LAST_TURNS):
        await asyncio.sleep(0)


@contextlib.contextmanager
def calling_on_signals(on_signal: Callable[[], None]) -> Iterator[None]:
    """Call `on_signal` in the loop when the process is asked to end (Ctrl+C, SIGTERM). Main thread only."""
    loop = asyncio.get_running_loop()
    # Python runs its handlers between two steps of Python code, and a waiting Qt takes none: a byte wakes it.
    reading, writing = socket.socketpair()
    reading.setblocking(False)
    writing.setblocking(False)

    def wake() -> None:
        with contextlib.suppress(BlockingIOError):
            reading.recv(4096)

    handlers = {number: signal.signal(number, lambda *_: on_signal()) for number in END_SIGNALS}
    woken_before = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    loop.add_reader(reading, wake)
    try:
        yield
    finally:
        loop.remove_reader(reading)
        signal.set_wakeup_fd(woken_before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        reading.close()
        writing.close()
