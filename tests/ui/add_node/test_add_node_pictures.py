"""Every state of adding a node, for people to look at."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from sparkdesk.core.cluster.candidate import SearchProgress, SearchState, Source
from sparkdesk.core.cluster.enrolment import EnrolStage, KeyOffer, Who
from sparkdesk.core.playbooks.keys import FormerRights, describe_key_set_up
from tests.ui import rack
from tests.ui.add_desk import ART, HOSTILE, OFFER, OTHER_PRINT, PRINT, WHO, Desk, candidate, found_some
from tests.ui.picture import host_page, take_pictures
from tests.ui.walk import guessing_labels
from ui.add_node.page import AddNodePage
from ui.first_run.model import FirstRunModel

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def page(dressed: QApplication, desk: Desk) -> AddNodePage:
    page = AddNodePage(FirstRunModel(local_user="hartmut"), desk.search_model(), desk.add_model())
    host_page(page, 1232, 852)
    QTest.qWait(20)
    return page


def begin(page: AddNodePage, desk: Desk, who: Who = WHO) -> None:
    page._begin(who)
    desk.attempt.write(
        "Looking up 10.0.20.31",
        "Connected to 10.0.20.31 port 22 in 3 ms",
        "The node says: SSH-2.0-OpenSSH_9.6p1 Ubuntu-3ubuntu13.14",
        "It offers ssh-ed25519, ecdsa-sha2-nistp256, rsa-sha2-512; ssh-ed25519 was taken",
    )


def test_the_cards_in_pictures(page: AddNodePage, desk: Desk) -> None:
    desk.progress.set((SearchProgress(Source.SSH_CONFIG, SearchState.IDLE, 3),))
    take_pictures(page, "add-cards")
    page.cards.form.sign_in.set_key("key")
    page.cards.form.set_unfolded(is_unfolded=True)
    take_pictures(page, "add-cards-unfolded")


def test_the_search_in_pictures(page: AddNodePage, desk: Desk) -> None:
    page.open_search()
    take_pictures(page, "find-looking")
    desk.candidates.set(found_some())
    desk.progress.set(
        (
            SearchProgress(Source.MDNS, SearchState.RUNNING, 2),
            SearchProgress(Source.SSH_CONFIG, SearchState.DONE, 1),
            SearchProgress(Source.NEIGHBOUR, SearchState.DONE, 1),
            SearchProgress(Source.RANGE, SearchState.RUNNING, 1, fraction=0.42),
        )
    )
    search = page.find_panel._search
    for each in search.candidates[:2]:
        search.toggle(each)
    page.find_panel.list.setFocus()
    QTest.keyClick(page.find_panel.list, Qt.Key.Key_Down)
    take_pictures(page, "find-found")
    QTest.keyClicks(page.find_panel.sources.range, "10.0.20.0/24, nonsense")
    take_pictures(page, "find-range-wrong")


def test_a_search_without_a_find_in_pictures(page: AddNodePage, desk: Desk) -> None:
    page.open_search()
    why = "This computer's firewall or container does not let multicast through; mDNS needs it."
    desk.progress.set(
        (
            SearchProgress(Source.MDNS, SearchState.UNAVAILABLE, note=why),
            SearchProgress(Source.SSH_CONFIG, SearchState.DONE, note="There is no ~/.ssh/config."),
            SearchProgress(Source.NEIGHBOUR, SearchState.UNAVAILABLE, note="No node was added yet that could look."),
            SearchProgress(Source.RANGE),
        )
    )
    take_pictures(page, "find-nothing")


def test_forty_hostile_candidates_in_pictures(page: AddNodePage, desk: Desk) -> None:
    page.open_search()
    desk.candidates.set(
        tuple(candidate(i, name=HOSTILE if i % 2 else f"spark-{'long' * 12}{i}", likeness=HOSTILE) for i in range(40))
    )
    take_pictures(page, "find-hostile")
    assert guessing_labels(page) == []


def test_the_first_row_in_pictures(page: AddNodePage, desk: Desk) -> None:
    page.open_form()
    take_pictures(page, "add-idle")
    page._begin_candidates((found_some()[3], found_some()[0], found_some()[2]))
    take_pictures(page, "add-idle-candidate")
    assert page.panel.who_row.form.jump.placeholderText() == "through 10.0.20.31"


def test_trust_in_pictures(page: AddNodePage, desk: Desk) -> None:
    begin(page, desk)
    take_pictures(page, "add-looking")
    desk.attempt.show(EnrolStage.TRUST, offer=OFFER)
    take_pictures(page, "add-trust")
    known = KeyOffer("10.0.20.31", PRINT, "ssh-ed25519", ART, known_as="spark-5c2d", in_known_hosts=True)
    desk.attempt.show(EnrolStage.TRUST, offer=known)
    take_pictures(page, "add-trust-known")
    other = KeyOffer("10.0.20.31", PRINT, "ssh-ed25519", ART, other_fingerprint=OTHER_PRINT, other_key_type="ED25519")
    desk.attempt.show(EnrolStage.TRUST, offer=other)
    take_pictures(page, "add-trust-other")


def test_a_jump_host_in_pictures(page: AddNodePage, desk: Desk) -> None:
    begin(page, desk, Who("10.0.20.31", 22, "nvidia", jump="ops@jump.example:2222"))
    desk.attempt.show(EnrolStage.TRUST, offer=KeyOffer("jump.example", OTHER_PRINT, "rsa-sha2-512", ART))
    take_pictures(page, "add-trust-jump")


def test_a_changed_key_in_pictures(page: AddNodePage, desk: Desk) -> None:
    begin(page, desk)
    desk.attempt.show(EnrolStage.CHANGED_KEY, offer=OFFER, trusted_fingerprint=OTHER_PRINT, known_as="spark-5c2d")
    take_pictures(page, "add-changed-key")


def test_signing_in_in_pictures(page: AddNodePage, desk: Desk) -> None:
    page._begin_candidates((candidate(0, user="nvidia"), candidate(1)))
    tried = "tried: key ED25519 of the SSH agent, key RSA ~/.ssh/id_rsa\nthe node offers: publickey, password"
    desk.attempt.show(EnrolStage.SIGNING_IN, offer=OFFER)
    take_pictures(page, "add-signing-in")
    desk.attempt.show(EnrolStage.NEEDS_PASSWORD, tried=tried)
    take_pictures(page, "add-password")
    desk.is_keyring_durable.set(False)
    desk.attempt.show(
        EnrolStage.NEEDS_PASSWORD, tried=tried, message="The node refused this password.", remedy="Check the user name."
    )
    take_pictures(page, "add-password-refused")
    desk.attempt.show(EnrolStage.NEEDS_PASSPHRASE, who=Who("10.0.20.31", user="nvidia", key_path="~/.ssh/id_spark"))
    take_pictures(page, "add-passphrase")


def test_after_signing_in_in_pictures(page: AddNodePage, desk: Desk) -> None:
    begin(page, desk)
    desk.attempt.show(EnrolStage.IDENTIFYING, offer=OFFER, can_set_up_key=True)
    take_pictures(page, "add-key")
    plan = describe_key_set_up("SparkDesk on ana@laptop", FormerRights())
    desk.attempt.show(
        EnrolStage.IDENTIFYING, offer=OFFER, can_set_up_key=True, key_plan=plan, message="The key was not set up: "
        "spark-5c2d did not do the step “Make ~/.ssh, for its owner alone”", detail="exit code 1: <h1>no</h1>",
        remedy="The details say what the node answered. Mend the cause there, then try again.",
    )  # fmt: skip
    page.panel.sign_in_row.key_part.plan.button.click()
    take_pictures(page, "add-key-plan")
    desk.attempt.show(EnrolStage.SETTING_UP_KEY)
    take_pictures(page, "add-key-busy")
    desk.attempt.show(EnrolStage.SAME_NODE, known_as="spark-5c2d")
    take_pictures(page, "add-same")
    desk.nodes.set((rack.status(0),))
    desk.attempt.show(EnrolStage.DONE, node_id="node0")
    take_pictures(page, "add-done")


def test_a_failure_in_pictures(page: AddNodePage, desk: Desk) -> None:
    begin(page, desk)
    words = {
        "message": "No answer from 10.0.20.31 port 22 within 10 s",
        "remedy": "Is it on, and on this network? A Spark takes 3 to 4 minutes to boot.",
        "detail": "connect ETIMEDOUT 10.0.20.31:22\nroute: enp3s0 via 10.0.20.1\n" * 8,
    }
    desk.attempt.show(EnrolStage.FAILED, **words)
    page.panel.trust_row.failure_part.detail_button.click()
    take_pictures(page, "add-failed")
    desk.attempt.show(EnrolStage.SIGNING_IN, offer=OFFER)
    desk.attempt.show(EnrolStage.FAILED, message=HOSTILE, remedy=HOSTILE, detail=HOSTILE, log=(HOSTILE,) * 40)
    take_pictures(page, "add-failed-hostile")
    assert guessing_labels(page) == []
