"""Many sparklines in one widget: a row a node, a column a quantity, with the value of now beside each line.

The one rule: one widget paints them all, only those in sight, and of those only what moved: a widget a line would cost
more than its line. Imports numpy: import this module after the first frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from ui.widgets.paint import elided, fill, laid_out, text_width, write
from ui.widgets.trend import Raster, TrendTable

HEAD_HEIGHT = 24
ROW_HEIGHT = 22
NAME_WIDTH = 128
VALUE_WIDTH = 68
_PAD = 8
_LINE_TOP = 3
_NAME_HEIGHT = 18
_VALUE_HEIGHT = 16


@dataclass(frozen=True, slots=True)
class SparkQuantity:
    """One column: its title, how a value is written, and the top of its scale (None: the highest value of all)."""

    title: str
    words: Callable[[float], str]
    high: float | None = None


@dataclass(frozen=True, slots=True)
class SheetSize:
    """Of a sheet's parts in px. A head of 0 leaves the titles to whoever shows the sheet."""

    row: int = ROW_HEIGHT
    head: int = HEAD_HEIGHT
    name: int = NAME_WIDTH
    value: int = VALUE_WIDTH


STANDARD_SIZE = SheetSize()


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
        parent: QWidget | None = None, sizes: SheetSize = STANDARD_SIZE,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self._sizes = sizes
        self._names = tuple(one_line(name, 64) for name in names)
        self._quantities = tuple(quantities)
        self._stale: frozenset[int] = frozenset()
        self._ages: Mapping[int, str] = {}
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
        sizes = self._sizes
        return QSize(sizes.name + len(self._quantities) * 150, sizes.head + sizes.row * len(self._names))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._drawn = None

    def set_stale(self, rows: frozenset[int], ages: Mapping[int, str] | None = None) -> None:
        """Grey these rows because their values are old; `ages` are words beside their names."""
        if rows != self._stale:
            self._stale = rows
            self._show_all()
        if (ages or {}) != self._ages:
            self._ages = dict(ages or {})
            self.update(0, self._sizes.head, self._sizes.name, self.height() - self._sizes.head)

    @property
    def stale_rows(self) -> dict[int, str]:
        """The grey rows, with the words of their age."""
        return {row: self._ages.get(row, "") for row in sorted(self._stale)}

    def set_trends(self, trends: TrendTable) -> None:
        """Show another past of the same rows and quantities."""
        self.trends = trends
        self._shown_end = -1
        self._show_all()

    def row_rect(self, row: int) -> QRect:
        """Where a row is."""
        return QRect(0, self._sizes.head + row * self._sizes.row, self.width(), self._sizes.row)

    def row_at(self, y: float) -> int:
        """The row at a height, -1 where none is."""
        row = int((y - self._sizes.head) // self._sizes.row)
        return row if 0 <= row < len(self._names) else -1

    def show_now(self, now_ms: int) -> None:
        """Show what is new, once or twice a second. Nothing is painted while it is hidden."""
        self.trends.move_to(now_ms)
        if self.trends.end != self._shown_end:
            self._shown_end = self.trends.end
            self.update(self._sizes.name, 0, self.width() - self._sizes.name, self.height())
            return
        moved = QRegion()
        for number in range(len(self._quantities)):
            left = int(self.left_of(number) + self._line_width() * 0.95)
            right = int(self.left_of(number) + self._line_width()) + self._sizes.value
            moved += QRect(left, self._sizes.head, right - left, self.height() - self._sizes.head)
        self.update(moved)

    def _show_all(self) -> None:
        self._drawn = None
        self.update()

    def value_text(self, row: int, quantity: int) -> str:
        """The value of now in words."""
        return self._text_of(quantity, float(self.trends.newest[row, quantity]))

    def _text_of(self, quantity: int, value: float) -> str:
        return self._quantities[quantity].words(value) if is_known(value) else NOT_KNOWN

    def left_of(self, quantity: int) -> float:
        """Where a quantity's lines begin."""
        return self._sizes.name + quantity * (self.width() - self._sizes.name) / max(1, len(self._quantities))

    def _line_width(self) -> float:
        return max(self.left_of(1) - self.left_of(0) - self._sizes.value - _PAD, 8.0)

    # Painting ------------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        self.repaints += 1
        painter = QPainter(self)
        dirty = event.rect()
        if dirty.top() < self._sizes.head:
            self._draw_head(painter)
        rows = self._rows_in(dirty)
        if not rows:
            return
        for row in rows:
            fill(painter, QRectF(0, self.row_rect(row).bottom(), self.width(), 1), color("grid"))
        if dirty.left() < self._sizes.name:
            self._draw_names(painter, rows)
        self._draw_lines(painter, rows, event.region())
        self._draw_values(painter, rows)

    def _rows_in(self, dirty: QRect) -> range:
        head, height = self._sizes.head, self._sizes.row
        first = max(0, (dirty.top() - head) // height)
        return range(first, min(len(self._names), (dirty.bottom() - head) // height + 1))

    def _draw_head(self, painter: QPainter) -> None:
        for number, quantity in enumerate(self._quantities):
            title = QRectF(self.left_of(number), 0, self._line_width() + self._sizes.value, self._sizes.head)
            write(painter, title, quantity.title, role="label", tint="text3")

    def _draw_names(self, painter: QPainter, rows: range) -> None:
        for row in rows:
            top, free = self.row_rect(row).top(), float(self._sizes.name - 2 * _PAD)
            age = self._ages.get(row, "")
            painter.setPen(color("text3" if row in self._stale else "text"))
            if age:
                painter.setFont(font("label"))
                width = text_width(age, "label")
                y = top + (self._sizes.row - _VALUE_HEIGHT) // 2
                painter.drawStaticText(round(_PAD + free - width), y, laid_out(age, "label"))
                free -= width + _PAD
            painter.setFont(font("dense"))
            name = laid_out(elided(self._names[row], "dense", free), "dense")
            painter.drawStaticText(_PAD, top + (self._sizes.row - _NAME_HEIGHT) // 2, name)

    def _draw_lines(self, painter: QPainter, rows: range, region: QRegion) -> None:
        ratio = self.devicePixelRatioF()
        width, height = round(self._line_width() * ratio), round(self._sizes.row * ratio)
        lines = self._pixels(rows, width, height, round(_LINE_TOP * ratio))
        size = (lines.shape[2] * width, len(rows) * height)
        image = QImage(lines.data, *size, QImage.Format.Format_ARGB32_Premultiplied)
        top = self.row_rect(rows.start).top()
        for number in range(len(self._quantities)):
            left = round(self.left_of(number))
            whole = QRect(left, top, round(width / ratio), len(rows) * self._sizes.row)
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
        raster = Raster(width, height - 2 * top, tuple(each or 1.0 for each in high))
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
        lefts = [round(self.left_of(number) + self._line_width()) + 6 for number in range(len(self._quantities))]
        for row in rows:
            painter.setPen(color("text3" if row in self._stale else "text"))
            top = self.row_rect(row).top() + (self._sizes.row - _VALUE_HEIGHT) // 2
            for number, value in enumerate(self.trends.newest[row].tolist()):
                painter.drawStaticText(lefts[number], top, laid_out(self._text_of(number, value), "label"))
