"""A bring-up in parts: chapters by themselves, what was proved before something came to pass, a look once more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sparkdesk.core.bringup.matrix import CellState
from sparkdesk.core.bringup.proof.measurement import Grade
from sparkdesk.core.bringup.state import BringUpState, Phase
from tests.infra.sshd import Sshd
from tests.services.bringup.bringup_desk import Desk, Place, places


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


def done_of(state: BringUpState) -> set[str]:
    run = state.run
    steps = run.playbook.steps() if run is not None else ()
    return {step.phase for step in steps if run is not None and run.step(step.id).state == "done"}


async def test_a_chapter_that_failed_is_continued_by_itself_and_no_other_begins(desk: Desk) -> None:
    await desk.look()
    (desk.home(2) / "broken").touch()
    desk.bring_up.start(frozenset({"keys"}))
    state = await desk.until_in(Phase.FAILED)
    assert state.chapters == {"keys"}
    (desk.home(2) / "broken").unlink()
    desk.bring_up.resume()
    state = await desk.until_in(Phase.PAUSED)
    assert (done_of(state), state.measurements) == ({"keys"}, ())
    desk.bring_up.resume()
    state = await desk.until(lambda state: bool(state.report_paths))
    assert done_of(state) == {"keys", "docker", "network"}
    assert state.chapters == frozenset()


async def test_another_chapter_can_be_applied_where_one_has_failed(desk: Desk) -> None:
    await desk.look()
    (desk.home(2) / "broken").touch()
    desk.bring_up.start(frozenset({"keys"}))
    await desk.until_in(Phase.FAILED)
    desk.bring_up.start(frozenset({"docker"}))
    state = await desk.until_in(Phase.PAUSED, Phase.FAILED)
    assert (desk.home(1) / "group").exists()
    assert "network" not in done_of(state)


async def test_what_was_proved_stays_with_its_age_after_a_look_and_an_undo(desk: Desk) -> None:
    await desk.look()
    desk.bring_up.start()
    state = await desk.until(lambda state: bool(state.report_paths))
    assert (state.past_proof, state.proved_ms is not None) == ("", True)
    shown: list[BringUpState] = []
    desk.bring_up.state.subscribe(shown.append)
    state = await desk.look()
    assert [one.grade for one in state.measurements] == [Grade.PASS, Grade.PASS]
    assert state.past_proof == "before this look"
    assert all(one.matrix.rows for one in shown), "what is read again stays in sight"
    desk.bring_up.start()
    state = await desk.until(lambda state: state.phase is Phase.DONE and bool(state.report_paths))
    assert state.past_proof == ""
    desk.bring_up.undo()
    state = await desk.until_in(Phase.UNDONE)
    assert (state.past_proof, len(state.measurements)) == ("before the undo", 2)
    assert {cell.state for row in state.matrix.rows for cell in row.cells.values()} == {CellState.UNDONE}
