"""The page of one node: head, actions, and five tabs.

The one rule: one timer, only while visible; only the tab that is shown is brought up to date.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QHideEvent, QKeyEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QDialog, QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from ui import theme
from ui.clusters.name_dialog import NameDialog
from ui.clusters.remove_dialog import RemoveDialog
from ui.node.doctor import DoctorTab
from ui.node.field_report import FieldReportTab
from ui.node.forwards import ForwardsTab
from ui.node.head import WIDE_PX, ActionBar, NodeHead
from ui.node.model import NodeModel
from ui.node.overview import OverviewTab
from ui.node.running import RunningTab
from ui.widgets.empty_state import EmptyState
from ui.widgets.segmented import Segmented

TICK_MS = 1000
SOON_MS = 80
CLOCK_CHECK = "slow-state"
"""The doctor's check of the GPU's clock."""
TABS: Final = (
    ("overview", "Overview"),
    ("running", "Running"),
    ("forwards", "Forwards"),
    ("doctor", "Doctor"),
    ("field", "Field report"),
)


class NodePage(QWidget):
    """The page. `show_node` says which node and, where wanted, which tab."""

    def __init__(self, model: NodeModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self.dialog: QDialog | None = None
        self.head = NodeHead(model)
        self.bar = ActionBar(model)
        self.tabs = Segmented([(key, title) for key, title in TABS], what="What to show of the node", chosen="overview")
        self.overview = OverviewTab(model)
        self.running = RunningTab(model)
        self.forwards = ForwardsTab(model)
        self.doctor = DoctorTab(model)
        self.field = FieldReportTab(model)
        words = "It was removed, or belongs to another cluster."
        self.gone = EmptyState("server", "This node is not in the open cluster", words, action="Back to the cluster")
        self._pages: dict[str, OverviewTab | RunningTab | ForwardsTab | DoctorTab | FieldReportTab] = {
            "overview": self.overview,
            "running": self.running,
            "forwards": self.forwards,
            "doctor": self.doctor,
            "field": self.field,
        }
        self._stack = QStackedWidget()
        self._tick = QTimer(self)
        self._tick.setInterval(TICK_MS)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(SOON_MS)
        self._build()
        self._wire()

    def _build(self) -> None:
        for page in (*self._pages.values(), self.gone):
            self._stack.addWidget(page)
        row = QHBoxLayout()
        row.setSpacing(theme.GAP)
        row.addWidget(self.tabs)
        row.addStretch(1)
        row.addWidget(self.bar)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.PAGE_PADDING, theme.PAGE_PADDING, theme.PAGE_PADDING, theme.PAGE_PADDING)
        column.setSpacing(theme.GAP)
        column.addWidget(self.head)
        column.addLayout(row)
        column.addWidget(self._stack, 1)
        self.setAccessibleName("Node")

    def _wire(self) -> None:
        self._tick.timeout.connect(self.refresh)
        self._soon.timeout.connect(self.refresh)
        self.model.changed.connect(self._refresh_soon)
        self.model.node_changed.connect(lambda _node_id: self.refresh())
        self.tabs.changed.connect(lambda _key: self.refresh())
        self.gone.action_clicked.connect(lambda: self.model.actions.show_cluster())
        self.head.rename_asked.connect(self.ask_rename)
        self.head.remove_asked.connect(self.ask_remove)
        self.head.slow_asked.connect(self.show_clock_check)
        self.head.move_asked.connect(lambda key: self.model.actions.move(self.model.node_id, key))

    def show_node(self, node_id: str, tab: str = "") -> None:
        """Show a node; `tab` is one of TABS' keys, "" keeps the one that is shown."""
        if tab:
            self.tabs.set_key(tab)
        self.model.select(node_id)
        self.refresh()

    def show_clock_check(self) -> None:
        """What tells the slow state, and what ends it."""
        self.tabs.set_key("doctor")
        self.doctor.show_check(CLOCK_CHECK)
        self.refresh()

    def read_anew(self) -> None:
        """Read what the shown tab shows again; forwards are always as shown."""
        tab = self._pages[self.tabs.key()]
        if not isinstance(tab, ForwardsTab) and not self.model.away_reason():
            tab.read_anew()

    # When it is drawn ---------------------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.refresh()
        self._tick.start()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._tick.stop()
        self._soon.stop()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.bar.set_wide(self.width() >= WIDE_PX)

    def _refresh_soon(self) -> None:
        if self.isVisible() and not self._soon.isActive():
            self._soon.start()

    def refresh(self) -> None:
        """Show the state of now."""
        self.head.refresh()
        self.bar.refresh()
        is_there = self.model.status() is not None
        self.tabs.setVisible(is_there)
        if not is_there:
            self._stack.setCurrentWidget(self.gone)
            return
        self._count_tabs()
        tab = self._pages[self.tabs.key()]
        tab.refresh()
        self._stack.setCurrentWidget(tab)

    def _count_tabs(self) -> None:
        """Counts at the tabs: what runs, what is open, what did not pass."""
        servers = len(self.model.servers())
        opened = sum(bool(forward.url) for forward in self.model.forwards())
        problems = self.model.problem_count()
        counts = {"running": servers, "forwards": opened, "doctor": problems}
        for key, title in TABS:
            count = counts.get(key, 0)
            self.tabs.set_text(key, f"{title} {count}" if count else title)

    # Questions ----------------------------------------------------------------------------------------------------

    def ask_rename(self) -> None:
        """Ask for another name."""
        model, node_id = self.model, self.model.node_id
        words = "The name in SparkDesk only; the node keeps its host name."
        title = f"Rename {model.name()}"
        dialog = NameDialog(
            title, words=words, name=model.name(), taken=model.taken_names(), action="Rename", parent=self
        )
        dialog.accepted.connect(lambda: model.actions.rename(node_id, dialog.name()))
        self._open(dialog)

    def ask_remove(self) -> None:
        """Ask before the node is forgotten; what SparkDesk installed there can be undone first."""
        model, node_id, status = self.model, self.model.node_id, self.model.status()
        if status is None:
            return
        runs = len(status.record.setup_runs)
        offer = f"First undo what SparkDesk installed there ({runs} {'change' if runs == 1 else 'changes'})"
        dialog = RemoveDialog(
            f"Remove {model.name()} from SparkDesk?",
            loss="Its entry, its trusted host key and its forwards are forgotten on this computer.",
            kept="On the node nothing is stopped or deleted; what runs there goes on.",
            offer=offer if runs and status.is_live else "",
            parent=self,
        )
        dialog.accepted.connect(lambda: model.actions.remove(node_id, dialog.wants_undo()))
        self._open(dialog)

    def _open(self, dialog: QDialog) -> None:
        if self.dialog is not None:
            self.dialog.reject()
        self.dialog = dialog
        dialog.finished.connect(self._forget_dialog)
        dialog.open()

    def _forget_dialog(self, _code: int) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
            self.dialog = None

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.model.actions.show_cluster()
            event.accept()
            return
        super().keyPressEvent(event)
