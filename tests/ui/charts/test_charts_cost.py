"""What the charts cost: nothing before they are opened, and no more after an hour than after a minute."""

from __future__ import annotations

import gc
import subprocess
import sys

from PySide6.QtCore import QCoreApplication, QObject
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from tests.ui.charts.scene import Scene
from tests.ui.picture import host_page
from ui.charts.model import ChartsModel
from ui.charts.view import ChartsPage

PARTS = ("pyqtgraph", "ui.charts")
SETTLE = 20
REFRESHES = 60


def test_the_first_frame_needs_neither_numpy_nor_pyqtgraph() -> None:
    code = "import sys, ui.charts.feed, ui.charts.mini; print({'numpy', 'pyqtgraph'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "set()"


def test_refreshes_leave_nothing_behind(qtbot: QtBot, dressed: object) -> None:
    scene = Scene(count=2)
    scene.live(320)
    page = ChartsPage(ChartsModel(scene.feeds()))
    page.model.refresh()
    page.model.remove_plot(0)
    page.model.remove_plot(0)
    host = host_page(page, 800, 560)
    qtbot.addWidget(host)
    QTest.qWait(20)

    def run(times: int) -> tuple[int, int, int, int]:
        for k in range(times):
            scene.live(1)
            page.model.step_cursor(-1)
            page.model.set_source("node1", is_on=k % 10 < 8)
            page.model.refresh()
            QCoreApplication.processEvents()
        gc.collect()
        items = sum(len(card.pane.canvas.scene().items()) for card in page.plots.cards)
        ours = [each for each in gc.get_objects() if str(type(each).__module__).startswith(PARTS)]
        return sys.getrefcount(None), len(ours), len(page.findChildren(QObject)), items

    none, objects, widgets, items = run(SETTLE)
    none_after, objects_after, widgets_after, items_after = run(REFRESHES)
    assert abs(none_after - none) < REFRESHES / 2
    assert abs(objects_after - objects) < 10
    assert (widgets_after, items_after) == (widgets, items)


def test_each_plot_is_painted_once_a_refresh(qtbot: QtBot, dressed: object) -> None:
    scene = Scene()
    scene.live(60)
    page = ChartsPage(ChartsModel(scene.feeds()))
    host = host_page(page, 1012, 620)
    qtbot.addWidget(host)
    QTest.qWait(50)
    before = [card.pane.canvas.repaints for card in page.plots.cards]
    scene.live(1)
    page.model.refresh()
    QTest.qWait(30)
    after = [card.pane.canvas.repaints for card in page.plots.cards]
    assert [new - old for old, new in zip(before, after, strict=True)] == [1, 1, 1, 1]
