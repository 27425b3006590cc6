from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit

from tests.ui.picture import host_page, take_pictures
from tests.ui.walk import guessing_labels
from ui.first_run.model import FirstRunModel, SimulationStart, Trust
from ui.first_run.trust import CONSOLE_COMMAND, TrustDialog, TrustPanel
from ui.first_run.view import FirstRunPage
from ui.widgets.banner import Banner
from ui.widgets.button import Button
from ui.widgets.copy_field import CopyField
from ui.widgets.label import Label

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")
OFFERED = "SHA256:3q2+7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
PINNED = "SHA256:uuuuuuAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


@pytest.fixture
def model() -> FirstRunModel:
    return FirstRunModel(local_user="hartmut")


@pytest.fixture
def page(dressed: QApplication, model: FirstRunModel) -> FirstRunPage:
    page = FirstRunPage(model)
    host_page(page, 1232, 852)
    QTest.qWait(20)
    return page


def asked(model: FirstRunModel) -> list[tuple[str, int, str, str]]:
    requests: list[tuple[str, int, str, str]] = []
    model.add_requested.connect(lambda *request: requests.append(request))
    return requests


def dialog_of(page: FirstRunPage) -> TrustDialog:
    dialog = page.trust_dialog()
    assert dialog is not None
    return dialog


def shown_buttons(panel: TrustPanel) -> list[str]:
    return [button.text() for button in panel.findChildren(Button) if button.isVisible()]


def test_the_form_asks_for_a_node_with_the_local_name_and_automatic_sign_in(
    page: FirstRunPage, model: FirstRunModel
) -> None:
    requests = asked(model)
    QTest.keyClicks(page.address, "10.0.20.31")
    QTest.mouseClick(page.add_button, Qt.MouseButton.LeftButton)
    assert requests == [("10.0.20.31", 22, "hartmut", "automatic")]


def test_enter_in_the_address_submits_and_what_it_says_wins(page: FirstRunPage, model: FirstRunModel) -> None:
    requests = asked(model)
    page.sign_in.set_key("password")
    QTest.keyClicks(page.address, "nvidia@spark-5c2d.local:2222")
    QTest.keyClick(page.address, Qt.Key.Key_Return)
    assert requests == [("spark-5c2d.local", 2222, "nvidia", "password")]


def test_an_error_lands_at_its_field_and_goes_when_one_types(page: FirstRunPage, model: FirstRunModel) -> None:
    requests = asked(model)
    QTest.mouseClick(page.add_button, Qt.MouseButton.LeftButton)
    assert page.form._address_field.error() == "Type the name or address of the Spark."
    QTest.keyClicks(page.address, "spark")
    assert page.form._address_field.error() == ""
    page.user.clear()
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


def test_without_a_search_the_button_says_so(page: FirstRunPage) -> None:
    button = next(each for each in page.findChildren(Button) if each.text() == "Find my Sparks")
    assert not button.isEnabled()
    assert "add by address works" in button.accessibleDescription()


def test_an_unknown_key_is_compared_before_it_is_trusted(page: FirstRunPage, model: FirstRunModel) -> None:
    given: list[None] = []
    model.trust_given.connect(lambda: given.append(None))
    model.set_trust(Trust("unknown_key", "10.0.20.31", 22, "nvidia", OFFERED))
    panel = dialog_of(page).panel
    fields = [field.text() for field in panel.findChildren(CopyField) if field.isVisible()]
    assert fields == [OFFERED, CONSOLE_COMMAND]
    assert shown_buttons(panel) == ["Cancel", "Trust and connect"]
    assert not any(line.isVisible() for line in panel.findChildren(QLineEdit) if not isinstance(line, CopyField))
    QTest.mouseClick(panel.trust_button, Qt.MouseButton.LeftButton)
    assert given == [None]


