from __future__ import annotations

from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from sparkdesk.core.telemetry.series import Gap
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


def test_means_ten_seconds_apart_are_a_line_and_no_row_of_dots(qtbot: QtBot, dressed: object) -> None:
    scene = Scene(count=1, period_ms=10_000)
    scene.histories["node0"].period_s = 10.0
    scene.live(20)
    mini = open_mini(qtbot, scene)
    mini.refresh()
    chart = mini.charts[0]
    image = chart.grab().toImage()
    empty = image.pixelColor(45, chart.height() - 22)
    row = [image.pixelColor(x, chart.height() - 22) != empty for x in range(chart.width() // 2, chart.width() - 6)]
    assert all(row), "the area under the line is filled without a break"


def test_that_sparkdesk_was_closed_is_said(qtbot: QtBot, dressed: object) -> None:
    scene = Scene(count=1)
    scene.live(30)
    scene.told["node0"] = [Gap(scene.now_ms - 200_000, scene.now_ms - 30_000, "SparkDesk was closed")]
    mini = open_mini(qtbot, scene)
    mini.refresh()
    assert all(chart.accessibleDescription().endswith("Gaps: SparkDesk was closed") for chart in mini.charts)
    take_pictures(mini, "charts-mini-closed")
