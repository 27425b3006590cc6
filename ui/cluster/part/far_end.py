"""What is at a cable's other end and is no node: a switch, or another device that a person may label.

The one rule: a device is named only as it names itself or as the person labels it, and it is never a rank.
"""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.cluster.topology import Cable, Stranger, Switch, cage_key
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


class NameField(QWidget):
    """A field for the person's name for a device, with its button."""

    given = Signal(str)

    def __init__(self, example: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._of = ""
        self.input = TextInput(placeholder=f"For example: {example}")
        self.input.setMaxLength(LABEL_CHARS)
        self.save = Button("Label", is_small=True)
        row = QHBoxLayout()
        row.addWidget(self.save)
        row.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        column.addWidget(Field("Your name for it", self.input))
        column.addLayout(row)
        self.save.clicked.connect(self._give)
        self.input.returnPressed.connect(self._give)

    def show_label(self, of: str, label: str) -> None:
        """Show the name of a device; what a person is writing is not taken away by the next second."""
        if of != self._of:
            self._of = of
            self.input.setText(text.one_line(label, LABEL_CHARS))

    def _give(self) -> None:
        self.given.emit(self.input.text().strip())


class SwitchPart(QWidget):
    """A switch: whose name it has, with a field for the person's own; who is joined to it, and how fast."""

    label_asked = Signal(tuple, str)
    """The cages that lead to it, and the words."""

    def __init__(self, model: ClusterModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._keys: tuple[str, ...] = ()
        self.words = Label("", "dense", "text2", is_wrapped=True, is_selectable=True)
        self.rows = FactRows()
        self.naming = NameField("rack switch")
        self.look = LookRow()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        for part in (self.words, self.rows, self.naming, self.look):
            column.addWidget(part)
        self.naming.given.connect(self._give)

    def show_switch(self, number: int) -> None:
        """Show the switch of this number."""
        model = self._model
        topology = model.feeds.topology.value
        cables = topology.cables_of_switch(number)
        switch = topology.switches[number] if number < len(topology.switches) else Switch()
        self._keys = tuple(cage_key(cable.a) for cable in cables)
        cluster = model.feeds.cluster.value
        is_declared = cluster is not None and bool(cluster.switch_name) and len(topology.switches) == 1
        said = name_words(switch, model.scene.switch_title(number), is_declared=is_declared)
        self.words.setText(wrap_line(said, 240))
        self.rows.set_rows([Row(model.end_title(cable.a), self._cable_words(cable)) for cable in cables[:64]])
        self.naming.show_label(f"{number} {switch.label}", switch.label)
        self.look.show_look(topology, model.feeds.now_ms())

    def _give(self, words: str) -> None:
        self.label_asked.emit(self._keys, words)

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
        self.naming = NameField("storage")
        self.label, self.save = self.naming.input, self.naming.save
        self.look = LookRow()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        for part in (self.words, self.rows, self.naming, self.look):
            column.addWidget(part)
        self.naming.given.connect(self._give)

    def show_stranger(self, cable: Cable, stranger: Stranger) -> None:
        """Show what is behind this cable."""
        self._key = label_key(cable, stranger)
        self.naming.show_label(self._key, stranger.label)
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

    def _give(self, words: str) -> None:
        if self._key:
            self.label_asked.emit(self._key, words)


def label_key(cable: Cable, stranger: Stranger) -> str:
    """Under what a device's label is kept: its address, or the cage where it never told one."""
    return stranger.mac or cage_key(cable.a)


def name_words(switch: Switch, title: str, *, is_declared: bool) -> str:
    """Whose name a switch has: the user's, its own, the one it was set up with, or none."""
    own = f"by LLDP it names itself {switch.name}" if switch.name else "it does not name itself (no LLDP)"
    if switch.label:
        return f"You named it; {own}."
    if switch.name:
        return "It names itself by LLDP."
    if is_declared:
        return "It has its name from the cluster's setup; it does not name itself (no LLDP)."
    return f"It does not name itself (no LLDP), so it is called {title}."
