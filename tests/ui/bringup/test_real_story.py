"""The moments that the pictures show are those that a person meets in the app."""

from __future__ import annotations

from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.bringup.matrix import CellState
from sparkdesk.core.bringup.state import BringUpState
from tests.ui.bringup import real_story
from tests.ui.bringup.test_bringup_model import make_model


def test_the_moments_of_the_story_are_as_the_app_has_them() -> None:
    def said(state: BringUpState, row_id: str, node_id: str) -> tuple[CellState, str]:
        found = next(row.cells[node_id] for row in state.matrix.rows if row.id == row_id)
        return found.state, found.text

    asks = real_story.asking()
    assert said(asks, "network-file", "n3") == (CellState.RUNNING, "waits for your answer")
    assert make_model(asks).shown_node(Chapter.NETWORK) == "n3", "whose file is tried is whose file is shown"
    assert said(real_story.rolled_back(), "network-file", "n3") == (CellState.UNDONE, "undone")
    assert said(real_story.restored(), "network-file", "n3")[0] is CellState.FAIL
    back = real_story.undone()
    assert said(back, "trust-sudo", "n1")[0] is CellState.PASS
    proof = next(row for row in make_model(back).outline() if row.key == Chapter.PROOF.value)
    assert proof.line == "proved before the undo"
