"""Every finding of the cluster, the worst first; those that were accepted are folded under them, with their note.

The one rule: figures move while a person reads, so a card stays where it is and keeps the focus while its finding
stands; only what is new, gone or worse changes the order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from PySide6.QtCore import QDateTime, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QStackedWidget, QVBoxLayout, QWidget

from sparkdesk.core.findings.concern import Concern, worst_first
from ui import theme
from ui.findings import words
from ui.findings.accept_dialog import AcceptDialog, ask_note
from ui.findings.card import FindingCard
from ui.widgets.button import Button
from ui.widgets.empty_state import EmptyState
from ui.widgets.label import Label

AT_ONCE = 40
"""So many cards are made; "Show more" makes as many again."""


class FindingPanel(QWidget):
    """The list. Its signals carry a finding's id; `subject_asked` carries kind and key of what a finding is about."""

    fix_asked = Signal(str)
    accept_asked = Signal(str, str)
    """Finding id and the note."""
    unaccept_asked = Signal(str)
    subject_asked = Signal(str, str)
    """("node", node id), ("port", "n1:P0") or ("versions", field)."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.dialog: AcceptDialog | None = None
        self.cards: dict[str, FindingCard] = {}
        self._findings: tuple[Concern, ...] = ()
        self._names: dict[str, str] = {}
        self._now_ms = 0
        self._most = AT_ONCE
        self._order: tuple[str, ...] = ()
        self.counts = Label("", "dense", "text3")
        self.head = QHBoxLayout()
        """The title's row; who shows the list may put a button at its end."""
        self.fold = Button("", kind="text", icon="chevron-right", is_small=True)
        self.more = Button("", kind="link")
        self.empty = EmptyState("radar", words.UNKNOWN_TITLE, words.UNKNOWN_TEXT)
        self.well = EmptyState("shield-check", words.NOTHING_TITLE, words.NOTHING_TEXT)
        self._stack = QStackedWidget()
        self._open_column, self._accepted_column = QVBoxLayout(), QVBoxLayout()
        self._accepted = QWidget()
        self._area = QScrollArea()
        self.setAccessibleName("Findings")
        self._build()
        self.set_findings((), {}, has_looked=False)

    def _build(self) -> None:
        body = QWidget()
        for part in (body, self._accepted):
            part.setProperty("tone", "page")
        for layout in (self._open_column, self._accepted_column):
            layout.setContentsMargins(0, 0, 0, 0)
            layout.setSpacing(theme.GAP)
        self._accepted.setLayout(self._accepted_column)
        self._accepted.setVisible(False)
        inner = QVBoxLayout(body)
        inner.setContentsMargins(0, 0, 4, 0)
        inner.setSpacing(theme.GAP)
        inner.addLayout(self._open_column)
        inner.addWidget(self.fold)
        inner.addWidget(self._accepted)
        inner.addWidget(self.more)
        inner.addStretch(1)
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setWidget(body)
        for page in (self._area, self.empty, self.well):
            self._stack.addWidget(page)
        self.head.setSpacing(8)
        self.head.addWidget(Label("Findings", "object_title", "text"))
        self.head.addWidget(self.counts)
        self.head.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GAP)
        column.addLayout(self.head)
        column.addWidget(self._stack, 1)
        self.fold.clicked.connect(lambda: self.set_folded(is_folded=self._accepted.isVisibleTo(self)))
        self.more.clicked.connect(self._show_more)

    # What is shown --------------------------------------------------------------------------------------------------

    def set_findings(
        self,
        findings: Sequence[Concern],
        names: Mapping[str, str],
        *,
        has_looked: bool = True,
        unheard: Sequence[str] = (),
        now_ms: int | None = None,
    ) -> None:
        """Show these. `names` gives a node's name by its id.

        `has_looked` False: nothing is known yet. `unheard`: names of nodes of which nothing can be told now.
        """
        self._now_ms = QDateTime.currentMSecsSinceEpoch() if now_ms is None else now_ms
        self._findings, self._names = worst_first(findings), dict(names)
        self.counts.setText(words.count_words(findings))
        quiet = self.well if has_looked and not unheard else self.empty
        quiet.set_words(*words.quiet_words(has_looked, unheard))
        self._stack.setCurrentWidget(self._area if findings else quiet)
        self._fill()

    def set_folded(self, *, is_folded: bool) -> None:
        """Hide or show those that were accepted."""
        self._accepted.setVisible(not is_folded)
        self._name_fold()

    def show_finding(self, finding_id: str) -> bool:
        """Scroll to a finding and give it the focus; False when it is not there."""
        ids = [one.id for one in self._findings]
        if finding_id not in ids:
            return False
        if ids.index(finding_id) >= self._most:
            self._most = ids.index(finding_id) + 1
            self._fill()
        card = self.cards[finding_id]
        if card.concern is not None and card.concern.is_accepted:
            self.set_folded(is_folded=False)
        self._area.ensureWidgetVisible(card)
        card.place.setFocus(Qt.FocusReason.OtherFocusReason)
        return True

    def _show_more(self) -> None:
        self._most += AT_ONCE
        self._fill()

    def _fill(self) -> None:
        shown = self._findings[: self._most]
        wanted = {one.id for one in shown}
        for finding_id in [key for key in self.cards if key not in wanted]:
            self._drop(self.cards.pop(finding_id))
        for concern in shown:
            card = self.cards.get(concern.id)
            if card is None:
                card = self.cards[concern.id] = self._make(concern.id)
            card.show_finding(concern, self._names, self._now_ms)
        order = tuple(f"{one.is_accepted} {one.id}" for one in shown)
        if order != self._order:
            self._order = order
            self._arrange(shown)
        left = len(self._findings) - len(shown)
        self.more.setText(f"Show {min(left, AT_ONCE)} more of {left}")
        self.more.setVisible(left > 0)
        self.more.updateGeometry()
        self._name_fold()

    def _make(self, finding_id: str) -> FindingCard:
        card = FindingCard()
        card.fix_clicked.connect(lambda: self.fix_asked.emit(finding_id))
        card.accept_clicked.connect(lambda: self._ask(finding_id))
        card.unaccept_clicked.connect(lambda: self.unaccept_asked.emit(finding_id))
        card.subject_clicked.connect(lambda: self._show_subject(finding_id))
        return card

    def _drop(self, card: FindingCard) -> None:
        if any(stop.hasFocus() for stop in card.stops()):
            self.setFocus(Qt.FocusReason.OtherFocusReason)
        card.hide()
        card.deleteLater()

    def _arrange(self, shown: Sequence[Concern]) -> None:
        """Put the cards into their order, and the keyboard's way with them; the focus stays where it is."""
        holder = self._holder()
        stops: list[QWidget] = []
        accepted_stops: list[QWidget] = []
        places = [0, 0]
        for concern in shown:
            card, is_accepted = self.cards[concern.id], concern.is_accepted
            layout = self._accepted_column if is_accepted else self._open_column
            if layout.indexOf(card) != places[is_accepted]:
                (self._open_column if is_accepted else self._accepted_column).removeWidget(card)
                layout.removeWidget(card)
                layout.insertWidget(places[is_accepted], card)
                card.show()  # a card that gets another parent is hidden until the next turn of the loop
            places[is_accepted] += 1
            (accepted_stops if is_accepted else stops).extend(card.stops())
        way = [*stops, self.fold, *accepted_stops, self.more]
        for first, second in pairwise(way):
            QWidget.setTabOrder(first, second)
        if holder is not None:
            holder.setFocus(Qt.FocusReason.OtherFocusReason)

    def _holder(self) -> QWidget | None:
        """What has the keyboard's focus in here."""
        holder = self.focusWidget()
        return holder if self.isAncestorOf(holder) and holder.hasFocus() else None

    def _name_fold(self) -> None:
        count = sum(one.is_accepted for one in self._findings)
        is_shown = self._accepted.isVisibleTo(self)
        self.fold.setVisible(count > 0)
        self.fold.setText(f"Accepted ({count})")
        self.fold.set_icon("chevron-down" if is_shown else "chevron-right")
        self.fold.setAccessibleName(f"{'Hide' if is_shown else 'Show'} {count} accepted")
        self.fold.updateGeometry()

    # What is asked --------------------------------------------------------------------------------------------------

    def _find(self, finding_id: str) -> Concern | None:
        return next((one for one in self._findings if one.id == finding_id), None)

    def _show_subject(self, finding_id: str) -> None:
        concern = self._find(finding_id)
        if concern is not None:
            self.subject_asked.emit(*words.subject_of(concern))

    def _ask(self, finding_id: str) -> None:
        concern = self._find(finding_id)
        if concern is not None:
            self.dialog = ask_note(concern, self, self.accept_asked.emit)
