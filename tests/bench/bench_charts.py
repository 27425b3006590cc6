"""How much processor time the open charts page costs: four plots of four nodes with 600 points, once a second.

The one rule: CPU time of this process, the median of many; a second of refresh and repaint is measured beside painting
one polyline of 600 points by hand.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable

from PySide6.QtCore import QCoreApplication, QPointF
from PySide6.QtGui import QImage, QPainter, QPolygonF
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from tests.bench.figure import Figure
from tests.ui.charts.scene import Scene
from tests.ui.picture import host_page
from ui.style import install_style
from ui.theme import color
from ui.widgets.paint import pen

NAMES = ("charts.cpu_4_plots_4_nodes", "charts.cursor_step", "charts.reads_hidden")
ROUNDS = 40
SHARE_LIMIT = 5.0
CURSOR_LIMIT_MS = 12.0
HIDDEN_MS = 2200


def cpu_ms(work: Callable[[], object]) -> float:
    """The median CPU time of one call, in ms."""
    for _ in range(5):
        work()
    times = []
    for _ in range(ROUNDS):
        began_s = time.process_time()
        work()
        times.append((time.process_time() - began_s) * 1000)
    return statistics.median(times)


def measure() -> list[Figure]:
    """The page as in a window of 1440x900, its spans half as long as usual samples come: 600 points a line."""
    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    install_style(app, "dark")
    from ui.charts.model import ChartsModel
    from ui.charts.view import ChartsPage

    scene = Scene(period_ms=500)
    scene.live(620)
    model = ChartsModel(scene.feeds())
    page = ChartsPage(model)
    host = host_page(page, 1232, 852)
    QCoreApplication.processEvents()
    points = min(len(line.times_ms) for line in model.frame.lines)

    def second() -> None:
        scene.now_ms += 1000
        model.refresh()
        QCoreApplication.processEvents()

    def step() -> None:
        model.step_cursor(-1)
        QCoreApplication.processEvents()

    shown_ms = cpu_ms(second)
    cursor_ms = cpu_ms(step)
    model.set_cursor(None)
    host.hide()
    asked = scene.asked
    QTest.qWait(HIDDEN_MS)
    hidden = float(scene.asked - asked)
    note = f"{len(model.frame.lines)} lines of {points} points, offscreen raster, median CPU"
    return [
        Figure.at_most(NAMES[0], shown_ms / 10, "% of a core", SHARE_LIMIT, baseline=_floor_ms() / 10, note=note),
        Figure.at_most(NAMES[1], cursor_ms, "ms", CURSOR_LIMIT_MS, note="four legends and four strips"),
        Figure.at_most(NAMES[2], hidden, "reads", 0.0, note=f"series read in {HIDDEN_MS} ms out of sight"),
    ]


def _floor_ms() -> float:
    """Painting one line of 600 points by hand."""
    canvas = QImage(900, 150, QImage.Format.Format_ARGB32_Premultiplied)
    line = QPolygonF([QPointF(1.5 * x, 75 + 50 * math.sin(x / 20)) for x in range(600)])

    def paint() -> None:
        painter = QPainter(canvas)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(pen(color("s1")))
        painter.drawPolyline(line)
        painter.end()

    return cpu_ms(paint)
