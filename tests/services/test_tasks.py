"""No exception is lost, none ends a neighbour, and nothing starts after closing."""

from __future__ import annotations

import asyncio

import pytest

from sparkdesk.core.errors import SparkDeskError, Unreachable
from sparkdesk.services.tasks import Tasks


async def fail_with(error: Exception) -> None:
    raise error


async def wait_for_ever(started: list[str], name: str) -> None:
    started.append(name)
    await asyncio.Event().wait()


async def test_an_expected_error_is_told_and_ends_no_other_task() -> None:
    told: list[SparkDeskError] = []
    tasks = Tasks(on_error=lambda _, error: told.append(error))
    started: list[str] = []
    tasks.start(wait_for_ever, started, "neighbour")
    tasks.start(fail_with, Unreachable("gone", remedy="Wait."))
    await asyncio.sleep(0.01)
    assert [error.message for error in told] == ["gone"]
    assert len(tasks.names) == 1
    await tasks.close()


@pytest.mark.expects_errors
async def test_a_bug_is_told_as_a_bug() -> None:
    bugs: list[BaseException] = []
    tasks = Tasks(on_bug=lambda _, bug: bugs.append(bug))
    tasks.start(fail_with, ZeroDivisionError("oops"))
    await asyncio.sleep(0.01)
    assert [type(bug) for bug in bugs] == [ZeroDivisionError]
    await tasks.close()


async def test_a_new_exclusive_task_replaces_the_old_one() -> None:
    tasks = Tasks()
    started: list[str] = []
    first = tasks.start_exclusive("turn", wait_for_ever, started, "first")
    await asyncio.sleep(0)
    tasks.start_exclusive("turn", wait_for_ever, started, "second")
    await asyncio.sleep(0.01)
    assert first is not None
    assert first.cancelled()
    assert started == ["first", "second"]
    assert tasks.is_running("turn")
    tasks.cancel("turn")
    await asyncio.sleep(0.01)
    assert not tasks.is_running("turn")
    await tasks.close()


async def test_closing_ends_everything_and_then_nothing_starts() -> None:
    tasks = Tasks()
    started: list[str] = []
    tasks.start(wait_for_ever, started, "one")
    await asyncio.sleep(0)
    await tasks.close()
    assert tasks.names == ()
    assert tasks.start(wait_for_ever, started, "late") is None
    assert started == ["one"]
