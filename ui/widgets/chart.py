"""Live charts, painted by hand: one polyline a series, ticks as small text, no axes.

Rule: at most one repaint a second, only while visible; stale is grey with its age, and no data says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from ui import theme
from ui.font import font
from ui.text import MINUS, NOT_KNOWN, THIN_SPACE, grouped, one_line
from ui.theme import SERIES, SERIES_DASH, Token, color
from ui.widgets.curve import Span, highest, nice_ceiling, polylines
from ui.widgets.paint import elided, pen, text_width, write

if TYPE_CHECKING:
    from sparkdesk.core.telemetry.series import Gap

_HEAD_HEIGHT = 20
_HOLE_WORDS_PX = 120
"""A narrower hole is shaded without words that do not fit: a few letters of them say nothing."""
_FOOT_HEIGHT = 16
_FOOT_HEIGHT_LOW = 15
_TICKS_WIDTH = 32.0
_TICKS_GAP = 8.0


@dataclass(frozen=True, slots=True)
class Series:
    """One line: times in seconds (any one clock, ascending) and values; `tint` None takes its turn.

    A NaN is a gap, and nothing else is: who measures knows how often, so a line of few values is no row of dots.
    """

    name: str
    times_s: Sequence[float]
    values: Sequence[float]
    tint: Token | None = None


class Hole(NamedTuple):
    """A stretch of time without values, in the series' seconds, and why in a few words."""

    start_s: float
    end_s: float
    words: str


def holes_of(gaps: Iterable[Gap]) -> tuple[Hole, ...]:
    """The gaps of a source as these charts take them."""
    return tuple(Hole(gap.start_ms / 1000, gap.end_ms / 1000, one_line(gap.words, 80)) for gap in gaps)


@dataclass(frozen=True, slots=True)
class ChartFrame:
    """How a chart is drawn. `high` None scales by the data; `is_stacked` fills series upon each other."""

    window_s: float = 300.0
    chosen_s: float = 0.0
    """How far back a person asked to look; where `window_s` is less, for want of data, the axis says so."""
    high: float | None = None
    least_high: float = 0.0
    """Where it scales by the data: what is far below this is no more than nothing."""
    is_area: bool = True
    is_stacked: bool = False
    limit: float | None = None
    limit_text: str = ""
    limit_tint: Token = "warn"
    """"warn" for what should not be passed, "text3" for what is only there to compare with."""


SPANS_S: Final = (60.0, 300.0, 900.0)
"""The steps in which a chart looks back."""


def fitting_span_s(times_s: Sequence[float], now_s: float, longest_s: float) -> float:
    """How far back to look, in s: the shortest step that holds all samples up to `now_s`, at most `longest_s`."""
    age_s = now_s - times_s[0] if times_s else 0.0
    return next((step for step in SPANS_S if age_s <= step < longest_s), longest_s)


def tick_text(value: float) -> str:
    """Write a tick: whole numbers without decimals, 1.5 K style from 1,000 on, which has room beside the plot."""
    if value >= 1000:
        return f"{value / 1000:g}{THIN_SPACE}K"
    if float(value).is_integer():
        return grouped(value)
    short = f"{value:g}"
    return f"{value:.9f}".rstrip("0") if "e" in short else short


def span_text(window_s: float) -> str:
    """Write how far back the left edge lies."""
    if window_s < 120:
        return f"{MINUS}{window_s:.0f} s"
    if window_s < 7200:
        return f"{MINUS}{window_s / 60:.0f} min"
    return f"{MINUS}{window_s / 3600:.0f} h"


