"""Real histories as the charts read them: four nodes, a deployment and a found server, filled by tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sparkdesk.core.cluster.node import ClusterRecord
from sparkdesk.core.telemetry.history import History
from sparkdesk.core.telemetry.sample import Sample
from sparkdesk.core.telemetry.series import ChartSource, Gap, Series
from tests.ui import rack
from ui.charts.feed import ChartFeeds

GIB = 2.0**30
NODE_KEYS = ("gpu_util", "gpu_temp_c", "gpu_power_w", "gpu_sm_clock_mhz", "mem_used_bytes", "mem_available_bytes",
             "cpu_util", "cage_rx_gbps.P1", "cage_tx_gbps.P1")  # fmt: skip
JOB_KEYS = ("generated_tokens_per_s", "requests_running", "requests_waiting", "kv_used_fraction", "ttft_s")


@dataclass
class Scene:
    """What a `SeriesBook` would tell. `now_ms` is its clock; `asked` counts how often a series was read."""

    count: int = 4
    now_ms: int = rack.NOW_MS
    sources: list[ChartSource] = field(default_factory=list)
    histories: dict[str, History] = field(default_factory=dict)
    told: dict[str, list[Gap]] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    """Sources that send nothing while time goes on."""
    period_ms: int = 1000
    asked: int = 0
    cluster: ClusterRecord | None = None

    def __post_init__(self) -> None:
        self.cluster = rack.cluster(self.count)
        for i in range(self.count):
            self.add(ChartSource(f"node{i}", rack.NAMES[i % 4] if i < 4 else f"spark-{i:04x}", "node"))

    def add(self, source: ChartSource) -> None:
        """One more source."""
        self.sources.append(source)
        self.histories[source.id] = History()

    def live(self, periods: int) -> None:
        """Let so many periods (seconds, unless told) pass; whoever is not silent sends a sample in each."""
        for _ in range(periods):
            self.now_ms += self.period_ms
            for i, source in enumerate(self.sources):
                if source.id not in self.silent:
                    values = _node_values(i, self.now_ms) if source.kind == "node" else _job_values(i, self.now_ms)
                    # Nodes measure at moments of their own.
                    self.histories[source.id].append(Sample(source.id, self.now_ms - 40 * i, 1, "boot", values))

    def series(self, source_id: str, key: str, span_s: float) -> Series:
        """As the book does: a real history's."""
        self.asked += 1
        return self.histories[source_id].series(key, span_s)

    def keys(self, source_id: str) -> Sequence[str]:
        """What a source of its kind has."""
        kind = next(source.kind for source in self.sources if source.id == source_id)
        return NODE_KEYS if kind == "node" else JOB_KEYS

    def feeds(self) -> ChartFeeds:
        """What the page reads."""
        return ChartFeeds(
            sources=lambda: tuple(self.sources),
            keys=self.keys,
            series=self.series,
            now_ms=lambda: self.now_ms,
            gaps=lambda source_id, _span_s: tuple(self.told.get(source_id, ())),
            cluster=lambda: self.cluster,
        )

    def rename(self, at: int, title: str) -> None:
        """Give a source another name."""
        self.sources[at] = replace(self.sources[at], title=title)


def _node_values(i: int, t_ms: int) -> dict[str, float]:
    t = (t_ms - rack.NOW_MS) / 1000
    noise = math.sin(t * 12.9898 + i * 78.233) * 43758.5453 % 1.0
    return {
        "gpu_util": 0.5 + 0.3 * math.sin(t / 23 + i) + 0.1 * noise,
        "gpu_temp_c": 56 + 5 * i + 4 * math.sin(t / 60 + i) + noise,
        "gpu_power_w": 40 + 9 * i + 6 * math.sin(t / 17 + i) + 6 * noise,
        "gpu_sm_clock_mhz": 2400 - 60 * i + 50 * noise if i != 2 else 850 + 20 * noise,
        "mem_used_bytes": (93.8, 6.2, 55.1, 40.6)[i % 4] * GIB + 2 * GIB * math.sin(t / 40),
        "mem_available_bytes": (121.6 - (93.8, 6.2, 55.1, 40.6)[i % 4]) * GIB,
        "cpu_util": 0.1 + 0.05 * noise,
        "cage_rx_gbps.P1": 60 + 30 * math.sin(t / 30 + i),
        "cage_tx_gbps.P1": 50 + 30 * math.cos(t / 30 + i),
    }


def _job_values(i: int, t_ms: int) -> dict[str, float]:
    t = (t_ms - rack.NOW_MS) / 1000
    return {
        "generated_tokens_per_s": 220 + 20 * math.sin(t / 11 + i),
        "requests_running": 8.0,
        "requests_waiting": max(0.0, 6 * math.sin(t / 50)),
        "kv_used_fraction": 0.4 + 0.2 * math.sin(t / 80),
        "ttft_s": 0.4 + 0.1 * math.sin(t / 20),
    }
