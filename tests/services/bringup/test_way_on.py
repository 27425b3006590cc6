"""Whatever moment a person stops it in, or the program dies at: there is always a way on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sparkdesk.core.bringup.state import BringUpState, Phase
from tests.infra.sshd import Sshd
from tests.services.bringup.bringup_desk import Desk, Place, places
from tests.services.bringup.test_interrupted import kill_at, traces


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[list[Place], list[Sshd]]]:
    with places(tmp_path) as found:
        yield found


@pytest.fixture
async def desk(tmp_path: Path, nodes: tuple[list[Place], list[Sshd]]) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path, nodes[0])
    await desk.open()
    yield desk
    await desk.close()


async def test_a_stop_in_the_moment_in_which_the_run_is_done_stops_the_proof(desk: Desk) -> None:
    await desk.look()
    ended: list[Phase] = []

    def stop(state: BringUpState) -> None:
        if state.phase is Phase.PROVING and not ended:
            ended.append(state.phase)
            asyncio.get_running_loop().call_soon(desk.bring_up.cancel)

    desk.bring_up.state.subscribe(stop)
    desk.bring_up.start()
    state = await desk.until_in(Phase.FAILED, Phase.DONE)
    assert (state.phase, state.is_wanted) == (Phase.FAILED, True)
    assert state.message == "The proof was stopped; what was set up stands."
    desk.bring_up.resume()
    assert (await desk.until_in(Phase.FAILED, Phase.DONE)).phase is Phase.DONE


async def test_a_proof_that_is_asked_for_and_stopped_at_once_is_stopped(desk: Desk) -> None:
    await desk.look()
    desk.bring_up.prove()
    desk.bring_up.cancel()
    state = await desk.until_in(Phase.FAILED, Phase.DONE)
    assert (state.phase, state.is_wanted) == (Phase.FAILED, True)
    assert desk.runs.runs.value == {}


async def test_a_bring_up_that_is_stopped_before_it_began_begins_nothing(desk: Desk) -> None:
    await desk.look()
    desk.bring_up.start()
    desk.bring_up.cancel()
    state = await desk.until_in(Phase.PLANNED)
    assert "begun" in state.message
    await asyncio.sleep(0.3)
    assert (desk.runs.runs.value, traces(desk)) == ({}, set())
    desk.bring_up.start()
    assert (await desk.until_in(Phase.FAILED, Phase.DONE)).phase is Phase.DONE


async def test_what_is_carried_on_and_stopped_at_once_stands_as_it_is_and_can_be_carried_on(desk: Desk) -> None:
    (desk.home(2) / "broken").touch()
    await desk.look()
    desk.bring_up.start()
    await desk.until_in(Phase.FAILED)
    (desk.home(2) / "broken").unlink()
    desk.bring_up.resume()
    desk.bring_up.cancel()
    state = await desk.until_in(Phase.FAILED)
    assert state.is_wanted
    assert "spark-1: 1 of 3 steps done." in state.message
    await asyncio.sleep(0.3)
    assert desk.state.phase is Phase.FAILED
    desk.bring_up.resume()
    assert (await desk.until_in(Phase.FAILED, Phase.DONE)).phase is Phase.DONE


async def test_an_undo_that_is_stopped_at_once_takes_nothing_back_and_can_be_asked_for_again(desk: Desk) -> None:
    await desk.look()
    desk.bring_up.start()
    await desk.until(lambda state: bool(state.report_paths))
    before = traces(desk)
    desk.bring_up.undo()
    desk.bring_up.cancel()
    state = await desk.until_in(Phase.FAILED, Phase.UNDONE)
    assert (state.phase, state.is_wanted, traces(desk)) == (Phase.FAILED, True, before)
    desk.bring_up.undo()
    await desk.until_in(Phase.UNDONE)
    assert not (desk.home(1) / "kept").exists()


async def test_an_undo_of_nothing_says_that_nothing_was_changed_and_the_next_start_is_free(
    tmp_path: Path, nodes: tuple[list[Place], list[Sshd]]
) -> None:
    await kill_at(tmp_path, nodes[0], 1)
    desk = Desk(tmp_path, nodes[0])
    await desk.open()
    assert desk.state.phase is Phase.INTERRUPTED
    assert desk.state.undoable_count == 0
    desk.bring_up.undo()
    state = await desk.until_in(Phase.UNDONE, Phase.FAILED)
    assert (state.phase, state.message) == (Phase.UNDONE, "Nothing was changed.")
    assert (await desk.look()).phase is Phase.PLANNED
    await desk.close()
    desk = Desk(tmp_path, nodes[0])
    await desk.open()
    assert (desk.state.phase, await desk.store.unfinished_runs()) == (Phase.IDLE, ())
    await desk.close()


async def test_what_was_paused_before_anything_was_begun_can_be_left(
    tmp_path: Path, nodes: tuple[list[Place], list[Sshd]]
) -> None:
    desk = Desk(tmp_path, nodes[0])
    await desk.open()
    await desk.look()
    (desk.home(1) / "key").write_text("ours\n")
    (desk.home(2) / "key").write_text("ours\n")
    begin, is_held = desk.store.append_journal, False

    async def append(run_id: str, entry: bytes) -> None:
        nonlocal is_held
        await begin(run_id, entry)
        if not is_held:
            is_held = True
            desk.bring_up.pause()

    desk.store.append_journal = append  # type: ignore[method-assign]
    desk.bring_up.start()
    state = await desk.until_in(Phase.PAUSED, Phase.DONE)
    assert (state.phase, state.undoable_count) == (Phase.PAUSED, 0)
    desk.bring_up.undo()
    assert (await desk.until_in(Phase.UNDONE)).message == "Nothing was changed."
    assert await desk.store.unfinished_runs() == ()
    assert (await desk.look()).phase is Phase.PLANNED
    await desk.close()
