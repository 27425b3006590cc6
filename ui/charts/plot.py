"""One plot: pyqtgraph draws the lines, everything around them is painted here.

The one rule: a plot shows the `PlotFrame` it was given and nothing else; it reads no feed, owns no timer, and a step
of the cursor repaints two strips. pyqtgraph's own axes, menus and mouse stay off: they cost more than the lines.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QGraphicsView, QWidget

from ui import theme
from ui.charts.frame import Line, PlotFrame, Shade
from ui.charts.mark import draw_marker, line_pen
from ui.text import MINUS, THIN_SPACE, grouped, time_of_day
from ui.theme import color
from ui.widgets.paint import elided, hatch, pen, text_width, write

AXIS_WIDTH = 52
FOOT_HEIGHT = 18
_RIGHT = 10
_TOP = 8
_MOST_LABEL_ROWS = 3
_LABEL_HEIGHT = 14


@dataclass(frozen=True, slots=True)
class Reach:
    """The time that a plot shows, in Unix ms."""

    start_ms: int = 0
    end_ms: int = 1

    @property
    def span_s(self) -> float:
        """How long it is."""
        return (self.end_ms - self.start_ms) / 1000.0

    def ticks(self) -> list[int]:
        """Round moments of the clock inside, five to seven of them."""
        step_ms = 60_000 if self.span_s <= 600 else 600_000
        return list(range(-(-self.start_ms // step_ms) * step_ms, self.end_ms + 1, step_ms))


class Canvas(pg.GraphicsView):  # type: ignore[misc]  # pyqtgraph has no annotations
    """The lines, over gaps and grid, under limits and cursor. Its scene is measured in its own pixels."""

    hovered = Signal(object)
    """The time under the mouse in Unix ms, None when it has left."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, useOpenGL=False, background=None)
        self.plot = PlotFrame((), "", "")
        self.reach = Reach()
        self.cursor_ms: float | None = None
        self.repaints = 0
        self._picture_ratio = 0.0
        self._curves: list[pg.PlotCurveItem] = []
        self._box = pg.ViewBox(enableMenu=False, enableMouse=False, border=None)
        self._box.disableAutoRange()
        self.setCentralItem(self._box)
        self.setAntialiasing(True)
        self.setCacheMode(QGraphicsView.CacheModeFlag.CacheNone)
        # What is painted again is said here alone: the scene would do it a second time, when its own events come.
        self.setViewportUpdateMode(QGraphicsView.ViewportUpdateMode.NoViewportUpdate)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.viewport().setAutoFillBackground(False)
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)

    def set_plot(self, plot: PlotFrame, reach: Reach) -> None:
        """Show another frame."""
        self.plot, self.reach = plot, reach
        while len(self._curves) > len(plot.lines):
            self._box.removeItem(self._curves.pop())
        while len(self._curves) < len(plot.lines):
            curve = pg.PlotCurveItem(antialias=True, connect="finite")
            self._curves.append(curve)
            self._box.addItem(curve, ignoreBounds=True)
        for curve, line in zip(self._curves, plot.lines, strict=True):
            xs, ys = line.shown(reach.end_ms, reach.span_s)
            curve.setData(xs, ys, pen=line_pen(line.slot, is_stale=line.is_stale, device_ratio=self._ratio()))
        low, high = plot.low, plot.high if plot.high > plot.low else plot.low + 1.0
        self._box.setRange(xRange=(-reach.span_s, 0.0), yRange=(low, high), padding=0, disableAutoRange=False)
        # Now and not in the first paint: that would cause a second one.
        self._box.prepareForPaint()
        self.viewport().update()

    def set_picture_ratio(self, ratio: float) -> None:
        """Paint for a picture with so many pixels to one of ours; 0.0 is for the screen again."""
        self._picture_ratio = ratio
        for curve, line in zip(self._curves, self.plot.lines, strict=True):
            curve.setPen(line_pen(line.slot, is_stale=line.is_stale, device_ratio=self._ratio()))

    def _ratio(self) -> float:
        return self._picture_ratio or float(self.devicePixelRatioF())

    def set_cursor(self, t_ms: float | None) -> None:
        """Move the cursor: only where it was and where it is now is painted again."""
        for each in (self.cursor_ms, t_ms):
            if each is not None:
                x = round(self.x_of(each))
                self.viewport().update(QRect(x - 7, 0, 15, self.height()))
        self.cursor_ms = t_ms

    # Places -------------------------------------------------------------------------------------------------------

    def x_of(self, t_ms: float) -> float:
        """Where a time lies, in pixels."""
        return (t_ms - self.reach.start_ms) / max(self.reach.end_ms - self.reach.start_ms, 1) * float(self.width())

    def y_of(self, value: float) -> float:
        """Where a value in screen units lies, in pixels."""
        reach = self.plot.high - self.plot.low
        high = float(self.height())
        return high - (value - self.plot.low) / (reach if reach > 0 else 1.0) * high

    def _value_at(self, y: float) -> float:
        return self.plot.high - y / max(float(self.height()), 1.0) * (self.plot.high - self.plot.low)

    def time_at(self, x: float) -> float:
        """The time at a place, in Unix ms."""
        return self.reach.start_ms + x / max(float(self.width()), 1.0) * (self.reach.end_ms - self.reach.start_ms)

    # Events: pyqtgraph's handling of them is for plots that are moved by mouse ----------------------------------------

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self.hovered.emit(self.time_at(event.position().x()))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.hovered.emit(self.time_at(event.position().x()))
        event.ignore()  # the focus goes to the stack behind

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        event.ignore()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        event.ignore()

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        event.ignore()

    def leaveEvent(self, event: QEvent) -> None:
        self.hovered.emit(None)

    # Painting -----------------------------------------------------------------------------------------------------

    def drawBackground(self, painter: QPainter, rect: QRectF) -> None:  # noqa: N802
        self.repaints += 1
        painter.fillRect(rect, color("surface"))
        for shade in self.plot.shades:
            left, right = self._ends(shade)
            area = QRectF(left, 0, right - left, self.height())
            painter.fillRect(area, color("raised"))
            hatch(painter, area, color("border"), step=7, width=1)
        painter.setPen(pen(color("grid")))
        for value in self.plot.ticks:
            y = round(self.y_of(value)) - 0.5
            painter.drawLine(QPointF(0, y), QPointF(self.width(), y))
        for t_ms in self.reach.ticks():
            x = round(self.x_of(t_ms)) + 0.5
            painter.drawLine(QPointF(x, 0), QPointF(x, self.height()))

    def drawForeground(self, painter: QPainter, rect: QRectF) -> None:  # noqa: N802
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._draw_labels(painter, self._draw_bounds(painter))
        for line in self.plot.lines:
            if line.newest_ms and self.cursor_ms is None:
                self._draw_point(painter, line, line.newest_ms)
        if self.cursor_ms is not None:
            x = round(self.x_of(self.cursor_ms)) + 0.5
            painter.setPen(pen(color("text2")))
            painter.drawLine(QPointF(x, 0), QPointF(x, self.height()))
            for line in self.plot.lines:
                self._draw_point(painter, line, self.cursor_ms)
        if self.plot.empty_words:
            align = Qt.AlignmentFlag.AlignHCenter
            write(painter, QRectF(self.rect()), self.plot.empty_words, role="label", tint="text3", align=align)

    def _draw_point(self, painter: QPainter, line: Line, t_ms: float) -> None:
        value = line.at(t_ms)
        if math.isfinite(value):
            draw_marker(painter, QPointF(self.x_of(t_ms), self.y_of(value)), line.slot, is_stale=line.is_stale)

    def _draw_bounds(self, painter: QPainter) -> list[QRectF]:
        """Limits with their words; returns where words stand now."""
        written = []
        for bound in self.plot.bounds:
            y = round(self.y_of(bound.value)) + 0.5
            if not 0 <= y <= self.height():
                continue
            painter.setPen(pen(color("warn"), dash=(4, 3)))
            painter.drawLine(QPointF(0, y), QPointF(self.width(), y))
            words = f"limit: {bound.words}"
            top = y - 15 if y >= 16 else y + 1
            # At the left: what is missing now is told at the right.
            box = QRectF(0, top, text_width(words, "label") + 8, 14)
            painter.fillRect(box, color("surface", 0.8))
            write(painter, box, words, role="label", tint="warn", align=Qt.AlignmentFlag.AlignHCenter)
            written.append(box)
        return written

    def _draw_labels(self, painter: QPainter, taken: list[QRectF]) -> None:
        gaps = [(*self._ends(shade), shade.words) for shade in self.plot.shades]
        room = QRectF(0, 0, self.width(), self.height())
        for box, words in place_labels(gaps, room, taken, self._crowd):
            painter.fillRect(box, color("surface", 0.8))
            write(painter, box, words, role="label", tint="text2", align=Qt.AlignmentFlag.AlignHCenter)

    def _crowd(self, box: QRectF) -> int:
        """How many values a box would hide."""
        ends = [self.time_at(box.left()), self.time_at(box.right())]
        low, high = self._value_at(box.bottom()), self._value_at(box.top())
        count = 0
        for line in self.plot.lines:
            first, last = np.searchsorted(line.times_ms, ends)
            values = line.values[first:last] * line.measure.scale
            count += int(np.count_nonzero((values >= low) & (values <= high)))
        return count

    def _ends(self, shade: Shade) -> tuple[float, float]:
        left = max(self.x_of(shade.start_ms), 0.0)
        return left, max(min(self.x_of(shade.end_ms), float(self.width())), left + 1.0)


