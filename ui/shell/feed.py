"""Fills the frame's model from what services know, once a second.

The one rule: the least free node, never a sum, because memory does not pool; only live nodes that tell something of
now count, and what no node tells stays unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QObject, QTimer

from sparkdesk.core.cluster.node import ClusterRecord, NodeStatus
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.record import JobStatus
from sparkdesk.core.telemetry.free_memory import find_least, read_free
from sparkdesk.core.telemetry.sample import Sample
from ui.bridge import watch
from ui.cluster.card import STALE_AFTER_S
from ui.jobs.total_rate import total_rate
from ui.shell.model import LeastFree, ShellModel
from ui.total import total_of

TICK_MS = 1000


@dataclass(frozen=True, slots=True)
class ShellFeeds:
    """What the frame reads. `reading` takes a job's id and a metric's key and gives NaN when it is not known."""

    cluster: Latest[ClusterRecord | None]
    nodes: Latest[tuple[NodeStatus, ...]]
    jobs: Latest[tuple[JobStatus, ...]]
    sample: Callable[[str], Sample | None]
    reading: Callable[[str, str], float]
    age_s: Callable[[str], float]
    """Seconds since a node's newest sample was taken."""
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
        if self._timer.isActive():
            self._timer.start()  # from now on: who was asked to read with the page does not read again right after
        self._show_nodes()
        nodes = self._feeds.nodes.value
        live = [status.record for status in nodes if status.is_live]
        every = [(node.id, sample) for node in live if (sample := self._feeds.sample(node.id)) is not None]
        # An old sample counts only where there is no other, and then its age is told.
        samples = [one for one in every if not self._feeds.age_s(one[0]) > STALE_AFTER_S] or every
        powers = [sample.value("gpu_power_w") for _, sample in samples]
        frees = read_free(samples)
        least, names = find_least(frees), {node.id: node.name for node in live}
        self._model.set_figures(
            least_free=LeastFree(names[least.node_id], least.free_bytes, least.total_bytes) if least else None,
            tokens_per_s=total_rate(self._feeds.jobs.value, self._feeds.reading),
            gpu_power_w=total_of(powers, of=len(nodes)),
            free_sum=total_of((one.free_bytes for one in frees), of=len(nodes)),
        )
        self._show_age([node_id for node_id, _ in samples])

    def _show_age(self, node_ids: list[str]) -> None:
        age_s = max((self._feeds.age_s(node_id) for node_id in node_ids), default=math.nan)
        self._model.set_stale(f"{age_s:.0f} s ago" if age_s > STALE_AFTER_S else "")
