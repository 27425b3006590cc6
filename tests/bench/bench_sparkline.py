"""What 64 x 6 sparklines cost at 2 Hz, in our own widget and in pyqtgraph, in turns.

Each update brings a new sample for every line; both keep 5 minutes at 2 Hz (600 samples) and paint a shown window of
the same width in the same process. pyqtgraph is used as it is meant to be: one PlotWidget a line, axes hidden, range
fixed. The one rule: CPU time of this process from the samples to the painted frame; the share of a core is that time by
the rate. As the floor, one fill of the same window; both arms take turns, so that a busy machine slows all alike.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import pyqtgraph
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QApplication, QGridLayout, QWidget

from tests.bench.figure import Figure
from ui.style import install_style
from ui.theme import SERIES, color
from ui.widgets.paint import fill
from ui.widgets.sparkline import SparklineSheet, SparkQuantity
from ui.widgets.trend import TrendTable

NAMES = ("sparkline.share_of_a_core", "sparkline.of_pyqtgraph", "sparkline.repaints_hidden")
ROWS, QUANTITIES, HZ, SAMPLES = 64, 6, 2.0, 600
WIDTH = 1824
TURNS, UPDATES = 6, 12
"""Updates of ours in a turn; pyqtgraph gets two: it takes that long."""
SHARE_LIMIT_PERCENT = 2.0
RATIO_LIMIT = 0.1
NOW_MS = 1_760_000_000_000
PERIOD_MS = round(1000 / HZ)


class Source:
    """Values as they could come: waves with noise. The same for both arms."""

    def __init__(self) -> None:
        self._noise = np.random.default_rng(4)
        self.past = np.stack([self.at(step) for step in range(SAMPLES)], axis=-1)

    def at(self, step: int) -> NDArray[np.float64]:
        """ROWS x QUANTITIES values."""
        wave = np.sin(step / 40 + np.arange(ROWS))[:, None]
        return 50.0 + 30.0 * wave + self._noise.normal(0.0, 3.0, (ROWS, QUANTITIES))


class Ours:
    """Our sheet, filled with a past."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._step = SAMPLES
        self._trends = TrendTable(ROWS, QUANTITIES, period_s=1 / HZ)
        for step in range(SAMPLES):
            self._add(step, source.past[:, :, step])
        quantities = [SparkQuantity(f"Quantity {number}", _words, 100.0) for number in range(QUANTITIES)]
        self.widget = SparklineSheet([f"spark-{row:04x}" for row in range(ROWS)], quantities, self._trends)
        self.widget.resize(WIDTH, self.widget.sizeHint().height())

    def _add(self, step: int, values: NDArray[np.float64]) -> None:
        for row, line in enumerate(values.tolist()):
            self._trends.add(row, NOW_MS + step * PERIOD_MS, line)

    def prepare(self) -> Callable[[], None]:
        """Values are made before the time counts."""
        step, values = self._step, self._source.at(self._step)
        self._step += 1

        def update() -> None:
            self._add(step, values)
            self.widget.show_now(NOW_MS + step * PERIOD_MS)

        return update


class Theirs:
    """A grid of pyqtgraph's plots, filled with the same past."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._step = SAMPLES
        self._past = source.past.copy()
        self.widget = QWidget()
        grid = QGridLayout(self.widget)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(0)
        self._curves = []
        for row in range(ROWS):
            for number in range(QUANTITIES):
                plot = pyqtgraph.PlotWidget()
                plot.hideAxis("left")
                plot.hideAxis("bottom")
                plot.setXRange(0, SAMPLES, padding=0)
                plot.setYRange(0, 100, padding=0)
                self._curves.append(plot.plot(pen=pyqtgraph.mkPen(color(SERIES[number % len(SERIES)]))))
                grid.addWidget(plot, row, number)
        self.widget.resize(WIDTH, ROWS * 22 + 24)

    def prepare(self) -> Callable[[], None]:
        """As of ours."""
        values = self._source.at(self._step)
        self._step += 1

        def update() -> None:
            self._past = np.concatenate((self._past[:, :, 1:], values[:, :, None]), axis=-1)
            for curve, line in zip(self._curves, self._past.reshape(-1, SAMPLES), strict=True):
                curve.setData(line)

        return update


class Floor(QWidget):
    """A window of the same size that is filled with one colour."""

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        fill(painter, self.rect().toRectF(), color("window"))

    def prepare(self) -> Callable[[], None]:
        """Nothing to prepare."""
        return self.update


def _words(value: float) -> str:
    return f"{value:.1f} W"


def cpu_ms(app: QApplication, update: Callable[[], None]) -> float:
    """CPU time of an update until its frame is painted, in ms."""
    begun_s = time.process_time()
    update()
    app.processEvents()
    return (time.process_time() - begun_s) * 1000


def measure() -> list[Figure]:
    """Share of a core at 2 Hz, the same over pyqtgraph's, and repaints of a hidden sheet."""
    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    install_style(app, "dark")
    source = Source()
    ours, theirs, floor = Ours(source), Theirs(source), Floor()
    floor.resize(ours.widget.size())
    for widget in (ours.widget, theirs.widget, floor):
        widget.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent, widget is floor)
        widget.show()
        for _ in range(10):
            app.processEvents()
    for part in (ours, theirs, floor):
        cpu_ms(app, part.prepare())
    ours_ms: list[float] = []
    theirs_ms: list[float] = []
    floor_ms: list[float] = []
    for _ in range(TURNS):
        ours_ms += [cpu_ms(app, ours.prepare()) for _ in range(UPDATES)]
        theirs_ms += [cpu_ms(app, theirs.prepare()) for _ in range(2)]
        floor_ms += [cpu_ms(app, floor.prepare()) for _ in range(UPDATES)]
    return figures(ours_ms, theirs_ms, floor_ms, count_hidden(app, ours))


def count_hidden(app: QApplication, ours: Ours) -> int:
    """Repaints of the sheet in ten updates while nobody sees it."""
    ours.widget.hide()
    app.processEvents()
    before = ours.widget.repaints
    for _ in range(10):
        ours.prepare()()
        app.processEvents()
    return ours.widget.repaints - before


def figures(ours_ms: list[float], theirs_ms: list[float], floor_ms: list[float], hidden: int) -> list[Figure]:
    """The mean counts, since a line moves on by a pixel now and then and all is painted anew then."""
    mean_ms, their_ms, fill_ms = statistics.mean(ours_ms), statistics.mean(theirs_ms), statistics.mean(floor_ms)
    note = (
        f"{ROWS} x {QUANTITIES}, {HZ:g} Hz, {WIDTH} px wide, a new sample for each line in every update; CPU ms an "
        f"update: ours {mean_ms:.1f} (median {statistics.median(ours_ms):.1f}, most {max(ours_ms):.1f}), pyqtgraph "
        f"{their_ms:.0f}, one fill {fill_ms:.2f}"
    )
    share, their_share = (each * HZ / 10 for each in (mean_ms, their_ms))
    return [
        Figure.at_most(NAMES[0], share, "% of a core", SHARE_LIMIT_PERCENT, baseline=their_share, note=note),
        Figure.at_most(NAMES[1], mean_ms / their_ms, "x of pyqtgraph", RATIO_LIMIT, baseline=1.0),
        Figure.at_most(NAMES[2], float(hidden), "repaints", 0, note="of ten updates"),
    ]