def test_enter_on_a_fresh_question_does_not_trust(page: FirstRunPage, model: FirstRunModel) -> None:
    given: list[None] = []
    model.trust_given.connect(lambda: given.append(None))
    model.set_trust(Trust("unknown_key", "10.0.20.31", 22, "nvidia", OFFERED))
    dialog = dialog_of(page)
    dialog.activateWindow()
    QTest.qWait(20)
    QTest.keyClick(dialog.focusWidget() or dialog, Qt.Key.Key_Return)
    QTest.keyClick(dialog, Qt.Key.Key_Return)
    assert given == []


def test_a_changed_key_can_only_be_refused(page: FirstRunPage, model: FirstRunModel) -> None:
    model.set_trust(Trust("changed_key", "10.0.20.31", 22, "nvidia", OFFERED, PINNED))
    panel = dialog_of(page).panel
    assert shown_buttons(panel) == ["Close"]
    fields = [field.text() for field in panel.findChildren(CopyField) if field.isVisible()]
    assert {OFFERED, PINNED} <= set(fields)


def test_a_wrong_password_is_said_at_the_field_and_not_kept(page: FirstRunPage, model: FirstRunModel) -> None:
    passwords: list[str] = []
    model.password_given.connect(passwords.append)
    model.set_trust(Trust("password", "10.0.20.31", 22, "nvidia", OFFERED))
    panel = dialog_of(page).panel
    QTest.mouseClick(panel.sign_in_button, Qt.MouseButton.LeftButton)
    assert passwords == []
    QTest.keyClicks(panel._password, "wrong")
    QTest.keyClick(panel._password, Qt.Key.Key_Return)
    model.set_trust(Trust("signing_in", "10.0.20.31", 22, "nvidia", OFFERED))
    QTest.keyClick(panel._password, Qt.Key.Key_Return)
    model.set_trust(Trust("password", "10.0.20.31", 22, "nvidia", OFFERED, error="The Spark refused this password."))
    assert passwords == ["wrong"]
    assert panel._password.text() == ""
    assert panel._password.echoMode() == QLineEdit.EchoMode.Password
    assert panel._password_field.error() == "The Spark refused this password."


def test_an_unreachable_host_says_what_to_do_and_can_be_tried_again(page: FirstRunPage, model: FirstRunModel) -> None:
    requests = asked(model)
    QTest.keyClicks(page.address, "10.0.20.31")
    model.set_trust(Trust("failed", "10.0.20.31", message="No answer in 10 s.", remedy="Is it on?", detail="timeout"))
    panel = dialog_of(page).panel
    assert [label.text() for label in panel.findChildren(Label) if label.text() == "Is it on?"]
    QTest.mouseClick(panel.retry_button, Qt.MouseButton.LeftButton)
    assert len(requests) == 1


@pytest.mark.parametrize("way", ["button", "escape", "window"])
def test_every_way_out_of_the_dialog_cancels(page: FirstRunPage, model: FirstRunModel, way: str) -> None:
    cancelled: list[None] = []
    model.cancelled.connect(lambda: cancelled.append(None))
    model.set_trust(Trust("unknown_key", "10.0.20.31", 22, "nvidia", OFFERED))
    dialog = dialog_of(page)
    if way == "button":
        QTest.mouseClick(dialog.panel.cancel_button, Qt.MouseButton.LeftButton)
    elif way == "escape":
        QTest.keyClick(dialog, Qt.Key.Key_Escape)
    else:
        dialog.close()
    assert cancelled == [None]
    assert not dialog.isVisible()
    assert model.trust == Trust()
    assert not page.add_button.is_busy()


def test_what_the_host_says_reads_no_markup(page: FirstRunPage, model: FirstRunModel) -> None:
    hostile = "<img src='file:///etc/passwd'>\n" * 50
    model.set_trust(Trust("failed", hostile, 22, hostile, hostile, hostile, hostile, hostile, hostile, hostile))
    assert guessing_labels(page) == []
    assert guessing_labels(dialog_of(page)) == []


def test_the_first_page_in_pictures(page: FirstRunPage, model: FirstRunModel) -> None:
    take_pictures(page, "first-run")
    page.submit()
    model.set_simulation(
        SimulationStart("failed", "", "It did not start.", "Free the port, then try again.", "EADDRINUSE")
    )
    take_pictures(page, "first-run-failed")
