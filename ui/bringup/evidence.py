"""The evidence behind a cell of the matrix: how it stands, what was read, what to do, the steps that change it.

The one rule: what a node said is plain text in a box of its own, and can be copied.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from sparkdesk.core.bringup.matrix import CellState
from sparkdesk.core.plain_text import make_plain
from ui.bringup.grid import LOOKS, now_and_then
from ui.bringup.model import Evidence
from ui.font import font
from ui.node.wrap import wrap_line
from ui.playbook.plan_text import plan_text
from ui.playbook.plan_view import PlanView
from ui.widgets.button import IconButton
from ui.widgets.chip import Chip, ChipKind
from ui.widgets.label import Label

WIDTH = 420
MAX_CHARS = 32 * 1024
CHIPS: dict[CellState, tuple[ChipKind, str]] = {
    CellState.PASS: ("ok", "check"),
    CellState.WARN: ("warn", "triangle-alert"),
    CellState.FAIL: ("crit", "octagon-alert"),
    CellState.UNREAD: ("neutral", "circle-help"),
    CellState.SKIPPED: ("neutral", "minus"),
    CellState.PLANNED: ("accent", "pencil"),
    CellState.WAITING: ("neutral", "circle-dashed"),
    CellState.RUNNING: ("accent", "loader"),
    CellState.DONE: ("ok", "check"),
    CellState.UNDONE: ("neutral", "undo-2"),
}


def _head_of(evidence: Evidence) -> str:
    """What the box holds: of a cell that the plan changes also what comes, and what should be known of it."""
    if evidence.is_to_write:
        return "The file"
    return "More on it" if evidence.cell.step_ids else "What was read"


class EvidencePanel(QWidget):
    """Lies in a drawer. `shut` asks for it to be closed."""

    shut = Signal()

    def __init__(self, name_of: Callable[[str], str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name_of = name_of
        self.title = Label("", "object_title", "text", is_wrapped=True)
        self.chip = Chip()
        self.said = Label("", "body", "text", is_wrapped=True, is_selectable=True)
        self.remedy = Label("", "dense", "text2", is_wrapped=True, is_selectable=True)
        self.unverified = Label(
            "This check rests on an assumption that was not seen on the hardware yet.",
            "label",
            "text3",
            is_wrapped=True,
        )
        self.read = QPlainTextEdit()
        self.steps = PlanView("The steps that change this")
        self.close_button = IconButton("x", "Close the evidence")
        self._read_head = Label("What was read", "label_medium", "text2")
        self._steps_head = Label("What changes it", "label_medium", "text2")
        self._build()
        self.close_button.clicked.connect(self.shut)

    def _build(self) -> None:
        head = QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(self.close_button, 0, Qt.AlignmentFlag.AlignTop)
        self.read.setReadOnly(True)
        self.read.setProperty("tone", "well")
        self.read.setFont(font("mono"))
        self.read.setAccessibleName("What was read")
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 12, 12, 14)
        column.setSpacing(8)
        column.addLayout(head)
        column.addWidget(self.chip)
        column.addWidget(self.said)
        column.addWidget(self.remedy)
        column.addWidget(self.unverified)
        column.addWidget(self._read_head)
        column.addWidget(self.read, 2)
        column.addWidget(self._steps_head)
        column.addWidget(self.steps, 3)
        column.addStretch(0)

    def show_evidence(self, evidence: Evidence) -> None:
        """Show what stands behind a cell."""
        cell = evidence.cell
        self.title.setText(wrap_line(f"{evidence.row.title} · {evidence.node}", 160))
        word = LOOKS[cell.state][1]
        kind, icon = CHIPS[cell.state]
        self.chip.set_state(word[:1].upper() + word[1:], kind, icon)
        self.said.setText(wrap_line(now_and_then(cell)))
        self.remedy.setText(wrap_line(cell.remedy, 1000))
        self.remedy.setVisible(bool(cell.remedy))
        self.unverified.setVisible(evidence.row.is_unverified)
        self._read_head.setText(_head_of(evidence))
        self.read.setAccessibleName(self._read_head.text())
        read = make_plain(cell.evidence, max_chars=MAX_CHARS)
        if read != self.read.toPlainText():
            self.read.setPlainText(read)
        for part in (self._read_head, self.read):
            part.setVisible(bool(read))
        plan = plan_text(evidence.steps, self._name_of)
        self.steps.show_plan(plan)
        for part in (self._steps_head, self.steps):
            part.setVisible(bool(plan.text))
