from __future__ import annotations

from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from tests.ui.charts.scene import Scene
from tests.ui.picture import host_page, take_pictures
from ui.charts.mini import MiniCharts


def open_mini(qtbot: QtBot, scene: Scene) -> MiniCharts:
    mini = MiniCharts(scene.feeds())
    host = host_page(mini, 620, 300)
    qtbot.addWidget(host)
    QTest.qWait(10)
    return mini


def test_a_cluster_of_one_shows_its_node(qtbot: QtBot, dressed: object) -> None:
    scene = Scene(count=1)
    scene.live(90)
    mini = open_mini(qtbot, scene)
    mini.refresh()
    assert [chart.accessibleName().split(" ")[0] for chart in mini.charts] == ["Memory", "GPU", "SM", "GPU"]
    assert all(chart.has_data() for chart in mini.charts)
    take_pictures(mini, "charts-mini")


def test_what_is_old_is_said_to_be_old_and_nothing_known_is_not_zero(qtbot: QtBot, dressed: object) -> None:
    scene = Scene(count=1)
    mini = open_mini(qtbot, scene)
    mini.refresh()
    assert all(chart.accessibleName().endswith("n/a") for chart in mini.charts)
    scene.live(20)
    scene.silent = {"node0"}
    scene.live(12)
    mini.refresh()
    assert all(not chart.accessibleName().endswith("n/a") for chart in mini.charts)
    assert mini.ages == ["12 s ago"] * 4


def test_hidden_it_reads_nothing(qtbot: QtBot, dressed: object) -> None:
    scene = Scene(count=1)
    scene.live(5)
    mini = open_mini(qtbot, scene)
    mini.hide()
    asked = scene.asked
    mini.refresh()
    assert scene.asked == asked
