"""Two ways for a value to reach those who watch it, with no event loop in either.

`Latest` conflates: who looks late sees the newest only (telemetry, states). `Stream` keeps order and is bounded: who
reads too slowly gets one `Lost(n)` item in place of what was dropped (tokens, step events, log lines). The one rule:
callbacks run at once, in the caller's thread, and must be cheap; a subscriber's exception is its own bug and flies.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


class Subscription:
    """A standing subscription; `close()` ends it and may be called twice."""

    __slots__ = ("_cancel",)

    def __init__(self, cancel: Callable[[], None]) -> None:
        self._cancel: Callable[[], None] | None = cancel

    def close(self) -> None:
        """End the subscription; nothing is called after this returns."""
        if self._cancel is not None:
            self._cancel()
            self._cancel = None


class Latest(Generic[T]):
    """A value that changes. Subscribers get the current value at once, then every change."""

    __slots__ = ("_subscribers", "_value")

    def __init__(self, value: T) -> None:
        self._value = value
        self._subscribers: dict[object, Callable[[T], None]] = {}

    @property
    def value(self) -> T:
        """The newest value."""
        return self._value

    def set(self, value: T) -> None:
        """Replace the value and tell every subscriber."""
        self._value = value
        for callback in tuple(self._subscribers.values()):
            callback(value)

    def subscribe(self, callback: Callable[[T], None]) -> Subscription:
        """Call `callback` with the current value now and with each later one."""
        token = object()
        self._subscribers[token] = callback

        def leave() -> None:
            self._subscribers.pop(token, None)

        callback(self._value)
        return Subscription(leave)


@dataclass(frozen=True, slots=True)
class Lost:
    """Stands in a stream where `count` items were dropped because the reader was too slow."""

    count: int


class StreamReader(Generic[T]):
    """One reader's bounded queue on a stream. `wake` is called when it goes from empty to not empty."""

    __slots__ = ("_cancel", "_items", "_lost", "_wake", "limit")

    def __init__(self, limit: int, wake: Callable[[], None], cancel: Callable[[], None]) -> None:
        self.limit = limit
        self._items: deque[T] = deque()
        self._lost = 0
        self._wake = wake
        self._cancel = cancel

    def put(self, item: T) -> None:
        """Add an item; drops the oldest one (counted) when full."""
        was_empty = not self._items
        if len(self._items) >= self.limit:
            self._items.popleft()
            self._lost += 1
        self._items.append(item)
        if was_empty:
            self._wake()

    def drain(self, limit: int | None = None) -> list[T | Lost]:
        """Take what waits, oldest first, with `Lost(n)` in front when items were dropped; at most `limit` items of it.

        Whoever leaves items behind comes again by itself: `wake` is called for the first item only.
        """
        items: list[T | Lost] = [Lost(self._lost)] if self._lost else []
        self._lost = 0
        if limit is None or limit >= len(self._items):
            items.extend(self._items)
            self._items.clear()
        else:
            items.extend(self._items.popleft() for _ in range(limit))
        return items

    @property
    def waits(self) -> bool:
        """Whether items are left to be drained."""
        return bool(self._items)

    def close(self) -> None:
        """Leave the stream."""
        self._cancel()


class Stream(Generic[T]):
    """An ordered feed with a bounded memory: a new reader first gets the last `keep` items."""

    __slots__ = ("_past", "_readers")

    def __init__(self, *, keep: int = 0) -> None:
        self._past: deque[T] = deque(maxlen=keep)
        self._readers: dict[object, StreamReader[T]] = {}

    def put(self, item: T) -> None:
        """Give the item to every reader."""
        self._past.append(item)
        for reader in tuple(self._readers.values()):
            reader.put(item)

    def read(self, wake: Callable[[], None], *, limit: int = 4096) -> StreamReader[T]:
        """Open a reader; `wake` is called when items wait (at once, if past items are kept).

        What is kept does not count against `limit`: a reader that has just come was not too slow for it.
        """
        token = object()

        def leave() -> None:
            self._readers.pop(token, None)

        reader: StreamReader[T] = StreamReader(limit + len(self._past), wake, leave)
        self._readers[token] = reader
        for item in self._past:
            reader.put(item)
        return reader

    @property
    def past(self) -> tuple[T, ...]:
        """The items that are kept for new readers."""
        return tuple(self._past)
