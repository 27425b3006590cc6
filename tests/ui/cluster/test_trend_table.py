"""The table's trends: the same nodes in the same order, their last five minutes, and the same clicks and keys."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QObject, QPoint, Qt
from PySide6.QtGui import QPaintEvent, QRegion
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from sparkdesk.core.cluster.node import NodeState
from tests.ui import rack
from tests.ui.cluster.desk import Desk, open_page
from tests.ui.picture import take_pictures
from ui.cluster.trend_table import TRENDS, TrendPane, add_up
from ui.cluster.view import ClusterPage
from ui.widgets.segmented import Segmented

pytestmark = pytest.mark.usefixtures("dressed")
LEFT, NO_KEY = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


def click_option(ways: Segmented, words: str) -> None:
    """Click one of a row of choices."""
    part = next(child for child in ways.children() if getattr(child, "text", str)() == words)
    QTest.mouseClick(part, LEFT)  # type: ignore[call-overload]  # a part is a widget


def open_trends(qtbot: QtBot, desk: Desk) -> tuple[ClusterPage, TrendPane]:
    """The page with the trends chosen by clicks."""
    page = open_page(qtbot, desk.feeds())
    click_option(page.ways, "Table")
    click_option(page.tables.ways, "Trends")
    assert page.tables.trends is not None
    qtbot.waitUntil(lambda: page.tables.trends is not None and page.tables.trends.sheet.repaints > 0)
    return page, page.tables.trends


def click_row(pane: TrendPane, row: int) -> None:
    """Click into a row."""
    QTest.mouseClick(pane.sheet, LEFT, NO_KEY, QPoint(40, pane.sheet.row_rect(row).center().y()))


def test_trends_are_chosen_by_a_click_and_stay_chosen(qtbot: QtBot) -> None:
    desk = Desk()
    desk.live(60)
    page, pane = open_trends(qtbot, desk)
    assert pane.isVisible()
    assert not page.table.isVisible()
    click_option(page.ways, "Map")
    click_option(page.ways, "Table")
    assert pane.isVisible()
    click_option(page.tables.ways, "Figures")
    assert page.table.isVisible()
    assert [row.node_id for row in page.table.rows.rows] == list(page.model.scene.node_ids)


def test_a_row_is_selected_by_click_and_by_arrow_keys(qtbot: QtBot) -> None:
    desk = Desk()
    desk.live(5)
    page, pane = open_trends(qtbot, desk)
    click_row(pane, 2)
    assert page.model.selection == ("node", "node2")
    QTest.keyClick(pane.sheet, Qt.Key.Key_Down)
    assert page.model.selection == ("node", "node3")
    QTest.keyClick(pane.sheet, Qt.Key.Key_Down)
    assert page.model.selection == ("node", "node3")
    QTest.keyClick(pane.sheet, Qt.Key.Key_Home)
    assert page.model.selection == ("node", "node0")
    page.model.select("node", "node1")
    assert pane.sheet.selected == 1
    assert page.table.selectionModel().selectedRows()[0].row() == 1


def test_a_double_click_or_enter_opens_the_inspector(qtbot: QtBot) -> None:
    desk = Desk()
    desk.live(5)
    page, pane = open_trends(qtbot, desk)
    opened: list[str] = []
    page.tables.opened.connect(opened.append)
    QTest.mouseDClick(pane.sheet, LEFT, NO_KEY, pane.sheet.row_rect(1).center())
    assert (page.model.selection, opened) == (("node", "node1"), ["node1"])
    pane.sheet.setFocus()
    QTest.keyClick(pane.sheet, Qt.Key.Key_Return)
    assert opened == ["node1", "node1"]
    assert page.inspector.isAncestorOf(page.focusWidget()) or page.inspector.hasFocus()


def test_the_past_before_the_first_click_is_there_with_its_gap(qtbot: QtBot) -> None:
    desk = Desk()
    desk.live(100)
    desk.now_ms += 60_000
    desk.live(60)
    _, pane = open_trends(qtbot, desk)
    low, _ = pane.sheet.trends.bounds(range(4))
    power = [trend.metric for trend in TRENDS].index("gpu_power_w")
    missing = np.flatnonzero(np.isnan(low[1, power]))
    assert (np.diff(missing) > 1).sum() == 1, "what was before the first sample, and the gap"
    assert 18 <= (missing > missing[0] + np.argmax(np.diff(missing) > 1)).sum() <= 21
    assert pane.sheet.value_text(0, 0) == "93.8 GiB"


def test_what_is_not_known_says_so_and_traffic_of_both_cages_is_added_up(qtbot: QtBot) -> None:
    desk = Desk()
    desk.live(3)
    desk.now_ms += 1000
    desk.measure(0, cage_rx_gbps__P0=4.0, cage_rx_gbps__P1=38.5)
    desk.measure(1, cage_rx_gbps__P1=math.nan, gpu_power_w=math.nan)
    _, pane = open_trends(qtbot, desk)
    assert pane.sheet.value_text(0, 4) == "42.5 Gb/s"
    assert (pane.sheet.value_text(1, 2), pane.sheet.value_text(1, 4)) == ("n/a", "n/a")
    times = np.array([1000, 2000], np.int64), np.array([2000, 3000], np.int64)
    total = add_up([(times[0], np.array([1.0, 2.0])), (times[1], np.array([5.0, math.nan]))])
    assert np.array_equal(total[1], [math.nan, 7.0, math.nan], equal_nan=True)


def test_one_cage_alone_is_not_shown_as_the_traffic_of_both(qtbot: QtBot) -> None:
    desk = Desk()
    both = {"cage_up__P0": 2.0, "cage_rx_gbps__P0": 90.0, "cage_rx_gbps__P1": 100.0}
    for second in range(12):
        desk.now_ms += 3000 - desk.now_ms % 3000
        hole = {"cage_rx_gbps__P1": math.nan} if second in (6, 11) else {}
        desk.measure(1, **(both | hole))
    _, pane = open_trends(qtbot, desk)
    assert pane.sheet.value_text(1, 4) == "n/a", "its P1 is not known now"
    low, _ = pane.sheet.trends.bounds(range(1, 2))
    line = low[0, 4]
    assert set(line[~np.isnan(line)]) == {190.0}, "where a part is not known there is no false drop"
    assert np.isnan(line[-6])


def test_a_cage_without_a_link_carries_nothing_and_hides_nothing(qtbot: QtBot) -> None:
    desk = Desk()
    for _ in range(3):
        desk.now_ms += 3000
        desk.measure(1, cage_up__P0=0.0, cage_rx_gbps__P1=100.0)
    _, pane = open_trends(qtbot, desk)
    assert pane.sheet.value_text(1, 4) == "100.0 Gb/s"
    low, _ = pane.sheet.trends.bounds(range(1, 2))
    assert set(low[0, 4][~np.isnan(low[0, 4])]) == {100.0}


def test_an_old_row_is_grey_and_tells_its_age(qtbot: QtBot) -> None:
    desk = Desk()
    desk.live(30)
    page, pane = open_trends(qtbot, desk)
    desk.now_ms += 14_000
    for i in (0, 2, 3):
        desk.measure(i)
    page.refresh()
    assert pane.sheet.stale_rows == {1: "14 s ago"}
    assert "Values are 14 s old." in pane.sentence(1)
    assert "old" not in pane.sentence(0)


def test_a_row_is_told_in_sentences(qtbot: QtBot) -> None:
    desk = Desk()
    desk.live(30)
    page, pane = open_trends(qtbot, desk)
    click_row(pane, 0)
    said = pane.sheet.accessibleDescription()
    assert said.startswith(
        f"{rack.record(0).name}, the last 5 minutes. Memory used 93.8 GiB, from 93.8 GiB to 93.8 GiB."
    )
    assert "GPU power (rail)" in said
    names = [(region.accessibleName(), region.accessibleDescription()) for region in pane.regions()]
    assert names[0] == (rack.record(0).name, said)
    assert len(names) == len(page.model.scene.cards)


def test_nothing_is_painted_or_kept_while_it_is_hidden(qtbot: QtBot) -> None:
    desk = Desk()
    desk.live(10)
    page, pane = open_trends(qtbot, desk)
    click_option(page.tables.ways, "Figures")
    painted, end = pane.sheet.repaints, pane.sheet.trends.end
    desk.live(30)
    page.refresh()
    qtbot.wait(20)
    assert (pane.sheet.repaints, pane.sheet.trends.end) == (painted, end)
    click_option(page.tables.ways, "Trends")
    low, _ = pane.sheet.trends.bounds(range(1))
    assert (~np.isnan(low[0, 0])).sum() >= 13, "what came meanwhile is there"


class Watcher(QObject):
    """Gathers where a widget is painted."""

    def __init__(self) -> None:
        super().__init__()
        self.painted = QRegion()

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QPaintEvent):
            self.painted += event.region()
        return False


def test_only_what_moved_is_painted(qtbot: QtBot) -> None:
    desk = Desk()
    desk.live(10)
    desk.now_ms += 3000 - desk.now_ms % 3000  # a column of the lines begins
    for i in range(4):
        desk.measure(i)
    page, pane = open_trends(qtbot, desk)
    watcher, painted = Watcher(), pane.sheet.repaints
    page.refresh()
    qtbot.wait(20)
    assert pane.sheet.repaints == painted, "nothing is new"
    pane.sheet.installEventFilter(watcher)
    desk.live(1)
    page.refresh()
    qtbot.waitUntil(lambda: not watcher.painted.isEmpty())
    old = QRegion(0, 0, int(pane.sheet.left_of(0)) + 20, pane.sheet.height())
    assert not watcher.painted.intersects(old), "names and the past stay as they are"


def test_sixty_four_nodes_scroll_and_the_selected_row_is_in_sight(qtbot: QtBot) -> None:
    desk = Desk(64)
    desk.live(3)
    page, pane = open_trends(qtbot, desk)
    assert pane.area.verticalScrollBar().maximum() > 0
    page.model.select("node", "node63")
    assert pane.area.verticalScrollBar().value() > 0
    assert not pane.sheet.visibleRegion().intersected(pane.sheet.row_rect(63)).isEmpty()
    pane.sheet.setFocus()
    QTest.keyClick(pane.sheet, Qt.Key.Key_Home)
    assert pane.area.verticalScrollBar().value() == 0


def test_a_node_that_goes_takes_its_row_with_it(qtbot: QtBot) -> None:
    desk = Desk()
    desk.live(5)
    page, pane = open_trends(qtbot, desk)
    desk.nodes.set(tuple(rack.status(i) for i in (3, 1)))
    page.refresh()
    click_row(pane, 0)
    assert page.model.selection == ("node", "node3")
    assert pane.sheet.count == 2


def test_pictures_of_the_trends(qtbot: QtBot) -> None:
    for count in (4, 64):
        desk = Desk(count)
        if count == 4:
            desk.dress()
        for second in range(100 if count == 4 else 30):
            desk.now_ms += 3000
            for i in range(count):
                _measure_wave(desk, i, second)
        if count == 4:
            desk.nodes.set((*(rack.status(i) for i in range(3)), rack.status(3, NodeState.STALE)))
        page, pane = open_trends(qtbot, desk)
        click_row(pane, 1)
        take_pictures(page, f"page-trends-{count}")


def _measure_wave(desk: Desk, i: int, step: int) -> None:
    if i % 8 == 3 and step > 24 + 70 * (desk.count == 4):
        return
    wave = math.sin(step / 9 + i)
    rates = {"cage_rx_gbps__P1": 60 + 50 * wave, "cage_tx_gbps__P1": 44 - 30 * wave}
    if i % 4 == 2:
        rates = dict.fromkeys(rates, math.nan)
    clock = 731.0 if i % 8 == 2 else 2411 + 300 * wave
    heat = 58 + 12 * math.sin(step / 30 + i)
    desk.measure(i, 60 + 40 * wave, gpu_power_w=50 + 30 * wave, gpu_sm_clock_mhz=clock, gpu_temp_c=heat, **rates)


@pytest.mark.parametrize("by_ms", [3_600_000, -3_600_000])
def test_after_the_clock_was_set_the_lines_are_where_they_were(qtbot: QtBot, by_ms: int) -> None:
    desk = Desk()
    desk.live(120)
    page, pane = open_trends(qtbot, desk)
    before = np.isfinite(pane.sheet.trends.bounds(range(4))[1]).sum()
    desk.now_ms += by_ms
    for history in desk.histories.values():
        history.move_times(by_ms)
    desk.live(1)
    page.refresh()
    assert np.isfinite(pane.sheet.trends.bounds(range(4))[1]).sum() >= before > 0
