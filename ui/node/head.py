"""The head of the node page: which node, how it stands, and what can be done with it.

The one rule: what cannot be done now says why; what kills work leads to a dialog that shows the plan.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QMenu, QVBoxLayout, QWidget

from sparkdesk.core.cluster.node import NodeState
from ui import text
from ui.node.mark import NODE_MARKS
from ui.node.model import OFF_STATES, NodeModel
from ui.node.wrap import wrap_line
from ui.widgets.button import Button, IconButton
from ui.widgets.chip import Chip
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import ElidedLabel, Label

WIDE_PX = 1160


class NodeHead(QWidget):
    """Title row. The signals ask the page for a dialog."""

    rename_asked = Signal()
    move_asked = Signal(str)
    """The cluster's id; "" asks for a new one first."""
    remove_asked = Signal()
    slow_asked = Signal()

    def __init__(self, model: NodeModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.back = Button("Cluster", kind="link")
        self.back.setAccessibleName("Back to the cluster")
        self.title = Label("", "page_title", "text")
        self.chip = Chip()
        self.simulated = Chip("Simulated", "simulated")
        self.address = ElidedLabel("", "dense", "text3", mode=Qt.TextElideMode.ElideMiddle)
        self.menu_button = IconButton("ellipsis", "More about this node")
        self._message = Label("", "dense", "text2", is_wrapped=True, is_selectable=True)
        self.reconnect = Button("Reconnect", icon="refresh-cw", is_small=True)
        row = QHBoxLayout()
        row.setSpacing(10)
        for part in (self.back, IconLabel("chevron-right", "text3", size=14), self.title, self.chip, self.simulated):
            row.addWidget(part)
        row.addWidget(self.address, 1)
        row.addWidget(self.menu_button)
        trouble = QHBoxLayout()
        trouble.setSpacing(10)
        trouble.addWidget(self._message, 1)
        trouble.addWidget(self.reconnect, 0, Qt.AlignmentFlag.AlignTop)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(row)
        column.addLayout(trouble)
        self.back.clicked.connect(lambda: model.actions.show_cluster())
        self.reconnect.clicked.connect(lambda: model.actions.reconnect(model.node_id))
        self.menu_button.clicked.connect(self._open_menu)

    def refresh(self) -> None:
        """Show the node's state."""
        status = self._model.status()
        self.title.setText(self._model.name())
        self.chip.setVisible(status is not None)
        self.simulated.setVisible(self._model.is_simulated())
        self.menu_button.setVisible(status is not None)
        has_trouble = status is not None and not status.is_live
        self._message.setVisible(has_trouble)
        self.reconnect.setVisible(
            has_trouble
            and status is not None
            and status.state not in (NodeState.CONNECTING, NodeState.IDENTITY_CHANGED)
        )
        if status is None:
            self.address.setText("")
            return
        record = status.record
        self.chip.set_state(*NODE_MARKS[status.state])
        self.address.setText(f"{text.one_line(record.user, 40)}@{text.one_line(record.address, 80)}:{record.port}")
        said = f"{wrap_line(status.message)} {wrap_line(status.remedy)}".strip()
        self._message.setText(said or f"{status.state.words}.")

    def make_menu(self) -> QMenu:
        """The menu of now."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction("Rename…").triggered.connect(lambda: self.rename_asked.emit())
        move = menu.addMenu("Move to cluster")
        others = self._model.other_clusters()
        for cluster_id, name in others:
            title = name.replace("&", "&&")
            move.addAction(title).triggered.connect(lambda _c=False, key=cluster_id: self.move_asked.emit(key))
        move.setEnabled(bool(others))
        if not others:
            move.setTitle("Move to cluster (there is no other)")
        menu.addSeparator()
        menu.addAction("When it is slow…").triggered.connect(lambda: self.slow_asked.emit())
        menu.addSeparator()
        menu.addAction("Remove from SparkDesk…").triggered.connect(lambda: self.remove_asked.emit())
        return menu

    def _open_menu(self) -> None:
        menu = self.make_menu()
        menu.popup(self.menu_button.mapToGlobal(self.menu_button.rect().bottomLeft()))


class ActionBar(QWidget):
    """Terminal, editor, ssh command; reboot, shut down or wake."""

    def __init__(self, model: NodeModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._is_wide = True
        self.terminal = Button("Open terminal", icon="terminal", is_small=True)
        self.vscode = Button("Open in VS Code", icon="external-link", is_small=True)
        self.ssh = Button("Copy ssh command", icon="copy", is_small=True)
        self.reboot = Button("Reboot…", icon="refresh-cw", is_small=True)
        self.shut_down = Button("Shut down…", kind="danger", icon="square", is_small=True)
        self.wake = Button("Wake", icon="play", is_small=True)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        for button in (self.terminal, self.vscode, self.ssh, self.reboot, self.shut_down, self.wake):
            row.addWidget(button)
        actions = model.actions
        self.terminal.clicked.connect(lambda: actions.open_terminal(model.node_id))
        self.vscode.clicked.connect(lambda: actions.open_vscode(model.node_id))
        self.ssh.clicked.connect(self._copy)
        self.reboot.clicked.connect(lambda: actions.reboot(model.node_id))
        self.shut_down.clicked.connect(lambda: actions.shut_down(model.node_id))
        self.wake.clicked.connect(lambda: actions.wake(model.node_id))

    def set_wide(self, is_wide: bool) -> None:
        """Whole words, or short ones where there is less room; a screen reader hears the whole ones."""
        self._is_wide = is_wide
        words = (
            (self.terminal, "Open terminal", "Terminal"),
            (self.vscode, "Open in VS Code", "VS Code"),
            (self.ssh, "Copy ssh command", "Copy ssh"),
        )
        for button, whole, short in words:
            button.setText(whole if is_wide else short)
            button.setAccessibleName(whole)
            button.updateGeometry()

    def refresh(self) -> None:
        """What can be done now."""
        model = self._model
        status = model.status()
        self.setVisible(status is not None)
        if status is None:
            return
        away = model.away_reason()
        is_off = status.state in OFF_STATES
        # A key that changed: nothing here may lead a person to sign in to what answers there now.
        barred = "Its host key changed" if status.state is NodeState.IDENTITY_CHANGED else ""
        for button in (self.terminal, self.vscode, self.ssh):
            button.set_disabled_reason(barred)
        for button in (self.reboot, self.shut_down):
            button.setVisible(not is_off)
            button.set_disabled_reason(away)
        self.wake.setVisible(is_off)
        if is_off:
            self.wake.set_disabled_reason(model.feeds.can_wake(model.node_id))

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._model.feeds.ssh_command(self._model.node_id))
        self.ssh.set_icon("check")
