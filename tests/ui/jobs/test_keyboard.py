"""The deployments page by keyboard alone: everything is reached in reading order, and is seen to be reached."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QSignalSpy, QTest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from tests.ui.jobs.desk import BROKEN, READY, SLOW_ONE, Desk
from tests.ui.picture import host_page
from ui.jobs.model import DeploymentsModel
from ui.jobs.view import DeploymentsPage
from ui.widgets.button import Button
from ui.widgets.focus import has_ring, install_focus_rings

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
MOST_STEPS = 40


@pytest.fixture
def desk(dressed: object) -> Desk:
    found = Desk()
    found.serve(READY, SLOW_ONE, BROKEN, seconds=5)
    return found


@pytest.fixture
def page(qtbot: QtBot, desk: Desk, dressed: QApplication) -> DeploymentsPage:
    install_focus_rings(dressed)
    page = DeploymentsPage(DeploymentsModel(desk.feeds()))
    host = host_page(page, 1036, 652)  # the least window: most of the cards have to be scrolled to
    qtbot.addWidget(host)
    host.activateWindow()
    qtbot.waitUntil(host.isActiveWindow)
    return page


def begin(page: DeploymentsPage, job_id: str) -> None:
    page.model.select(job_id)
    QTest.qWait(30)
    page.list.setFocus(Qt.FocusReason.TabFocusReason)


def focus() -> QWidget:
    found = QApplication.focusWidget()
    assert found is not None
    return found


def tab_to(widget: QWidget) -> None:
    """Press Tab until the widget has the focus."""
    for _ in range(MOST_STEPS):
        QTest.keyClick(focus(), Qt.Key.Key_Tab)
        if focus() is widget:
            return
    raise AssertionError(f"{widget.accessibleName()} is not reached by Tab")


def is_seen(page: DeploymentsPage, widget: QWidget) -> bool:
    """Whether all of it lies where it can be seen, and its focus is shown."""
    area = page.detail.cards.viewport()
    if page.detail.cards.isAncestorOf(widget):
        top = widget.mapTo(area, widget.rect().topLeft()).y()
        if top < 0 or top + widget.height() > area.height():
            return False
    rings = install_focus_rings(QApplication.instance())  # type: ignore[arg-type]
    return rings.widget() is widget if has_ring(widget) else True


def button(page: DeploymentsPage, words: str) -> Button:
    return next(each for each in page.detail.banner.findChildren(Button) if each.text() == words)


def test_a_ready_one_is_walked_through_in_the_order_in_which_it_is_read(page: DeploymentsPage) -> None:
    begin(page, "j1")
    detail = page.detail
    head, endpoint, log = detail.head, detail.endpoint, detail.log.head
    order = (
        *(head.verdict, head.chat_button, head.measure_button, head.restart_button, head.stop_button),
        *(head.menu_button, head.fold, detail.change.more, detail.change.open_button, detail.change.later),
        *(endpoint.url, *endpoint.ways.values(), log.words, log.follow, log.search, log.save, log.size_button),
    )
    for widget in order:
        tab_to(widget)
        QTest.qWait(5)
        assert is_seen(page, widget), f"the focus on {widget.accessibleName()} is not seen"
    QTest.keyClick(focus(), Qt.Key.Key_Backtab)
    assert focus() is log.save, "and backwards"


def test_a_failed_one_is_mended_copied_and_read_by_keyboard(qtbot: QtBot, page: DeploymentsPage) -> None:
    begin(page, "j5")
    fixed, removed = QSignalSpy(page.fix_asked), QSignalSpy(page.detail.forget_asked)
    head = page.detail.head
    for widget in (head.relaunch_button, head.forget_button):
        tab_to(widget)
        assert is_seen(page, widget)
        QTest.keyClick(widget, Qt.Key.Key_Space)
    assert (fixed.count(), removed.count()) == (1, 1)
    assert page.dialog is not None
    QTest.keyClick(page.dialog, Qt.Key.Key_Escape)
    page.window().activateWindow()
    qtbot.waitUntil(page.window().isActiveWindow)
    for words in ("Fix and relaunch", "Copy"):
        tab_to(button(page, words))
        QTest.keyClick(focus(), Qt.Key.Key_Space)
    assert fixed.count() == 2
    assert QGuiApplication.clipboard().text().startswith("MemAvailable fell to 3.8 GiB on spark-bd26")
    tab_to(page.detail.log.head.size_button)
    QTest.keyClick(focus(), Qt.Key.Key_Space)
    assert page.detail.log.is_full, "the log is shown whole"


def test_a_verdict_is_explained_and_a_server_measured_copied_and_stopped_by_keyboard(
    qtbot: QtBot, page: DeploymentsPage, desk: Desk
) -> None:
    begin(page, "j2")
    detail = page.detail
    tab_to(detail.head.verdict)
    QTest.keyClick(focus(), Qt.Key.Key_Space)
    QTest.qWait(20)
    assert detail.speed.isVisible()
    tab_to(detail.speed.again)
    assert is_seen(page, detail.speed.again)
    QTest.keyClick(focus(), Qt.Key.Key_Space)
    tab_to(detail.endpoint.ways["curl"])
    QTest.keyClick(focus(), Qt.Key.Key_Space)
    assert desk.asked == [("check_again", "j2"), ("open_door", "j2")]
    assert QGuiApplication.clipboard().text().startswith("curl ")
    begin(page, "j2")
    tab_to(detail.head.stop_button)
    QTest.keyClick(focus(), Qt.Key.Key_Space)
    assert page.dialog is not None
    page.dialog.activateWindow()
    qtbot.waitUntil(page.dialog.isActiveWindow)
    assert focus() is page.dialog.keep, "what changes nothing is first"
    tab_to(page.dialog.go)
    stopped = QSignalSpy(page.stop_confirmed)
    QTest.keyClick(focus(), Qt.Key.Key_Space)
    assert list(stopped.at(0)) == ["j2"]
    page.window().activateWindow()
    qtbot.waitUntil(page.window().isActiveWindow)
    begin(page, "j2")
    tab_to(detail.head.measure_button)
    QTest.keyClick(focus(), Qt.Key.Key_Space)
    assert detail.measure is not None
    assert detail.measure.isVisible()


def test_what_gets_the_focus_from_outside_is_scrolled_to(page: DeploymentsPage) -> None:
    begin(page, "j1")
    cards, verdict = page.detail.cards, page.detail.head.verdict
    cards.verticalScrollBar().setValue(cards.verticalScrollBar().maximum())
    assert not is_seen(page, verdict)
    tab_to(verdict)
    assert is_seen(page, verdict)
