"""What stands around the map: deployments, findings, saved clusters, charts and the table, by clicks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QEnterEvent
from PySide6.QtTest import QSignalSpy, QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from sparkdesk.core.cluster.topology import LookState, Topology
from sparkdesk.core.feed import Latest
from tests.ui import rack
from tests.ui.cluster.desk import CACHE, MTU, SLOW, Desk, open_page
from ui.cluster.view import ClusterPage

LEFT = Qt.MouseButton.LeftButton
pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")


@pytest.fixture
def desk(dressed: object) -> Desk:
    found = Desk()
    found.dress()
    found.live(10)
    return found


def choose(page: ClusterPage, way: str) -> None:
    page.ways.set_key(way)
    page.ways.changed.emit(way)


def enter(widget: object) -> None:
    QApplication.sendEvent(widget, QEnterEvent(QPointF(5, 5), QPointF(5, 5), QPointF(5, 5)))  # type: ignore[arg-type]


def test_a_deployment_tells_its_memory_traffic_as_computed_and_its_energy(qtbot: QtBot, desk: Desk) -> None:
    page = open_page(qtbot, desk.feeds())
    first, second = page.strip.cards()[:2]
    assert first.traffic.text() == "178 GB/s · 65\u202f% of 2 x 273, computed"
    assert first.energy.text().startswith("0.78 J/tok")
    assert "must read (active weights" in first.toolTip()
    assert "Wall: about 31.0 Wh, estimate" in first.toolTip()
    assert second.traffic.text() == "GB/s n/a"
    assert "How many experts the model has is not known" in second.toolTip()


def test_in_a_low_window_memory_traffic_stands_beside_the_rate(qtbot: QtBot, desk: Desk) -> None:
    page = open_page(qtbot, desk.feeds())
    page.strip.set_low(is_low=True)
    page.strip.resize(1440, page.strip.height())
    first, second = page.strip.cards()[:2]
    qtbot.waitUntil(lambda: "GB/s" in first.short.text())
    assert "tok/s" in first.short.text()
    assert "178 GB/s, computed" in first.short.text()
    assert "GB/s" not in second.short.text(), "what is not known takes no room from what is"


def test_a_deployment_that_is_pointed_at_or_has_the_focus_lights_its_nodes(qtbot: QtBot, desk: Desk) -> None:
    page = open_page(qtbot, desk.feeds())
    lit: list[frozenset[str]] = []
    page.strip.lit.connect(lit.append)
    first = page.strip.cards()[0]
    enter(first)
    QApplication.sendEvent(first, QEvent(QEvent.Type.Leave))
    first.setFocus(Qt.FocusReason.TabFocusReason)
    page.strip.cards()[1].setFocus(Qt.FocusReason.TabFocusReason)
    assert lit == [{"node0", "node1"}, frozenset(), {"node0", "node1"}, frozenset(), {"node2"}]


def test_the_sentence_leads_to_the_finding_and_to_its_fix(qtbot: QtBot, desk: Desk) -> None:
    page = open_page(qtbot, desk.feeds())
    QTest.mouseClick(page.sentence.button, LEFT)
    assert page.finding_drawer.isVisible()
    assert page.finding_drawer.panel.cards[MTU.id].isVisible()
    QTest.keyClick(page.finding_drawer, Qt.Key.Key_Escape)
    assert not page.finding_drawer.isVisible()
    spy = QSignalSpy(page.finding_fix_asked)
    desk.findings.set((CACHE,))
    page.refresh()
    QTest.mouseClick(page.sentence.button, LEFT)
    assert [list(spy.at(0))] == [[CACHE.id]]


def test_the_strip_of_findings_opens_the_list_and_asks_for_a_fix(qtbot: QtBot, desk: Desk) -> None:
    page = open_page(qtbot, desk.feeds())
    QTest.mouseClick(page.findings.all, LEFT)
    assert page.finding_drawer.isVisible()
    assert set(page.finding_drawer.panel.cards) == {one.id for one in desk.findings.value}
    QTest.mouseClick(page.finding_drawer.close_button, LEFT)
    assert not page.finding_drawer.isVisible()
    spy = QSignalSpy(page.finding_fix_asked)
    cell = next(cell for cell in page.findings.cells if cell.finding_id == CACHE.id)
    QTest.mouseClick(cell.fix, LEFT)
    assert list(spy.at(0)) == [CACHE.id]


def test_the_place_of_a_finding_leads_to_its_cable(qtbot: QtBot, desk: Desk) -> None:
    page = open_page(qtbot, desk.feeds())
    QTest.mouseClick(page.findings.all, LEFT)
    QTest.mouseClick(page.finding_drawer.panel.cards[MTU.id].place, LEFT)
    assert page.model.selection == ("cable", "node1:P1-switch")
    assert not page.finding_drawer.isVisible()
    QTest.mouseClick(page.findings.all, LEFT)
    QTest.mouseClick(page.finding_drawer.panel.cards[SLOW.id].place, LEFT)
    assert page.model.selection == ("node", "node2")


def test_findings_are_not_told_again_while_they_stay_the_same(qtbot: QtBot, desk: Desk) -> None:
    page = open_page(qtbot, desk.feeds())
    page.refresh()
    before = page.findings.cells[0].accessibleName()
    page.findings.cells[0].setAccessibleName("mark")
    page.refresh()
    assert page.findings.cells[0].accessibleName() == "mark"
    desk.findings.set((replace(SLOW, evidence="650 MHz"),))
    page.refresh()
    assert page.findings.cells[0].accessibleName() not in ("mark", before)


def test_look_again_is_asked_for_and_the_button_says_how_the_look_stands(qtbot: QtBot, desk: Desk) -> None:
    page = open_page(qtbot, desk.feeds())
    spy = QSignalSpy(page.look_asked)
    QTest.mouseClick(page.look, LEFT)
    assert spy.count() == 1
    desk.topology.set(replace(desk.topology.value, state=LookState.LOOKING))
    page.refresh()
    assert not page.look.isEnabled()
    assert "Looking at the cables" in page.look.toolTip()
    desk.topology.set(replace(desk.topology.value, state=LookState.FAILED, message="No node could be asked"))
    page.refresh()
    assert page.look.isEnabled()
    assert "The last look failed: No node could be asked." in page.look.toolTip()


def test_the_first_look_that_failed_can_be_repeated_from_the_sentence(qtbot: QtBot, desk: Desk) -> None:
    desk.findings.set(())
    desk.topology.set(Topology(state=LookState.FAILED, message="No node could be asked"))
    page = open_page(qtbot, desk.feeds())
    spy = QSignalSpy(page.look_asked)
    QTest.mouseClick(page.sentence.button, LEFT)
    assert spy.count() == 1


def test_saved_clusters_show_from_two_on_and_open_by_a_click(qtbot: QtBot, desk: Desk) -> None:
    page = open_page(qtbot, desk.feeds(clusters=desk.clusters()))
    shown = [button for button in page.thumbnails.buttons if button.isVisible()]
    assert [button.shown.line for button in shown] == ["4 of 4 · switch", "3 nodes · ring", "2 nodes · pair", "1 node"]
    assert shown[0].shown.state == MTU.title
    assert shown[1].shown.state == "Not open"
    spy = QSignalSpy(page.cluster_open_asked)
    QTest.mouseClick(shown[0], LEFT)
    QTest.mouseClick(shown[2], LEFT)
    assert [list(spy.at(i)) for i in range(spy.count())] == [["c3"]]
    page.resize(1044, 652)
    assert not page.thumbnails.isVisible(), "a low page has no room for them"


def test_one_saved_cluster_needs_no_picture(qtbot: QtBot, desk: Desk) -> None:
    page = open_page(qtbot, desk.feeds(clusters=Latest(desk.clusters().value[:1])))
    assert not page.thumbnails.isVisible()


def test_the_charts_are_made_on_the_first_visit_and_take_the_room(qtbot: QtBot, desk: Desk) -> None:
    page = open_page(qtbot, desk.feeds())
    assert page.charts is None
    choose(page, "charts")
    assert page.charts is not None
    assert page.charts.isVisible()
    assert not page.inspector.isVisible()
    choose(page, "map")
    assert page.map.isVisible()
    assert page.inspector.isVisible()


def test_without_feeds_of_charts_there_is_no_such_tab(qtbot: QtBot, desk: Desk) -> None:
    page = open_page(qtbot, desk.feeds(charts=None))
    page.ways.set_key("charts")
    assert page.ways.key() == "map"


def test_a_cluster_of_one_shows_charts_in_place_of_cables(qtbot: QtBot, dressed: object) -> None:
    desk = Desk(1, "single")
    desk.serve(rack.job("j1", "gpt-oss-120b", 0))
    desk.live(10)
    page = open_page(qtbot, desk.feeds())
    assert page.mini is not None
    assert page.mini.isVisible()
    assert page.mini.charts[0].has_data()
    assert page.strip.cards()[0].isVisible()
    assert not page.look.isVisible(), "one node has no cables to look at"
    choose(page, "table")
    assert not page.mini.isVisible()


def test_the_table_has_findings_links_and_engine_figures(qtbot: QtBot, desk: Desk) -> None:
    page = open_page(qtbot, desk.feeds())
    choose(page, "table")
    row = page.table.rows.rows[1]
    assert row.cells[2] == "1 open"
    assert row.extra.worst == "warn"
    assert "178 GB/s" in row.cells[5]
    assert row.cells[-1] == "MTU mismatch to CRS804-4DDQ"
    desk.findings.set((replace(MTU, is_accepted=True),))
    page.refresh()
    assert [each.cells[2] for each in page.table.rows.rows] == ["none", "1 accepted", "none", "none"]


def test_the_table_says_none_only_of_nodes_that_were_heard_and_looked_at(qtbot: QtBot, desk: Desk) -> None:
    desk.findings.set((MTU,))
    heard = Latest(frozenset({"node0", "node1"}))
    page = open_page(qtbot, desk.feeds(heard=heard))
    choose(page, "table")
    assert [each.cells[2] for each in page.table.rows.rows] == ["none", "1 open", "n/a", "n/a"]
    desk.findings.set(())
    desk.topology.set(Topology())
    page.refresh()
    assert page.findings.state_words.text() == "Not looked yet"
    assert {each.cells[2] for each in page.table.rows.rows} == {"n/a"}


def test_the_menu_of_a_row_asks_for_what_the_card_asks_for(qtbot: QtBot, desk: Desk) -> None:
    page = open_page(qtbot, desk.feeds())
    choose(page, "table")
    spy, opened = QSignalSpy(page.job_action_asked), QSignalSpy(page.node_asked)
    menu = page.table.build_menu(page.table.rows.rows[2])
    actions = {action.text(): action for action in menu.actions() if action.text()}
    for words in ("Inspect", "Open node", "Chat", "Logs", "Stop…"):
        actions[words].trigger()
    assert page.model.selection == ("node", "node2")
    assert list(opened.at(0)) == ["node2", "overview"]
    assert [list(spy.at(i)) for i in range(3)] == [["j2", "chat"], ["j2", "logs"], ["j2", "stop"]]
    loading = page.table.build_menu(page.table.rows.rows[3])
    assert [action.isEnabled() for action in loading.actions() if "Chat" in action.text()] == [False]
