from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from sparkdesk.core.cluster.enrolment import Who
from sparkdesk.core.cluster.node import SignIn
from tests.ui.add_desk import Desk, found_some
from tests.ui.picture import host_page, take_pictures
from tests.ui.walk import guessing_labels
from ui.first_run.model import FirstRunModel, SimulationStart
from ui.first_run.view import FirstRunPage
from ui.widgets.banner import Banner
from ui.widgets.label import Label

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")


@pytest.fixture
def model() -> FirstRunModel:
    return FirstRunModel(local_user="hartmut")


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def page(dressed: QApplication, model: FirstRunModel, desk: Desk) -> FirstRunPage:
    page = FirstRunPage(model, desk.search_model())
    host_page(page, 1232, 852)
    QTest.qWait(20)
    return page


def asked(model: FirstRunModel) -> list[Who]:
    requests: list[Who] = []
    model.who_given.connect(requests.append)
    return requests


def words_on(page: FirstRunPage) -> list[str]:
    return [label.text() for label in page.findChildren(Label) if label.isVisible()]


def test_the_form_asks_for_a_node_with_the_local_name_and_automatic_sign_in(
    page: FirstRunPage, model: FirstRunModel
) -> None:
    requests = asked(model)
    QTest.keyClicks(page.form.address, "10.0.20.31")
    QTest.mouseClick(page.add_button, Qt.MouseButton.LeftButton)
    assert requests == [Who("10.0.20.31", 22, "hartmut", SignIn.AUTOMATIC)]


def test_enter_in_the_address_submits_and_what_it_says_wins(page: FirstRunPage, model: FirstRunModel) -> None:
    requests = asked(model)
    page.form.sign_in.set_key("password")
    QTest.keyClicks(page.form.address, "nvidia@spark-5c2d.local:2222")
    QTest.keyClick(page.form.address, Qt.Key.Key_Return)
    assert requests == [Who("spark-5c2d.local", 2222, "nvidia", SignIn.PASSWORD)]


def test_an_error_lands_at_its_field_and_goes_when_one_types(page: FirstRunPage, model: FirstRunModel) -> None:
    requests = asked(model)
    QTest.mouseClick(page.add_button, Qt.MouseButton.LeftButton)
    assert page.form._address_field.error() == "Type the name or address of the Spark."
    QTest.keyClicks(page.form.address, "spark")
    assert page.form._address_field.error() == ""
    page.form.user.clear()
    page.submit()
    assert page.form._user_field.error() == "Type the user name on the Spark."
    assert requests == []


def test_the_simulation_starts_once_and_shows_how_far_it_is(page: FirstRunPage, model: FirstRunModel) -> None:
    starts: list[None] = []
    model.start_simulation.connect(lambda: starts.append(None))
    QTest.mouseClick(page.simulate_button, Qt.MouseButton.LeftButton)
    model.set_simulation(SimulationStart("starting", "2 of 4 nodes are up"))
    QTest.mouseClick(
        page.window(),
        Qt.MouseButton.LeftButton,
        pos=page.simulate_button.mapTo(page.window(), page.simulate_button.rect().center()),
    )
    QTest.keyClick(page.simulate_button, Qt.Key.Key_Space)
    assert starts == [None]
    assert any(label.text() == "2 of 4 nodes are up" for label in page.findChildren(Label))


def test_a_simulation_that_failed_says_what_to_do_and_can_be_tried_again(
    page: FirstRunPage, model: FirstRunModel
) -> None:
    starts: list[None] = []
    model.start_simulation.connect(lambda: starts.append(None))
    model.set_simulation(
        SimulationStart("failed", "", "It did not start.", "Free the port, then try again.", "EADDRINUSE")
    )
    banner = page.findChildren(Banner)[0]
    assert banner.isVisible()
    assert banner.title() == "It did not start."
    QTest.mouseClick(page.simulate_button, Qt.MouseButton.LeftButton)
    assert starts == [None]
    model.set_simulation(SimulationStart("starting"))
    assert not banner.isVisible()


def test_the_search_is_asked_for_and_what_it_found_is_counted(
    page: FirstRunPage, model: FirstRunModel, desk: Desk
) -> None:
    wishes: list[None] = []
    model.find_wanted.connect(lambda: wishes.append(None))
    QTest.mouseClick(page.find_button, Qt.MouseButton.LeftButton)
    assert wishes == [None]
    desk.candidates.set(found_some())
    assert "5 machines found. You choose which ones to add." in words_on(page)


def test_beside_a_cluster_that_is_open_no_simulation_is_offered(
    dressed: QApplication, model: FirstRunModel, desk: Desk
) -> None:
    page = FirstRunPage(model, desk.search_model(), is_first=False)
    host_page(page, 1232, 852)
    assert not page.simulate_button.isVisible()
    assert page.find_button.isVisible()
    assert "Add a DGX Spark" in words_on(page)


def test_what_the_computer_says_reads_no_markup(page: FirstRunPage, model: FirstRunModel) -> None:
    hostile = "<img src='file:///etc/passwd'>\n" * 50
    model.set_simulation(SimulationStart("failed", hostile, hostile, hostile, hostile))
    assert guessing_labels(page) == []


def test_the_first_page_in_pictures(page: FirstRunPage, model: FirstRunModel) -> None:
    take_pictures(page, "first-run")
    page.submit()
    model.set_simulation(
        SimulationStart("failed", "", "It did not start.", "Free the port, then try again.", "EADDRINUSE")
    )
    take_pictures(page, "first-run-failed")
