"""Fills the frame's model from what services know, once a second.

The one rule: the least free node, never a sum, because memory does not pool; only live nodes count, and what no node
tells stays unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QObject, QTimer

from sparkdesk.core.cluster.node import ClusterRecord, NodeStatus
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.telemetry.sample import Sample
from ui.bridge import watch
from ui.shell.model import FreeSum, LeastFree, ShellModel

TICK_MS = 1000
STALE_AFTER_S = 3.0


@dataclass(frozen=True, slots=True)
class ShellFeeds:
    """What the frame reads. `tokens_per_s` takes a job's id and gives NaN when it is not known."""

    cluster: Latest[ClusterRecord | None]
    nodes: Latest[tuple[NodeStatus, ...]]
    jobs: Latest[tuple[JobStatus, ...]]
    sample: Callable[[str], Sample | None]
    tokens_per_s: Callable[[str], float]
    now_ms: Callable[[], int]
    period_s: float


class ShellFeed(QObject):
    """Keeps a ShellModel true."""

    def __init__(self, feeds: ShellFeeds, model: ShellModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._feeds = feeds
        self._model = model
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)
        watch(feeds.cluster, self, self._on_cluster)
        watch(feeds.nodes, self, lambda _nodes: self._show_nodes())
        self._timer.start()

    def _on_cluster(self, cluster: ClusterRecord | None) -> None:
        if cluster is None:
            self._model.set_cluster("", is_simulated=False)
        else:
            self._model.set_cluster(cluster.name, is_simulated=cluster.is_simulated)
        self.refresh()

    def _show_nodes(self) -> None:
        nodes = self._feeds.nodes.value
        live = sum(node.is_live for node in nodes)
        self._model.set_nodes(live, len(nodes))
        every = f"Sampling every {self._feeds.period_s:.1f} s · {live} SSH" if live else "No node connected"
        self._model.set_sampling(every if nodes else "", is_sampling=live > 0)

    def _tick(self) -> None:
        """Nobody reads the figures of a hidden window."""
        window = self.parent()
        if window is None or window.property("visible") is not False:
            self.refresh()

    def refresh(self) -> None:
        """Show the figures of now."""
        self._show_nodes()
        samples = [
            (status.record.name, sample)
            for status in self._feeds.nodes.value
            if status.is_live and (sample := self._feeds.sample(status.record.id)) is not None
        ]
        rates = [self._feeds.tokens_per_s(job.job_id) for job in self._feeds.jobs.value if job.state is JobState.READY]
        powers = [sample.value("gpu_power_w") for _, sample in samples]
        frees = _known_frees(samples)
        self._model.set_figures(
            least_free=min(frees, key=lambda node: node.free_bytes, default=None),
            tokens_per_s=_known_sum(rates),
            gpu_power_w=_known_sum(powers),
            free_sum=FreeSum(sum(node.free_bytes for node in frees), len(frees)) if frees else None,
        )
        self._show_age([sample for _, sample in samples])

    def _show_age(self, samples: list[Sample]) -> None:
        newest = max((sample.t_ms for sample in samples), default=None)
        age_s = math.nan if newest is None else (self._feeds.now_ms() - newest) / 1000
        self._model.set_stale(f"{age_s:.0f} s ago" if age_s > STALE_AFTER_S * max(1.0, self._feeds.period_s) else "")


def _known_frees(samples: list[tuple[str, Sample]]) -> list[LeastFree]:
    found = [
        LeastFree(name, sample.value("mem_available_bytes"), sample.value("mem_total_bytes"))
        for name, sample in samples
    ]
    return [node for node in found if not math.isnan(node.free_bytes) and not math.isnan(node.total_bytes)]


def _known_sum(values: list[float]) -> float:
    """The sum of what is known; NaN when nothing is."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) if known else math.nan
