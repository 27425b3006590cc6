"""The cluster page: sentence, map or table or charts, saved clusters, deployments, findings, inspector.

The one rule: one timer. It runs only while the page is visible, asks the view-model for a scene, and hands on what
changed; nothing here repaints because a sample came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QKeyEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from sparkdesk.core.cluster.half import End
from sparkdesk.core.cluster.topology import LookState
from ui import theme
from ui.cluster.finding_drawer import FindingDrawer
from ui.cluster.headline import StateSentence
from ui.cluster.inspector import Inspector
from ui.cluster.map.view import TopologyMap
from ui.cluster.model import NOTHING, ClusterModel
from ui.cluster.part.look import look_words
from ui.cluster.scene import Scene
from ui.cluster.strip import JobStrip, strip_items
from ui.cluster.table import NodeTable
from ui.cluster.table_pane import TablePane
from ui.cluster.thumbnail import ThumbnailRow, build_thumbnails
from ui.findings.strip import FindingStrip
from ui.findings.words import worst
from ui.widgets.button import Button, IconButton
from ui.widgets.card import Card
from ui.widgets.drawer import Drawer
from ui.widgets.empty_state import EmptyState
from ui.widgets.label import ElidedLabel, Label, plain_tooltip
from ui.widgets.segmented import Segmented

if TYPE_CHECKING:
    from ui.charts.mini import MiniCharts
    from ui.charts.view import ChartsPage

TICK_MS = 1000
SOON_MS = 120
SOON_PER_NODE_MS = 6
"""Later by so much for each node: of many nodes something is new all the time while they connect."""
WIDE_PX = 1060
"""From this width of the page on the inspector stands beside the map (a window of 1280)."""
LOW_PX = 720
"""Below this height of the page the strips are one line high."""
NO_THUMBNAILS_PX = 740
"""Below this height of the page (a window of 788) the saved clusters are not shown."""
ALONE_HEIGHT = 304
"""Of the map of one node; the rest of its place is for charts."""
_NO_LIMIT = 16777215
TABLE_FROM = 9
"""From this many nodes on the table is what is shown first."""


class ClusterPage(QWidget):
    """The page. Its signals lead elsewhere; `ClusterModel` knows everything else."""

    launch_asked = Signal()
    add_node_asked = Signal()
    bring_up_asked = Signal()
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
    switch_label_asked = Signal(tuple, str)
    """The cages that lead to a switch ("n1:P0", ...), and the person's name for it."""
    look_asked = Signal()
    """Look at the cables again."""
    deep_look_asked = Signal()
    """Look below all addresses, with sudo; or stop such a look."""
    cluster_open_asked = Signal(str)
    save_asked = Signal(str, bytes)
    """A path that the person chose, and the charts' values or picture to write there."""

    def __init__(self, model: ClusterModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self._title = Label("", "page_title", "text")
        self._subtitle = ElidedLabel("", "dense", "text3")
        ways: list[tuple[str, ...]] = [("map", "Map", "map"), ("table", "Table", "list")]
        if model.feeds.charts is not None:
            ways.append(("charts", "Charts", "activity"))
        self.ways = Segmented(ways, what="Show the cluster as", chosen="map")
        self.look = IconButton("refresh-cw", "Look at the cables again")
        self.bring_up = Button("Bring up", icon="cable")
        self.add_node = Button("Add node", icon="plus")
        self.launch = Button("Launch a model", kind="primary", icon="rocket")
        self.sentence = StateSentence()
        self.map = TopologyMap()
        self.table = NodeTable()
        self.tables = TablePane(model, self.table)
        self.charts: ChartsPage | None = None
        """Made when its tab is first chosen."""
        self.mini: MiniCharts | None = None
        """In place of cables, for a cluster of one."""
        hint = "Add a DGX Spark by its address to see it here."
        self._empty = EmptyState("server", "No node yet", hint, action="Add node")
        self._stack = QStackedWidget()
        self.thumbnails = ThumbnailRow()
        self.strip = JobStrip()
        self.findings = FindingStrip()
        self.inspector = Inspector(model)
        self._drawer = Drawer(self)
        self._list: FindingDrawer | None = None
        self._body = QHBoxLayout()
        self._well = Card(fill="window")
        self._well_column = self._well.column(margins=(1, 1, 1, 1))
        self._told: tuple[object, ...] = ()
        self._is_docked = True
        self._is_way_chosen = False
        self._was_selected = False
        self._selected = NOTHING
        self._tick = QTimer(self)
        self._tick.setInterval(TICK_MS)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(SOON_MS)
        self._build()
        self._wire()
        self._wire_inspector()
        self._wire_findings()

    def _build(self) -> None:
        for shown in (self.map, self.tables, self._empty):
            self._stack.addWidget(shown)
        head = QHBoxLayout()
        head.setSpacing(theme.GAP)
        head.addWidget(self._title)
        head.addWidget(self._subtitle, 1)
        for control in (self.look, self.ways, self.bring_up, self.add_node, self.launch):
            head.addWidget(control)
        self._well_column.addWidget(self._stack, 1)
        self._well_column.addWidget(self.thumbnails)
        left = QVBoxLayout()
        left.setSpacing(theme.GAP)
        left.addWidget(self._well, 1)
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
        column.addWidget(self.findings)
        self.setAccessibleName("Cluster")

    def _wire(self) -> None:
        self._tick.timeout.connect(self.refresh)
        self._soon.timeout.connect(self.refresh)
        self.model.dirty.connect(self._refresh_soon)
        self.model.scene_changed.connect(self._show_scene)
        self.model.selection_changed.connect(self._show_selection)
        self.ways.changed.connect(self._choose_way)
        self.look.clicked.connect(self.look_asked)
        self.map.chosen.connect(self._choose)
        self.map.opened.connect(self._open_inspector)
        self.map.job_action_asked.connect(self.job_action_asked)
        self.tables.chosen.connect(lambda node_id: self.model.select("node", node_id))
        self.tables.opened.connect(lambda node_id: self._open_inspector("node", node_id))
        self.table.node_asked.connect(self.node_asked)
        self.table.job_action_asked.connect(self.job_action_asked)
        self.sentence.pressed.connect(self._follow)
        self.strip.opened.connect(self.job_asked)
        self.strip.lit.connect(self.map.set_lit)
        self.thumbnails.opened.connect(self.cluster_open_asked)
        self._drawer.closed.connect(lambda: self.model.select(*NOTHING))
        self._empty.action_clicked.connect(self.add_node_asked)
        self.add_node.clicked.connect(self.add_node_asked)
        self.bring_up.clicked.connect(self.bring_up_asked)
        self.launch.clicked.connect(self.launch_asked)

    def _wire_inspector(self) -> None:
        inspector = self.inspector
        inspector.closed.connect(lambda: self.model.select(*NOTHING))
        inspector.reconnect_asked.connect(self.reconnect_asked)
        inspector.password_given.connect(self.password_given)
        inspector.node_asked.connect(self.node_asked)
        inspector.terminal_asked.connect(self.terminal_asked)
        inspector.wake_asked.connect(self.wake_asked)
        inspector.add_again_asked.connect(self.add_node_asked)
        inspector.look_asked.connect(self.look_asked)
        inspector.deep_look_asked.connect(self.deep_look_asked)
        inspector.label_asked.connect(self.label_asked)
        inspector.switch_label_asked.connect(self.switch_label_asked)
        inspector.finding_show_asked.connect(self._open_list)

    def _wire_findings(self) -> None:
        self.findings.all_asked.connect(self._open_list)
        self.findings.opened.connect(self._open_list)
        self.findings.fix_asked.connect(self.finding_fix_asked)
        self.inspector.finding_fix_asked.connect(self.finding_fix_asked)
        self.inspector.finding_accept_asked.connect(self.finding_accept_asked)
        self.inspector.finding_unaccept_asked.connect(self.finding_unaccept_asked)

    @property
    def finding_drawer(self) -> FindingDrawer:
        """The list of all findings; made when it is first opened."""
        if self._list is None:
            self._list = FindingDrawer(self)
            panel = self._list.panel
            panel.subject_asked.connect(self._show_subject)
            panel.fix_asked.connect(self.finding_fix_asked)
            panel.accept_asked.connect(self.finding_accept_asked)
            panel.unaccept_asked.connect(self.finding_unaccept_asked)
        return self._list

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
        """Beside the map there is room to show something, until the person chooses: the worst one, or the first."""
        cards = self.model.scene.cards
        if self._is_docked and not self._was_selected and cards:
            self._was_selected = True
            first = worst(self.model.feeds.findings.value)
            chosen = first.node_id if first is not None and self.model.scene.card(first.node_id) else cards[0].node_id
            self.model.select("node", chosen)

    def _refresh_soon(self) -> None:
        if self.isVisible() and not self._soon.isActive():
            self._soon.start()

    def refresh(self) -> None:
        """Show the state of now."""
        if self._tick.isActive():
            self._tick.start()  # from now on: two refreshes at once are one too many
        self._soon.setInterval(SOON_MS + SOON_PER_NODE_MS * len(self.model.scene.cards))
        self.model.refresh()
        self.tables.refresh()
        self.strip.set_items(strip_items(self.model))
        self.thumbnails.set_thumbnails(build_thumbnails(self.model))
        if self.mini is not None:
            self.mini.refresh()
        self._show_look()
        self._show_findings()
        if self.inspector.isVisible():
            self.inspector.refresh()

    def _show_look(self) -> None:
        topology = self.model.feeds.topology.value
        self.look.setVisible(len(self.model.scene.cards) > 1)
        self.look.setEnabled(topology.state is not LookState.LOOKING)
        said = f"Look at the cables again. {look_words(topology, self.model.feeds.now_ms())}"
        self.look.setToolTip(plain_tooltip(said))
        self.look.setAccessibleDescription(said)

    def _show_findings(self) -> None:
        """The strip and the open list; what did not change is not touched."""
        model = self.model
        cards = model.scene.cards
        heard = model.heard()
        has_looked = bool(heard)
        unheard = tuple(card.name for card in cards if card.node_id not in heard)
        concerns, names = model.feeds.findings.value, model.names()
        is_open = self._list is not None and self._list.isVisible()
        told = (concerns, names, has_looked, unheard, is_open)
        if told == self._told:
            return
        self._told = told
        lists = (self.findings, self.finding_drawer.panel) if is_open else (self.findings,)
        now_ms = model.feeds.now_ms()
        for shown in lists:
            shown.set_findings(concerns, names, has_looked=has_looked, unheard=unheard, now_ms=now_ms)

    def _show_scene(self, scene: Scene) -> None:
        self._title.setText(scene.title)
        self._subtitle.setText(scene.subtitle)
        self.sentence.set_sentence(scene.sentence)
        if not self._is_way_chosen:
            self.ways.set_key("table" if len(scene.cards) >= TABLE_FROM else "map")
        self._show_way()
        for work in (self.bring_up, self.launch):
            work.set_disabled_reason("" if scene.cards else "Add a node first")
        if self.isVisible():
            self._select_first()

    def _choose_way(self, _key: str) -> None:
        self._is_way_chosen = True
        self._show_way()

    def _show_way(self) -> None:
        """Of map and table only the one that is shown follows the scene; the other catches up when its turn comes."""
        scene = self.model.scene
        key = self.ways.key()
        way = self.map if key == "map" else self.tables if key == "table" else self._make_charts()
        is_other = self._stack.currentWidget() is not way
        if key == "map":
            self.map.set_scene(scene)
        elif key == "table" and is_other:
            self.tables.catch_up()  # from then on each refresh does
        if is_other:
            self._stack.setCurrentWidget(way if scene.cards else self._empty)
            kind, chosen = self.model.selection
            self.tables.select_node(chosen if kind == "node" else "")
        elif not scene.cards:
            self._stack.setCurrentWidget(self._empty)

        self._make_room(key, len(scene.cards))

    def _make_charts(self) -> QWidget:
        """The charts, made on the first visit: what draws them takes long to load."""
        feeds = self.model.feeds
        if self.charts is None and feeds.charts is not None:
            from ui.charts.model import ChartsModel
            from ui.charts.view import ChartsPage

            self.charts = ChartsPage(ChartsModel(feeds.charts, feeds.memory))
            self.charts.setContentsMargins(10, 10, 10, 10)
            self.charts.save_asked.connect(self.save_asked)
            self._stack.addWidget(self.charts)
        return self.charts if self.charts is not None else self.map

    def _make_room(self, key: str, count: int) -> None:
        """Charts take all the room; a cluster of one has charts of its node in place of cables."""
        has_all = key == "charts"
        if self._is_docked:
            self.inspector.setVisible(not has_all)
        self.strip.setVisible(not has_all)
        feeds = self.model.feeds.charts
        is_alone = count == 1 and key == "map" and feeds is not None
        if is_alone and self.mini is None and feeds is not None:
            from ui.charts.mini import MiniCharts

            self.mini = MiniCharts(feeds)
            self.mini.setContentsMargins(14, 0, 14, 12)
            self.mini.set_low(self.height() < LOW_PX)
            self.mini.pressed.connect(lambda: self._choose_way_by_key("charts"))
            self._well_column.insertWidget(1, self.mini, 1)
        if self.mini is not None:
            self.mini.setVisible(is_alone)
        self._stack.setMaximumHeight(ALONE_HEIGHT if is_alone else _NO_LIMIT)

    def _choose_way_by_key(self, key: str) -> None:
        self.ways.set_key(key)
        self._choose_way(key)

    def _choose(self, kind: str, key: str) -> None:
        self.model.select(kind, key)
        # Also what is selected already: its drawer may have been closed with the window made narrow.
        if kind and not self._is_docked:
            self._drawer.open()

    # Selection -----------------------------------------------------------------------------------------------------

    def _show_selection(self, kind: str, key: str) -> None:
        before, self._selected = self._selected, (kind, key)
        # What went with its cluster was not put away by the person: something else is chosen in its place.
        is_gone = not kind and before[0] == "node" and self.model.scene.card(before[1]) is None
        self._was_selected = not is_gone
        self.map.set_selection(kind, key)
        self.tables.select_node(key if kind == "node" else "")
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
        elif kind == "finding":
            self._open_list(target)
        elif kind == "fix":
            self.finding_fix_asked.emit(target)
        elif kind == "look":
            self.look_asked.emit()
        elif kind == "job":
            self.job_asked.emit(target)
        elif kind == "add":
            self.add_node_asked.emit()

    def show_finding(self, finding_id: str) -> None:
        """Open the list of findings at this one."""
        self._open_list(finding_id)

    def _open_list(self, finding_id: str = "") -> None:
        """Show all findings, at this one when it is told."""
        self.finding_drawer.open()
        self._show_findings()
        self.finding_drawer.open_at(finding_id)

    def _show_subject(self, kind: str, key: str) -> None:
        """Show what a finding is about."""
        self.finding_drawer.close_drawer()
        if kind == "port":
            self._open_inspector(*self._item_at((key.partition(":")[0], key.partition(":")[2])))
        elif kind == "node":
            self._open_inspector("node", key)
        elif self.model.scene.cards:
            self.node_asked.emit(self.model.scene.cards[0].node_id, "overview")

    def _item_at(self, end: End) -> tuple[str, str]:
        """The cable in a cage; its node where none is drawn there."""
        cable = next((cable for cable in self.model.scene.cables if end in cable.ends), None)
        return ("cable", cable.key) if cable is not None else ("node", end[0])

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.strip.set_low(self.height() < LOW_PX)
        self.findings.set_low(self.height() < LOW_PX)
        self.thumbnails.set_low(self.height() < NO_THUMBNAILS_PX)
        if self.mini is not None:
            self.mini.set_low(self.height() < LOW_PX)
        is_docked = self.width() >= WIDE_PX
        if is_docked == self._is_docked:
            return
        self._is_docked = is_docked
        if is_docked:
            self._drawer.take_panel()
            self._drawer.hide()
            self._body.addWidget(self.inspector)
            self.inspector.setVisible(self.ways.key() != "charts")
            if self._list is not None:
                self._list.raise_()
        else:
            self._body.removeWidget(self.inspector)
            self._drawer.set_panel(self.inspector)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.model.selection != NOTHING:
            self.model.select(*NOTHING)
            event.accept()
            return
        super().keyPressEvent(event)
