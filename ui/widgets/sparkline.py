"""Many sparklines in one widget: a row a node, a column a quantity, with the value of now beside each line.

The one rule: one widget paints them all, only those in sight, and of those only what moved: a widget a line would cost
more than its line. Imports numpy: import this module after the first frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect, QRectF, QSize
from PySide6.QtGui import QImage, QPainter, QPaintEvent, QRegion, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from ui import theme
from ui.font import font
from ui.text import NOT_KNOWN, is_known, one_line
from ui.theme import SERIES, color
from ui.widgets.curve import nice_ceiling
from ui.widgets.paint import elided, fill, laid_out, write
from ui.widgets.trend import Raster, TrendTable

HEAD_HEIGHT = 24
ROW_HEIGHT = 22
NAME_WIDTH = 128
VALUE_WIDTH = 68
_PAD = 8
_LINE_TOP = 3
_LINE_HEIGHT = 16


@dataclass(frozen=True, slots=True)
class SparkQuantity:
    """One column: its title, how a value is written, and the top of its scale (None: the highest value of all)."""

    title: str
    words: Callable[[float], str]
    high: float | None = None


@dataclass(slots=True)
class _Drawn:
    """The lines as pixels, and what they were drawn from."""

    of: tuple[object, ...]
    lines: NDArray[np.uint32]
    tints: NDArray[np.uint32]


class SparklineSheet(QWidget):
    """Sparklines of named rows. Feed `trends` and say `show_now`; it is as tall as needed: scroll it."""

    def __init__(
        self, names: Sequence[str], quantities: Sequence[SparkQuantity], trends: TrendTable,
        parent: QWidget | None = None,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self._names = tuple(elided(one_line(name, 64), "dense", NAME_WIDTH - 2 * _PAD) for name in names)
        self._quantities = tuple(quantities)
        self._stale: frozenset[int] = frozenset()
        self._drawn: _Drawn | None = None
        self._shown_end = -1
        self.trends = trends
        self.repaints = 0
        """How often it was painted; benchmarks and tests read it."""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        titles = ", ".join(quantity.title for quantity in self._quantities)
        self.setAccessibleName(f"Recent past of {len(self._names)} nodes: {titles}")
        self.setMinimumSize(self.sizeHint())
        theme.notifier.changed.connect(self._show_all)

    def sizeHint(self) -> QSize:
        return QSize(NAME_WIDTH + len(self._quantities) * 150, HEAD_HEIGHT + ROW_HEIGHT * len(self._names))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._drawn = None

    def set_stale(self, rows: frozenset[int]) -> None:
        """Grey these rows because their values are old."""
        if rows != self._stale:
            self._stale = rows
            self._show_all()

    def show_now(self, now_ms: int) -> None:
        """Show what is new, once or twice a second. Nothing is painted while it is hidden."""
        self.trends.move_to(now_ms)
        if self.trends.end != self._shown_end:
            self._shown_end = self.trends.end
            self.update(NAME_WIDTH, 0, self.width() - NAME_WIDTH, self.height())
            return
        moved = QRegion()
        for number in range(len(self._quantities)):
            left = int(self._left(number) + self._line_width() * 0.95)
            right = int(self._left(number) + self._line_width()) + VALUE_WIDTH
            moved += QRect(left, HEAD_HEIGHT, right - left, self.height() - HEAD_HEIGHT)
        self.update(moved)

    def _show_all(self) -> None:
        self._drawn = None
        self.update()

    def value_text(self, row: int, quantity: int) -> str:
        """The value of now in words."""
        return self._text_of(quantity, float(self.trends.newest[row, quantity]))

    def _text_of(self, quantity: int, value: float) -> str:
        return self._quantities[quantity].words(value) if is_known(value) else NOT_KNOWN

    def _left(self, quantity: int) -> float:
        return NAME_WIDTH + quantity * (self.width() - NAME_WIDTH) / max(1, len(self._quantities))

    def _line_width(self) -> float:
        return max(self._left(1) - self._left(0) - VALUE_WIDTH - _PAD, 8.0)

    # Painting ------------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        self.repaints += 1
        painter = QPainter(self)
        dirty = event.rect()
        if dirty.top() < HEAD_HEIGHT:
            self._draw_head(painter)
        rows = self._rows_in(dirty)
        if not rows:
            return
        for row in rows:
            fill(painter, QRectF(0, HEAD_HEIGHT + (row + 1) * ROW_HEIGHT - 1, self.width(), 1), color("grid"))
        if dirty.left() < NAME_WIDTH:
            self._draw_names(painter, rows)
        self._draw_lines(painter, rows, event.region())
        self._draw_values(painter, rows)

    def _rows_in(self, dirty: QRect) -> range:
        first = max(0, (dirty.top() - HEAD_HEIGHT) // ROW_HEIGHT)
        return range(first, min(len(self._names), (dirty.bottom() - HEAD_HEIGHT) // ROW_HEIGHT + 1))

    def _draw_head(self, painter: QPainter) -> None:
        for number, quantity in enumerate(self._quantities):
            title = QRectF(self._left(number), 0, self._line_width() + VALUE_WIDTH, HEAD_HEIGHT)
            write(painter, title, quantity.title, role="label", tint="text3")

    def _draw_names(self, painter: QPainter, rows: range) -> None:
        painter.setFont(font("dense"))
        for row in rows:
            painter.setPen(color("text3" if row in self._stale else "text"))
            painter.drawStaticText(_PAD, HEAD_HEIGHT + row * ROW_HEIGHT + 2, laid_out(self._names[row], "dense"))

    def _draw_lines(self, painter: QPainter, rows: range, region: QRegion) -> None:
        ratio = self.devicePixelRatioF()
        width, height = round(self._line_width() * ratio), round(ROW_HEIGHT * ratio)
        lines = self._pixels(rows, width, height, round(_LINE_TOP * ratio))
        size = (lines.shape[2] * width, len(rows) * height)
        image = QImage(lines.data, *size, QImage.Format.Format_ARGB32_Premultiplied)
        top = HEAD_HEIGHT + rows.start * ROW_HEIGHT
        for number in range(len(self._quantities)):
            left = round(self._left(number))
            whole = QRect(left, top, round(width / ratio), len(rows) * ROW_HEIGHT)
            place = QRectF((region & whole).boundingRect())
            x, y = (place.left() - left) * ratio + number * width, (place.top() - top) * ratio
            painter.drawImage(place, image, QRectF(x, y, place.width() * ratio, place.height() * ratio))

    def _pixels(self, rows: range, width: int, height: int, top: int) -> NDArray[np.uint32]:
        """The lines of some rows; while the newest column stays, only its pixels are made anew."""
        high = [quantity.high for quantity in self._quantities]
        if None in high:
            peaks = self.trends.peaks()
            high = [
                nice_ceiling(float(peak)) if fixed is None else fixed for fixed, peak in zip(high, peaks, strict=True)
            ]
        raster = Raster(width, round(_LINE_HEIGHT * height / ROW_HEIGHT), tuple(each or 1.0 for each in high))
        of = (rows, raster, self.trends.end)
        first = raster.last_columns_from
        if self._drawn is None or self._drawn.of != of:
            first = 0
            shape = (len(rows), height, len(high), width)
            self._drawn = _Drawn(of, np.zeros(shape, np.uint32), self._tints(rows))
        lines = self._drawn.lines
        fresh = raster.draw(*self.trends.bounds(rows), first)
        np.multiply(fresh, self._drawn.tints, out=lines[:, top : top + raster.height, :, first:])
        return lines

    def _tints(self, rows: range) -> NDArray[np.uint32]:
        """The colour of each line as a pixel, to be multiplied with 0 or 1."""
        live = [color(SERIES[number % len(SERIES)]).rgba() for number in range(len(self._quantities))]
        stale = [color("control").rgba()] * len(self._quantities)
        return np.array([stale if row in self._stale else live for row in rows], np.uint32)[:, None, :, None]

    def _draw_values(self, painter: QPainter, rows: range) -> None:
        painter.setFont(font("label"))
        lefts = [round(self._left(number) + self._line_width()) + 6 for number in range(len(self._quantities))]
        for row in rows:
            painter.setPen(color("text3" if row in self._stale else "text"))
            top = HEAD_HEIGHT + row * ROW_HEIGHT + _LINE_TOP
            for number, value in enumerate(self.trends.newest[row].tolist()):
                painter.drawStaticText(lefts[number], top, laid_out(self._text_of(number, value), "label"))
