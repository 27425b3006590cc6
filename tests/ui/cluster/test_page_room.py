"""What the page does with its room: what is chosen first, columns and words that fit, no row for a cross alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from sparkdesk.core.step import Playbook
from tests.ui import rack
from tests.ui.cluster.cabled import CASES
from tests.ui.cluster.desk import CACHE, MTU, Desk, open_page
from ui.cluster.model import NOTHING
from ui.cluster.thumbnail import ON_SWITCH, Thumbnail, ThumbnailButton, ThumbnailRow, art_of
from ui.cluster.view import ClusterPage
from ui.findings.strip import FindingStrip
from ui.widgets.chart import LiveChart, Series
from ui.widgets.paint import text_width

pytestmark = [pytest.mark.usefixtures("dressed"), pytest.mark.qt_log_ignore("propagateSizeHints")]


@pytest.fixture
def desk(dressed: object) -> Desk:
    return Desk()


def show_table(page: ClusterPage) -> None:
    page.ways.set_key("table")
    page.ways.changed.emit("table")


def test_the_node_of_the_worst_finding_is_shown_first(qtbot: QtBot, desk: Desk) -> None:
    desk.dress()
    page = open_page(qtbot, desk.feeds())
    assert page.model.selection == ("node", MTU.node_id)


def test_after_another_cluster_is_opened_its_first_node_is_shown(qtbot: QtBot, desk: Desk) -> None:
    page = open_page(qtbot, desk.feeds())
    assert page.model.selection == ("node", "node0")
    other = tuple(replace(one, record=replace(one.record, id=f"x{one.record.id}")) for one in desk.nodes.value)
    desk.nodes.set(other)
    page.refresh()
    assert page.model.selection == ("node", "xnode0")
    page.model.select(*NOTHING)
    page.refresh()
    assert page.model.selection == NOTHING, "the person put it away"


def test_in_the_narrowest_window_the_table_keeps_both_ports_in_sight(qtbot: QtBot, desk: Desk) -> None:
    desk.dress()
    page = open_page(qtbot, desk.feeds(), 1044, 652)
    show_table(page)
    table = page.table
    head = table.horizontalHeader()
    for column in (0, 1, 12, 13):
        assert not table.isColumnHidden(column)
        left = head.sectionViewportPosition(column)
        said = max(text_width(row.cells[column], "dense") for row in table.rows.rows)
        assert left >= 0
        assert left + said <= table.viewport().width(), column


def test_with_room_for_all_the_table_has_every_column(qtbot: QtBot, desk: Desk) -> None:
    desk.dress()
    page = open_page(qtbot, desk.feeds(), 2600, 852)
    show_table(page)
    assert not any(page.table.isColumnHidden(column) for column in range(14))


def test_the_cross_of_the_list_of_findings_stands_in_its_title_row(qtbot: QtBot, desk: Desk) -> None:
    desk.dress()
    page = open_page(qtbot, desk.feeds())
    page.findings.all.click()
    drawer = page.finding_drawer
    cross, title = drawer.close_button, drawer.panel.counts
    assert abs(_middle(cross, page) - _middle(title, page)) <= 3


def _middle(part: object, page: ClusterPage) -> int:
    return part.mapTo(page, QPoint(0, part.height() // 2)).y()  # type: ignore[attr-defined]  # a widget


@pytest.mark.parametrize(("width", "is_whole"), [(1100, True), (430, False)])
def test_the_link_of_a_fix_takes_the_room_that_there_is(qtbot: QtBot, width: int, is_whole: bool) -> None:
    strip = FindingStrip()
    qtbot.addWidget(strip)
    words = "Empty apt's cache and remove docker's images without a name"
    strip.resize(width, 76)
    strip.show()
    strip.set_findings((replace(CACHE, fix=Playbook(words, ())),), {"node3": "spark-3995"}, now_ms=rack.NOW_MS)
    qtbot.waitUntil(lambda: strip.cells[0].width() > 100)
    fix = strip.cells[0].fix
    assert (fix.text().startswith(words), text_width(fix.text(), "dense_medium") <= strip.cells[0].width()) == (
        is_whole,
        True,
    )


def test_a_long_tick_has_its_room_left_of_the_plot(qtbot: QtBot) -> None:
    chart = LiveChart("P1 RoCE rate", unit="Gb/s")
    qtbot.addWidget(chart)
    chart.set_series([Series("rx", [0.0, 1.0], [0.0041, 0.0044])], now_s=1.0, value_text="0.0")
    assert chart.ticks_width() >= text_width("0.005", "label") + 6


def test_a_small_picture_has_the_cables_that_were_seen_of_any_shape() -> None:
    drawn = {name: art_of(CASES[name]().scene().wiring, ("n1", "n2", "n3", "n4")) for name in ("chain", "switch")}
    assert drawn["chain"] == ((0, 1), (1, 2), (2, 3))
    assert drawn["switch"] == tuple((i, ON_SWITCH) for i in range(4))
    mixed = art_of(CASES["mixed"]().scene().wiring, [f"n{i + 1}" for i in range(6)])
    assert (0, 3) in mixed
    assert sum(second == ON_SWITCH for _, second in mixed) == 6


def test_a_saved_cluster_of_any_cabling_has_a_picture_with_lines(qtbot: QtBot) -> None:
    pictures = []
    for shape in ("mixed", "chain", "single"):
        button = ThumbnailButton()
        qtbot.addWidget(button)
        button.resize(190, 60)
        button.set_thumbnail(Thumbnail("c", "lab", shape, 4, "", ""))
        pictures.append(button.grab().toImage())
    assert pictures[0] != pictures[2]
    assert pictures[1] != pictures[2]


@pytest.mark.parametrize(("width", "count"), [(816, 4), (686, 3), (420, 1)])
def test_saved_clusters_lie_beside_each_other_and_the_rest_is_counted(qtbot: QtBot, width: int, count: int) -> None:
    host = QWidget()
    qtbot.addWidget(host)
    row = ThumbnailRow(host)
    row.resize(1200, 70)
    row.set_thumbnails([Thumbnail(f"c{i}", f"lab-{i}", "ring", 3, "", "", is_open=i == 3) for i in range(4)])
    host.show()
    row.resize(width, 70)
    shown = [button for button in row.buttons if button.isVisible()]
    assert len(shown) == count
    assert any(button.shown.is_open for button in shown)
    assert row.more.isVisible() is (count < 4)
    row.layout().activate()  # type: ignore[union-attr]  # it has one
    assert all(a.geometry().right() < b.geometry().left() for a, b in pairwise(shown))
    assert shown[-1].geometry().right() <= width
