"""What a person can read before they decide: another key in their own list of hosts, and what a set-up will run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from sparkdesk.core.cluster.enrolment import EnrolStage
from tests.ui.add_desk import OFFER, OTHER_PRINT, PRINT, WHO, Desk
from tests.ui.add_node.test_add_node_page import TRUST, click, words
from tests.ui.picture import host_page
from ui.add_node.page import AddNodePage
from ui.add_node.trust_row import SETTLE_MS
from ui.first_run.model import FirstRunModel

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def page(dressed: QApplication, desk: Desk) -> AddNodePage:
    page = AddNodePage(FirstRunModel(local_user="hartmut"), desk.search_model(), desk.add_model())
    host_page(page, 1044, 652)
    page.window().activateWindow()
    QTest.qWait(30)
    return page


@pytest.mark.parametrize("other_type", ["ED25519", "RSA"])
def test_a_key_that_is_not_the_one_in_your_list_of_hosts_is_warned_of(
    page: AddNodePage, desk: Desk, other_type: str
) -> None:
    desk.attempt.start(WHO)
    page.open_form()
    desk.attempt.start(WHO)
    part = page.panel.trust_row.offer_part
    desk.attempt.show(EnrolStage.TRUST, offer=OFFER)
    assert not part.warning.isVisible()
    other = replace(OFFER, other_fingerprint=OTHER_PRINT, other_key_type=other_type)
    desk.attempt.show(EnrolStage.TRUST, offer=other)
    assert part.warning.isVisible()
    assert "Your own SSH knows this address by" in part.warning.text()
    assert OTHER_PRINT in part.warning.text()
    assert part.fingerprint.text() == PRINT
    assert "first time" not in words(page)
    assert part.trust_button.text() != TRUST
    assert page.focusWidget() is not part.trust_button
    click(part.trust_button)
    assert ("trust",) not in desk.attempt.calls  # not before it stood long enough to be read
    QTest.qWait(SETTLE_MS + 50)
    click(part.trust_button)
    assert ("trust",) in desk.attempt.calls
    desk.attempt.show(EnrolStage.TRUST, offer=OFFER)
    assert part.trust_button.text() == TRUST


def test_what_a_key_set_up_runs_and_what_a_node_answered_can_be_unfolded(page: AddNodePage, desk: Desk) -> None:
    page.open_form()
    desk.attempt.start(WHO)
    desk.attempt.show(EnrolStage.IDENTIFYING, offer=OFFER, can_set_up_key=True, key_plan="1. Make ~/.ssh\n  mkdir")
    part = page.panel.sign_in_row.key_part
    assert part.plan.isVisible()
    assert not part.plan.text.isVisible()
    assert not part.detail.isVisible()
    click(part.plan.button)
    assert part.plan.text.isVisible()
    assert part.plan.text.toPlainText() == "1. Make ~/.ssh\n  mkdir"
    desk.attempt.show(
        EnrolStage.IDENTIFYING, can_set_up_key=True, key_plan="1. Make ~/.ssh\n  mkdir", message="It failed",
        remedy="Read the details.", detail="exit code 1: <h1>no</h1>",
    )  # fmt: skip
    assert part.plan.text.isVisible()  # the same plan stays unfolded
    click(part.detail.button)
    assert part.detail.text.toPlainText() == "exit code 1: <h1>no</h1>"
