"""The panel beside the map: one node, cable, switch or other device, whichever is selected.

The one rule: every button here does something now; there is none to accept a changed host key.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from sparkdesk.core.cluster.node import NodeState, NodeStatus
from sparkdesk.core.cluster.topology import Cable as SeenCable
from ui import text
from ui.cluster.cable import Cable, Look, title_of
from ui.cluster.card import NodeCard
from ui.cluster.model import ClusterModel
from ui.cluster.part.cable import TWO_HALVES, CablePart, cable_title
from ui.cluster.part.chart import NodeCharts
from ui.cluster.part.far_end import StrangerPart, SwitchPart
from ui.cluster.part.finding import FindingList
from ui.cluster.part.look import LookRow
from ui.cluster.part.node import NodePart
from ui.node.wrap import wrap_line
from ui.widgets.button import Button, IconButton
from ui.widgets.card import Card, Separator
from ui.widgets.chip import Chip, ChipKind
from ui.widgets.label import ElidedLabel, Label

WIDTH = 340
_KINDS: dict[Look, ChipKind] = {"up": "ok", "degraded": "warn", "wrong": "warn", "one_way": "crit", "down": "crit"}


class Inspector(Card):
    """Shows the model's selection; `refresh` once a second while visible."""

    closed = Signal()
    reconnect_asked = Signal(str)
    password_given = Signal(str, str)
    node_asked = Signal(str, str)
    """Node id and the tab of its page."""
    terminal_asked = Signal(str)
    wake_asked = Signal(str)
    add_again_asked = Signal()
    finding_fix_asked = Signal(str)
    finding_accept_asked = Signal(str, str)
    finding_unaccept_asked = Signal(str)
    finding_show_asked = Signal(str)
    look_asked = Signal()
    deep_look_asked = Signal()
    label_asked = Signal(str, str)
    switch_label_asked = Signal(tuple, str)

    def __init__(self, model: ClusterModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.setFixedWidth(WIDTH)
        self._title = Label("", "object_title", "text", is_wrapped=True)
        self._chip = Chip()
        self._sub = ElidedLabel("", "label", "text3")
        self._close = IconButton("x", "Close the inspector", size=24)
        self._empty = Label("Select a node or a cable.", "body", "text3", is_wrapped=True)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.look = LookRow()
        self.node = NodePart(model)
        self._cable: CablePart | None = None
        self._switch: SwitchPart | None = None
        self._stranger: StrangerPart | None = None
        self.trouble = self.node.trouble
        self.found = self.node.found
        self.buttons = NodeButtons()
        self._area = QScrollArea()
        self._body = QWidget()
        self._body.setProperty("tone", "page")
        self._inner = QVBoxLayout(self._body)
        self._build()
        self._wire()
        self.refresh()

    # Parts that are seldom shown are made when they are, so that the page is there sooner.

    @property
    def cable(self) -> CablePart:
        """What is shown of a cable."""
        if self._cable is None:
            self._cable = CablePart(self._model)
            self._join_look(self._cable.look)
            self._join_findings(self._cable.findings)
            self._add_part(self._cable)
        return self._cable

    @property
    def switch(self) -> SwitchPart:
        """What is shown of a switch."""
        if self._switch is None:
            self._switch = SwitchPart(self._model)
            self._join_look(self._switch.look)
            self._switch.label_asked.connect(self.switch_label_asked)
            self._add_part(self._switch)
        return self._switch

    @property
    def stranger(self) -> StrangerPart:
        """What is shown of another device."""
        if self._stranger is None:
            self._stranger = StrangerPart(self._model)
            self._join_look(self._stranger.look)
            self._stranger.label_asked.connect(self.label_asked)
            self._add_part(self._stranger)
        return self._stranger

    def _add_part(self, part: QWidget) -> None:
        part.setProperty("tone", "page")
        part.setVisible(False)
        self._inner.insertWidget(0, part)

    def _build(self) -> None:
        column = self.column(spacing=0, margins=(0, 0, 0, 0))
        head = QHBoxLayout()
        head.setContentsMargins(14, 12, 10, 0)
        head.setSpacing(8)
        head.addWidget(self._title, 1)
        head.addWidget(self._chip, 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(self._close, 0, Qt.AlignmentFlag.AlignTop)
        column.addLayout(head)
        sub = QVBoxLayout()
        sub.setContentsMargins(14, 2, 14, 10)
        sub.addWidget(self._sub)
        column.addLayout(sub)
        column.addWidget(Separator())
        self._inner.setContentsMargins(14, 10, 14, 12)
        self._inner.setSpacing(10)
        self._add_part(self._empty)
        self._add_part(self.node)
        self._inner.addWidget(self.look)
        self._inner.addStretch(1)
        self.trouble.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setWidget(self._body)
        column.addWidget(self._area, 1)
        column.addWidget(self.buttons)

    def _wire(self) -> None:
        self._close.clicked.connect(self.closed)
        trouble = self.trouble
        trouble.reconnect.clicked.connect(lambda: self.reconnect_asked.emit(self._model.selection[1]))
        trouble.wake.clicked.connect(lambda: self.wake_asked.emit(self._model.selection[1]))
        trouble.sign_in_asked.connect(lambda word: self.password_given.emit(self._model.selection[1], word))
        trouble.add_again.clicked.connect(self.add_again_asked)
        self.node.running_asked.connect(lambda: self.node_asked.emit(self._model.selection[1], "running"))
        self.buttons.node_asked.connect(lambda tab: self.node_asked.emit(self._model.selection[1], tab))
        self.buttons.terminal.clicked.connect(lambda: self.terminal_asked.emit(self._model.selection[1]))
        self._join_findings(self.node.findings)
        self._join_look(self.look)

    def _join_look(self, row: LookRow) -> None:
        row.look_asked.connect(self.look_asked)
        row.deep_look_asked.connect(self.deep_look_asked)

    def _join_findings(self, findings: FindingList) -> None:
        findings.fix_asked.connect(self.finding_fix_asked)
        findings.accept_asked.connect(self.finding_accept_asked)
        findings.unaccept_asked.connect(self.finding_unaccept_asked)
        findings.show_asked.connect(self.finding_show_asked)

    @property
    def charts(self) -> NodeCharts:
        """The charts of what is shown."""
        return self.cable.charts if self._model.selection[0] == "cable" else self.node.charts

    @property
    def title(self) -> str:
        """What the shown is called."""
        return self._title.text()

    def refresh(self) -> None:
        """Show the selection as it is now."""
        model = self._model
        kind, key = model.selection
        card = model.scene.card(key) if kind == "node" else None
        cable = model.scene.cable(key) if kind == "cable" else None
        seen = model.seen_cable(key)
        status = model.status(key) if card else None
        self.buttons.setVisible(card is not None and status is not None)
        self.look.setVisible(not kind and len(model.scene.cards) > 1)
        self._close.setVisible(bool(kind))
        if card is not None and status is not None:
            self._show_node(card, status)
        elif cable is not None:
            self._show_cable(cable, seen)
        elif kind == "switch":
            self._show_switch(int(key) if key.isdecimal() else 0)
        elif kind == "stranger" and seen is not None:
            self._show_stranger(seen)
        else:
            self._show_head("Nothing selected", "")
            self._show_part(self._empty)
            self.look.show_look(model.feeds.topology.value, model.feeds.now_ms())

    def _show_head(self, title: str, sub: str) -> None:
        self._title.setText(wrap_line(title, 140))
        self._sub.setText(text.one_line(sub, 200))
        self._chip.setVisible(False)

    def _show_part(self, shown: QWidget) -> None:
        for part in (self._empty, self.node, self._cable, self._switch, self._stranger):
            if part is not None:
                part.setVisible(part is shown)

    def _show_node(self, card: NodeCard, status: NodeStatus) -> None:
        record = status.record
        address = f"{text.one_line(record.user, 40)}@{text.one_line(record.address, 60)}:{record.port}"
        self._show_head(card.name, address)
        self._chip.setVisible(True)
        self._chip.set_state(*card.mark)
        # A key that changed: nothing here may lead to a sign-in at what answers there now.
        barred = "Its host key changed" if status.state is NodeState.IDENTITY_CHANGED else ""
        self.buttons.terminal.set_disabled_reason(barred)
        self._show_part(self.node)
        self.node.show_node(card, status)

    def _show_cable(self, cable: Cable, seen: SeenCable | None) -> None:
        self._show_head(cable_title(cable, self._model), TWO_HALVES)
        self._chip.set_state(cable.word, _KINDS.get(cable.look, "neutral"))
        self._chip.setVisible(True)
        self._show_part(self.cable)
        self.cable.show_cable(cable.ends, seen)

    def _show_switch(self, number: int) -> None:
        count = len(self._model.feeds.topology.value.cables_of_switch(number))
        self._show_head(
            self._model.scene.switch_title(number), f"{count} {'cable' if count == 1 else 'cables'} of this cluster"
        )
        self._show_part(self.switch)
        self.switch.show_switch(number)

    def _show_stranger(self, seen: SeenCable) -> None:
        if seen.stranger is None:
            return
        self._show_head(title_of(seen.stranger), "Other device")
        self._show_part(self.stranger)
        self.stranger.show_stranger(seen, seen.stranger)


class NodeButtons(QWidget):
    """Ways from the panel to the node's own page and to a terminal."""

    node_asked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.open = Button("Open node", icon="maximize-2", is_small=True)
        self.doctor = Button("Doctor", icon="shield-check", is_small=True)
        self.terminal = Button("Terminal", icon="terminal", is_small=True)
        row = QHBoxLayout()
        row.setContentsMargins(14, 8, 14, 10)
        row.setSpacing(8)
        for button in (self.open, self.doctor, self.terminal):
            row.addWidget(button)
        row.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(1, 0, 1, 1)
        column.setSpacing(0)
        column.addWidget(Separator())
        column.addLayout(row)
        self.open.clicked.connect(lambda: self.node_asked.emit("overview"))
        self.doctor.clicked.connect(lambda: self.node_asked.emit("doctor"))
