"""The findings about what the inspector shows, each with its buttons.

The one rule: accepting asks for a note first; everything else is only asked for here and done elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from sparkdesk.core.findings.concern import Concern, worst_first
from ui.findings import words
from ui.findings.accept_dialog import AcceptDialog, ask_note
from ui.findings.card import FindingCard
from ui.widgets.label import plain_tooltip

LABEL_CHARS = 24
MOST = 6
"""More are in the list of all."""


class FindingList(QWidget):
    """Findings of one thing, worst first. The signals carry a finding's id."""

    fix_asked = Signal(str)
    accept_asked = Signal(str, str)
    """Finding id and the note."""
    unaccept_asked = Signal(str)
    show_asked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.dialog: AcceptDialog | None = None
        self.cards: dict[str, FindingCard] = {}
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(8)

    def set_findings(self, findings: Sequence[Concern], names: Mapping[str, str], now_ms: int) -> None:
        """Show these; nothing at all where there is none."""
        shown = worst_first(findings)[:MOST]
        wanted = {one.id for one in shown}
        for finding_id in [key for key in self.cards if key not in wanted]:
            card = self.cards.pop(finding_id)
            self._column.removeWidget(card)
            card.hide()
            card.deleteLater()
        for place, concern in enumerate(shown):
            found = self.cards.get(concern.id)
            if found is None:
                found = self.cards[concern.id] = self._make(concern.id)
            found.show_finding(concern, names, now_ms)
            # The panel is narrow: the button's accessible name has its words whole.
            found.fix.setText(words.fix_label(concern, LABEL_CHARS).replace("&", "&&"))
            found.fix.setToolTip(plain_tooltip(words.fix_label(concern)))
            found.fix.updateGeometry()
            if self._column.indexOf(found) != place:
                self._column.insertWidget(place, found)
        self.setVisible(bool(shown))

    def _make(self, finding_id: str) -> FindingCard:
        card = FindingCard()
        card.fix_clicked.connect(lambda: self.fix_asked.emit(finding_id))
        card.accept_clicked.connect(lambda: self._ask(finding_id))
        card.unaccept_clicked.connect(lambda: self.unaccept_asked.emit(finding_id))
        card.subject_clicked.connect(lambda: self.show_asked.emit(finding_id))
        return card

    def _ask(self, finding_id: str) -> None:
        card = self.cards.get(finding_id)
        if card is not None and card.concern is not None:
            self.dialog = ask_note(card.concern, self.window(), self.accept_asked.emit)