class LiveChart(QWidget):
    """A titled chart with up to five series (the picture shows two at most). Feed it with `set_series`.

    `value_text` stands at the top right with `unit`; the page says it, because it knows what the figure means.
    """

    def __init__(
        self, title: str, *, unit: str = "", frame: ChartFrame | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._title = title
        self._unit = unit
        self._frame = frame or ChartFrame()
        self._series: tuple[Series, ...] = ()
        self._now_s = 0.0
        self._value = NOT_KNOWN
        self._stale_text = ""
        self._holes: tuple[Hole, ...] = ()
        self._empty_text = "No data yet"
        self.tick_text: Callable[[float], str] = tick_text
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(76)
        self._describe()
        theme.notifier.changed.connect(self.update)

    def set_frame(self, frame: ChartFrame) -> None:
        """Change window, range or limit line."""
        self._frame = frame
        self.update()

    def set_title(self, title: str) -> None:
        """Say another title, where one chart shows one thing after another."""
        if title != self._title:
            self._title = title
            self._describe()
            self.update()

    def set_series(self, series: Sequence[Series], *, now_s: float, value_text: str) -> None:
        """Show samples up to `now_s` (same clock as the samples) and the figure of now."""
        self._series = tuple(series)
        self._now_s = now_s
        self._value = value_text
        self._describe()
        self.update()

    def set_holes(self, holes: Sequence[Hole]) -> None:
        """Say of stretches without values why there are none."""
        self._holes = tuple(holes)
        self._describe()
        self.update()

    def set_stale_text(self, text: str) -> None:
        """Grey everything and say how old it is ("14 s ago"); "" is live again."""
        if text != self._stale_text:
            self._stale_text = text
            self.update()

    def set_empty_text(self, text: str) -> None:
        """Say why there is nothing ("starts in 1 s", "GB10 does not report it")."""
        self._empty_text = text
        self.update()

    def span_words(self) -> str:
        """What stands at the left end of the axis: "\u221215 min", or "last 60 s of 15 min" while there is less."""
        window, chosen = span_text(self._frame.window_s), span_text(self._frame.chosen_s)
        return f"last {window[1:]} of {chosen[1:]}" if self._frame.window_s < self._frame.chosen_s else window

    def has_data(self) -> bool:
        """Say whether any series has a finite value."""
        return math.isfinite(highest(series.values for series in self._series))

    def _describe(self) -> None:
        unit = f" {self._unit}" if self._unit and self._value != NOT_KNOWN else ""
        self.setAccessibleName(f"{self._title} {self._value}{unit}")
        names = ", ".join(series.name for series in self._series if series.name)
        whys = dict.fromkeys(hole.words for hole in self._holes if hole.end_s > self._now_s - self._frame.window_s)
        said = f"Chart, last {span_text(self._frame.window_s)[1:]}. {names}".strip()
        self.setAccessibleDescription(f"{said}{' Gaps: ' + ', '.join(whys) if whys else ''}")

    def sizeHint(self) -> QSize:
        return QSize(280, 108)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._draw_head(painter)
        foot = _FOOT_HEIGHT if self.height() >= 96 else _FOOT_HEIGHT_LOW
        span = self._span()
        left = self.ticks_width()
        plot = QRectF(left, _HEAD_HEIGHT + 5, self.width() - left - 1, 0)
        plot.setBottom(self.height() - foot)
        self._draw_grid(painter, plot, span)
        self._draw_holes(painter, plot, span)
        if not self.has_data():
            self._draw_empty(painter, plot)
            return
        painter.save()
        painter.setClipRect(plot.adjusted(0, -2, 1, 2))
        if self._frame.is_stacked:
            self._draw_stack(painter, plot, span)
        else:
            for i, series in enumerate(self._series):
                self._draw_series(painter, plot, span, i, series)
        painter.restore()
        self._draw_limit(painter, plot, span)

    def _draw_empty(self, painter: QPainter, plot: QRectF) -> None:
        """Why there is nothing, in as many lines as it needs."""
        painter.setFont(font("label"))
        painter.setPen(color("text3"))
        flags = int(Qt.AlignmentFlag.AlignCenter) | int(Qt.TextFlag.TextWordWrap)
        painter.drawText(plot.adjusted(4, 0, -4, 0), flags, self._empty_text)

    def ticks_width(self) -> float:
        """How much room the ticks have left of the plot, in px: more than usual where one is long ("0.005")."""
        high = self._span().high
        return max(
            _TICKS_WIDTH, *(text_width(self.tick_text(high * share), "label") + _TICKS_GAP for share in (0.5, 1))
        )

    def _span(self) -> Span:
        if self._frame.high is not None:
            top = self._frame.high
        else:
            peak = self._stack_peak() if self._frame.is_stacked else highest(each.values for each in self._series)
            top = nice_ceiling(max(peak if math.isfinite(peak) else 0.0, self._frame.limit or 0.0) * 1.05)
            top = max(top, self._frame.least_high)
        return Span(self._now_s - self._frame.window_s, self._now_s, 0.0, top)

    def _stack_peak(self) -> float:
        columns = zip(*(series.values for series in self._series), strict=False)
        sums = [sum(value for value in column if math.isfinite(value)) for column in columns]
        return max(sums) if sums else math.nan

    def _tint_of(self, index: int, series: Series) -> Token:
        return series.tint or SERIES[index % len(SERIES)]

    def _draw_head(self, painter: QPainter) -> None:
        width = self.width()
        write(painter, QRectF(0, 0, width, _HEAD_HEIGHT), self._title, role="dense", tint="text2")
        right = float(width)
        right_align = Qt.AlignmentFlag.AlignRight
        shown_unit = self._unit if self._value != NOT_KNOWN else ""
        note = self._stale_text or shown_unit
        if note:
            write(painter, QRectF(0, 0, right, _HEAD_HEIGHT), note, role="label", tint="text3", align=right_align)
            right -= text_width(note, "label") + 5
        tint: Token = "text3" if self._stale_text or self._value == NOT_KNOWN else "text"
        box = QRectF(0, 0, right, _HEAD_HEIGHT)
        write(painter, box, self._value, role="dense_strong", tint=tint, align=right_align)
        right -= text_width(self._value, "dense_strong") + 12
        if len(self._series) > 1 and not self._frame.is_stacked:
            self._draw_legend(painter, text_width(self._title, "dense") + 14, right)

    def _draw_legend(self, painter: QPainter, left: float, right: float) -> None:
        for i, series in enumerate(self._series):
            width = text_width(series.name, "label")
            if left + 22 + width > right:
                return
            painter.setPen(pen(color(self._tint_of(i, series)), 2, dash=SERIES_DASH[i % len(SERIES_DASH)]))
            painter.drawLine(QPointF(left, _HEAD_HEIGHT / 2), QPointF(left + 16, _HEAD_HEIGHT / 2))
            write(painter, QRectF(left + 21, 0, width + 2, _HEAD_HEIGHT), series.name, role="label", tint="text2")
            left += 21 + width + 12

    def _draw_grid(self, painter: QPainter, plot: QRectF, span: Span) -> None:
        steps = (0.0, 0.5, 1.0) if plot.height() >= 34 and self.has_data() else (0.0, 1.0)
        right_align = Qt.AlignmentFlag.AlignRight
        for share in steps:
            y = round(plot.bottom() - share * plot.height()) + 0.5
            painter.setPen(pen(color("grid")))
            painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y))
            text = self.tick_text(span.low + share * (span.high - span.low))
            box = QRectF(0, y - 8, plot.left() - 6, 16)
            write(painter, box, text, role="label", tint="text3", align=right_align)
        foot = QRectF(plot.left(), plot.bottom() + 1, plot.width(), min(15.0, self.height() - plot.bottom() - 1))
        write(painter, foot, self.span_words(), role="label", tint="text3")
        write(painter, foot, "now", role="label", tint="text3", align=right_align)

    def _draw_holes(self, painter: QPainter, plot: QRectF, span: Span) -> None:
        scale = plot.width() / (span.end - span.start)
        for hole in self._holes:
            left = max(plot.left() + (hole.start_s - span.start) * scale, plot.left())
            right = min(plot.left() + (hole.end_s - span.start) * scale, plot.right())
            if right - left < 1:
                continue
            painter.fillRect(QRectF(left, plot.top(), right - left, plot.height()), color("raised", 0.6))
            room = right - left - 8
            words = elided(hole.words, "label", room)
            has_room = right - left >= _HOLE_WORDS_PX or text_width(hole.words, "label") <= room
            if has_room and self.has_data():
                box = QRectF(left, plot.top(), right - left, 16)
                write(painter, box, words, role="label", tint="text3", align=Qt.AlignmentFlag.AlignHCenter)

    def _draw_series(self, painter: QPainter, plot: QRectF, span: Span, index: int, series: Series) -> None:
        tint = "control" if self._stale_text else self._tint_of(index, series)
        lines = polylines(series.times_s, series.values, span, plot)
        is_filled = self._frame.is_area and index == 0
        for line in lines:
            if is_filled and line.size() > 1:
                _fill_under(painter, line, plot.bottom(), tint)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(pen(color(tint), 1.4, dash=SERIES_DASH[index % len(SERIES_DASH)]))
            if line.size() == 1:
                painter.drawEllipse(line.first(), 1, 1)
            else:
                painter.drawPolyline(line)

    def _draw_stack(self, painter: QPainter, plot: QRectF, span: Span) -> None:
        total = [0.0] * len(self._series[0].times_s)
        layers: list[tuple[list[float], Token]] = []
        for i, series in enumerate(self._series):
            total = [low + value for low, value in zip(total, series.values, strict=True)]
            layers.append((total, self._tint_of(i, series)))
        # From the highest down, so that each layer covers what is not its own.
        for values, tint in reversed(layers):
            for line in polylines(self._series[0].times_s, values, span, plot):
                if line.size() > 1:
                    _fill_under(painter, line, plot.bottom(), "control" if self._stale_text else tint, share=1.0)

    def _draw_limit(self, painter: QPainter, plot: QRectF, span: Span) -> None:
        if self._frame.limit is None or not span.low <= self._frame.limit <= span.high:
            return
        y = round(plot.bottom() - (self._frame.limit - span.low) / (span.high - span.low) * plot.height()) + 0.5
        tint = self._frame.limit_tint
        painter.setPen(pen(color(tint), dash=(4, 3)))
        painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y))
        box = QRectF(plot.left(), y - 15 if y - 15 > plot.top() - 4 else y + 1, plot.width() - 2, 14)
        behind = text_width(self._frame.limit_text, "label") + 6
        painter.fillRect(QRectF(box.right() - behind + 2, box.top(), behind, box.height()), color("surface", 0.8))
        write(painter, box, self._frame.limit_text, role="label", tint=tint, align=Qt.AlignmentFlag.AlignRight)


def _fill_under(painter: QPainter, line: QPolygonF, bottom: float, tint: Token, share: float = 0.16) -> None:
    area = QPolygonF(line)
    area.append(QPointF(line.last().x(), bottom))
    area.append(QPointF(line.first().x(), bottom))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color(tint, share))
    painter.drawPolygon(area)