def place_labels(
    gaps: Sequence[tuple[float, float, str]], room: QRectF, taken: Sequence[QRectF], crowd: Callable[[QRectF], int]
) -> list[tuple[QRectF, str]]:
    """Boxes for the words of gaps (left, right, words): each at its gap, at the top or the bottom of `room`, where it
    hides the least (`crowd`), none over another or over what is `taken`.

    What finds no room in three rows is not written here; the table and the summary have it.
    """
    placed: list[tuple[QRectF, str]] = []
    for left, right, words in gaps:
        shown = elided(words, "label", max(room.width() - 8, 40))
        needed = text_width(shown, "label") + 8
        start = min(max((left + right - needed) / 2, 0.0), max(room.width() - needed, 0.0))
        boxes = [QRectF(start, y, needed, _LABEL_HEIGHT) for y in _label_rows(room.height())]
        busy = (*taken, *(box for box, _ in placed))
        free = [box for box in boxes if not any(box.intersects(other) for other in busy)]
        if free:
            placed.append((min(free, key=crowd), shown))
    return placed


def _label_rows(height: float) -> list[float]:
    """Tops of the rows that labels may stand in: from the top down, then from the bottom up."""
    rows = [2.0 + row * (_LABEL_HEIGHT + 1) for row in range(_MOST_LABEL_ROWS)]
    rows += [height - _LABEL_HEIGHT - top for top in rows]
    return [top for top in rows if 0 <= top <= height - _LABEL_HEIGHT]


