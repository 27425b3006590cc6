"""The charts of the inspector: a node's last five minutes, or the rates at the ends of a cable.

The one rule: a gap stays a gap, and old values say how old they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QVBoxLayout, QWidget

from sparkdesk.core.cluster.port import CAGES, PortState
from sparkdesk.core.telemetry.cage import CABLE_GBPS, ports_of
from sparkdesk.core.telemetry.sample import Sample
from ui import text, theme
from ui.cluster.model import ClusterModel
from ui.cluster.part.fact import reader_of
from ui.widgets.chart import ChartFrame, Hole, LiveChart, Series, fitting_span_s, holes_of

SPAN_S = 300.0
LEAST_GBPS = 0.1
"""The least top of a rate's scale: what is shown beside it is not finer."""


class NodeCharts(QWidget):
    """Four charts of one node, or the rates at the ends of a cable."""

    def __init__(self, model: ClusterModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.gpu = LiveChart("GPU utilisation", unit="%", frame=ChartFrame(high=100.0))
        self.gpu.setToolTip("A waiting rank of a group polls and looks busy; the card's Busy comes from the engine.")
        self.memory = LiveChart("Unified memory", unit="GiB used", frame=ChartFrame(is_stacked=True))
        self.memory.tick_text = lambda value: f"{value:.0f}"
        self.power = LiveChart("GPU power (rail)", unit="W")
        self.rates = (LiveChart("P1 RoCE rate", unit="Gb/s"), LiveChart("P0 RoCE rate", unit="Gb/s"))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        for chart in (self.gpu, self.memory, self.power, *self.rates):
            chart.setMaximumHeight(150)
            column.addWidget(chart, 1)
        column.addStretch(0)

    def show_node(self, node_id: str, *, is_stale: bool) -> None:
        """Show a node's last five minutes."""
        sample = self._model.sample(node_id)
        self._show_parts(is_node=True, ends=1)
        now_s = self._model.feeds.now_ms() / 1000
        value = reader_of(sample)
        used = self._series(node_id, "mem_used_bytes", "in use", 1 / text.GIB, tint="s1")
        span_s = fitting_span_s(used.times_s, now_s, SPAN_S)
        gpu = self._series(node_id, "gpu_util", "", 100.0)
        self.gpu.set_frame(ChartFrame(window_s=span_s, high=100.0))
        self.gpu.set_series([gpu], now_s=now_s, value_text=_percent(value("gpu_util")))
        total = value("mem_total_bytes")
        high = total / text.GIB if text.is_known(total) else None
        self.memory.set_frame(ChartFrame(window_s=span_s, is_stacked=True, high=high))
        cache = self._series(node_id, "mem_page_cache_bytes", "page cache", 1 / text.GIB, tint="ledger_cache")
        layers = [used, cache] if len(used.times_s) == len(cache.times_s) else [used]
        self.memory.set_series(layers, now_s=now_s, value_text=text.memory(value("mem_used_bytes")).value)
        power = self._series(node_id, "gpu_power_w", "", 1.0, tint="s2")
        self.power.set_frame(ChartFrame(window_s=span_s))
        self.power.set_series([power], now_s=now_s, value_text=text.power(value("gpu_power_w")).value)
        self._show_rate(self.rates[0], node_id, _busiest_cage(sample), now_s, "")
        holes = self._holes(node_id)
        for chart in (self.gpu, self.memory, self.power):
            chart.set_holes(holes)
        old = f"{text.age(self._model.age_s(node_id))} ago" if sample and is_stale else ""
        for chart in (self.gpu, self.memory, self.power, self.rates[0]):
            chart.set_stale_text(old)

    def show_ends(self, ends: Sequence[tuple[str, str]]) -> None:
        """Show the rates at the ends of a cable."""
        self._show_parts(is_node=False, ends=len(ends))
        now_s = self._model.feeds.now_ms() / 1000
        for chart, (node_id, cage) in zip(self.rates, ends, strict=False):
            card = self._model.scene.card(node_id)
            chart.set_stale_text("")
            self._show_rate(chart, node_id, cage, now_s, card.name if card else node_id)

    def _show_parts(self, *, is_node: bool, ends: int) -> None:
        for chart in (self.gpu, self.memory, self.power):
            chart.setVisible(is_node)
        for i, chart in enumerate(self.rates):
            chart.setVisible(i < ends)

    def _show_rate(self, chart: LiveChart, node_id: str, cage: str, now_s: float, name: str) -> None:
        value = reader_of(self._model.sample(node_id))
        series = [self._series(node_id, f"cage_{way}_gbps.{cage}", way, 1.0) for way in ("rx", "tx")]
        speed = value(f"cage_speed_gbps.{cage}")
        is_slow = text.is_known(speed) and speed < CABLE_GBPS
        limit_text = f"link limit {speed:.0f}" if is_slow else ""
        span_s = fitting_span_s(series[0].times_s, now_s, SPAN_S)
        limit = speed if is_slow else None
        frame = ChartFrame(window_s=span_s, least_high=LEAST_GBPS, limit=limit, limit_text=limit_text)
        chart.set_frame(frame)
        chart.set_title(f"{name} {cage} RoCE rate".strip())
        chart.set_empty_text("No rate reported")
        chart.set_holes(self._holes(node_id))
        chart.set_series(series, now_s=now_s, value_text=text.line_rate(value(f"cage_rx_gbps.{cage}")).value)

    def _holes(self, node_id: str) -> tuple[Hole, ...]:
        feeds = self._model.feeds.charts
        return holes_of(feeds.gaps(node_id, SPAN_S)) if feeds is not None else ()

    def _series(self, node_id: str, key: str, name: str, scale: float, tint: theme.Token | None = None) -> Series:
        read = self._model.feeds.series
        if read is None:
            return Series(name, (), (), tint)
        times_ms, values = read(node_id, key, SPAN_S)
        return Series(name, [t / 1000 for t in times_ms], [value * scale for value in values], tint)


def _percent(fraction: float) -> str:
    return f"{fraction * 100:.0f}" if text.is_known(fraction) else text.NOT_KNOWN


def _busiest_cage(sample: Sample | None) -> str:
    """The cage that is worth showing: the one that is up, P1 when both or none are."""
    if sample is None:
        return CAGES[1]
    up = [port.cage for port in ports_of(sample) if port.state in (PortState.UP, PortState.DEGRADED)]
    return CAGES[1] if CAGES[1] in up or not up else up[0]
