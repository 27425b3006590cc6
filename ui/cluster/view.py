"""The cluster page: sentence, map or table, deployments, inspector.

The one rule: one timer. It runs only while the page is visible, asks the view-model for a scene, and hands on what
changed; nothing here repaints because a sample came.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QKeyEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from sparkdesk.core.jobs.reading import REQUESTS_RUNNING, REQUESTS_WAITING
from sparkdesk.core.jobs.record import JobState, JobStatus
from ui import text, theme
from ui.cluster.headline import JobStrip, StateSentence, StripItem
from ui.cluster.inspector import Inspector
from ui.cluster.map import TopologyMap
from ui.cluster.model import NOTHING, ClusterModel
from ui.cluster.scene import Scene
from ui.cluster.table import NodeTable
from ui.jobs.mark import current_phase, is_coming_up, mark_of_job
from ui.jobs.trace import TOKEN_RATE
from ui.widgets.button import Button
from ui.widgets.card import Card
from ui.widgets.drawer import Drawer
from ui.widgets.empty_state import EmptyState
from ui.widgets.label import Label
from ui.widgets.segmented import Segmented

TICK_MS = 1000
SOON_MS = 120
SOON_PER_NODE_MS = 6
"""Later by so much for each node: of many nodes something is new all the time while they connect."""
WIDE_PX = 1060
"""From this width of the page on the inspector stands beside the map (a window of 1280)."""
LOW_PX = 720
"""Below this height of the page (a window of 820) the strip is one line high."""
TABLE_FROM = 9
"""From this many nodes on the table is what is shown first."""


class ClusterPage(QWidget):
    """The page. Its signals lead elsewhere; `ClusterModel` knows everything else."""

    launch_asked = Signal()
    add_node_asked = Signal()
    job_asked = Signal(str)
    """A deployment's id; "" is the page itself."""
    reconnect_asked = Signal(str)
    node_asked = Signal(str, str)
    """Node id and the tab of its page: overview, running, forwards, doctor or field."""
    terminal_asked = Signal(str)
    wake_asked = Signal(str)
    password_given = Signal(str, str)
    """Node id and password; it is kept nowhere."""
    job_action_asked = Signal(str, str)
    """A deployment's id and what to do: chat, logs or stop."""
    finding_fix_asked = Signal(str)
    finding_accept_asked = Signal(str, str)
    """A finding's id and the person's note."""
    finding_unaccept_asked = Signal(str)
    label_asked = Signal(str, str)
    """A stranger's hardware address, or where it has none its cage ("n1:P0"), and the person's name for it."""
    look_asked = Signal()
    """Look at the cables again."""
    cluster_open_asked = Signal(str)

    def __init__(self, model: ClusterModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self._title = Label("", "page_title", "text")
        self._subtitle = Label("", "dense", "text3")
        ways: list[tuple[str, ...]] = [("map", "Map", "map"), ("table", "Table", "list")]
        self.ways = Segmented(ways, what="Show the cluster as", chosen="map")
        self.add_node = Button("Add node", icon="plus")
        self.launch = Button("Launch a model", kind="primary", icon="rocket")
        self.sentence = StateSentence()
        self.map = TopologyMap()
        self.table = NodeTable()
        hint = "Add a DGX Spark by its address to see it here."
        self._empty = EmptyState("server", "No node yet", hint, action="Add node")
        self._stack = QStackedWidget()
        self.strip = JobStrip()
        self.inspector = Inspector(model)
        self._drawer = Drawer(self)
        self._body = QHBoxLayout()
        self._is_docked = True
        self._is_way_chosen = False
        self._was_selected = False
        self._tick = QTimer(self)
        self._tick.setInterval(TICK_MS)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(SOON_MS)
        self._build()
        self._wire()

    def _build(self) -> None:
        for shown in (self.map, self.table, self._empty):
            self._stack.addWidget(shown)
        head = QHBoxLayout()
        head.setSpacing(theme.GAP)
        for part in (self._title, self._subtitle):
            head.addWidget(part)
        head.addStretch(1)
        for control in (self.ways, self.add_node, self.launch):
            head.addWidget(control)
        well = Card(fill="window")
        well.column(margins=(1, 1, 1, 1)).addWidget(self._stack)
        left = QVBoxLayout()
        left.setSpacing(theme.GAP)
        left.addWidget(well, 1)
        left.addWidget(self.strip)
        self._body.setSpacing(theme.GAP)
        self._body.addLayout(left, 1)
        self._body.addWidget(self.inspector)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.PAGE_PADDING, theme.PAGE_PADDING, theme.PAGE_PADDING, theme.PAGE_PADDING)
        column.setSpacing(8)
        column.addLayout(head)
        column.addWidget(self.sentence)
        column.addLayout(self._body, 1)
        self.setAccessibleName("Cluster")

    def _wire(self) -> None:
        self._tick.timeout.connect(self.refresh)
        self._soon.timeout.connect(self.refresh)
        self.model.dirty.connect(self._refresh_soon)
        self.model.scene_changed.connect(self._show_scene)
        self.model.selection_changed.connect(self._show_selection)
        self.ways.changed.connect(self._choose_way)
        self.map.chosen.connect(self._choose)
        self.map.opened.connect(self._open_inspector)
        self.table.chosen.connect(lambda node_id: self.model.select("node", node_id))
        self.table.opened.connect(lambda node_id: self._open_inspector("node", node_id))
        self.sentence.pressed.connect(self._follow)
        self.strip.opened.connect(self.job_asked)
        self.inspector.closed.connect(lambda: self.model.select(*NOTHING))
        self.inspector.reconnect_asked.connect(self.reconnect_asked)
        self.inspector.password_given.connect(self.password_given)
        self.inspector.node_asked.connect(self.node_asked)
        self.inspector.terminal_asked.connect(self.terminal_asked)
        self.inspector.wake_asked.connect(self.wake_asked)
        self.inspector.add_again_asked.connect(self.add_node_asked)
        self._drawer.closed.connect(lambda: self.model.select(*NOTHING))
        self._empty.action_clicked.connect(self.add_node_asked)
        self.add_node.clicked.connect(self.add_node_asked)
        self.launch.clicked.connect(self.launch_asked)

    # When it is drawn ----------------------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.refresh()
        self._tick.start()
        self._select_first()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._tick.stop()
        self._soon.stop()

    def _select_first(self) -> None:
        """Beside the map there is room to show something: the first node, until the person chooses."""
        if self._is_docked and not self._was_selected and self.model.scene.cards:
            self._was_selected = True
            self.model.select("node", self.model.scene.cards[0].node_id)

    def _refresh_soon(self) -> None:
        if self.isVisible() and not self._soon.isActive():
            self._soon.start()

    def refresh(self) -> None:
        """Show the state of now."""
        if self._tick.isActive():
            self._tick.start()  # from now on: two refreshes at once are one too many
        self._soon.setInterval(SOON_MS + SOON_PER_NODE_MS * len(self.model.scene.cards))
        self.model.refresh()
        self.strip.set_items(strip_items(self.model))
        if self.inspector.isVisible():
            self.inspector.refresh()

    def _show_scene(self, scene: Scene) -> None:
        self._title.setText(scene.title)
        self._subtitle.setText(scene.subtitle)
        self.sentence.set_sentence(scene.sentence)
        if not self._is_way_chosen:
            self.ways.set_key("table" if len(scene.cards) >= TABLE_FROM else "map")
        self._show_way()
        self.launch.set_disabled_reason("" if scene.cards else "Add a node first")
        if self.isVisible():
            self._select_first()

    def _choose_way(self, _key: str) -> None:
        self._is_way_chosen = True
        self._show_way()

    def _show_way(self) -> None:
        """Of map and table only the one that is shown follows the scene; the other catches up when its turn comes."""
        scene = self.model.scene
        way = self.map if self.ways.key() == "map" else self.table
        is_other = self._stack.currentWidget() is not way
        way.set_scene(scene)
        if is_other:
            self._stack.setCurrentWidget(way if scene.cards else self._empty)
            kind, key = self.model.selection
            self.table.select_node(key if kind == "node" else "")
        elif not scene.cards:
            self._stack.setCurrentWidget(self._empty)

    def _choose(self, kind: str, key: str) -> None:
        self.model.select(kind, key)
        # Also what is selected already: its drawer may have been closed with the window made narrow.
        if kind and not self._is_docked:
            self._drawer.open()

    # Selection -----------------------------------------------------------------------------------------------------

    def _show_selection(self, kind: str, key: str) -> None:
        self._was_selected = True
        self.map.set_selection(kind, key)
        self.table.select_node(key if kind == "node" else "")
        self.inspector.refresh()
        if not self._is_docked:
            if kind:
                self._drawer.open()
            else:
                self._drawer.close_drawer()

    def _open_inspector(self, kind: str, key: str) -> None:
        self.model.select(kind, key)
        if not self._is_docked:
            self._drawer.open()
        self.inspector.setFocus()

    def _follow(self, kind: str, target: str) -> None:
        if kind in ("node", "cable"):
            self._open_inspector(kind, target)
        elif kind == "job":
            self.job_asked.emit(target)
        elif kind == "add":
            self.add_node_asked.emit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.strip.set_low(self.height() < LOW_PX)
        is_docked = self.width() >= WIDE_PX
        if is_docked == self._is_docked:
            return
        self._is_docked = is_docked
        if is_docked:
            self._drawer.take_panel()
            self._drawer.hide()
            self._body.addWidget(self.inspector)
            self.inspector.setVisible(True)
        else:
            self._body.removeWidget(self.inspector)
            self._drawer.set_panel(self.inspector)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.model.selection != NOTHING:
            self.model.select(*NOTHING)
            event.accept()
            return
        super().keyPressEvent(event)


