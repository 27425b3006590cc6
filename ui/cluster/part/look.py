"""How the look at the cables stands, and the button that asks for another.

The one rule: a look that failed says why and takes nothing away; what is shown says when it was seen.
"""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.cluster.topology import LookState, Topology
from ui import text
from ui.node.wrap import wrap_line
from ui.widgets.button import Button
from ui.widgets.label import Label

DEEPER = "Look deeper..."


def look_words(topology: Topology, now_ms: int) -> str:
    """The state of the look in words: looking, failed with its reason, or when the cables were seen."""
    moment = text.time_of_day(topology.seen_ms, has_seconds=False)
    seen = f"Seen at {moment}, {text.age((now_ms - topology.seen_ms) / 1000)} ago"
    if topology.state is LookState.LOOKING:
        return (text.one_line(topology.message, 240) or "Looking at the cables") + text.ELLIPSIS
    if topology.state is LookState.FAILED:
        why = text.one_line(topology.message, 240) or "no reason was given"
        remedy = f" {text.one_line(topology.remedy, 240)}" if topology.remedy else ""
        kept = f" {seen}." if topology.seen_ms else ""
        return f"The last look failed: {why.rstrip('.')}.{remedy}{kept}"
    return f"{seen}." if topology.seen_ms else "The cables were not looked at yet."


class LookRow(QWidget):
    """Words, "Look again", and a look below all addresses, which may be stopped."""

    look_asked = Signal()
    deep_look_asked = Signal()
    """Ask for one, or stop the one that is under way."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.words = Label("", "label", "text3", is_wrapped=True)
        self.again = Button("Look again", icon="refresh-cw", is_small=True)
        self.again.clicked.connect(self.look_asked)
        self.deep = Button(DEEPER, is_small=True)
        self.deep.setToolTip("With sudo, for ports without an address and switches that tell nothing; changes nothing")
        self.deep.clicked.connect(self.deep_look_asked)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.words)
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.again)
        row.addWidget(self.deep)
        row.addStretch(1)
        column.addLayout(row)

    def show_look(self, topology: Topology, now_ms: int) -> None:
        """Show how the look stands."""
        self.words.setText(wrap_line(look_words(topology, now_ms), 600))
        self.words.set_tint("warn" if topology.state is LookState.FAILED else "text3")
        is_looking = topology.state is LookState.LOOKING
        is_deep = is_looking and bool(topology.message)
        self.again.set_busy(is_looking and not is_deep)
        self.again.setEnabled(not is_looking)
        self.deep.setText("Stop listening" if is_deep else DEEPER)
