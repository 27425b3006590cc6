"""Waits until a feed's value is as wanted, without asking again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from sparkdesk.core.feed import Latest

T = TypeVar("T")


async def wait_for_value(latest: Latest[T], is_right: Callable[[T], bool], *, timeout_s: float) -> T:
    """The first value that is right, the current one included. Raises TimeoutError."""
    found: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    def look(value: T) -> None:
        if not found.done() and is_right(value):
            found.set_result(value)

    subscription = latest.subscribe(look)
    try:
        async with asyncio.timeout(timeout_s):
            return await found
    finally:
        subscription.close()
