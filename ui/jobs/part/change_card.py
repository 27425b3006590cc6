"""The next change that would help most: why, with its figures, what it brings and what it costs.

The one rule: it changes nothing by itself; its button fills the launch form, where a person reads the plan first.
"""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.jobs.next_change import NextChange
from ui import text
from ui.widgets.button import Button
from ui.widgets.card import Card
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import ElidedLabel, Label


class ChangeCard(Card):
    """One proposal; hidden while there is none."""

    open_asked = Signal()
    not_now = Signal()
    refolded = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._is_low = self._is_open = False
        self.title = ElidedLabel("", "dense_strong", "text")
        self.why = Label("", "dense", "text2", is_wrapped=True)
        self.sets = Label("", "label", "text3", is_wrapped=True)
        self.more = Button("Why", kind="link")
        self.open_button = Button("Open in Launch", icon="rocket", is_small=True)
        self.later = Button("Not now", kind="text", is_small=True)
        words = QVBoxLayout()
        words.setSpacing(1)
        for part in (self.title, self.why, self.sets):
            words.addWidget(part)
        row = QHBoxLayout()
        row.setSpacing(10)
        row.addWidget(IconLabel("wrench", "accenttext"))
        row.addLayout(words, 1)
        row.addWidget(self.more)
        row.addWidget(self.open_button)
        row.addWidget(self.later)
        self.column(spacing=0, margins=(14, 9, 10, 9)).addLayout(row)
        self.open_button.clicked.connect(self.open_asked)
        self.later.clicked.connect(self.not_now)
        self.more.clicked.connect(self._turn)
        self._fold()
        self.setVisible(False)

    def set_low(self, is_low: bool) -> None:
        """In a low window it is one line, until its reasons are asked for: the charts below it are looked at more."""
        if is_low != self._is_low:
            self._is_low = is_low
            self._fold()

    def _turn(self) -> None:
        self._is_open = not self._is_open
        self._fold()
        self.refolded.emit()

    def _fold(self) -> None:
        is_folded = self._is_low and not self._is_open
        self.more.setVisible(self._is_low)
        self.more.setText("Less" if self._is_open else "Why")
        self.why.setVisible(not is_folded)
        self.sets.setVisible(not is_folded)

    def show_change(self, change: NextChange | None, sets: str, *, can_dismiss: bool) -> None:
        """Show a proposal; `sets` says what it changes in the launch."""
        self.setVisible(change is not None)
        if change is None:
            return
        effect, cost = text.one_line(change.effect, 200), text.one_line(change.cost, 200)
        self.title.setText(f"Next change: {text.one_line(change.title, 160)}")
        self.why.setText(text.one_line(change.why, 300))
        parts = [
            f"Brings: {effect}" if effect else "",
            f"Costs: {cost}" if cost else "",
            f"Sets {sets}" if sets else "",
        ]
        self.sets.setText(" · ".join(part for part in parts if part))
        self.later.setVisible(can_dismiss)
        self.setAccessibleName(f"{self.title.text()}. {self.why.text()}. {self.sets.text()}")
