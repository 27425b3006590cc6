"""The saved clusters and how their nodes compare: what the switcher and the versions page show.

The one rule: the pure functions of core compare; here they become rows, and what is not known stays so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal

from sparkdesk.core.cluster.details import NodeDetails
from sparkdesk.core.cluster.node import ClusterRecord, NodeStatus
from sparkdesk.core.feed import Latest
from sparkdesk.core.probes.comparison import ComparedRow, differences
from ui import text
from ui.bridge import watch
from ui.widgets.cell_table import Cell, Table

SHAPES = {"single": "", "pair": "direct cable", "ring": "ring", "switch": "switch"}


@dataclass(frozen=True, slots=True)
class ClustersFeeds:
    """What the switcher and the versions page read."""

    clusters: Latest[tuple[ClusterRecord, ...]]
    open_cluster: Latest[ClusterRecord | None]
    nodes: Latest[tuple[NodeStatus, ...]]
    details: Latest[Mapping[str, NodeDetails]]
    now_ms: Callable[[], int]


@dataclass(frozen=True, slots=True)
class ClustersActions:
    """What they ask for; each returns at once and, but for the last ones, takes a cluster's id."""

    open: Callable[[str], None]
    rename: Callable[[str, str], None]
    remove: Callable[[str, bool], None]
    """The other answer: whether what SparkDesk installed on its live nodes is undone first."""
    create: Callable[[str], None]
    """The new one's name."""
    show_versions: Callable[[], None]
    show_cluster: Callable[[], None]
    open_dashboard: Callable[[str], None]
    """A node's id; so the next one."""
    refresh_details: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Removal:
    """What removing a cluster means, in words. `offer` is the text of a tick, "" where nothing can be undone."""

    loss: str
    kept: str
    offer: str


@dataclass(frozen=True, slots=True)
class ClusterRow:
    """One cluster of the list."""

    cluster_id: str
    name: str
    line: str
    is_open: bool
    is_simulated: bool


