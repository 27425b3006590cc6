"""What is kept of many bring-ups: each that stands can be taken back, and only the newest have their plans."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sparkdesk.core.step import Playbook
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.bringup.shelf import MAX_KEPT, MAX_UNDONE, BringUpShelf, KeptBringUp


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[BringUpShelf]:
    store = SqliteStore(tmp_path)
    await store.open()
    yield BringUpShelf(store)
    await store.close()


async def test_a_bring_up_that_stands_is_never_forgotten_and_an_old_one_loses_its_plan(shelf: BringUpShelf) -> None:
    for number in range(MAX_KEPT + 2):
        await shelf.save(KeptBringUp(f"r{number}", number, "{}"))
    kept = await shelf.all()
    assert [one.run_id for one in kept] == [f"r{number}" for number in reversed(range(MAX_KEPT + 2))]
    assert [one.run_id for one in kept if not one.plan_json] == ["r1", "r0"]
    assert kept[-1].plan(Playbook("Any", ())) is None


async def test_of_those_that_were_taken_back_only_the_newest_stay(shelf: BringUpShelf) -> None:
    await shelf.save(KeptBringUp("stands", 0, "{}"))
    for number in range(1, MAX_KEPT + 2):
        await shelf.save(KeptBringUp(f"r{number}", number, "{}", is_undone=True))
    kept = await shelf.all()
    assert [one.run_id for one in kept] == [*(f"r{MAX_KEPT + 1 - back}" for back in range(MAX_UNDONE)), "stands"]
    assert kept[-1].plan_json == "{}"
