"""How much processor time the open charts page costs: four plots of 4 and of 16 nodes, 600 points a line, a second.

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

NAMES = ("charts.cpu_4_plots_4_nodes", "charts.cursor_step", "charts.reads_hidden", "charts.cpu_4_plots_16_nodes")
ROUNDS = 40
SHARE_LIMIT = 5.0
MANY_SHARE_LIMIT = 10.0
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
    few, many = Sheet(4), Sheet(16)
    shown_ms, cursor_ms = few.cpu_of_second_ms(), cpu_ms(few.step)
    hidden = few.reads_hidden()
    many_ms = many.cpu_of_second_ms()
    many.host.hide()
    return [
        Figure.at_most(NAMES[0], shown_ms / 10, "% of a core", SHARE_LIMIT, baseline=_floor_ms() / 10, note=few.note()),
        Figure.at_most(NAMES[1], cursor_ms, "ms", CURSOR_LIMIT_MS, note="four legends and four strips"),
        Figure.at_most(NAMES[2], hidden, "reads", 0.0, note=f"series read in {HIDDEN_MS} ms out of sight"),
        Figure.at_most(NAMES[3], many_ms / 10, "% of a core", MANY_SHARE_LIMIT, note=many.note()),
    ]


class Sheet:
    """The page with four plots, and every node of a cluster in each."""

    def __init__(self, nodes: int) -> None:
        from ui.charts.model import ChartsModel
        from ui.charts.view import ChartsPage

        self.scene = Scene(count=nodes, period_ms=500)
        self.scene.live(620)
        self.model = ChartsModel(self.scene.feeds())
        self.host = host_page(ChartsPage(self.model), 1232, 852)
        for source in self.scene.sources:
            self.model.set_source(source.id, is_on=True)
        QCoreApplication.processEvents()

    def cpu_of_second_ms(self) -> float:
        """CPU time of a second of refresh and repaint."""
        return cpu_ms(self._second)

    def step(self) -> None:
        """A step of the cursor."""
        self.model.step_cursor(-1)
        QCoreApplication.processEvents()

    def reads_hidden(self) -> float:
        """How many series are read while nobody sees the page."""
        self.model.set_cursor(None)
        self.host.hide()
        asked = self.scene.asked
        QTest.qWait(HIDDEN_MS)
        return float(self.scene.asked - asked)

    def note(self) -> str:
        """What was measured."""
        lines = self.model.frame.lines
        points = min(len(line.times_ms) for line in lines)
        return f"{len(lines)} lines of {points} points, offscreen raster, median CPU"

    def _second(self) -> None:
        self.scene.live(1000 // self.scene.period_ms)
        self.model.refresh()
        QCoreApplication.processEvents()


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
