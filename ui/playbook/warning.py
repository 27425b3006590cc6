"""What a change costs, above its commands: the jobs that end with it, and what else to know.

The one rule: a loss is named by its name, one line each, and stands before the button that causes it.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from ui.node.wrap import wrap_line
from ui.playbook.model import Proposal
from ui.theme import Token
from ui.widgets.card import Card
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import Label

MAX_SHOWN = 6


class WarningCard(Card):
    """Shows a proposal's losses and warnings."""

    def __init__(self, proposal: Proposal, parent: QWidget | None = None) -> None:
        super().__init__(parent, fill="critsoft" if proposal.dying else "warnsoft")
        self.lines: list[str] = []
        self._column = self.column(spacing=4, margins=(12, 8, 12, 8))
        for title in proposal.dying[:MAX_SHOWN]:
            self._add("octagon-alert", "crit", f"{wrap_line(title, 120)} ends now.")
        if len(proposal.dying) > MAX_SHOWN:
            self._add("octagon-alert", "crit", f"{len(proposal.dying) - MAX_SHOWN} more jobs end now.")
        for words in proposal.warnings[:MAX_SHOWN]:
            self._add("triangle-alert", "warn", wrap_line(words, 400))
        self.set_state("error" if proposal.dying else "warn")
        self.setAccessibleName(" ".join(self.lines))

    def has_words(self) -> bool:
        """Whether there is anything to warn of."""
        return bool(self.lines)

    def _add(self, icon: str, tint: Token, words: str) -> None:
        self.lines.append(words)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(IconLabel(icon, tint), 0, Qt.AlignmentFlag.AlignTop)
        label = QVBoxLayout()
        label.addWidget(Label(words, "dense", "text", is_wrapped=True))
        row.addLayout(label, 1)
        self._column.addLayout(row)
