"""Why it is as fast as it is: one measured request, what was expected, and the causes in order with their evidence.

The one rule: each cause shows what was seen; without evidence it is not here.
"""

from __future__ import annotations

from typing import NamedTuple

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.jobs.verdict import Pace, Verdict
from ui.jobs.words.speed import CauseText, cause_texts, note_words, rate_words, verdict_line, verdict_title
from ui.widgets.button import Button, IconButton
from ui.widgets.card import Card
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import Label

MOST = 8


class _CauseRow(QWidget):
    """Number, words, evidence, remedy."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._number = Label("", "dense_strong", "warn")
        self.words = Label("", "dense_strong", "text", is_wrapped=True)
        self.evidence = Label("", "mono", "text2", is_wrapped=True, is_selectable=True)
        self.remedy = Label("", "dense", "text2", is_wrapped=True)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self._number, 0, Qt.AlignmentFlag.AlignTop)
        column = QVBoxLayout()
        column.setSpacing(1)
        for part in (self.words, self.evidence, self.remedy):
            column.addWidget(part)
        row.addLayout(column, 1)

    def show_cause(self, number: int, cause: CauseText) -> None:
        """Show one cause."""
        self._number.setText(f"{number}.")
        for label, said in ((self.words, cause.words), (self.evidence, cause.evidence), (self.remedy, cause.remedy)):
            label.setText(said)
            label.setVisible(bool(said))
        self.setAccessibleName(f"{number}. {cause.words}. Seen: {cause.evidence}. {cause.remedy}")


class Moments(NamedTuple):
    """When a verdict was found, in words, and what it fell from."""

    when: str
    first: Verdict | None = None
    first_when: str = ""


class SpeedCard(Card):
    """Opened by the verdict's chip."""

    again_asked = Signal()
    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._icon = IconLabel("gauge", "text2")
        self.title = Label("", "strong", "text", is_wrapped=True)
        self.line = Label("", "dense", "text2", is_wrapped=True)
        self.none = Label("No cause was found in its log, clocks and memory.", "dense", "text3", is_wrapped=True)
        self.note = Label("", "label", "text3", is_wrapped=True)
        self.again = Button("Measure again", icon="refresh-cw", is_small=True)
        self._close = IconButton("x", "Close the speed card", size=24)
        self._causes = [_CauseRow() for _ in range(MOST)]
        column = self.column(spacing=6)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self._icon)
        row.addWidget(self.title, 1)
        row.addWidget(self.again)
        row.addWidget(self._close)
        column.addLayout(row)
        for part in (self.line, *self._causes, self.none, self.note):
            column.addWidget(part)
        self.again.clicked.connect(self.again_asked)
        self._close.clicked.connect(self.closed)
        self.setVisible(False)

    def show_verdict(self, verdict: Verdict, at: Moments, *, why_not_again: str = "", can_ask: bool = True) -> None:
        """Show a verdict; `why_not_again` disables the button with its reason."""
        first = at.first
        is_slow = verdict.pace is Pace.SLOWER or first is not None
        self.set_state("warn" if is_slow else "normal")
        self._icon.set_icon("triangle-alert" if is_slow else "gauge", "warn" if is_slow else "text2")
        self.title.setText(verdict_title(verdict, first))
        was = f"first measured {at.first_when}: {rate_words(first.measured_tok_s)}" if first is not None else ""
        self.line.setText(verdict_line(verdict, at.when, was))
        causes = cause_texts(verdict)
        for number, row in enumerate(self._causes, 1):
            row.setVisible(number <= len(causes))
            if number <= len(causes):
                row.show_cause(number, causes[number - 1])
        self.none.setVisible(is_slow and not causes)
        note = note_words(verdict, first)
        self.note.setText(note)
        self.note.setVisible(bool(note))
        self.again.setVisible(can_ask)
        self.again.set_disabled_reason(why_not_again)
        self.setAccessibleName(self.title.text())

    def causes(self) -> list[str]:
        """The causes shown, in order."""
        return [row.words.text() for row in self._causes if not row.isHidden()]
