"""Waits are stretched while nobody looks, and end at once when somebody does again."""

from __future__ import annotations

import asyncio

from sparkdesk.services.rhythm import Rhythm


async def test_a_pause_ends_by_itself() -> None:
    async with asyncio.timeout(20):
        await Rhythm().pause(0.01)


async def test_a_stretched_pause_goes_on_and_ends_at_once_when_its_plan_is_over() -> None:
    rhythm = Rhythm()
    rhythm.set_factor(10_000.0)
    pause = asyncio.ensure_future(rhythm.pause(0.02))
    await asyncio.sleep(0.1)
    assert not pause.done()
    rhythm.set_factor(1.0)
    async with asyncio.timeout(20):
        await pause


async def test_a_pause_is_never_shorter_than_its_plan() -> None:
    rhythm = Rhythm()
    rhythm.set_factor(10.0)
    pause = asyncio.ensure_future(rhythm.pause(1000.0))
    await asyncio.sleep(0.01)
    rhythm.set_factor(1.0)
    await asyncio.sleep(0.05)
    assert not pause.done()
    pause.cancel()


async def test_a_pause_under_way_is_stretched_too() -> None:
    rhythm = Rhythm()
    pause = asyncio.ensure_future(rhythm.pause(0.2))
    await asyncio.sleep(0.01)
    rhythm.set_factor(10_000.0)
    await asyncio.sleep(0.5)
    assert not pause.done()
    pause.cancel()