def strip_items(model: ClusterModel) -> list[StripItem]:
    """The deployments for the strip: what serves or comes up, newest first."""
    names = {card.node_id: card.name for card in model.scene.cards}
    jobs = [job for job in model.feeds.jobs.value if not job.state.is_over]
    return [_strip_item(job, names, model) for job in jobs]


def _strip_item(job: JobStatus, names: dict[str, str], model: ClusterModel) -> StripItem:
    phase = current_phase(job)
    if is_coming_up(job) and phase is not None:
        figures = f"{phase.title} {text.one_line(phase.note, 40)}".strip()
    elif job.state is not JobState.READY:
        figures = "engine metrics n/a"
    else:
        rate = model.feeds.traces.newest(job.job_id, TOKEN_RATE)
        running, waiting = job.reading(REQUESTS_RUNNING), job.reading(REQUESTS_WAITING)
        parts = [str(text.token_rate(rate))] if text.is_known(rate) else []
        if text.is_known(running):
            parts.append(f"{running:.0f} running")
        if text.is_known(waiting):
            parts.append(f"{waiting:.0f} waiting")
        figures = "   ".join(parts) or "engine metrics n/a"
    where = ", ".join(names.get(node_id, node_id) for node_id in job.node_ids)
    note = f" · {job.endpoint.note}" if job.endpoint and job.endpoint.note else ""
    return StripItem(job.job_id, text.one_line(job.title, 80), mark_of_job(job), f"{where}{note}", figures)