class ClustersModel(QObject):
    """Both views' model."""

    changed = Signal()

    def __init__(self, feeds: ClustersFeeds, actions: ClustersActions, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.feeds = feeds
        self.actions = actions
        watch(feeds.clusters, self, self._mark)
        watch(feeds.open_cluster, self, self._mark)
        watch(feeds.nodes, self, self._mark)
        watch(feeds.details, self, self._mark)

    def _mark(self, _value: object) -> None:
        self.changed.emit()

    def rows(self) -> tuple[ClusterRow, ...]:
        """Every cluster, the open one first if it is not in the list (a simulated one may not be saved)."""
        opened = self.feeds.open_cluster.value
        records = list(self.feeds.clusters.value)
        if opened is not None and all(record.id != opened.id for record in records):
            records.insert(0, opened)
        return tuple(self._row(record, opened) for record in records)

    def _row(self, record: ClusterRecord, opened: ClusterRecord | None) -> ClusterRow:
        is_open = opened is not None and opened.id == record.id
        # What is open is newer than what was saved of it.
        shown = opened if is_open and opened is not None else record
        count = len(shown.nodes)
        parts = [f"{count} {'node' if count == 1 else 'nodes'}" if count else "no node yet"]
        if count and SHAPES.get(shown.shape):
            parts.append(SHAPES[shown.shape])
        if is_open and count:
            live = sum(node.is_live for node in self.feeds.nodes.value)
            parts.append(f"{live} live")
        return ClusterRow(record.id, text.one_line(shown.name, 60), " · ".join(parts), is_open, shown.is_simulated)

    def taken_names(self, but: str = "") -> tuple[str, ...]:
        """The clusters' names, without that of `but`."""
        return tuple(row.name for row in self.rows() if row.cluster_id != but)

    def record(self, cluster_id: str) -> ClusterRecord | None:
        """A cluster by its id."""
        opened = self.feeds.open_cluster.value
        if opened is not None and opened.id == cluster_id:
            return opened
        return next((record for record in self.feeds.clusters.value if record.id == cluster_id), None)

    def removal(self, record: ClusterRecord) -> Removal:
        """What to say before a cluster is forgotten, with the nodes on which nothing can be undone now."""
        count = len(record.nodes)
        loss = "It has no node."
        if count:
            goes, whose = (
                ("Its one node goes", "its entry") if count == 1 else (f"Its {count} nodes go", "their entries")
            )
            loss = f"{goes} with it: {whose}, trusted host keys, forwards and reports on this computer."
        kept = f"On the {'node' if count == 1 else 'nodes'} nothing is stopped or deleted; what runs there goes on."
        live = {node.record.id for node in self.feeds.nodes.value if node.is_live}
        changed = [node for node in record.nodes if node.setup_runs]
        near = [node for node in changed if node.id in live]
        away = [node for node in changed if node.id not in live]
        if away:
            names = ", ".join(text.one_line(node.name, 40) for node in away[:8])
            names += f" and {len(away) - 8} more" if len(away) > 8 else ""
            kept += (
                f" What SparkDesk installed stays on {names}: not connected now. To undo it there, open this cluster"
                " and wait until it is live."
            )
        runs = sum(len(node.setup_runs) for node in near)
        where = text.one_line(near[0].name, 40) if len(near) == 1 else f"{len(near)} nodes"
        offer = f"First undo what SparkDesk installed on {where} ({runs} {'change' if runs == 1 else 'changes'})"
        return Removal(loss, kept, offer if near else "")

    # Versions -----------------------------------------------------------------------------------------------------

    def known(self) -> tuple[tuple[NodeStatus, NodeDetails], ...]:
        """The nodes of the open cluster whose details are known, in its order."""
        found = self.feeds.details.value
        return tuple((node, found[node.record.id]) for node in self.feeds.nodes.value if node.record.id in found)

    def unknown_names(self) -> tuple[str, ...]:
        """The nodes that cannot be compared yet."""
        found = self.feeds.details.value
        nodes = self.feeds.nodes.value
        return tuple(text.one_line(node.record.name, 64) for node in nodes if node.record.id not in found)

    def compared(self) -> tuple[ComparedRow, ...]:
        """The fields over those nodes, as core compares them."""
        return differences([details for _, details in self.known()])

    def oldest_ms(self) -> int:
        """When the oldest of the details was read; 0 when there is none."""
        return min((details.t_ms for _, details in self.known()), default=0)


def versions_table(names: Sequence[str], rows: Sequence[ComparedRow], *, only_different: bool = False) -> Table:
    """The comparison as a table: what differs has a mark and a word in every cell that is not as most are."""
    headers = ("", *(text.one_line(name, 64) for name in names))
    shown = [row for row in rows if row.is_different or not only_different]
    return Table(headers, tuple(_cells(row) for row in shown))


def _cells(row: ComparedRow) -> tuple[Cell, ...]:
    usual = usual_value(row.values) if row.is_different else ""
    title = Cell(row.title, "strong")
    return (title, *(_cell(row, value, usual) for value in row.values))


def _cell(row: ComparedRow, value: str, usual: str) -> Cell:
    if not value:
        return Cell("Not known", "unknown")
    whole = text.one_line(value, 300)
    said = text.one_line(short_widths(value) if row.field == "pcie" else value, 60)
    hint = whole if whole != said else ""
    if row.is_different and value != usual:
        return Cell(said, "warn", "differs", hint)
    return Cell(said, hint=hint)


def short_widths(value: str) -> str:
    """ "enp1s0f0np0 x4, enP2p1s0f0np0 x4" as "2 halves at x4"; widths one by one where they are not alike."""
    widths = [part.rpartition(" ")[2] for part in value.split(", ")]
    if len(set(widths)) == 1:
        return f"{len(widths)} {'half' if len(widths) == 1 else 'halves'} at {widths[0]}"
    return ", ".join(widths)


def usual_value(values: Sequence[str]) -> str:
    """What most nodes have; "" when no value has a majority over every other, so that all of them are marked."""
    known = [value for value in values if value]
    counts = sorted(((known.count(value), value) for value in set(known)), reverse=True)
    if not counts or (len(counts) > 1 and counts[0][0] == counts[1][0]):
        return ""
    return counts[0][1]


def versions_words(count: int, rows: Sequence[ComparedRow]) -> str:
    """How alike the nodes are, as a sentence."""
    different = [row.title for row in rows if row.is_different]
    if count < 2:
        return "One node has nothing to differ from." if count else ""
    if not different:
        return f"What is known of the {count} nodes is alike."
    listed = ", ".join(different[:4]) + (f" and {len(different) - 4} more" if len(different) > 4 else "")
    return f"{len(different)} {'thing differs' if len(different) == 1 else 'things differ'}: {listed}."
