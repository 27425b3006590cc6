"""The node page's view-model: everything that is known about the one node that is shown.

The one rule: it picks out and counts; what things mean was decided in core, and what they do is a callable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from PySide6.QtCore import QObject, Signal

from sparkdesk.core.cluster.details import NodeDetails
from sparkdesk.core.cluster.forward import Forward, ForwardSpec
from sparkdesk.core.cluster.found_server import FoundServer
from sparkdesk.core.cluster.node import ClusterRecord, NodeState, NodeStatus
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.record import JobStatus
from sparkdesk.core.probes.assumption import FieldReport
from sparkdesk.core.probes.check import CheckUp, Finding, Verdict
from sparkdesk.core.step import Playbook
from ui import text
from ui.bridge import watch

OFF_STATES = (NodeState.ASLEEP, NodeState.UNREACHABLE, NodeState.IDLE, NodeState.RECONNECTING)
"""The states in which waking a node may help."""


ASSUMPTION_OF: Final[Mapping[str, str]] = MappingProxyType(
    {
        "gpu-answers": "gpu-name",
        "slow-state": "gpu-clock-under-load",
        "throttle": "gpu-capped-counters",
        "temperature": "gpu-temperature",
        "page-cache": "memory-available",
        "swap": "swap-size",
        "kernel-signature": "memory-uncounted",
        "pcie-width": "cx7-width",
    }
)
"""A check of the doctor -> what it takes for true, where the two have different names."""


@dataclass(frozen=True, slots=True)
class NodeFeeds:
    """What the page reads. The callables take a node's id and are cheap."""

    nodes: Latest[tuple[NodeStatus, ...]]
    clusters: Latest[tuple[ClusterRecord, ...]]
    open_cluster: Latest[ClusterRecord | None]
    details: Latest[Mapping[str, NodeDetails]]
    servers: Latest[tuple[FoundServer, ...]]
    forwards: Latest[tuple[Forward, ...]]
    check_ups: Latest[Mapping[str, CheckUp]]
    reports: Latest[Mapping[str, FieldReport]]
    jobs: Latest[tuple[JobStatus, ...]]
    now_ms: Callable[[], int]
    ssh_command: Callable[[str], str]
    """As `infra.terminal.describe` writes it."""
    can_wake: Callable[[str], str]
    """ "" or why not."""
    assumption_of: Mapping[str, str] = field(default_factory=lambda: ASSUMPTION_OF)
    """A check's id -> the assumption whose holding on a node says that the check's unverified part was seen there."""


@dataclass(frozen=True, slots=True)
class NodeActions:
    """What the page asks for. Each returns at once; the first word is the node's id unless its name says otherwise."""

    show_cluster: Callable[[], None]
    reconnect: Callable[[str], None]
    open_terminal: Callable[[str], None]
    open_vscode: Callable[[str], None]
    reboot: Callable[[str], None]
    """Opens the dialog that shows the plan; so does `shut_down`."""
    shut_down: Callable[[str], None]
    wake: Callable[[str], None]
    rename: Callable[[str, str], None]
    move: Callable[[str, str], None]
    """Node id, cluster id."""
    remove: Callable[[str, bool], None]
    """Node id; whether what SparkDesk installed is undone first."""
    refresh_details: Callable[[str], None]
    open_dashboard: Callable[[str], None]
    look_for_servers: Callable[[str], None]
    chat: Callable[[str, str], None]
    """Server id, model."""
    give_key: Callable[[str, str], None]
    """Server id, key."""
    open_job: Callable[[str], None]
    """Job id."""
    open_forward: Callable[[str], None]
    """Forward id; so do the next two."""
    close_forward: Callable[[str], None]
    remove_forward: Callable[[str], None]
    add_forward: Callable[[ForwardSpec], None]
    open_url: Callable[[str], None]
    run_doctor: Callable[[str], None]
    show_fix: Callable[[str, Playbook], None]
    run_field_report: Callable[[str], None]
    save_report: Callable[[str, str], None]
    """Node id, path of the file."""


