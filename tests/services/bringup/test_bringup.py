"""A bring-up of two nodes behind real SSH servers, from the first look to the report and back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sparkdesk.core.bringup.matrix import CellState
from sparkdesk.core.bringup.proof.measurement import Grade
from sparkdesk.core.bringup.state import BringUpState, Phase
from tests.infra.sshd import Sshd
from tests.services.bringup.bringup_desk import TRIAL_S, Desk, Place, places, until_file


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


def cells(state: BringUpState, node_id: str) -> list[CellState]:
    return [row.cells[node_id].state for row in state.matrix.rows]


async def test_a_look_changes_nothing_and_shows_one_plan(desk: Desk) -> None:
    phases: list[Phase] = []
    desk.bring_up.state.subscribe(lambda state: phases.append(state.phase))
    before = sorted(path.name for path in desk.home(1).iterdir())
    state = await desk.look()
    assert phases[:2] == [Phase.IDLE, Phase.READING]
    assert state.phase is Phase.PLANNED
    assert state.plan is not None
    assert (state.plan.change_count, state.node_ids, state.message) == (6, ("spark-1", "spark-2"), "")
    assert cells(state, "spark-1") == [CellState.PLANNED] * 3
    assert sorted(path.name for path in desk.home(1).iterdir()) == before
    assert desk.runs.runs.value == {}


async def test_from_the_plan_to_the_report(desk: Desk) -> None:
    seen: list[BringUpState] = []
    await desk.look()
    desk.bring_up.state.subscribe(seen.append)
    desk.bring_up.start()
    state = await desk.until(lambda state: bool(state.report_paths))
    assert (state.phase, state.message) == (Phase.DONE, "")
    assert state.run is not None
    assert state.run.result == "done"
    phases = list(dict.fromkeys(one.phase for one in seen))
    assert phases == [Phase.PLANNED, Phase.RUNNING, Phase.PROVING, Phase.DONE]
    trials = {trial.node_id: trial for one in seen for trial in one.trials}
    assert {(trial.length_s, trial.question) for trial in trials.values()} == {(TRIAL_S, "")}
    assert set(trials) == {"spark-1", "spark-2"}
    assert state.trials == ()
    assert [(one.item.id, one.grade) for one in state.measurements] == [
        ("ping-spark-1", Grade.PASS),
        ("ping-spark-2", Grade.PASS),
    ]
    assert cells(state, "spark-2") == [CellState.PASS] * 3, "read anew after the proof"
    for number in (1, 2):
        assert (desk.home(number) / "kept").exists()
    assert set(desk.saved) == set(state.report_paths)
    markdown, data = (desk.saved[path] for path in state.report_paths)
    assert b"spark-2" in markdown
    assert isinstance(json.loads(data), dict)
    assert desk.questions == []


async def test_a_second_time_there_is_nothing_to_change_and_the_first_can_still_be_undone(desk: Desk) -> None:
    (desk.home(1) / "key").write_text("theirs\n")
    await desk.look()
    desk.bring_up.start()
    await desk.until(lambda state: bool(state.report_paths))
    state = await desk.look()
    assert state.plan is not None
    assert (state.phase, state.plan.change_count) == (Phase.PLANNED, 0)
    assert state.message
    desk.bring_up.start()
    await desk.until(lambda state: state.phase is Phase.DONE and bool(state.report_paths))
    assert len(desk.runs.runs.value) == 3, "the first run and two proofs"
    desk.bring_up.undo()
    state = await desk.until_in(Phase.UNDONE)
    assert state.message == ""
    assert cells(state, "spark-2") == [CellState.UNDONE] * 3, "the matrix is that of what was taken back"
    assert (desk.home(1) / "key").read_text() == "theirs\n"
    for name in ("kept", "trial", "group"):
        assert not (desk.home(2) / name).exists()
    assert not (desk.home(2) / "key").exists()


async def test_what_begins_during_a_look_is_not_overwritten_by_its_end(desk: Desk) -> None:
    await desk.look()
    desk.bring_up.start()
    await desk.until(lambda state: bool(state.report_paths))
    phases: list[Phase] = []
    looking = asyncio.create_task(desk.look())
    await desk.until_in(Phase.READING)
    desk.bring_up.undo()
    desk.bring_up.state.subscribe(lambda state: phases.append(state.phase))
    await looking
    state = await desk.until_in(Phase.UNDONE)
    assert set(phases) == {Phase.UNDOING, Phase.UNDONE}
    assert cells(state, "spark-1") == [CellState.UNDONE] * 3


async def test_chosen_steps_are_undone_and_the_rest_is_said(desk: Desk) -> None:
    await desk.look()
    desk.bring_up.start()
    await desk.until(lambda state: bool(state.report_paths))
    desk.bring_up.undo(frozenset({"network-spark-2"}))
    state = await desk.until_in(Phase.UNDONE)
    assert "spark-1: all 3 steps are done. spark-2: 1 of 3 steps undone, 2 still done." in state.message
    assert cells(state, "spark-2") == [CellState.DONE, CellState.DONE, CellState.UNDONE]
    assert not (desk.home(2) / "kept").exists()
    assert (desk.home(1) / "kept").exists()
    desk.bring_up.undo()
    await desk.until(lambda state: state.phase is Phase.UNDONE and state.run is not None and not state.run.can_undo)
    assert not (desk.home(1) / "kept").exists()


async def test_a_node_that_does_not_answer_is_a_column_with_its_remedy(
    desk: Desk, nodes: tuple[list[Place], list[Sshd]]
) -> None:
    nodes[1][1].stop()
    async with asyncio.timeout(30):
        while desk.fleet.inventory.status("spark-2").is_live:
            await asyncio.sleep(0.05)
    state = await desk.look()
    assert state.phase is Phase.PLANNED
    assert cells(state, "spark-2") == [CellState.UNREAD] * 3
    assert all(row.cells["spark-2"].remedy for row in state.matrix.rows)
    assert cells(state, "spark-1") == [CellState.PLANNED] * 3


async def test_chapters_are_done_one_after_another_and_the_proof_comes_last(desk: Desk) -> None:
    await desk.look()
    for chapters, done in ((frozenset({"docker"}), "group"), (frozenset({"keys"}), "key")):
        desk.bring_up.start(chapters)
        state = await desk.until_in(Phase.PAUSED, Phase.FAILED)
        assert (desk.home(1) / done).exists()
        assert not (desk.home(1) / "kept").exists()
        assert state.measurements == ()
    desk.bring_up.start(frozenset({"network"}))
    state = await desk.until(lambda state: bool(state.report_paths))
    assert state.phase is Phase.DONE
    assert len(desk.runs.runs.value) == 2, "one run for all chapters, and the proof"


async def test_a_paused_bring_up_is_carried_on(desk: Desk) -> None:
    (desk.home(1) / "hold").touch()
    await desk.look()
    desk.bring_up.start()
    await until_file(desk.home(1) / "begun")
    desk.bring_up.pause()
    (desk.home(1) / "hold").unlink()
    state = await desk.until_in(Phase.PAUSED)
    assert state.run is not None
    assert state.run.can_resume
    assert not (desk.home(1) / "group").exists()
    await desk.bring_up.look(desk.ids())
    assert desk.state.phase is Phase.PAUSED, "what is half done is not forgotten by a look"
    assert desk.state.remedy
    desk.bring_up.resume()
    state = await desk.until(lambda state: bool(state.report_paths))
    assert state.phase is Phase.DONE


async def test_a_failure_says_how_every_node_stands_and_goes_on_when_it_is_mended(desk: Desk) -> None:
    (desk.home(2) / "broken").touch()
    await desk.look()
    desk.bring_up.start()
    state = await desk.until_in(Phase.FAILED)
    assert "spark-1: 1 of 3 steps done." in state.message
    assert "spark-2: stopped at \u201cWrite the key of spark-2\u201d, 0 of 3 steps done." in state.message
    assert state.remedy
    assert cells(state, "spark-2")[0] is CellState.FAIL
    (desk.home(2) / "broken").unlink()
    desk.bring_up.resume()
    state = await desk.until(lambda state: bool(state.report_paths))
    assert state.phase is Phase.DONE


async def test_a_cancelled_bring_up_stands_as_it_is_and_can_be_undone(desk: Desk) -> None:
    (desk.home(1) / "hold").touch()
    await desk.look()
    desk.bring_up.start()
    await until_file(desk.home(1) / "begun")
    desk.bring_up.cancel()
    state = await desk.until_in(Phase.FAILED)
    assert state.message.startswith("Cancelled. spark-1: stopped at")
    desk.bring_up.undo()
    await desk.until(lambda state: "A command of anna@laptop still runs on spark-1" in state.message)
    (desk.home(1) / "hold").unlink()
    await desk.until_in(Phase.UNDONE)
    assert not (desk.home(1) / "key").exists()


async def test_nodes_that_cannot_be_had_begin_nothing_and_a_later_try_does(
    desk: Desk, nodes: tuple[list[Place], list[Sshd]]
) -> None:
    await desk.look()
    server = nodes[1][1]
    server.stop()
    async with asyncio.timeout(30):
        while desk.fleet.inventory.status("spark-2").is_live:
            await asyncio.sleep(0.05)
    desk.bring_up.start()
    state = await desk.until_in(Phase.FAILED)
    assert "spark-1: nothing was begun. spark-2: nothing was begun." in state.message
    assert not (desk.home(1) / "key").exists()
    server.start()
    async with asyncio.timeout(60):
        while not desk.fleet.inventory.status("spark-2").is_live:
            await asyncio.sleep(0.05)
    desk.bring_up.resume()
    state = await desk.until(lambda state: bool(state.report_paths))
    assert state.phase is Phase.DONE


async def test_what_cannot_be_done_now_is_said_and_changes_nothing(desk: Desk) -> None:
    for ask in (desk.bring_up.start, desk.bring_up.prove, desk.bring_up.resume):
        ask()
        assert desk.state.phase is Phase.IDLE
        assert desk.state.message
        assert desk.state.remedy
    desk.bring_up.undo()
    desk.bring_up.pause()
    desk.bring_up.cancel()
    desk.bring_up.roll_back("spark-1")
    desk.bring_up.answer("spark-1", True)
    assert desk.state.phase is Phase.IDLE


async def test_a_look_that_is_stopped_leaves_what_was_there(desk: Desk) -> None:
    looking = asyncio.ensure_future(desk.look())
    await desk.until_in(Phase.READING)
    desk.bring_up.cancel()
    await asyncio.wait_for(looking, 10)
    assert desk.state.phase is Phase.IDLE
    assert (await desk.look()).phase is Phase.PLANNED


async def test_a_proof_that_is_stopped_leaves_nothing_on_the_nodes_and_can_be_run_again(desk: Desk) -> None:
    (desk.home(1) / "lame").touch()
    await desk.look()
    desk.bring_up.start()
    await until_file(desk.home(1) / "proving")
    await desk.until(lambda state: len(state.measurements) == 1)  # the other node's is told as it comes
    desk.bring_up.cancel()
    state = await desk.until_in(Phase.FAILED)
    assert "what was set up stands" in state.message
    for number in (1, 2):
        assert not (desk.home(number) / "container").exists()
        assert (desk.home(number) / "kept").exists()
    assert [one.grade for one in state.measurements] == [Grade.SKIPPED, Grade.PASS]
    (desk.home(1) / "lame").unlink()
    desk.bring_up.resume()
    state = await desk.until(lambda state: bool(state.report_paths))
    assert [one.grade for one in state.measurements] == [Grade.PASS, Grade.PASS]
    await desk.bring_up.save_report(Path("elsewhere"))
    assert any(path.startswith("elsewhere/bring-up-") for path in desk.saved)


async def test_a_node_that_another_computer_changes_is_left_alone_and_it_is_said_who(
    desk: Desk, nodes: tuple[list[Place], list[Sshd]], tmp_path: Path
) -> None:
    bob = Desk(tmp_path / "bob", nodes[0], owner="bob@desk")
    await bob.open()
    (desk.home(1) / "hold").touch()
    await bob.look()
    bob.bring_up.start()
    await until_file(desk.home(1) / "begun")
    await desk.look()
    desk.bring_up.start()
    state = await desk.until_in(Phase.FAILED)
    assert "bob@desk is at work on spark-1 (Bring up 2 nodes" in state.message
    assert state.remedy
    (desk.home(1) / "lame").touch()
    (desk.home(1) / "hold").unlink()
    await until_file(desk.home(1) / "proving")
    desk.bring_up.resume()
    assert "bob@desk is at work on spark-1 (Prove it" in (await desk.until_in(Phase.FAILED)).message
    (desk.home(1) / "lame").unlink()
    await bob.until_in(Phase.DONE)
    desk.bring_up.resume()
    await desk.until_in(Phase.DONE)
    (desk.home(1) / "proving").unlink()
    (desk.home(1) / "lame").touch()
    bob.bring_up.prove()
    await until_file(desk.home(1) / "proving")
    desk.bring_up.prove()
    state = await desk.until_in(Phase.FAILED)
    assert "bob@desk is at work on spark-1 (Prove it" in state.message
    assert [(one.grade, "bob@desk" in one.message) for one in state.measurements] == [(Grade.SKIPPED, True)] * 2
    (desk.home(1) / "lame").unlink()
    state = await bob.until_in(Phase.DONE)
    assert [one.grade for one in state.measurements] == [Grade.PASS] * 2
    await bob.close()
    desk.bring_up.resume()
    state = await desk.until_in(Phase.DONE)
    assert [one.grade for one in state.measurements] == [Grade.PASS] * 2
