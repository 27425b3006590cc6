"""Undo of all: what a failed bring-up left stays to be taken back, whatever was looked at or brought up after it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sparkdesk.core.bringup.state import Phase
from sparkdesk.core.step import Playbook, Stage, Step
from sparkdesk.services.bringup.resting import RESTS_ON
from sparkdesk.services.playbooks import runs
from tests.infra.sshd import Sshd
from tests.services.bringup.bringup_desk import Desk, Place, places, sh

NO_CARRIER = '{"ok": false, "message": "no carrier"}'


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


def traces(desk: Desk) -> set[str]:
    """What steps leave in homes."""
    names = ("key", "group", "trial", "kept")
    return {f"{number}/{name}" for number in (1, 2) for name in names if (desk.home(number) / name).exists()}


async def fail(desk: Desk) -> None:
    """Bring up; the network of the first node fails, after keys and docker of both were done."""
    (desk.home(1) / "look").write_text(NO_CARRIER)
    desk.skips_what_stands = True
    await desk.look()
    desk.bring_up.start()
    await desk.until_in(Phase.FAILED)
    (desk.home(1) / "look").unlink()


async def bring_up_anew(desk: Desk) -> None:
    """Look again, and bring up what is missing still."""
    assert (await desk.look()).phase is Phase.PLANNED
    desk.bring_up.start()
    await desk.until(lambda state: bool(state.report_paths))


async def test_undo_of_all_takes_back_the_failed_run_before_too_however_many_others_came_after(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "MAX_SHOWN", 1)
    await fail(desk)
    await bring_up_anew(desk)
    for _ in range(3):
        look = Step("look", "Look", desk.ids()[0], (sh("true"),))
        await desk.runs.wait(desk.runs.start(Playbook("Another", (Stage("Look", (look,)),))))
    assert len(desk.runs.runs.value) == 4, "of the others the last; two runs of bring-ups, and a proof"
    state = desk.state
    assert state.run is not None
    assert {step.split("-")[0] for step in state.run.undoable} == {"network"}
    (earlier,) = state.earlier
    assert {step.split("-")[0] for step in earlier.undoable} == {"keys", "docker", "network"}
    assert state.undoable_count == 2 + 5
    desk.bring_up.undo()
    state = await desk.until_in(Phase.UNDONE, Phase.FAILED)
    assert (state.phase, state.message, state.earlier, state.undoable_count) == (Phase.UNDONE, "", (), 0)
    assert traces(desk) == set()


async def test_a_look_alone_leaves_the_failed_run_to_be_taken_back(desk: Desk) -> None:
    await fail(desk)
    state = await desk.look()
    assert (state.phase, state.run, state.undoable_count) == (Phase.PLANNED, None, 5)
    desk.bring_up.undo()
    state = await desk.until_in(Phase.UNDONE, Phase.FAILED)
    assert (state.phase, state.undoable_count) == (Phase.UNDONE, 0)
    assert traces(desk) == set()
    assert (await desk.look()).undoable_count == 0


async def test_chosen_steps_are_taken_back_in_whatever_run_they_were_done_and_what_rests_on_them_goes_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fail(desk)
    await bring_up_anew(desk)
    desk.bring_up.undo(frozenset({"keys-spark-2", "network-spark-2"}))
    state = await desk.until_in(Phase.UNDONE, Phase.FAILED)
    assert state.phase is Phase.UNDONE
    assert state.message, "what still stands is said"
    assert traces(desk) == {"1/key", "1/group", "1/kept", "2/group"}
    assert state.undo_words == ()
    monkeypatch.setitem(RESTS_ON, "network", "docker")
    desk.bring_up.undo(frozenset({"docker-spark-1"}))
    state = await desk.until_in(Phase.UNDONE, Phase.FAILED)
    assert traces(desk) == {"1/key", "2/group"}
    words = "\u201cGive spark-1 its addresses\u201d was taken back too: it rests on what you chose"
    assert state.undo_words == (words,)
    desk.bring_up.undo()
    await desk.until(lambda state: state.phase is Phase.UNDONE and not state.undoable_count)
    assert traces(desk) == set()


async def test_what_stands_of_earlier_runs_is_known_after_a_restart(
    desk: Desk, tmp_path: Path, nodes: tuple[list[Place], list[Sshd]]
) -> None:
    await fail(desk)
    await bring_up_anew(desk)
    await desk.close()
    later = Desk(tmp_path, nodes[0])
    later.skips_what_stands = True
    await later.open()
    assert later.state.undoable_count == 7
    assert later.bring_up.owns(later.state.earlier[0].run_id)
    later.bring_up.undo()
    state = await later.until_in(Phase.UNDONE, Phase.FAILED)
    assert (state.phase, state.message) == (Phase.UNDONE, "")
    assert traces(later) == set()
    await later.close()


async def test_undone_is_not_said_while_an_earlier_run_cannot_be_taken_back(
    desk: Desk, nodes: tuple[list[Place], list[Sshd]]
) -> None:
    await fail(desk)
    await bring_up_anew(desk)
    (desk.home(2) / "stuck").touch()
    desk.bring_up.undo()
    state = await desk.until_in(Phase.UNDONE, Phase.FAILED)
    assert state.phase is Phase.FAILED
    assert state.remedy
    assert state.undoable_count == 1
    assert traces(desk) == {"2/group"}
    (desk.home(2) / "stuck").unlink()
    desk.bring_up.undo()
    state = await desk.until_in(Phase.UNDONE)
    assert state.undoable_count == 0
    assert traces(desk) == set()


async def test_steps_on_nodes_that_were_not_picked_stay(desk: Desk) -> None:
    await fail(desk)
    await desk.bring_up.look(desk.ids()[:1])
    assert {step.rpartition("-")[2] for run in desk.state.earlier for step in run.undoable} == {"1"}
    desk.bring_up.undo()
    state = await desk.until_in(Phase.UNDONE, Phase.FAILED)
    assert state.phase is Phase.UNDONE
    assert traces(desk) == {"2/key", "2/group"}
