"""Pictures of the bring-up page in its states, for people to look at."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtTest import QTest

from sparkdesk.core.bringup.state import BringUpState
from tests.ui.bringup import story
from tests.ui.picture import SHOTS, take_pictures
from tests.ui.walk import guessing_labels
from ui import theme

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
STATES = {
    "reading": story.reading(),
    "planned": story.planned(),
    "matrix-running": story.running(story.trial(1), story.trial(2, 37.0)),
    "proving": story.proving(),
    "proof-passed": story.done(),
    "proof-failed": story.done(is_bad=True),
    "rollback-big": story.running(story.trial(2, 42.0, story.QUESTION), story.trial(1, 40.0)),
    "failed": story.failed(),
    "interrupted": story.interrupted(),
    "undone": story.undone(),
    "all-green": story.all_green(),
}


@pytest.mark.parametrize("name", STATES)
def test_a_state_of_the_page_fits_its_window_in_both_themes(dressed: object, name: str) -> None:
    desk = story.Desk()
    page = desk.show(STATES[name])
    take_pictures(page, f"bringup-{name}")
    assert not guessing_labels(page)


def test_step_by_step_fits_its_window(dressed: object) -> None:
    desk = story.Desk()
    desk.model.set_step_by_step(True)
    desk.find_stranger()
    page = desk.show(story.planned(plan=story.plan(diffs=story.diffs(is_known=False))))
    desk.model.node_id = "node2"
    page.refresh()
    take_pictures(page, "bringup-step-by-step")


def test_a_page_without_a_node_fits_its_window(dressed: object) -> None:
    desk = story.Desk(count=0)
    take_pictures(desk.show(BringUpState()), "bringup-empty")


def test_evidence_lies_over_the_page(dressed: object) -> None:
    desk = story.Desk()
    page = desk.show(story.planned())
    page.show_evidence("cabling-speed", "node2")
    take_pictures(page, "bringup-evidence")
    page.drawer.close_drawer()
    page.show_evidence("network-mtu", "node2")
    take_pictures(page, "bringup-evidence-steps")


def test_the_manifest_lists_what_was_done(dressed: object) -> None:
    desk = story.Desk()
    page = desk.show(story.done())
    page.open_manifest(shows_undo=True)
    dialog = page.dialog
    assert dialog is not None
    SHOTS.mkdir(parents=True, exist_ok=True)
    for look in ("dark", "light"):
        theme.set_theme("dark" if look == "dark" else "light")
        for part in dialog.parts[:3]:
            if not part.check.isChecked():
                part.check.click()
        QTest.qWait(50)
        assert dialog.chosen.isEnabled()
        assert dialog.chosen.text() == "Undo 3 chosen"
        assert dialog.grab().save(str(SHOTS / f"bringup-manifest-{look}.png"))
    dialog.reject()


def test_a_chapter_without_a_file_shows_its_commands(dressed: object) -> None:
    desk = story.Desk()
    page = desk.show(story.planned())
    desk.model.choose_chapter("docker")
    page.refresh()
    take_pictures(page, "bringup-commands")
    desk.state.set(replace(story.planned(), message="", remedy=""))
