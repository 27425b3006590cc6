"""The table's other half: the last five minutes of every node as lines, with the value of now beside each.

The one rule: nothing is kept or painted while it is hidden; when it is shown, the past comes from the series that the
charts read too. Imports numpy: import this module after the first frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QFocusEvent, QHideEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QShowEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from sparkdesk.core.cluster.port import CAGES
from sparkdesk.core.telemetry.metric import GPU_POWER, find_metric
from sparkdesk.core.telemetry.sample import Sample
from sparkdesk.core.telemetry.series import Series
from ui import text, theme
from ui.cluster.map.view import NodeRegion
from ui.cluster.model import ClusterModel
from ui.quantity import write_quantity
from ui.theme import color
from ui.widgets.paint import box, elided, fill, pen, text_width, write
from ui.widgets.sparkline import SheetSize, SparklineSheet, SparkQuantity
from ui.widgets.trend import TrendTable

STEP_MS = 5000
"""Two refreshes further apart than this, or in the other order: what is shown is made anew."""
SPAN_S: Final = 300.0
_MEMORY: Final = "mem_used_bytes"
_MEMORY_TOTAL: Final = "mem_total_bytes"
HEAD_HEIGHT: Final = 26
FEW: Final = 8
"""Up to so many nodes the rows are high."""
_LOW_ROWS: Final = SheetSize(row=26, head=0, name=144, value=66)
_HIGH_ROWS: Final = replace(_LOW_ROWS, row=44)
_PAD: Final = 8
_PAGE_ROWS: Final = 10


@dataclass(frozen=True, slots=True)
class Trend:
    """One column: a row of the metric table, and the keys of a sample that it adds up.

    A part that is not known makes the sum not known; only a cage without a link is known to carry nothing.
    """

    metric: str
    keys: tuple[str, ...]

    @property
    def titles(self) -> tuple[str, str]:
        """The title, and the one for where there is little room."""
        row = find_metric(self.metric)
        return row.title, row.short_title

    def words(self, value: float) -> str:
        """A value with its unit."""
        return str(write_quantity(self.metric, value))

    def now(self, sample: Sample | None) -> float:
        """The newest value, NaN where a part was not told."""
        return math.nan if sample is None else sum(_part_now(sample, key) for key in self.keys)

    def past(self, read: Callable[[str], Series]) -> Series:
        """What `read` knows of the keys, as one."""
        return add_up([_part_past(read, key) for key in self.keys])


def _up_key(key: str) -> str:
    """The key that tells whether the cage of this key has its link; "" where it is of no cage."""
    cage = key.partition(".")[2]
    return f"cage_up.{cage}" if cage in CAGES else ""


def _part_now(sample: Sample, key: str) -> float:
    value, up = sample.value(key), _up_key(key)
    return 0.0 if up and not text.is_known(value) and sample.value(up) == 0 else value


def _part_past(read: Callable[[str], Series], key: str) -> Series:
    part, up = read(key), _up_key(key)
    if not up:
        return part
    ups = read(up)
    times = np.union1d(part[0], ups[0])
    values = _values_at(times, part)
    return times, np.where(np.isnan(values) & (_values_at(times, ups) == 0), 0.0, values)


def _values_at(times: NDArray[np.int64], part: Series) -> NDArray[np.float64]:
    """A series at these times, which hold all of its own; NaN where it has none."""
    values = np.full(len(times), np.nan)
    values[np.searchsorted(times, part[0])] = part[1]
    return values


TRENDS: Final = (
    Trend(_MEMORY, (_MEMORY,)),
    Trend("gpu_sm_clock_mhz", ("gpu_sm_clock_mhz",)),
    Trend(GPU_POWER, (GPU_POWER,)),
    Trend("gpu_temp_c", ("gpu_temp_c",)),
    Trend("cage_rx_gbps", tuple(f"cage_rx_gbps.{cage}" for cage in CAGES)),
    Trend("cage_tx_gbps", tuple(f"cage_tx_gbps.{cage}" for cage in CAGES)),
)


def add_up(parts: Sequence[Series]) -> Series:
    """Series as one: at each time the sum of all, NaN where one is not known."""
    if len(parts) == 1:
        return parts[0]
    times = np.unique(np.concatenate([part_times for part_times, _ in parts]))
    return times, np.sum([_values_at(times, part) for part in parts], axis=0)


class TrendSheet(SparklineSheet):
    """A sheet whose rows can be selected. `chosen` and `opened` carry a row."""

    chosen = Signal(int)
    opened = Signal(int)
    selected = -1

    def __init__(self, names: Sequence[str], high_bytes: float | None, trends: TrendTable) -> None:
        quantities = [SparkQuantity(trend.titles[0], trend.words, _top_of(trend, high_bytes)) for trend in TRENDS]
        sizes = _HIGH_ROWS if len(names) <= FEW else _LOW_ROWS
        super().__init__(names, quantities, trends, sizes=sizes)
        self.count = len(names)
        self.setMinimumWidth(0)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def select(self, row: int) -> None:
        """Mark a row as selected, -1 none."""
        before, self.selected = self.selected, row
        for each in {before, row} - {-1}:
            if before != row:
                self.update(self.row_rect(each))

    def paintEvent(self, event: QPaintEvent) -> None:
        if 0 <= self.selected < self.count:
            painter = QPainter(self)
            place = QRectF(self.row_rect(self.selected))
            fill(painter, place, color("accentsoft"))
            if self.hasFocus():
                painter.setRenderHint(QPainter.RenderHint.Antialiasing)
                box(painter, place.adjusted(0, 0, 0, -1), theme.RADIUS_CHIP, None, pen(color("accent")))
            painter.end()
        super().paintEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        row = self._pressed_row(event)
        if row >= 0:
            self.chosen.emit(row)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        row = self._pressed_row(event)
        if row >= 0:
            self.opened.emit(row)

    def _pressed_row(self, event: QMouseEvent) -> int:
        return self.row_at(event.position().y()) if event.button() is Qt.MouseButton.LeftButton else -1

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key, last = event.key(), self.count - 1
        steps = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1, Qt.Key.Key_PageUp: -_PAGE_ROWS, Qt.Key.Key_PageDown: _PAGE_ROWS}
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.selected >= 0:
            self.opened.emit(self.selected)
        elif key in steps and last >= 0:
            start = self.selected if self.selected >= 0 else -1 if steps[Qt.Key(key)] > 0 else last + 1
            self.chosen.emit(min(last, max(0, start + steps[Qt.Key(key)])))
        elif key in (Qt.Key.Key_Home, Qt.Key.Key_End) and last >= 0:
            self.chosen.emit(0 if key == Qt.Key.Key_Home else last)
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.update(self.row_rect(max(0, self.selected)))

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.update(self.row_rect(max(0, self.selected)))


def _top_of(trend: Trend, high_bytes: float | None) -> float | None:
    """The top of a scale: the metric table's, for memory all there is; None: the highest value."""
    high = find_metric(trend.metric).high
    if text.is_known(high):
        return high
    return high_bytes if trend.metric == _MEMORY else None


