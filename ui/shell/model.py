"""What the frame of the window says about the cluster as a whole.

Rule: QtCore only; others write through the setters, the widgets read on `changed`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from PySide6.QtCore import QObject, Signal

from ui.total import NO_TOTAL, Total

MAX_NOTICES = 100


class LeastFree(NamedTuple):
    """The node with the least free unified memory; page cache counts as free."""

    node: str
    free_bytes: float
    total_bytes: float


class Notice(NamedTuple):
    """One entry behind the bell. `page` is the key of the page it leads to, or ""."""

    kind: Literal["ok", "warn", "crit"]
    title: str
    text: str
    time_text: str
    page: str = ""


class ShellModel(QObject):
    """Properties of the strip and the sidebar's foot. What nobody told is NaN; no cluster is the empty name."""

    changed = Signal()
    notices_changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.cluster_name = ""
        self.is_simulated = False
        self.nodes_live = 0
        self.nodes_total = 0
        self.least_free: LeastFree | None = None
        self.free_sum = NO_TOTAL
        """Free memory of all nodes that told it. Memory does not pool: it is for a tooltip only."""
        self.tokens_per_s = NO_TOTAL
        self.gpu_power_w = NO_TOTAL
        self.sampling_text = ""
        self.is_sampling = False
        self.stale_text = ""
        self.notices: tuple[Notice, ...] = ()
        self.unread = 0

    def set_cluster(self, name: str, *, is_simulated: bool) -> None:
        """Name the cluster shown; "" is none."""
        self.cluster_name, self.is_simulated = name, is_simulated
        self.changed.emit()

    def set_nodes(self, live: int, total: int) -> None:
        """Say how many nodes answer, of how many."""
        if (live, total) != (self.nodes_live, self.nodes_total):
            self.nodes_live, self.nodes_total = live, total
            self.changed.emit()

    def set_figures(
        self,
        *,
        least_free: LeastFree | None,
        tokens_per_s: Total,
        gpu_power_w: Total,
        free_sum: Total = NO_TOTAL,
    ) -> None:
        """Show the figures of now; None is unknown. `tokens_per_s` is of deployments, the other two are of nodes."""
        self.free_sum = free_sum
        self.least_free, self.tokens_per_s, self.gpu_power_w = least_free, tokens_per_s, gpu_power_w
        self.changed.emit()

    def set_sampling(self, text: str, *, is_sampling: bool) -> None:
        """Say how often is read and over how many connections ("Sampling every 1.0 s · 4 SSH")."""
        if (text, is_sampling) != (self.sampling_text, self.is_sampling):
            self.sampling_text, self.is_sampling = text, is_sampling
            self.changed.emit()

    def set_stale(self, age_text: str) -> None:
        """Say how old the figures are once they are old ("14 s ago"); "" is live."""
        if age_text != self.stale_text:
            self.stale_text = age_text
            self.changed.emit()

    def add_notice(self, notice: Notice) -> None:
        """Put a notice behind the bell, newest first."""
        self.notices = (notice, *self.notices)[:MAX_NOTICES]
        self.unread += 1
        self.notices_changed.emit()

    def mark_read(self) -> None:
        """The person has opened the list."""
        self.unread = 0
        self.notices_changed.emit()
