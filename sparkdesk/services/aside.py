"""Work that would hold the loop, done in a thread that the loop does not wait for at its end.

The one rule: the thread may hang for ever (a dead network drive), and nothing else stops for that: who waits gives up
after a time of its own, and the end of the program does not wait. `asyncio.to_thread` would, with its pool.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

T = TypeVar("T")


async def run_aside(
    work: Callable[[], T], *, start: Callable[[Callable[[], None]], None], errors: tuple[type[Exception], ...]
) -> T:
    """What `work` gives. `start` has it run in a thread. Raises what it raises of `errors`; it must raise no others."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def settle(give: Callable[[], None]) -> None:
        if not result.done():
            give()

    def run() -> None:
        try:
            value = work()
            give: Callable[[], None] = partial(result.set_result, value)
        except errors as error:
            give = partial(result.set_exception, error)
        try:
            loop.call_soon_threadsafe(settle, give)
        except RuntimeError:
            pass  # the program ended meanwhile

    start(run)
    return await result
