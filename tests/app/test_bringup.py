"""From boxes on a desk to a proven cluster by three clicks and one password; a second time nothing; and all back."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from sparkdesk.app.desktop import Desktop
from sparkdesk.app.window import WindowOptions
from sparkdesk.core.bringup.matrix import CellState
from sparkdesk.core.bringup.proof.measurement import Grade
from sparkdesk.core.bringup.state import BringUpState, Phase
from tests.app.adding import password_of, words_on
from tests.app.bringup import BringingUp, boxes, from_the_map, nodes_now, open_boxes
from tests.app.desk import play, until
from tests.app.picture import take_pictures

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
FORGETFUL = WindowOptions(is_forgetful=True)
LIMIT_S = 420.0


def check_proof(state: BringUpState) -> None:
    """All was measured, NCCL too, lies in its band, and says that it is simulated."""
    assert {(one.grade, one.is_simulated) for one in state.measurements} == {(Grade.PASS, True)}
    assert "all-gather" in {one.item.id for one in state.measurements}
    assert state.matrix.count(CellState.FAIL, CellState.UNREAD, CellState.PLANNED) == 0


def check_saved(state: BringUpState, password: str) -> None:
    """The report lies there for its owner's eyes, as text and as data."""
    markdown, data = (Path(path) for path in state.report_paths)
    assert (markdown.suffix, data.suffix) == (".md", ".json")
    for path in (markdown, data):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert password not in path.read_text()
    assert "GPUDirect RDMA is not supported" in markdown.read_text()
    assert isinstance(json.loads(data.read_text()), dict)


async def prove_four(person: BringingUp, before: list[tuple[int | None, str]]) -> None:
    """Three clicks and one password: the nodes are not touched before the second of them, and then all is done."""
    state = await person.plan()
    assert state.plan is not None
    assert "4 Sparks, on a switch" in person.page.words.text()
    assert state.plan.change_count > 20
    await take_pictures(person.desktop, "bringup-planned")
    assert await nodes_now(person.simulator) == before
    await person.go("apply")
    await person.question()
    assert await nodes_now(person.simulator) == before, "nothing is changed before the password was right"
    person.asked.clear()
    await person.give()
    await person.until_steps("network", "running")
    await take_pictures(person.desktop, "bringup-running")
    await person.reach(Phase.DONE)
    await until(lambda: bool(person.state.report_paths), "the report")
    state = await person.stay(Phase.DONE)
    assert person.clicks == ["Bring up", "Bring up 4 nodes", "Go on"]
    assert len(person.asked) == 1
    assert len(state.report_paths) == 2
    check_proof(state)
    check_saved(state, password_of(person.simulator))
    await take_pictures(person.desktop, "bringup-done")


def said_of(state: BringUpState, row_id: str) -> set[str]:
    """What the cells of a row say."""
    return {cell.text for row in state.matrix.rows if row.id == row_id for cell in row.cells.values()}


async def look_again(person: BringingUp) -> None:
    """A second look finds nothing to do."""
    state = await person.look_again()
    assert state.plan is not None
    assert (state.plan.change_count, state.plan.playbook.stages) == (0, ())
    assert "Nothing to do" in words_on(person.page)
    assert "apply" not in person.page.buttons


@pytest.mark.timeout(LIMIT_S + 60)
def test_four_boxes_become_a_proven_cluster_by_three_clicks_and_one_password_and_boxes_again(
    app: QApplication, tmp_path: Path
) -> None:
    async def story(desktop: Desktop) -> None:
        before = await nodes_now(simulator)
        await open_boxes(desktop, simulator)
        person = await from_the_map(desktop, simulator)
        await prove_four(person, before)
        await look_again(person)
        await person.undo_all()
        # The nodes are read again after it: the cells say what is there, not what was planned.
        await until(lambda: said_of(person.state, "keys-pair") == {"no key pair"}, "what stands after the undo")
        assert said_of(person.state, "docker-group") == {"not in the group"}
        assert said_of(person.state, "keys-mesh") == {"0 of 3 peers"}
        assert person.state.matrix.count(CellState.UNDONE) > 0
        await take_pictures(desktop, "bringup-undone")
        assert await nodes_now(simulator) == before

    with boxes(tmp_path, "switch", "--nodes", "4") as simulator:
        assert play(app, story, FORGETFUL, limit_s=LIMIT_S) == 0
