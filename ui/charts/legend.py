"""The line above a plot: what it shows, each line's swatch and name, and its value under the cursor or now.

The one rule: values that are old are grey with their age; what is not known is "n/a", never 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from ui import text, theme
from ui.charts.frame import PlotFrame
from ui.charts.mark import draw_swatch
from ui.widgets.paint import elided, text_width, write

ROW_HEIGHT = 20
_SWATCH = 25
_PAD = 12
_VALUE_ROOM = 34.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One line in the legend. `note` is its age, "" for one of now."""

    slot: int
    name: str
    value: str
    note: str
    is_stale: bool
    """Whether its line is grey; under the cursor it is so without a note."""

    def width(self) -> float:
        """How much room it needs."""
        note = text_width(self.note, "label") + 5 if self.note else 0.0
        # Room for usual values, or the names would hop from second to second.
        value = max(text_width(self.value, "dense_strong"), _VALUE_ROOM)
        return _SWATCH + text_width(self.name, "label") + 6 + value + note + _PAD


def entries_of(plot: PlotFrame, cursor_ms: float | None) -> tuple[Entry, ...]:
    """What the legend says at the cursor; without a cursor, now."""
    found = []
    for line in plot.lines:
        value = line.newest() if cursor_ms is None else line.at(cursor_ms)
        is_old = cursor_ms is None and line.is_stale and math.isfinite(value)
        note = f"{text.age(line.age_s)} ago" if is_old else ""
        found.append(Entry(line.slot, line.name, line.measure.write(value), note, line.is_stale))
    return tuple(found)


class Legend(QWidget):
    """Grows by a row when the lines find no room in one. The right end is left free for a button."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = ""
        self._unit = ""
        self.more = ""
        self.entries: tuple[Entry, ...] = ()
        self._places: list[tuple[QPointF, Entry]] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.notifier.changed.connect(self.update)

    def set_plot(self, plot: PlotFrame, cursor_ms: float | None) -> None:
        """Show a plot's lines; equal words are not painted again."""
        entries = entries_of(plot, cursor_ms)
        more = f"{plot.left_out} more not drawn" if plot.left_out else ""
        if (entries, plot.title, plot.unit, more) == (self.entries, self._title, self._unit, self.more):
            return
        self.entries, self._title, self._unit, self.more = entries, plot.title, plot.unit, more
        self._lay_out()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(300, self.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._lay_out()

    def _lay_out(self) -> None:
        """Give each entry its place; the title has the first."""
        self._places = []
        x = self._head_width() + 18
        row, first_x = 0, 10.0
        for entry in self.entries:
            if x + entry.width() - _PAD > self.width() and x > first_x:
                row, x = row + 1, first_x
            self._places.append((QPointF(x, row * ROW_HEIGHT), entry))
            x += entry.width()
        wanted = (row + 1) * ROW_HEIGHT
        if wanted != self.minimumHeight() or wanted != self.maximumHeight():
            self.setFixedHeight(wanted)

    def _head_width(self) -> float:
        unit = text_width(self._unit, "label") + 6 if self._unit else 0.0
        more = text_width(self.more, "label") + 12 if self.more else 0.0
        return 10 + min(text_width(self._title, "dense_medium"), self.width() * 0.5) + unit + more

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        title = elided(self._title, "dense_medium", self.width() * 0.5)
        write(painter, QRectF(10, 0, self.width(), ROW_HEIGHT), title, role="dense_medium", tint="text")
        x = 10 + text_width(title, "dense_medium") + 6
        write(painter, QRectF(x, 1, self.width(), ROW_HEIGHT), self._unit, role="label", tint="text3")
        if self.more:
            x += text_width(self._unit, "label") + 12
            write(painter, QRectF(x, 1, self.width(), ROW_HEIGHT), self.more, role="label", tint="text3")
        for at, entry in self._places:
            self._draw_entry(painter, at, entry)

    def _draw_entry(self, painter: QPainter, at: QPointF, entry: Entry) -> None:
        x, y = at.x(), at.y()
        is_known = entry.value != text.NOT_KNOWN
        draw_swatch(painter, QRectF(x, y, 20, ROW_HEIGHT), entry.slot, is_stale=entry.is_stale)
        x += _SWATCH
        write(painter, QRectF(x, y + 1, 400, ROW_HEIGHT), entry.name, role="label", tint="text2")
        x += text_width(entry.name, "label") + 6
        ink: theme.Token = "text" if is_known and not entry.note else "text3"
        write(painter, QRectF(x, y, 200, ROW_HEIGHT), entry.value, role="dense_strong", tint=ink)
        if entry.note:
            x += text_width(entry.value, "dense_strong") + 5
            write(painter, QRectF(x, y + 1, 200, ROW_HEIGHT), entry.note, role="label", tint="text3")