class PlotPane(QWidget):
    """A canvas with its scale at the left and, below the last of a stack, the clock."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.canvas = Canvas(self)
        self.has_clock = False
        self._scale: tuple[object, ...] = ()
        theme.notifier.changed.connect(self._wear)

    def set_plot(self, plot: PlotFrame, reach: Reach) -> None:
        """Show another frame."""
        has_moved = (plot.ticks, plot.low, plot.high) != self._scale
        self._scale = (plot.ticks, plot.low, plot.high)
        self.canvas.set_plot(plot, reach)
        if has_moved or self.has_clock:
            self.update()

    def set_clock(self, has_clock: bool) -> None:
        """Whether the times stand below."""
        if has_clock != self.has_clock:
            self.has_clock = has_clock
            self._place()
            self.update()

    def _wear(self) -> None:
        self.canvas.set_plot(self.canvas.plot, self.canvas.reach)
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()

    def _place(self) -> None:
        foot = FOOT_HEIGHT if self.has_clock else 6
        self.canvas.setGeometry(AXIS_WIDTH, _TOP, self.width() - AXIS_WIDTH - _RIGHT, self.height() - _TOP - foot)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        canvas, plot = self.canvas, self.canvas.plot
        right, centre = Qt.AlignmentFlag.AlignRight, Qt.AlignmentFlag.AlignHCenter
        digits = tick_digits(plot.ticks)
        for value in plot.ticks:
            y = _TOP + canvas.y_of(value)
            write(painter, QRectF(0, y - 8, AXIS_WIDTH - 8, 16), tick_text(value, digits), role="label", tint="text3",
                  align=right)  # fmt: skip
        if not self.has_clock:
            return
        y = self.height() - FOOT_HEIGHT + 2
        for t_ms in canvas.reach.ticks():
            x = min(AXIS_WIDTH + canvas.x_of(t_ms), self.width() - 22.0)
            write(painter, QRectF(x - 30, y, 60, 14), time_of_day(t_ms, has_seconds=False), role="label", tint="text3",
                  align=centre)  # fmt: skip


def tick_digits(ticks: Sequence[float]) -> int:
    """How many decimals tell all ticks apart."""
    for digits in range(4):
        if all(abs(round(tick, digits) - tick) < 1e-9 * max(abs(tick), 1.0) for tick in ticks):
            return digits
    return 4


def tick_text(value: float, digits: int) -> str:
    """A tick; millions and more are shortened, for there is room for seven characters."""
    for limit, ending in ((1e9, "G"), (1e6, "M")):
        if abs(value) >= limit:
            return f"{value / limit:g}{THIN_SPACE}{ending}".replace("-", MINUS)
    return grouped(value, digits)
