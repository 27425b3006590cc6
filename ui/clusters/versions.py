"""The page that compares the nodes of the open cluster: system, kernel, driver, firmware, docker, updates.

The one rule: it reads only; an update is begun in the node's own dashboard.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QHideEvent, QKeyEvent, QShowEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QStackedWidget, QVBoxLayout, QWidget

from sparkdesk.core.probes.comparison import ComparedRow
from ui import text, theme
from ui.clusters.model import ClustersModel, versions_table, versions_words
from ui.node.wrap import wrap_line
from ui.widgets.button import Button
from ui.widgets.card import Card, Separator
from ui.widgets.cell_table import CellTable
from ui.widgets.empty_state import EmptyState
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import ElidedLabel, Label
from ui.widgets.segmented import Segmented

SOON_MS = 100
MAX_UPDATE_NODES = 64
_ROW_HEIGHT = 30
_ROWS_SHOWN = 4


class UpdateRow(QWidget):
    """A node's pending updates, and the way to its dashboard."""

    def __init__(self, model: ClustersModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.node_id = ""
        self._name = Label("", "dense_medium", "text")
        self._words = ElidedLabel("", "dense", "text2")
        self.update_button = Button("Update", icon="external-link", is_small=True)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(12)
        self._name.setMinimumWidth(120)
        row.addWidget(self._name)
        row.addWidget(self._words, 1)
        row.addWidget(self.update_button)
        self.update_button.clicked.connect(lambda: model.actions.open_dashboard(self.node_id))

    def show_node(self, node_id: str, name: str, words: str, away: str) -> None:
        """Show a node."""
        self.node_id = node_id
        self._name.setText(name)
        self._words.setText(words)
        self.update_button.setAccessibleName(f"Update {name} in its DGX Dashboard")
        self.update_button.set_disabled_reason(away)


class VersionsPage(QWidget):
    """The comparison of the open cluster."""

    def __init__(self, model: ClustersModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self.back = Button("Cluster", kind="link")
        self.back.setAccessibleName("Back to the cluster")
        self._age = ElidedLabel("", "dense", "text3")
        self.sentence = Label("", "body_medium", "text", is_wrapped=True)
        self._sign = IconLabel("circle-check", "ok")
        self.ways = Segmented([("all", "All"), ("different", "What differs")], what="Which rows to show", chosen="all")
        self.again = Button("Read again", icon="refresh-cw")
        self.table = CellTable("Versions by node")
        self.meaning = Label("", "dense", "text2", is_wrapped=True, is_selectable=True)
        self.updates: list[UpdateRow] = []
        self._update_body = QWidget()
        self._update_area = QScrollArea()
        words = "The nodes are compared as soon as what is installed on them was read."
        self.empty = EmptyState("columns-2", "Nothing to compare yet", words, action="Back to the cluster")
        self._stack = QStackedWidget()
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(SOON_MS)
        self._build()
        self._wire()

    def _build(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(10)
        head.addStrut(theme.CONTROL_HEIGHT)
        for part in (self.back, IconLabel("chevron-right", "text3", size=14), Label("Versions", "page_title", "text")):
            head.addWidget(part)
        head.addWidget(self._age, 1)
        head.addWidget(self.ways)
        head.addWidget(self.again)
        line = QHBoxLayout()
        line.setSpacing(8)
        line.addWidget(self._sign)
        line.addWidget(self.sentence, 1)
        well = Card()
        inner = well.column(spacing=0, margins=(1, 1, 1, 1))
        inner.addWidget(self.table, 1)
        inner.addWidget(Separator())
        foot = QVBoxLayout()
        foot.setContentsMargins(12, 8, 12, 8)
        foot.addWidget(self.meaning)
        inner.addLayout(foot)
        pending = Card()
        rows = pending.column(spacing=4)
        rows.addWidget(Label("Pending updates, as each node's own package lists know them", "dense_strong", "text"))
        self._update_body.setProperty("tone", "page")
        self._update_list = QVBoxLayout(self._update_body)
        self._update_list.setContentsMargins(0, 0, 0, 0)
        self._update_list.setSpacing(4)
        self._update_area.setWidgetResizable(True)
        self._update_area.setFrameShape(QFrame.Shape.NoFrame)
        self._update_area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._update_area.setWidget(self._update_body)
        rows.addWidget(self._update_area)
        full = QWidget()
        column = QVBoxLayout(full)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GAP)
        column.addLayout(line)
        column.addWidget(well, 1)
        column.addWidget(pending)
        self._stack.addWidget(full)
        self._stack.addWidget(self.empty)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(theme.PAGE_PADDING, theme.PAGE_PADDING, theme.PAGE_PADDING, theme.PAGE_PADDING)
        outer.setSpacing(theme.GAP)
        outer.addLayout(head)
        outer.addWidget(self._stack, 1)
        self.setAccessibleName("Versions")

    def _wire(self) -> None:
        self._soon.timeout.connect(self.refresh)
        self.model.changed.connect(self._refresh_soon)
        self.ways.changed.connect(lambda _key: self.refresh())
        self.again.clicked.connect(self._read_again)
        self.back.clicked.connect(lambda: self.model.actions.show_cluster())
        self.empty.action_clicked.connect(lambda: self.model.actions.show_cluster())
        self.table.selectionModel().currentChanged.connect(lambda _now, _before: self._show_meaning())

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.refresh()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._soon.stop()

    def _refresh_soon(self) -> None:
        if self.isVisible() and not self._soon.isActive():
            self._soon.start()

    def _read_again(self) -> None:
        for node in self.model.feeds.nodes.value:
            if node.is_live:
                self.model.actions.refresh_details(node.record.id)

    def _shown(self) -> list[ComparedRow]:
        only = self.ways.key() == "different"
        return [row for row in self.model.compared() if row.is_different or not only]

    def refresh(self) -> None:
        """Show the comparison of now."""
        known = self.model.known()
        self._stack.setCurrentIndex(0 if known else 1)
        self.ways.setVisible(bool(known))
        is_any_live = any(node.is_live for node in self.model.feeds.nodes.value)
        self.again.set_disabled_reason("" if is_any_live else "No node is connected")
        rows = self.model.compared()
        has_difference = any(row.is_different for row in rows)
        missing = self.model.unknown_names()
        self._sign.set_icon(*(("triangle-alert", "warn") if has_difference else ("circle-check", "ok")))
        rest = f" Not read yet: {', '.join(missing[:6])}." if missing else ""
        self.sentence.setText(versions_words(len(known), rows) + rest)
        names = [node.record.name for node, _ in known]
        self.table.set_table(versions_table(names, rows, only_different=self.ways.key() == "different"))
        oldest = self.model.oldest_ms()
        age_s = max(0.0, (self.model.feeds.now_ms() - oldest) / 1000)
        self._age.setText(f"Oldest reading {text.age(age_s)} ago" if oldest else "")
        self._show_meaning()
        self._show_updates()

    def _show_meaning(self) -> None:
        """What the difference of the chosen row costs, else of the first one."""
        rows, at = self._shown(), self.table.currentIndex().row()
        row = rows[at] if 0 <= at < len(rows) else next((each for each in rows if each.meaning), None)
        words = f"{row.title}: {row.meaning}" if row is not None and row.meaning else ""
        cell = self.table.cells.cell(self.table.currentIndex())
        if row is not None and cell is not None and cell.hint:
            words = f"{words} Here: {cell.hint}" if words else f"{row.title} here: {cell.hint}"
        is_chosen = row is not None and at >= 0
        plain = f"{row.title}: nothing to mind." if row and is_chosen else "Choose a row to see what it means."
        self.meaning.setText(wrap_line(words, 700) or plain)

    def _show_updates(self) -> None:
        known = self.model.known()[:MAX_UPDATE_NODES]
        while len(self.updates) < len(known):
            self.updates.append(UpdateRow(self.model))
            self._update_list.addWidget(self.updates[-1])
        for i, row in enumerate(self.updates):
            row.setVisible(i < len(known))
        self._update_area.setFixedHeight(min(len(known), _ROWS_SHOWN) * _ROW_HEIGHT)
        for row, (node, details) in zip(self.updates, known, strict=False):
            if details.updates is None:
                words = "not known"
            else:
                urgent = sum(update.is_security for update in details.updates)
                words = f"{text.count(len(details.updates))} pending" if details.updates else "none pending"
                words += f", {urgent} for security" if urgent else ""
            restart = " · needs a restart" if details.needs_reboot else ""
            name = text.one_line(node.record.name, 64)
            away = "" if node.is_live else f"{name} is not connected"
            row.show_node(node.record.id, name, words + restart, away)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.model.actions.show_cluster()
            event.accept()
            return
        super().keyPressEvent(event)
