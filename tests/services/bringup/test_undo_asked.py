"""An undo that stops what runs on the nodes is asked for once, and not at all where a person has read what it costs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sparkdesk.core.bringup.state import Phase
from sparkdesk.core.bringup.undo_stake import Loss, UndoStake
from sparkdesk.services.bringup.taking_back import NOT_TAKEN
from sparkdesk.services.playbooks.runner import Asks
from tests.services.bringup.bringup_desk import Desk, places

SERVED = "gpt-oss-120b"
NODES = ("spark-1", "spark-2")
STAKE = UndoStake(Loss.NETWORK, NODES, SERVED)


@pytest.fixture
async def done(tmp_path: Path) -> AsyncIterator[Desk]:
    """Two nodes that were brought up, over which a model is served since."""
    with places(tmp_path) as (nodes, _servers):
        desk = Desk(tmp_path / "desk", nodes)
        await desk.open()
        try:
            await desk.look()
            desk.bring_up.start()
            await desk.until(lambda state: state.phase is Phase.DONE and bool(state.report_paths))
            desk.busy = dict.fromkeys(NODES, (SERVED,))
            desk.questions.clear()
            yield desk
        finally:
            await desk.close()


async def test_a_no_leaves_all_as_it_is_and_a_yes_is_asked_for_once(done: Desk) -> None:
    before, done.says_yes = done.state, False
    done.bring_up.undo()
    state = await done.until(lambda state: state.message == NOT_TAKEN)
    assert (state.phase, state.report_paths, state.measurements) == (
        Phase.DONE, before.report_paths, before.measurements,
    )  # fmt: skip
    (question,) = done.questions
    assert f"{SERVED} runs on spark-1 and spark-2" in question
    assert (done.home(1) / "kept").exists()
    done.says_yes = True
    done.bring_up.undo()
    await done.until_in(Phase.UNDONE)
    assert len(done.questions) == 2
    assert not (done.home(1) / "kept").exists()


async def test_what_a_person_has_read_is_not_asked_and_without_a_window_nothing_runs_unasked(done: Desk) -> None:
    done.runner.asks = Asks()
    done.bring_up.undo()
    state = await done.until_in(Phase.FAILED)
    assert "nobody to ask" in state.message
    assert state.remedy
    assert (done.home(1) / "kept").exists()
    done.bring_up.undo(told=(STAKE,))
    await done.until_in(Phase.UNDONE)
    assert done.questions == []
    assert not (done.home(1) / "kept").exists()
