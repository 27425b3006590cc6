"""Four small charts of one node, in place of cables where a cluster has only one.

The one rule: no timer and no pyqtgraph; the page that shows them says when, and they are painted by hand.
"""

from __future__ import annotations

import math
from typing import Final

from PySide6.QtCore import Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QGridLayout, QSizePolicy, QWidget

from ui import text, theme
from ui.charts.feed import ChartFeeds
from ui.charts.measure import Measure, measure_of
from ui.widgets.chart import ChartFrame, LiveChart, Series, fitting_span_s, holes_of

KEYS: Final = ("mem_used_bytes", "gpu_power_w", "gpu_sm_clock_mhz", "gpu_temp_c")
SPAN_S: Final = 300.0
OLD_S: Final = 3.5


class MiniCharts(QWidget):
    """`refresh` shows the newest of the first node, or of the source told by `show_source`."""

    pressed = Signal()
    """The person wants to see more: the charts page."""

    def __init__(self, feeds: ChartFeeds, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._feeds = feeds
        self._source_id = ""
        self.ages: list[str] = []
        """How old each chart's value is, "" for one of now."""
        self._measures = [measure_of(key) for key in KEYS]
        self.charts = [LiveChart(each.title, unit=each.unit) for each in self._measures]
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(2 * theme.GAP)
        self._grid.setVerticalSpacing(theme.GAP)
        self.set_low(False)
        self.setAccessibleName("Charts of the node")

    def set_low(self, is_low: bool) -> None:
        """All beside each other, where the window is low; else two by two."""
        columns = len(self.charts) if is_low else 2
        for at, chart in enumerate(self.charts):
            self._grid.addWidget(chart, at // columns, at % columns)

    def show_source(self, source_id: str) -> None:
        """Show another source from the next `refresh` on."""
        self._source_id = source_id

    def refresh(self) -> None:
        """Show the newest; does nothing while hidden."""
        if not self.isVisible():
            return
        source_id = self._source_id or next((each.id for each in self._feeds.sources() if each.kind == "node"), "")
        has = frozenset(self._feeds.keys(source_id)) if source_id else frozenset()
        self.ages = []
        holes = holes_of(self._feeds.gaps(source_id, SPAN_S)) if source_id else ()
        for chart, measure in zip(self.charts, self._measures, strict=True):
            chart.set_holes(holes)
            chart.set_empty_text("No value yet" if measure.key in has or not has else "Not reported")
            self._show(chart, measure, source_id if measure.key in has else "")

    def _show(self, chart: LiveChart, measure: Measure, source_id: str) -> None:
        now_s = self._feeds.now_ms() / 1000
        times_s: list[float] = []
        values: list[float] = []
        if source_id:
            times_ms, found = self._feeds.series(source_id, measure.key, SPAN_S)
            times_s = [t_ms / 1000 for t_ms in times_ms.tolist()]
            values = [value * measure.scale for value in found.tolist()]
        newest = next((i for i in range(len(values) - 1, -1, -1) if math.isfinite(values[i])), -1)
        age_s = now_s - times_s[newest] if newest >= 0 else math.nan
        chart.set_frame(ChartFrame(window_s=fitting_span_s(times_s, now_s, SPAN_S)))
        value_text = measure.write(values[newest]) if newest >= 0 else text.NOT_KNOWN
        chart.set_series([Series("", times_s, values)], now_s=now_s, value_text=value_text)
        self.ages.append(f"{text.age(age_s)} ago" if age_s > OLD_S else "")
        chart.set_stale_text(self.ages[-1])

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self.rect().contains(event.position().toPoint()):
            self.pressed.emit()
        super().mouseReleaseEvent(event)