class _Head(QWidget):
    """The titles above the lines; they stay while rows scroll."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.left_of: Callable[[int], float] = lambda _column: 0.0
        self.setFixedHeight(HEAD_HEIGHT)
        theme.notifier.changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        write(painter, QRectF(_PAD, 0, self.left_of(0), self.height()), "Node", role="label", tint="text3")
        for number, trend in enumerate(TRENDS):
            left, room = self.left_of(number), self.left_of(number + 1) - self.left_of(number) - _PAD
            title = next((one for one in trend.titles if text_width(one, "label") <= room), trend.titles[-1])
            place = QRectF(left, 0, room, self.height())
            write(painter, place, elided(title, "label", room), role="label", tint="text3")
        fill(painter, QRectF(0, self.height() - 1, self.width(), 1), color("border"))


class TrendPane(QWidget):
    """Rows of trends. `chosen` and `opened` carry a node's id; `refresh` is for the page's timer."""

    chosen = Signal(str)
    opened = Signal(str)

    def __init__(self, model: ClusterModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._made_of: tuple[object, ...] = ()
        self._ids: tuple[str, ...] = ()
        self._fed: list[int] = []
        """The time of each row's newest sample in the lines."""
        self._told: tuple[object, ...] = ()
        self._shown_ms = 0
        self._regions: list[NodeRegion] = []
        self._head = _Head(self)
        self.sheet = TrendSheet((), None, _empty(0))
        self.area = QScrollArea()
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setWidgetResizable(True)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._head)
        column.addWidget(self.area, 1)
        self.setAccessibleName("Trends of the nodes")

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.refresh()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._fed = []  # what comes while it is hidden is read from the series later

    def refresh(self) -> None:
        """Take what is new; nothing while it is hidden."""
        if not self.isVisible():
            return
        model, cards = self._model, self._model.scene.cards
        samples = [model.sample(card.node_id) for card in cards]
        totals = [sample.value(_MEMORY_TOTAL) for sample in samples if sample is not None]
        high_bytes = max((total for total in totals if text.is_known(total)), default=None)
        made_of = (tuple((card.node_id, card.name) for card in cards), high_bytes)
        if made_of != self._made_of:
            self._made_of = made_of
            self._make([card.name for card in cards], high_bytes)
        now_ms = model.feeds.now_ms()
        if not 0 <= now_ms - self._shown_ms <= STEP_MS:
            self._fed = []  # this computer's clock was set: the series have moved with it
        self._shown_ms = now_ms
        if len(self._fed) != len(cards):
            self._fed = [0] * len(cards)
            self.sheet.set_trends(self._past())
        self._take(samples)
        self._mark_stale()
        self._describe()

    def _take(self, samples: Sequence[Sample | None]) -> None:
        """Add the samples that are new; where nothing moved nothing is painted."""
        trends = self.sheet.trends
        end, is_new = trends.end, False
        for row, sample in enumerate(samples):
            if sample is not None and sample.t_ms != self._fed[row]:
                self._fed[row], is_new = sample.t_ms, True
                values = [trend.now(sample) for trend in TRENDS]
                trends.add(row, sample.t_ms, values)
                trends.newest[row] = values  # also where they are too old to have a place in the lines
        now_ms = self._model.feeds.now_ms()
        trends.move_to(now_ms)
        if is_new or trends.end != end:
            self.sheet.show_now(now_ms)

    def _make(self, names: Sequence[str], high_bytes: float | None) -> None:
        """A sheet of other rows."""
        self._ids = tuple(card.node_id for card in self._model.scene.cards)
        self._fed, self._told, self._regions = [], (), []
        has_focus, place = self.sheet.hasFocus(), self.area.verticalScrollBar().value()
        self.sheet = TrendSheet(names, high_bytes, _empty(len(names)))
        self.sheet.chosen.connect(lambda row: self.chosen.emit(self._ids[row]))
        self.sheet.opened.connect(lambda row: self.opened.emit(self._ids[row]))
        self.area.setWidget(self.sheet)  # which deletes the one before
        self._head.left_of = self.sheet.left_of
        self._head.update()
        for row, name in enumerate(names):
            region = NodeRegion(self.sheet)
            region.setAccessibleName(name)
            region.setGeometry(self.sheet.row_rect(row))
            region.show()
            self._regions.append(region)
        kind, key = self._model.selection
        self.select_node(key if kind == "node" else "")
        self.area.verticalScrollBar().setValue(place)
        if has_focus:
            self.sheet.setFocus()

    def _past(self) -> TrendTable:
        """What the series know."""
        trends, read = _empty(len(self._ids)), self._model.feeds.series
        for row, node_id in enumerate(self._ids if read is not None else ()):
            if read is None or self._model.sample(node_id) is None:
                continue
            for column, trend in enumerate(TRENDS):
                trends.fill(row, column, *trend.past(partial(_read_span, read, node_id)))
        return trends

    def _mark_stale(self) -> None:
        cards = self._model.scene.cards
        rows = frozenset(row for row, card in enumerate(cards) if card.look != "live")
        ages = {row: self._model.age_s(cards[row].node_id) for row in sorted(rows)}
        self.sheet.set_stale(rows, {row: f"{text.age(age)} ago" for row, age in ages.items() if text.is_known(age)})

    def regions(self) -> tuple[NodeRegion, ...]:
        """The parts that stand for the rows for screen readers."""
        return tuple(self._regions)

    # Selection and words -------------------------------------------------------------------------------------------

    def select_node(self, node_id: str) -> None:
        """Select a row without telling anybody."""
        row = self._ids.index(node_id) if node_id in self._ids else -1
        self.sheet.select(row)
        if row >= 0:
            place = self.sheet.row_rect(row)
            self.area.ensureVisible(0, place.center().y(), 0, place.height() // 2 + 1)
        self.sheet.setAccessibleDescription(self.sentence(row) if row >= 0 else "")

    def sentence(self, row: int) -> str:
        """A row in words: what is now, and between what it was."""
        low, high = self.sheet.trends.bounds(range(row, row + 1))
        least, most = np.fmin.reduce(low[0], axis=-1), np.fmax.reduce(high[0], axis=-1)
        card = self._model.scene.card(self._ids[row])
        parts = []
        for column, trend in enumerate(TRENDS):
            said = f"{trend.titles[0]} {self.sheet.value_text(row, column)}"
            if text.is_known(float(least[column])):
                said += f", from {trend.words(float(least[column]))} to {trend.words(float(most[column]))}"
            parts.append(said)
        name = card.name if card is not None else self._ids[row]
        age_s = self._model.age_s(self._ids[row])
        is_old = self._model.is_stale(self._ids[row]) and text.is_known(age_s)
        old = f"Values are {text.age(age_s)} old. " if is_old else ""
        return f"{name}, the last 5 minutes. {old}{'. '.join(parts)}."

    def _describe(self) -> None:
        """Say the rows anew with each new column of the lines; a screen reader cannot follow every second."""
        told = (self.sheet.trends.end, tuple(self.sheet.stale_rows))
        if told == self._told:
            return
        self._told = told
        for row, region in enumerate(self._regions):
            region.setAccessibleDescription(self.sentence(row))
        if self.sheet.selected >= 0:
            self.sheet.setAccessibleDescription(self.sentence(self.sheet.selected))


def _read_span(read: Callable[[str, str, float], Series], node_id: str, key: str) -> Series:
    return read(node_id, key, SPAN_S)


def _empty(rows: int) -> TrendTable:
    return TrendTable(rows, len(TRENDS), span_s=SPAN_S)
