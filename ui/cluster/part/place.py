"""What is at a cable's other end and is no node: a switch, or another device that a person may label.

The one rule: a device is named only as it names itself or as the person labels it, and it is never a rank.
"""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.cluster.topology import Cable, Stranger, Topology
from ui import text
from ui.cluster.model import ClusterModel
from ui.cluster.part.fact import FactRows, Row, reader_of
from ui.cluster.part.look import LookRow
from ui.node.wrap import wrap_line
from ui.widgets.button import Button
from ui.widgets.field import Field, TextInput
from ui.widgets.label import Label

LABEL_CHARS = 60
_KINDS = {
    "spark": "By its hardware address it may be another Spark. Add it by its address to make it a node.",
    "device": "Another device, such as storage or another host.",
    "unknown": "Another device; it has told nothing that says what it is.",
}
NO_RANK = "It is left out of ranks: no job is placed on it."


class SwitchPart(QWidget):
    """A switch: who is joined to it, and how fast."""

    def __init__(self, model: ClusterModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.words = Label("", "dense", "text2", is_wrapped=True, is_selectable=True)
        self.rows = FactRows()
        self.look = LookRow()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        for part in (self.words, self.rows, self.look):
            column.addWidget(part)

    def show_switch(self, number: int) -> None:
        """Show the switch of this number."""
        model = self._model
        topology = model.feeds.topology.value
        cables = [cable for cable in topology.cables if cable.via_switch and cable.switch_number == number]
        is_named = bool(topology.switch_name)
        self.words.setText(
            "It names itself by LLDP." if is_named else "It does not name itself (no LLDP), so it is called Switch."
        )
        self.rows.set_rows([Row(model.end_title(cable.a), self._cable_words(cable)) for cable in cables[:64]])
        self.look.show_look(topology, model.feeds.now_ms())

    def _cable_words(self, cable: Cable) -> str:
        node_id, cage = cable.a
        value = reader_of(None if self._model.is_stale(node_id) else self._model.sample(node_id))
        speed = value(f"cage_speed_gbps.{cage}")
        rates = f"tx {text.line_rate(value(f'cage_tx_gbps.{cage}')).value}, "
        rates += f"rx {text.line_rate(value(f'cage_rx_gbps.{cage}'))}"
        line = f"{speed:.0f}G" if text.is_known(speed) else "speed n/a"
        return f"{line}, one way only, {rates}" if cable.is_one_way else f"{line}, {rates}"


class StrangerPart(QWidget):
    """Another device, with a field for its label."""

    label_asked = Signal(str, str)
    """Hardware address, or the cage ("n1:P0") where it has none, and the words."""

    def __init__(self, model: ClusterModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._key = ""
        self.words = Label("", "dense", "text2", is_wrapped=True)
        self.rows = FactRows()
        self.label = TextInput(placeholder="For example: storage")
        self.label.setMaxLength(LABEL_CHARS)
        self.save = Button("Label", is_small=True)
        self.look = LookRow()
        field = Field("Your name for it", self.label)
        row = QHBoxLayout()
        row.addWidget(self.save)
        row.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        for part in (self.words, self.rows, field):
            column.addWidget(part)
        column.addLayout(row)
        column.addWidget(self.look)
        self.save.clicked.connect(self._give)
        self.label.returnPressed.connect(self._give)

    def show_stranger(self, cable: Cable, stranger: Stranger) -> None:
        """Show what is behind this cable."""
        key = label_key(cable, stranger)
        if key != self._key:
            # What a person is writing is not taken away by the next second.
            self._key = key
            self.label.setText(text.one_line(stranger.label, LABEL_CHARS))
        self.words.setText(f"{_KINDS.get(stranger.kind, _KINDS['unknown'])} {NO_RANK}")
        name = wrap_line(stranger.name, 120) or text.NOT_KNOWN
        self.rows.set_rows(
            [
                Row("In", self._model.end_title(cable.a)),
                Row("Address", text.one_line(stranger.mac, 24) or text.NOT_KNOWN, "Its hardware address (MAC)"),
                Row("Names itself", name, "By LLDP"),
            ]
        )
        self.look.show_look(self._model.feeds.topology.value, self._model.feeds.now_ms())

    def _give(self) -> None:
        if self._key:
            self.label_asked.emit(self._key, self.label.text().strip())


def label_key(cable: Cable, stranger: Stranger) -> str:
    """Under what a device's label is kept: its address, or the cage where it never told one."""
    return stranger.mac or f"{cable.a[0]}:{cable.a[1]}"


def switch_title(topology: Topology, number: int, declared: str) -> str:
    """The switch's name: its own, the one it was set up with, or "Switch"."""
    name = topology.switch_name if number == 0 else ""
    title = text.one_line(name or (declared if number == 0 else ""), 60) or "Switch"
    return title if number == 0 else f"{title} {number + 1}"
