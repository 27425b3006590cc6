"""Adding nodes as a person does it: by mouse and by keyboard, through every state that the service can show."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QWidget

from sparkdesk.core.cluster.enrolment import EnrolStage, KeyOffer, Who
from sparkdesk.core.cluster.node import SignIn
from tests.ui import rack
from tests.ui.add_desk import ART, HOSTILE, OFFER, OTHER_PRINT, PRINT, WHO, Desk, candidate, found_some
from tests.ui.picture import cut_labels, host_page
from tests.ui.walk import guessing_labels
from ui.add_node.page import AddNodePage
from ui.add_node.trust_row import SETTLE_MS
from ui.first_run.model import FirstRunModel
from ui.widgets.button import Button
from ui.widgets.label import Label

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
TRUST = "It matches: trust this key"


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


def click(button: QWidget) -> None:
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def press(key: Qt.Key) -> None:
    """A key, wherever the keyboard is."""
    target = QApplication.focusWidget()
    assert target is not None
    QTest.keyClick(target, key)


def buttons(page: AddNodePage) -> list[str]:
    """What can be pressed in the three rows."""
    rows = (page.panel.who_row, page.panel.trust_row, page.panel.sign_in_row)
    return [each.text() for row in rows for each in row.findChildren(Button) if each.isVisible() and each.text()]


def words(page: QWidget) -> str:
    """Every word in sight."""
    return "\n".join(label.text() for label in page.findChildren(Label) if label.isVisible())


def begin(page: AddNodePage, who: Who = WHO) -> None:
    page._begin(who)


def offer(desk: Desk, shown: KeyOffer = OFFER) -> None:
    """The key comes, and the person has looked at it."""
    desk.attempt.show(EnrolStage.TRUST, offer=shown)
    QTest.qWait(SETTLE_MS + 60)


def test_check_and_add_leads_to_the_rows_and_asks_for_the_host_key(page: AddNodePage, desk: Desk) -> None:
    QTest.keyClicks(page.cards.form.address, "nvidia@10.0.20.31:2222")
    click(page.cards.add_button)
    assert page.currentWidget() is page.panel
    assert desk.attempt.calls == [("start", Who("10.0.20.31", 2222, "nvidia"))]
    assert "nvidia@10.0.20.31:2222 · Automatic" in words(page.panel)
    assert not page.panel.who_row.form.isVisible()


def test_the_keyboard_alone_adds_a_node(page: AddNodePage, desk: Desk) -> None:
    page.cards.form.address.setFocus()
    QTest.keyClicks(page.cards.form.address, "10.0.20.31")
    press(Qt.Key.Key_Return)
    offer(desk)
    assert QApplication.focusWidget() is page.panel.trust_row.offer_part.cancel_button
    press(Qt.Key.Key_Tab)
    assert QApplication.focusWidget() is page.panel.trust_row.offer_part.trust_button
    press(Qt.Key.Key_Space)
    assert ("trust",) in desk.attempt.calls
    desk.attempt.show(EnrolStage.NEEDS_PASSWORD)
    typed = QApplication.focusWidget()
    assert isinstance(typed, QLineEdit)
    assert typed.echoMode() is QLineEdit.EchoMode.Password
    QTest.keyClicks(typed, "correct horse")
    press(Qt.Key.Key_Return)
    assert ("password", "correct horse", False) in desk.attempt.calls
    assert typed.text() == ""
    desk.attempt.show(EnrolStage.IDENTIFYING, can_set_up_key=True)
    assert QApplication.focusWidget() is page.panel.sign_in_row.key_part.advised_button
    press(Qt.Key.Key_Space)
    assert ("key",) in desk.attempt.calls
    asked: list[None] = []
    page.cluster_wanted.connect(lambda: asked.append(None))
    desk.attempt.show(EnrolStage.DONE, node_id="node0", message="spark-5c2d is added")
    press(Qt.Key.Key_Space)
    assert asked == [None]
    assert page.currentWidget() is page.cards


def test_nothing_leads_on_before_trust_is_decided(page: AddNodePage, desk: Desk) -> None:
    begin(page)
    assert buttons(page) == ["Change", "Cancel"]
    offer(desk)
    assert buttons(page) == ["Change", "Cancel", TRUST]
    fields = [line for line in page.panel.findChildren(QLineEdit) if line.isVisible() and not line.isReadOnly()]
    assert fields == []
    assert PRINT in words(page)
    assert ART in words(page)


def test_enter_and_a_double_click_never_trust_a_key_nobody_saw(page: AddNodePage, desk: Desk) -> None:
    begin(page, Who("10.0.20.31", 22, "nvidia", jump="jump.example"))
    offer(desk, KeyOffer("jump.example", OTHER_PRINT, "ssh-ed25519"))
    press(Qt.Key.Key_Return)
    assert ("trust",) not in desk.attempt.calls
    assert "First the jump host" in words(page)
    click(page.panel.trust_row.offer_part.trust_button)
    desk.attempt.show(EnrolStage.TRUST, offer=OFFER)
    click(page.panel.trust_row.offer_part.trust_button)
    assert desk.attempt.calls.count(("trust",)) == 1
    assert "First the jump host" not in words(page)
    QTest.qWait(SETTLE_MS + 60)
    click(page.panel.trust_row.offer_part.trust_button)
    assert desk.attempt.calls.count(("trust",)) == 2


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("ED25519", "ssh-keygen -lvf /etc/ssh/ssh_host_ed25519_key.pub"),
        ("ecdsa-sha2-nistp256", "ssh-keygen -lvf /etc/ssh/ssh_host_ecdsa_key.pub"),
        ("rsa-sha2-512", "ssh-keygen -lvf /etc/ssh/ssh_host_rsa_key.pub"),
        ("", 'for key in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lvf "$key"; done'),
    ],
)
def test_the_command_for_the_console_fits_the_key(page: AddNodePage, desk: Desk, kind: str, command: str) -> None:
    begin(page)
    desk.attempt.show(EnrolStage.TRUST, offer=KeyOffer("10.0.20.31", PRINT, kind, ART))
    part = page.panel.trust_row.offer_part
    assert part.command.text() == command
    click(part.copy_button)
    assert QGuiApplication.clipboard().text() == PRINT


def test_a_changed_key_has_no_way_on(page: AddNodePage, desk: Desk) -> None:
    begin(page)
    desk.attempt.show(EnrolStage.CHANGED_KEY, offer=OFFER, trusted_fingerprint=OTHER_PRINT, known_as="spark-5c2d")
    assert buttons(page) == ["Change", "Close"]
    part = page.panel.trust_row.changed_part
    assert (part.trusted.text(), part.offered.text()) == (OTHER_PRINT, PRINT)
    assert page.panel.trust_row.state() == "error"
    assert "remove spark-5c2d from SparkDesk" in words(page)
    press(Qt.Key.Key_Space)
    assert desk.attempt.calls[-1] == ("cancel",)
    assert page.panel.who_row.form.address.text() == "10.0.20.31"


@pytest.mark.parametrize("is_durable", [True, False])
def test_a_password_says_where_it_would_be_remembered(page: AddNodePage, desk: Desk, is_durable: bool) -> None:
    begin(page)
    desk.is_keyring_durable.set(is_durable)
    desk.attempt.show(EnrolStage.NEEDS_PASSWORD, offer=OFFER)
    part = page.panel.sign_in_row.password_part
    assert ("system keyring" in part.remember.text()) is is_durable
    assert ("until SparkDesk ends" in part.remember.text()) is not is_durable
    assert not part.remember.isChecked()
    assert not part.for_all.isVisible()
    click(part.remember)
    QTest.keyClicks(part.input, "secret")
    click(part.give_button)
    assert desk.attempt.calls[-1] == ("password", "secret", True)


def test_an_empty_password_is_not_sent_and_a_refused_one_is_said_at_the_field(page: AddNodePage, desk: Desk) -> None:
    begin(page)
    desk.attempt.show(EnrolStage.NEEDS_PASSWORD, offer=OFFER)
    part = page.panel.sign_in_row.password_part
    click(part.give_button)
    assert part.field.error() == "Type the password."
    assert len(desk.attempt.calls) == 1
    QTest.keyClicks(part.input, "wrong")
    click(part.eye_button)
    assert part.input.echoMode() is QLineEdit.EchoMode.Normal
    QTest.keyClick(part.input, Qt.Key.Key_Return)
    desk.attempt.show(EnrolStage.NEEDS_PASSWORD, message="The node refused this password.", tried="password")
    assert part.field.error() == "The node refused this password."
    assert part.input.text() == ""
    assert part.input.echoMode() is QLineEdit.EchoMode.Password


def test_what_was_tried_is_said_in_one_line_without_a_librarys_own_words(page: AddNodePage, desk: Desk) -> None:
    begin(page)
    tried = (
        "tried: key ED25519 lab\nthe node offers: publickey, password\nno SSH agent runs on this computer\n"
        "PermissionDenied: Permission denied for user nvidia on host 10.0.20.31"
    )
    desk.attempt.show(EnrolStage.NEEDS_PASSWORD, tried=tried)
    said = "Tried: key ED25519 lab · the node offers: publickey, password · no SSH agent runs on this computer"
    assert said in words(page).splitlines()
    assert "Permission" not in words(page)


def test_a_jump_hosts_password_is_asked_for_by_its_name(page: AddNodePage, desk: Desk) -> None:
    begin(page, Who("10.0.20.31", 22, "nvidia", jump="ops@jump.example"))
    desk.attempt.show(EnrolStage.NEEDS_PASSWORD, asked_for="jump host jump.example")
    assert "The password of jump host jump.example." in words(page)
    assert "nvidia on 10.0.20.31" not in words(page)


def test_the_same_password_is_tried_once_on_each_node_that_follows(page: AddNodePage, desk: Desk) -> None:
    page._begin_candidates(tuple(candidate(i, user="nvidia") for i in range(3)))
    part = page.panel.sign_in_row.password_part
    desk.attempt.show(EnrolStage.NEEDS_PASSWORD, offer=OFFER)
    assert not part.for_all.isChecked()
    click(part.for_all)
    QTest.keyClicks(part.input, "shared")
    QTest.keyClick(part.input, Qt.Key.Key_Return)
    desk.attempt.show(EnrolStage.DONE)
    click(page.panel.sign_in_row.done_part.advised_button)
    desk.attempt.show(EnrolStage.NEEDS_PASSWORD, asked_for="jump host jump.example")
    QTest.qWait(20)
    assert desk.attempt.calls.count(("password", "shared", False)) == 1
    desk.attempt.show(EnrolStage.SIGNING_IN)
    desk.attempt.show(EnrolStage.NEEDS_PASSWORD)
    QTest.qWait(20)
    assert desk.attempt.calls.count(("password", "shared", False)) == 2
    desk.attempt.show(EnrolStage.NEEDS_PASSWORD, message="Refused.")
    QTest.qWait(20)
    assert desk.attempt.calls.count(("password", "shared", False)) == 2
    assert "Refused." in part.field.error()
    page.panel.back_button.click()
    assert desk.attempt.calls[-1] == ("cancel",)
    page._begin_candidates((candidate(4, user="nvidia"),))
    desk.attempt.show(EnrolStage.NEEDS_PASSWORD)
    QTest.qWait(20)
    assert desk.attempt.calls.count(("password", "shared", False)) == 2


def test_without_the_tick_no_password_goes_to_a_second_node(page: AddNodePage, desk: Desk) -> None:
    page._begin_candidates(tuple(candidate(i, user="nvidia") for i in range(2)))
    desk.attempt.show(EnrolStage.NEEDS_PASSWORD, offer=OFFER)
    QTest.keyClicks(page.panel.sign_in_row.password_part.input, "secret")
    press(Qt.Key.Key_Return)
    desk.attempt.show(EnrolStage.DONE)
    click(page.panel.sign_in_row.done_part.advised_button)
    desk.attempt.show(EnrolStage.NEEDS_PASSWORD)
    QTest.qWait(20)
    assert len([call for call in desk.attempt.calls if call[0] == "password"]) == 1


def test_a_locked_key_is_unlocked_with_its_passphrase(page: AddNodePage, desk: Desk) -> None:
    begin(page, Who("10.0.20.31", 22, "nvidia", SignIn.KEY, "~/.ssh/id_spark"))
    desk.attempt.show(EnrolStage.NEEDS_PASSPHRASE, offer=OFFER)
    assert "The key ~/.ssh/id_spark is locked." in words(page)
    QTest.keyClicks(page.panel.sign_in_row.passphrase_part.input, "open sesame")
    press(Qt.Key.Key_Return)
    assert desk.attempt.calls[-1] == ("passphrase", "open sesame", False)


def test_a_key_is_advised_explained_and_can_be_declined(page: AddNodePage, desk: Desk) -> None:
    begin(page)
    desk.attempt.show(EnrolStage.IDENTIFYING, offer=OFFER)
    assert buttons(page) == ["Change", "Cancel"]
    desk.attempt.show(EnrolStage.IDENTIFYING, can_set_up_key=True)
    shown = words(page)
    for part in ("~/.ssh/authorized_keys", "public half", "never copied to a node", "undo"):
        assert part in shown
    click(page.panel.sign_in_row.key_part.other_button)
    assert desk.attempt.calls[-1] == ("keep",)
    desk.attempt.show(EnrolStage.IDENTIFYING, can_set_up_key=True, message="The disk is full.", remedy="Free some.")
    assert "The disk is full. Free some." in words(page)


@pytest.mark.parametrize("is_same", [True, False])
def test_a_known_node_at_another_address_is_asked_about(page: AddNodePage, desk: Desk, is_same: bool) -> None:
    begin(page)
    desk.attempt.show(EnrolStage.SAME_NODE, offer=OFFER, known_as="spark-5c2d")
    part = page.panel.sign_in_row.same_part
    assert "Is this spark-5c2d, at another address?" in words(page)
    assert QApplication.focusWidget() is part.other_button
    click(part.advised_button if is_same else part.other_button)
    assert desk.attempt.calls[-1] == ("same", is_same)


def test_the_end_says_who_it_is_as_soon_as_that_is_known(page: AddNodePage, desk: Desk) -> None:
    begin(page)
    desk.attempt.show(EnrolStage.DONE, offer=OFFER, node_id="node0", message="spark-5c2d is added")
    assert "spark-5c2d is added" in words(page)
    assert set(buttons(page)) == {"Open the cluster", "Add another"}
    desk.nodes.set((rack.status(0),))
    assert "NVIDIA DGX Spark · DGX OS 7.5.0 · 121.6 GiB unified memory" in words(page)
    click(page.panel.sign_in_row.done_part.other_button)
    assert page.currentWidget() is page.panel
    assert page.panel.who_row.form.address.text() == ""
    assert page.panel.who_row.form.user.text() == "nvidia"


@pytest.mark.parametrize("stage", [EnrolStage.LOOKING, EnrolStage.SIGNING_IN])
def test_a_failure_stays_in_its_row_and_says_what_to_do(page: AddNodePage, desk: Desk, stage: EnrolStage) -> None:
    begin(page)
    desk.attempt.show(stage)
    desk.attempt.show(EnrolStage.FAILED, message="No answer in 10 s", remedy="Is it on?", detail="ETIMEDOUT")
    row = page.panel.trust_row if stage is EnrolStage.LOOKING else page.panel.sign_in_row
    assert row.state() == "error"
    assert {"No answer in 10 s", "Is it on?"} <= set(words(row).splitlines())
    click(row.failure_part.detail_button)
    click(row.failure_part.copy_button)
    assert QGuiApplication.clipboard().text() == "No answer in 10 s\nIs it on?\nETIMEDOUT"
    click(row.failure_part.retry_button)
    assert desk.attempt.calls[-1] == ("retry",)
    click(row.failure_part.edit_button)
    assert desk.attempt.calls[-1] == ("cancel",)
    assert page.panel.who_row.form.address.text() == "10.0.20.31"


def test_a_start_that_is_refused_at_once_is_shown(page: AddNodePage, desk: Desk) -> None:
    page.open_form()
    desk.attempt.show(EnrolStage.FAILED, message="Choose the key file.", remedy="Correct it.")
    assert "Choose the key file." in words(page)


def test_the_log_grows_and_follows_only_at_its_end(page: AddNodePage, desk: Desk) -> None:
    begin(page)
    desk.attempt.write(*(f"line {i}" for i in range(80)))
    QTest.qWait(30)
    log = page.panel.log.text
    bar = log.verticalScrollBar()
    assert bar.value() == bar.maximum() > 0
    bar.setValue(3)
    desk.attempt.write("<b>late</b>\x1b[31m\u202e")
    QTest.qWait(30)
    assert bar.value() == 3
    assert log.toPlainText().splitlines()[-1].startswith("<b>late</b> [31m")
    click(page.panel.log.copy_button)
    assert QGuiApplication.clipboard().text().startswith("line 0\nline 1\n")


def test_several_machines_come_one_after_the_other(page: AddNodePage, desk: Desk) -> None:
    page._begin_candidates((candidate(0), candidate(1, user="ops"), candidate(2)))
    form = page.panel.who_row.form
    assert desk.attempt.calls == []
    assert form.address.text() == "10.0.20.31"
    assert "announces SSH" in words(page)
    form.user.clear()
    QTest.keyClicks(form.user, "nvidia")
    QTest.keyClick(form.user, Qt.Key.Key_Return)
    assert desk.attempt.calls == [("start", Who("10.0.20.31", 22, "nvidia", candidate_id="c0"))]
    desk.attempt.show(EnrolStage.DONE)
    assert page.panel.sign_in_row.done_part.advised_button.text() == "Next: spark-5ffe.local"
    click(page.panel.sign_in_row.done_part.advised_button)
    # Its user stands in the SSH config: there is nothing to type.
    assert desk.attempt.calls[-1] == ("start", Who("10.0.20.32", 22, "ops", candidate_id="c1"))
    desk.attempt.show(EnrolStage.FAILED, message="No answer", remedy="Is it on?")
    click(page.panel.trust_row.failure_part.edit_button)
    click(page.panel.who_row.skip_button)
    assert form.address.text() == "10.0.20.33"
    assert not page.panel.who_row.skip_button.isVisible()


def test_another_address_is_no_longer_the_candidate(page: AddNodePage, desk: Desk) -> None:
    page._begin_candidates((found_some()[3],))
    form = page.panel.who_row.form
    assert not form.jump.isEnabled()
    assert form.jump.placeholderText() == "through 10.0.20.31"
    form.address.selectAll()
    QTest.keyClicks(form.address, "10.0.20.99")
    assert form.jump.isEnabled()
    QTest.keyClick(form.address, Qt.Key.Key_Return)
    assert desk.attempt.calls[-1] == ("start", Who("10.0.20.99", 22, "hartmut"))


def test_a_key_file_is_chosen_by_the_application(page: AddNodePage, desk: Desk) -> None:
    page.open_form()
    form = page.panel.who_row.form
    page._add_node.key_file_wanted.connect(lambda take: take("/home/hartmut/.ssh/id_spark"))
    QTest.keyClicks(form.address, "10.0.20.31")
    form.sign_in.set_key("key")
    page.panel.who_row.submit()
    assert form._key_field.error() == "Choose the private key, or sign in another way."
    click(form.key_button)
    QTest.keyClick(form.key_path, Qt.Key.Key_Return)
    who = Who("10.0.20.31", 22, "hartmut", SignIn.KEY, "/home/hartmut/.ssh/id_spark")
    assert desk.attempt.calls == [("start", who)]


def test_a_wrong_jump_host_is_said_at_its_field(page: AddNodePage, desk: Desk) -> None:
    page.open_form()
    form = page.panel.who_row.form
    QTest.keyClicks(form.address, "10.0.20.31")
    click(form.fold_button)
    QTest.keyClicks(form.jump, "http://jump")
    QTest.keyClick(form.jump, Qt.Key.Key_Return)
    assert form._jump_field.error() == "Write the jump host as [user@]host[:port]."
    assert desk.attempt.calls == []


def test_coming_back_to_the_page_shows_the_attempt_that_goes_on(page: AddNodePage, desk: Desk) -> None:
    begin(page)
    offer(desk)
    page.hide()
    page.open_cards()
    page.show()
    assert page.currentWidget() is page.panel


STAGES = (
    {"stage": EnrolStage.IDLE},
    {"stage": EnrolStage.LOOKING},
    {"stage": EnrolStage.TRUST, "offer": OFFER},
    {"stage": EnrolStage.CHANGED_KEY, "offer": OFFER, "trusted_fingerprint": OTHER_PRINT},
    {"stage": EnrolStage.NEEDS_PASSWORD},
    {"stage": EnrolStage.NEEDS_PASSPHRASE},
    {"stage": EnrolStage.IDENTIFYING, "can_set_up_key": True},
    {"stage": EnrolStage.SAME_NODE},
    {"stage": EnrolStage.DONE},
    {"stage": EnrolStage.FAILED, "message": "No answer", "remedy": "Is it on?", "detail": "x"},
)


@pytest.mark.parametrize("state", STAGES, ids=lambda state: str(state["stage"]))
def test_texts_a_third_longer_still_fit_the_smallest_window(
    page: AddNodePage, desk: Desk, state: dict[str, object]
) -> None:
    page._begin_candidates((candidate(0, user="nvidia"), candidate(1)))
    desk.attempt.show(**state)  # type: ignore[arg-type]
    fingerprint = page.panel.trust_row.offer_part
    for part in [*page.panel.findChildren(Button), *page.panel.findChildren(Label)]:
        if part in (fingerprint.fingerprint, fingerprint._art) or not part.isVisible():
            continue
        part.setText(part.text() + " nnnn" * (len(part.text()) * 7 // 100) + "n" * (len(part.text()) * 35 // 100 % 5))
        part.updateGeometry()
    QTest.qWait(60)
    assert page.minimumSizeHint().width() <= 1044
    assert page.panel._area.widget().minimumSizeHint().width() <= page.panel._area.viewport().width()
    assert cut_labels(page.panel) == []


@pytest.mark.parametrize("stage", list(EnrolStage))
def test_hostile_words_are_plain_and_keep_the_page_in_shape(page: AddNodePage, desk: Desk, stage: EnrolStage) -> None:
    page._begin_candidates((candidate(0, user="nvidia", name=HOSTILE), candidate(1, name=HOSTILE)))
    shown = KeyOffer(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, in_known_hosts=True)
    for has_key in (False, True):
        desk.attempt.show(
            stage,
            who=Who(HOSTILE, 22, HOSTILE, key_path=HOSTILE, jump=HOSTILE),
            offer=shown,
            trusted_fingerprint=HOSTILE,
            known_as=HOSTILE,
            tried=HOSTILE,
            can_set_up_key=has_key,
            log=(HOSTILE,) * 300,
            message=HOSTILE,
            remedy=HOSTILE,
            detail=HOSTILE,
            asked_for=HOSTILE,
        )
        QTest.qWait(20)
        assert guessing_labels(page) == []
        assert page.minimumSizeHint().width() <= 1044
        inner = page.panel._area.widget().minimumSizeHint().width()
        assert inner <= page.panel._area.viewport().width(), f"{stage}: {inner}"
        assert "\u202e" not in words(page) + page.panel.log.text.toPlainText()
