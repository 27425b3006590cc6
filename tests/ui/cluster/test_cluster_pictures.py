"""Pictures of the whole cluster page, for people to look at."""

from __future__ import annotations

from pytestqt.qtbot import QtBot

from tests.ui import rack
from tests.ui.cluster.desk import Desk, open_page, switch_topology
from tests.ui.picture import take_pictures
from ui.cluster.model import NOTHING


def test_pictures_of_a_working_day(qtbot: QtBot, dressed: object) -> None:
    desk = Desk()
    desk.dress()
    desk.live(90)
    desk.topology.set(switch_topology(desk.now_ms - 40_000))
    page = open_page(qtbot, desk.feeds(clusters=desk.clusters()))
    page.model.select("node", "node2")
    take_pictures(page, "page-day")
    page.model.select("cable", page.model.cable_at(("node1", "P1")).key)  # type: ignore[union-attr]
    take_pictures(page, "page-cable")


def test_pictures_of_one_node_and_of_the_table(qtbot: QtBot, dressed: object) -> None:
    alone = Desk(1, "single")
    alone.serve(rack.job("j1", "gpt-oss-120b", 0))
    alone.live(90)
    take_pictures(open_page(qtbot, alone.feeds()), "page-single")
    desk = Desk()
    desk.dress()
    desk.live(30)
    page = open_page(qtbot, desk.feeds())
    page.ways.set_key("table")
    page.ways.changed.emit("table")
    page.model.select(*NOTHING)
    take_pictures(page, "page-table")
