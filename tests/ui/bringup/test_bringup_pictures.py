"""Pictures of the bring-up page in its states, for people to look at."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtTest import QTest

from sparkdesk.core.bringup.state import BringUpState
from tests.ui.bringup import real_story as story
from tests.ui.bringup.story import Desk
from tests.ui.picture import SHOTS, take_pictures
from tests.ui.walk import guessing_labels
from ui import theme

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
STATES = {
    "reading": story.reading,
    "planned": story.planned,
    "matrix-running": lambda: story.running(story.trial("n2", 42.0), story.trial("n3", 37.0)),
    "proving": story.proving,
    "proof-passed": story.done,
    "proof-failed": lambda: story.done(is_bad=True),
    "rollback-big": story.asking,
    "rolled-back": story.rolled_back,
    "restored": story.restored,
    "interrupted": story.interrupted,
    "undone": story.undone,
    "all-green": story.all_green,
}


@pytest.mark.parametrize("name", STATES)
def test_a_state_of_the_page_fits_its_window_in_both_themes(dressed: object, name: str) -> None:
    desk = story.desk()
    page = desk.show(STATES[name]())
    take_pictures(page, f"bringup-{name}")
    assert not guessing_labels(page)


def test_step_by_step_fits_its_window(dressed: object) -> None:
    desk = story.desk()
    desk.model.set_step_by_step(True)
    desk.find_stranger()
    page = desk.show(story.planned())
    desk.model.node_id = "n3"
    page.refresh()
    take_pictures(page, "bringup-step-by-step")


def test_a_page_without_a_node_fits_its_window(dressed: object) -> None:
    desk = Desk(count=0)
    take_pictures(desk.show(BringUpState()), "bringup-empty")


def test_evidence_lies_over_the_page(dressed: object) -> None:
    desk = story.desk()
    page = desk.show(story.planned())
    page.show_evidence("hardware-system", "n4")
    take_pictures(page, "bringup-evidence")
    page.drawer.close_drawer()
    page.show_evidence("network-file", "n3")
    take_pictures(page, "bringup-evidence-steps")


def test_the_manifest_lists_what_was_done(dressed: object) -> None:
    desk = story.desk()
    page = desk.show(story.done())
    page.open_manifest(shows_undo=True)
    dialog = page.dialog
    assert dialog is not None
    SHOTS.mkdir(parents=True, exist_ok=True)
    for look in ("dark", "light"):
        theme.set_theme("dark" if look == "dark" else "light")
        for part in [each for each in dialog.parts if each.check.isEnabled()][:3]:
            if not part.check.isChecked():
                part.check.click()
        QTest.qWait(50)
        assert dialog.chosen.isEnabled()
        assert dialog.chosen.text() == "Undo 3 chosen"
        assert dialog.grab().save(str(SHOTS / f"bringup-manifest-{look}.png"))
    dialog.reject()


def test_a_chapter_without_a_file_shows_its_commands(dressed: object) -> None:
    desk = story.desk()
    page = desk.show(story.planned())
    desk.model.choose_chapter("docker")
    page.refresh()
    take_pictures(page, "bringup-commands")
    desk.state.set(replace(story.planned(), message="", remedy=""))
