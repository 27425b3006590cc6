"""The machine behind one cage of a node: found there by itself, or it is said what is there instead."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from sparkdesk.core.cluster.candidate import Candidate, SearchOptions, Sighting, Source
from sparkdesk.core.cluster.enrolment import EnrolStage
from sparkdesk.core.cluster.node import JumpHost, NodeRecord
from tests.ui.add_desk import Desk, candidate
from tests.ui.picture import cut_labels, host_page, take_pictures
from ui.add_node.behind import Behind
from ui.add_node.page import AddNodePage
from ui.first_run.model import FirstRunModel
from ui.widgets.label import Label

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
NODE = NodeRecord("n1", "spark-5c2d", "10.0.20.31", 22, "nvidia", host_key="ssh-ed25519 AAAA")
PLACE = Behind(NODE, "P1")
WAY_BACK = "Back to the bring-up"


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def page(dressed: QApplication, desk: Desk) -> AddNodePage:
    page = AddNodePage(FirstRunModel(local_user="hartmut"), desk.search_model(), desk.add_model())
    host_page(page, 1044, 652)
    page.open_behind(PLACE, WAY_BACK)
    return page


def seen(number: int, port: str = "enp1s0f1np1", **changes: object) -> Candidate:
    """What a node sees through one of its ports."""
    found = Candidate(
        id=f"s{number}",
        name=f"behind spark-5c2d {port}",
        address=f"fe80::4ebb:47ff:fe77:{number}%{port}",
        sightings=(Sighting(Source.NEIGHBOUR, f"spark-5c2d sees it through {port}"),),
        jump=JumpHost("10.0.20.31", 22, "nvidia", "ssh-ed25519 AAAA"),
        likeness="on the other end of a CX-7 cable",
    )
    return replace(found, **changes) if changes else found  # type: ignore[arg-type]


def find(desk: Desk, *found: Candidate) -> None:
    """The look around ends with these."""
    desk.candidates.set(found)
    desk.end_search()


def words(part: QWidget) -> str:
    return "\n".join(label.text() for label in part.findChildren(Label) if label.isVisible())


def click(button: QWidget) -> None:
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def test_the_one_machine_there_is_asked_for_its_key_at_once_with_its_neighbours_user(
    page: AddNodePage, desk: Desk
) -> None:
    assert desk.searches == [SearchOptions(frozenset({Source.NEIGHBOUR}))]
    assert "Asking spark-5c2d P1 who is at the other end" in words(page.find_panel)
    # Another cage, another node's view of the same machine, and what has an address of its own are others.
    elsewhere = replace(seen(3), id="s9", jump=JumpHost("10.0.20.32", 22, "nvidia", "ssh-ed25519 BBBB"))
    find(desk, candidate(0), seen(1, "enp1s0f0np0"), elsewhere, seen(2))
    assert page.currentWidget() is page.panel
    (call,) = [each for each in desk.attempt.calls if each[0] == "start"]
    assert (call[1].candidate_id, call[1].address, call[1].user) == ("s2", seen(2).address, "nvidia")
    assert "nvidia, behind spark-5c2d enp1s0f1np1 · Automatic" in words(page.panel.who_row)


def test_who_came_for_one_machine_is_led_back_with_what_was_added(page: AddNodePage, desk: Desk) -> None:
    returned: list[tuple[str, ...]] = []
    opened: list[bool] = []
    page.returned.connect(returned.append)
    page.cluster_wanted.connect(lambda: opened.append(True))
    find(desk, seen(2))
    desk.attempt.show(EnrolStage.DONE, node_id="n2")
    button = page.panel.sign_in_row.done_part.advised_button
    assert button.text() == WAY_BACK
    click(button)
    assert (returned, opened) == ([("n2",)], [])
    page.open_behind(PLACE, WAY_BACK)
    click(page.find_panel.back_button)
    assert returned == [("n2",), ()], "nothing was added"
    page.open_form()
    desk.attempt.show(EnrolStage.DONE, node_id="n3")
    assert button.text() == "Open the cluster"
    click(button)
    assert (len(returned), opened) == (2, [True]), "that was no visit"


def test_nobody_there_any_more_is_said_with_what_it_can_be_and_asked_again(page: AddNodePage, desk: Desk) -> None:
    find(desk)
    shown = words(page.find_panel)
    for part in ("Nothing answers behind spark-5c2d P1 now", "cable is out", "3 to 4 minutes", "IPv6"):
        assert part in shown
    take_pictures(page, "find-behind-nobody")
    assert cut_labels(page) == []
    click(page.find_panel.nobody.again_button)
    assert len(desk.searches) == 2
    find(desk, seen(1, "enp1s0f0np0"))
    assert page.find_panel.told.title() == "Nothing answers behind spark-5c2d P1 now", (
        "another cage has another machine"
    )
    assert "1 machine found" in words(page.find_panel)


def test_of_several_behind_a_switch_a_person_chooses(page: AddNodePage, desk: Desk) -> None:
    find(desk, seen(1), seen(2), seen(3))
    assert page.currentWidget() is page.find_panel
    assert page.find_panel.told.title() == "3 machines answer behind spark-5c2d P1"
    take_pictures(page, "find-behind-several")
    assert not [each for each in desk.attempt.calls if each[0] == "start"]
    rows = page.find_panel.list
    QTest.mouseClick(rows.viewport(), Qt.MouseButton.LeftButton, pos=rows.visualRect(rows.candidates.index(1)).center())
    click(page.find_panel.add_button)
    assert page.currentWidget() is page.panel
    assert page.panel.who_row.form.address.text() == seen(2).address
    assert not page.find_panel.told.isVisible()


def test_one_that_was_added_before_is_not_begun_with(page: AddNodePage, desk: Desk) -> None:
    find(desk, seen(2, known_as="spark-bd26"))
    assert page.currentWidget() is page.find_panel
    assert "was added before, as spark-bd26" in page.find_panel.told.title()


def test_a_search_for_all_there_is_or_its_end_forgets_the_one_machine(page: AddNodePage, desk: Desk) -> None:
    click(page.find_panel.stop_button)
    find(desk, seen(2))
    assert page.currentWidget() is page.find_panel, "it was stopped"
    page.open_behind(PLACE, WAY_BACK)
    page.open_search()
    find(desk, seen(2))
    assert page.currentWidget() is page.find_panel
    assert not page.is_visit
