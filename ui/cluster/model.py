"""The cluster page's view-model: gathers what services know into scenes, and keeps what is selected.

The one rule: a sample never causes work by itself. States and jobs mark the page dirty; the page's one timer asks for
a scene at most once a second, and not at all while the page is hidden.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from sparkdesk.core.cluster.found_server import FoundServer
from sparkdesk.core.cluster.half import End
from sparkdesk.core.cluster.node import ClusterRecord, NodeStatus
from sparkdesk.core.cluster.topology import Cable, Topology
from sparkdesk.core.cluster.topology_problem import Problem
from sparkdesk.core.feed import Latest
from sparkdesk.core.findings.concern import Concern
from sparkdesk.core.jobs.plan import LaunchPlan
from sparkdesk.core.jobs.record import JobStatus
from sparkdesk.core.planning.speed.bandwidth import Bandwidth
from sparkdesk.core.telemetry.energy import EnergyView
from sparkdesk.core.telemetry.sample import Sample
from sparkdesk.services.jobs.trace import Traces
from ui.bridge import watch
from ui.cluster.scene import Known, Scene, SceneBuilder, old_ages
from ui.preference import Preferences

if TYPE_CHECKING:
    from sparkdesk.core.telemetry.series import Series
    from ui.charts.feed import ChartFeeds

Selection = tuple[str, str]
"""("node", id), ("cable", key), ("switch", number), ("stranger", its cable's key) or ("", "")."""
NOTHING: Selection = ("", "")


@dataclass(frozen=True, slots=True)
class ClusterFeeds:
    """What the page reads. The callables take a node's id (`plan_of`: a job's)."""

    cluster: Latest[ClusterRecord | None]
    nodes: Latest[tuple[NodeStatus, ...]]
    jobs: Latest[tuple[JobStatus, ...]]
    sample: Callable[[str], Sample | None]
    now_ms: Callable[[], int]
    traces: Traces
    plan_of: Callable[[str], LaunchPlan | None] = lambda _job_id: None
    age_s: Callable[[str], float] | None = None
    """Seconds since a node's newest sample was taken; None: by its time alone."""
    series: Callable[[str, str, float], Series] | None = None
    """(node id, metric key, span in s) -> times in Unix ms and values, as SeriesBook.series gives them."""
    servers: Latest[tuple[FoundServer, ...]] = field(default_factory=lambda: Latest(()))
    """What runs on the nodes and was not started by SparkDesk."""
    server_reading: Callable[[str, str], float] = lambda _server_id, _key: math.nan
    """What such a server tells now: its id and a key of the metric table; NaN when it does not."""
    topology: Latest[Topology] = field(default_factory=lambda: Latest(Topology()))
    findings: Latest[tuple[Concern, ...]] = field(default_factory=lambda: Latest(()))
    """Worst first, the accepted ones last."""
    heard: Latest[frozenset[str]] | None = None
    """The nodes that were heard long enough to say that nothing is wrong; None: those that are live."""
    clusters: Latest[tuple[ClusterRecord, ...]] = field(default_factory=lambda: Latest(()))
    """Every saved cluster, the open one too."""
    bandwidth: Callable[[str], Bandwidth | None] = lambda _job_id: None
    energy: Callable[[str], EnergyView | None] = lambda _node_or_job_id: None
    charts: ChartFeeds | None = None
    """What the tab of charts reads; None: there is no such tab."""
    memory: Preferences | None = None
    """Where the choice of charts is remembered; None: nowhere."""


class ClusterModel(QObject):
    """Scenes and the selection. `dirty` asks the page for a refresh soon; `scene_changed` follows `refresh`."""

    dirty = Signal()
    scene_changed = Signal(object)
    selection_changed = Signal(str, str)
    refreshed = Signal()
    """The figures of now are read: who shows the same ones elsewhere reads them in the same moment."""

    def __init__(self, feeds: ClusterFeeds, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.feeds = feeds
        self.scene = Scene()
        self._builder = SceneBuilder()
        self.selection: Selection = NOTHING
        watch(feeds.cluster, self, self._mark)
        watch(feeds.nodes, self, self._mark)
        watch(feeds.jobs, self, self._mark)
        watch(feeds.servers, self, self._mark)
        watch(feeds.findings, self, self._mark)
        if feeds.heard is not None:
            watch(feeds.heard, self, self._mark)
        watch(feeds.topology, self, self._mark)

    def _mark(self, _value: object) -> None:
        self.dirty.emit()

    def refresh(self) -> bool:
        """Make the scene of now; tells whether it differs from the one before."""
        feeds, samples = self.feeds, self._samples()
        self.refreshed.emit()
        known = Known(
            feeds.cluster.value,
            feeds.nodes.value,
            feeds.jobs.value,
            samples,
            feeds.traces,
            feeds.plan_of,
            feeds.servers.value,
            feeds.server_reading,
            feeds.topology.value,
            feeds.findings.value,
            feeds.heard.value if feeds.heard is not None else None,
        )
        scene = self._builder.build(known)
        if scene == self.scene:
            return False
        self.scene = scene
        self._drop_lost_selection()
        self.scene_changed.emit(scene)
        return True

    def _samples(self) -> dict[str, tuple[Sample, float]]:
        """The newest of each node that told one, with its age in s."""
        nodes = [node.record.id for node in self.feeds.nodes.value]
        found = ((node_id, self.feeds.sample(node_id)) for node_id in nodes)
        return {node_id: (sample, self.age_s(node_id)) for node_id, sample in found if sample is not None}

    def silent(self) -> dict[str, float]:
        """The nodes that tell nothing of now, with the age in s of what they told last; NaN: they never told."""
        return old_ages(self.feeds.nodes.value, self._samples())

    def _drop_lost_selection(self) -> None:
        kind, key = self.selection
        if kind and not self._is_there(kind, key):
            self.select(*NOTHING)

    def _is_there(self, kind: str, key: str) -> bool:
        if kind == "node":
            return self.scene.card(key) is not None
        if kind == "switch":
            return any(cable.via_switch and str(cable.switch_number) == key for cable in self._cables())
        if kind == "stranger":
            seen = self.seen_cable(key)
            return seen is not None and seen.stranger is not None
        return kind == "cable" and self.scene.cable(key) is not None

    def select(self, kind: str, key: str) -> None:
        """Select a node, a cable or what a cable leads to; ("", "") selects nothing."""
        if (kind, key) != self.selection:
            self.selection = (kind, key)
            self.selection_changed.emit(kind, key)

    def heard(self) -> frozenset[str]:
        """The nodes of which can be said that nothing is wrong, where nothing is found."""
        if len(self.scene.cards) > 1 and not self.feeds.topology.value.seen_ms:
            return frozenset()  # where nobody looked at the cables nothing is said to be well
        live = frozenset(card.node_id for card in self.scene.cards if card.look == "live")
        return live if self.feeds.heard is None else live & self.feeds.heard.value

    def status(self, node_id: str) -> NodeStatus | None:
        """How a node is now."""
        return next((node for node in self.feeds.nodes.value if node.record.id == node_id), None)

    def sample(self, node_id: str) -> Sample | None:
        """What a node measured last."""
        return self.feeds.sample(node_id)

    def age_s(self, node_id: str) -> float:
        """Seconds since a node's newest sample was taken; NaN before the first."""
        sample = self.feeds.sample(node_id)
        if sample is None:
            return math.nan
        if self.feeds.age_s is not None:
            return self.feeds.age_s(node_id)
        return max(0.0, (self.feeds.now_ms() - sample.t_ms) / 1000)

    def jobs_on(self, node_id: str) -> tuple[JobStatus, ...]:
        """The jobs of a node that are not over."""
        return tuple(job for job in self.feeds.jobs.value if node_id in job.node_ids and not job.state.is_over)

    # Cables and findings -------------------------------------------------------------------------------------------

    def _cables(self) -> tuple[Cable, ...]:
        return self.feeds.topology.value.cables

    def seen_cable(self, key: str) -> Cable | None:
        """A cable as the last look saw it."""
        return next((cable for cable in self._cables() if cable.key == key), None)

    def cable_at(self, end: End) -> Cable | None:
        """The cable that the last look saw in a cage."""
        return self.feeds.topology.value.cable_at(end)

    def problems_at(self, ends: Sequence[End]) -> list[Problem]:
        """What the last look has against these cages."""
        return [one for one in self.feeds.topology.value.problems if (one.node_id, one.cage) in ends]

    def findings_of(self, node_id: str) -> tuple[Concern, ...]:
        """The findings about a node."""
        return tuple(one for one in self.feeds.findings.value if one.node_id == node_id)

    def findings_at(self, end: End) -> tuple[Concern, ...]:
        """The findings about one cage of a node."""
        return tuple(one for one in self.findings_of(end[0]) if one.subject == end[1])

    def names(self) -> dict[str, str]:
        """The names of the nodes by their ids."""
        return {card.node_id: card.name for card in self.scene.cards}

    def name_of(self, node_id: str) -> str:
        """A node's name, its id where it is not known."""
        card = self.scene.card(node_id)
        return card.name if card else node_id

    def end_title(self, end: End) -> str:
        """ "spark-5c2d P1"."""
        return f"{self.name_of(end[0])} {end[1]}"

    def is_stale(self, node_id: str) -> bool:
        """Whether what is known of a node is old."""
        card = self.scene.card(node_id)
        return card is None or card.look != "live"
