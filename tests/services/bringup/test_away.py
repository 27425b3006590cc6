"""A node that is off, or gone for good: the others are taken back, and what stands on it is told until it is let go."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sparkdesk.core.bringup.state import Phase
from tests.infra.sshd import Sshd
from tests.services.bringup.bringup_desk import Desk, Place, places
from tests.services.bringup.test_undo_of_all_runs import bring_up_anew, fail, traces


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[list[Place], list[Sshd]]]:
    with places(tmp_path) as found:
        yield found


@pytest.fixture
async def desk(tmp_path: Path, nodes: tuple[list[Place], list[Sshd]]) -> AsyncIterator[Desk]:
    made = Desk(tmp_path, nodes[0])
    await made.open()
    yield made
    await made.close()


async def until_live(desk: Desk, *, is_live: bool) -> None:
    """Until it is known that the second node is there, or away."""
    async with asyncio.timeout(60):
        while desk.fleet.inventory.status("spark-2").is_live is not is_live:
            await asyncio.sleep(0.05)


async def test_what_the_others_hold_is_taken_back_and_the_rest_when_the_node_is_there_again(
    desk: Desk, nodes: tuple[list[Place], list[Sshd]]
) -> None:
    await fail(desk)
    await bring_up_anew(desk)
    nodes[1][1].stop()
    await until_live(desk, is_live=False)
    desk.bring_up.undo(frozenset({"keys-spark-1"}))
    state = await desk.until_in(Phase.UNDONE, Phase.FAILED)
    assert (state.phase, traces(desk)) == (Phase.UNDONE, {"1/group", "1/kept", "2/key", "2/group", "2/kept"})
    desk.bring_up.undo()
    state = await desk.until_in(Phase.FAILED, Phase.UNDONE)
    assert (state.phase, traces(desk)) == (Phase.FAILED, {"2/key", "2/group", "2/kept"})
    assert "spark-2 could not be reached" in state.message
    assert "Then undo again" in state.remedy
    assert state.undoable_count == 3, "of the run in sight and of the one before it"
    assert desk.questions == []
    nodes[1][1].start()
    await until_live(desk, is_live=True)
    desk.bring_up.undo()
    state = await desk.until_in(Phase.FAILED, Phase.UNDONE)
    assert (state.phase, state.undoable_count, traces(desk)) == (Phase.UNDONE, 0, set())


async def test_a_node_that_was_removed_is_let_go_of_when_a_person_says_so(
    desk: Desk, nodes: tuple[list[Place], list[Sshd]]
) -> None:
    await fail(desk)
    nodes[1][1].stop()
    await desk.fleet.inventory.remove_node("spark-2")
    desk.says_yes = False
    desk.bring_up.undo()
    state = await desk.until_in(Phase.FAILED, Phase.UNDONE)
    assert (state.phase, traces(desk)) == (Phase.FAILED, {"2/key", "2/group"})
    assert "spark-2: 2 steps could not be taken back, 0 of 2 steps undone." in state.message
    (question,) = desk.questions
    assert question.startswith("spark-2 is in no cluster any more, and what these steps did stands there:")
    desk.says_yes = True
    desk.bring_up.undo()
    state = await desk.until(lambda state: state.phase is Phase.UNDONE and bool(state.report_paths))
    left = (
        "spark-2 was let go of, and this stands there: Write the key of spark-2; "
        "Put the user of spark-2 into the group docker"
    )
    assert (state.undoable_count, state.undo_words) == (0, (left,))
    markdown, data = (desk.saved[path] for path in state.report_paths)
    assert "spark-2: let go of, and what 2 of 3 steps did stands there." in markdown.decode()
    assert f"{left}." in json.loads(data)["left_behind"]
    assert await desk.store.unfinished_runs() == ()


async def test_one_node_alone_is_taken_back_after_the_other_was_removed(
    desk: Desk, nodes: tuple[list[Place], list[Sshd]]
) -> None:
    await fail(desk)
    nodes[1][1].stop()
    await desk.fleet.inventory.remove_node("spark-2")
    await desk.bring_up.look(("spark-1",))
    assert desk.state.undoable_count == 3
    desk.bring_up.undo()
    state = await desk.until_in(Phase.FAILED, Phase.UNDONE)
    assert (state.phase, state.undoable_count, traces(desk)) == (Phase.UNDONE, 0, {"2/key", "2/group"})
    assert len(state.undo_words) == 1


async def test_an_undo_that_reached_nobody_leaves_the_way_on(desk: Desk, nodes: tuple[list[Place], list[Sshd]]) -> None:
    (desk.home(2) / "broken").touch()
    await desk.look()
    desk.bring_up.start()
    await desk.until_in(Phase.FAILED)
    for _, server in zip(range(2), nodes[1], strict=True):
        server.stop()
    await until_live(desk, is_live=False)
    desk.bring_up.undo()
    await desk.until_in(Phase.UNDOING)
    state = await desk.until_in(Phase.FAILED)
    assert state.run is not None
    assert (state.run.can_resume, state.undoable_count) == (True, 2)
    (desk.home(2) / "broken").unlink()
    for server in nodes[1]:
        server.start()
    async with asyncio.timeout(60):
        while not all(desk.fleet.inventory.status(one).is_live for one in desk.ids()):
            await asyncio.sleep(0.05)
    desk.bring_up.resume()
    assert (await desk.until_in(Phase.DONE, Phase.FAILED)).phase is Phase.DONE