class NodeModel(QObject):
    """The node shown. `changed` says that anything of it may look different now; `node_changed` that it is another."""

    changed = Signal()
    node_changed = Signal(str)

    def __init__(self, feeds: NodeFeeds, actions: NodeActions, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.feeds = feeds
        self.actions = actions
        self.node_id = ""
        watch(feeds.nodes, self, self._mark)
        watch(feeds.clusters, self, self._mark)
        watch(feeds.details, self, self._mark)
        watch(feeds.servers, self, self._mark)
        watch(feeds.forwards, self, self._mark)
        watch(feeds.check_ups, self, self._mark)
        watch(feeds.reports, self, self._mark)
        watch(feeds.jobs, self, self._mark)

    def _mark(self, _value: object) -> None:
        self.changed.emit()

    def select(self, node_id: str) -> None:
        """Show another node."""
        if node_id != self.node_id:
            self.node_id = node_id
            self.node_changed.emit(node_id)
            self.changed.emit()

    # What is known ------------------------------------------------------------------------------------------------

    def status(self) -> NodeStatus | None:
        """The node's line, None when it is not in the open cluster."""
        return next((node for node in self.feeds.nodes.value if node.record.id == self.node_id), None)

    def name(self) -> str:
        """The node's name, bounded."""
        status = self.status()
        return text.one_line(status.record.name, 64) if status is not None else "This node"

    def is_simulated(self) -> bool:
        """Whether the open cluster is the simulated one."""
        cluster = self.feeds.open_cluster.value
        return cluster is not None and cluster.is_simulated

    def away_reason(self) -> str:
        """Why nothing can be read or run on the node now, "" when it can."""
        status = self.status()
        if status is None:
            return "It is no longer in this cluster"
        return "" if status.is_live else f"{self.name()} is not connected"

    def details(self) -> NodeDetails | None:
        """What was read about it."""
        return self.feeds.details.value.get(self.node_id)

    def servers(self) -> tuple[FoundServer, ...]:
        """What runs there and was not started by SparkDesk."""
        return tuple(server for server in self.feeds.servers.value if server.node_id == self.node_id)

    def jobs(self) -> tuple[JobStatus, ...]:
        """SparkDesk's own jobs on it that are not over."""
        return tuple(job for job in self.feeds.jobs.value if self.node_id in job.node_ids and not job.state.is_over)

    def forwards(self) -> tuple[Forward, ...]:
        """Its forwards, in the order of the service."""
        return tuple(each for each in self.feeds.forwards.value if each.spec.node_id == self.node_id)

    def check_up(self) -> CheckUp:
        """How far the doctor is with it."""
        return self.feeds.check_ups.value.get(self.node_id, CheckUp(self.node_id))

    def report(self) -> FieldReport:
        """How it fared against what the code takes for true."""
        return self.feeds.reports.value.get(self.node_id, FieldReport(self.node_id))

    def problem_count(self) -> int:
        """How many checks did not pass."""
        return sum(finding.verdict is not Verdict.PASS for finding in self.check_up().findings)

    def seen_ms(self, finding: Finding) -> int:
        """When what an unverified check rests on was seen on this node; 0 when it was not."""
        return self.report().seen_ms(self.feeds.assumption_of.get(finding.check_id, finding.check_id))

    def other_clusters(self) -> tuple[tuple[str, str], ...]:
        """Where the node may be moved to: (id, name) of the other clusters of real nodes."""
        here = self.feeds.open_cluster.value
        if here is None or here.is_simulated:
            return ()
        return tuple(
            (cluster.id, text.one_line(cluster.name, 60))
            for cluster in self.feeds.clusters.value
            if cluster.id != here.id and not cluster.is_simulated
        )

    def taken_names(self) -> tuple[str, ...]:
        """The names of the other nodes of the cluster."""
        return tuple(node.record.name for node in self.feeds.nodes.value if node.record.id != self.node_id)

    # Words --------------------------------------------------------------------------------------------------------

    def age_words(self, t_ms: int, verb: str) -> str:
        """ "Read 3 min ago"; "" when there is no time."""
        if t_ms <= 0:
            return ""
        age_s = max(0.0, (self.feeds.now_ms() - t_ms) / 1000)
        return f"{verb} just now" if age_s < 3 else f"{verb} {text.age(age_s)} ago"
