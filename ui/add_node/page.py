"""The page that adds nodes: the three cards, the search, and the three rows, one at a time.

Rule: it only moves between its parts; each part asks by signals and shows feeds. Who came here from another page for
one machine is led back to it.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QStackedWidget, QWidget

from sparkdesk.core.cluster.enrolment import EnrolStage
from ui.add_node.behind import Behind
from ui.add_node.find_panel import FindPanel
from ui.add_node.model import OPEN_CLUSTER, AddNodeModel
from ui.add_node.search_model import SearchModel
from ui.add_node.view import AddNodePanel
from ui.first_run.model import FirstRunModel
from ui.first_run.view import FirstRunPage


class AddNodePage(QStackedWidget):
    """`cluster_wanted`: what was to be added is added, show the cluster. `returned`: back to where a person came from
    for one machine, with the ids of what was added (a tuple)."""

    cluster_wanted = Signal()
    returned = Signal(tuple)

    def __init__(
        self,
        first_run: FirstRunModel,
        search: SearchModel,
        add_node: AddNodeModel,
        parent: QWidget | None = None,
        *,
        is_first: bool = True,
    ) -> None:
        super().__init__(parent)
        self._add_node = add_node
        self._is_visit = False
        self._added: dict[str, None] = {}
        self.cards = FirstRunPage(first_run, search, is_first=is_first)
        self.find_panel = FindPanel(search)
        self.panel = AddNodePanel(add_node)
        for part in (self.cards, self.find_panel, self.panel):
            self.addWidget(part)
        first_run.find_wanted.connect(self.open_search)
        first_run.who_given.connect(self._begin)
        first_run.key_file_wanted.connect(add_node.key_file_wanted)
        self.find_panel.back_wanted.connect(self._leave)
        self.find_panel.address_wanted.connect(self.open_form)
        self.find_panel.add_wanted.connect(self._begin_candidates)
        self.find_panel.behind.found.connect(lambda candidate: self._begin_candidates((candidate,)))
        self.panel.back_wanted.connect(self._leave)
        self.panel.cluster_wanted.connect(self._finish)
        add_node.changed.connect(self._note_added)

    @property
    def is_visit(self) -> bool:
        """Whether a person is here for one machine, and is led back."""
        return self._is_visit

    def open_cards(self) -> None:
        """The three cards."""
        self.setCurrentWidget(self.cards)
        self.cards.find_button.setFocus(Qt.FocusReason.OtherFocusReason)

    def open_search(self) -> None:
        """The search, which begins at once."""
        self._end_visit()
        self.setCurrentWidget(self.find_panel)
        self.find_panel.open()

    def open_behind(self, place: Behind, way_back: str) -> None:
        """The machine behind this cage, found by itself; `way_back` is what is pressed at the end."""
        self._end_visit()
        self._is_visit = True
        self._add_node.end_words = way_back
        self.setCurrentWidget(self.find_panel)
        self.find_panel.open_behind(place)

    def open_form(self) -> None:
        """The three rows with an empty form."""
        self._add_node.open_form()
        self.setCurrentWidget(self.panel)
        self.panel.focus_first()

    def _begin(self, who: object) -> None:
        self.setCurrentWidget(self.panel)
        self._add_node.begin(who)  # type: ignore[arg-type]

    def _begin_candidates(self, candidates: object) -> None:
        self.setCurrentWidget(self.panel)
        self._add_node.begin_candidates(candidates)  # type: ignore[arg-type]

    def _finish(self) -> None:
        is_visit = self._is_visit
        self._add_node.finish()
        self._leave()
        if not is_visit:
            self.cluster_wanted.emit()

    def _leave(self) -> None:
        """To the cards, or back to where a person came from."""
        was_visit, added = self._is_visit, tuple(self._added)
        self._end_visit()
        self.open_cards()
        if was_visit:
            self.returned.emit(added)

    def _end_visit(self) -> None:
        self._is_visit = False
        self._added.clear()
        self._add_node.end_words = OPEN_CLUSTER

    def _note_added(self) -> None:
        if self._is_visit and self._add_node.stage is EnrolStage.DONE:
            self._added[self._add_node.enrolment.node_id] = None

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        # An attempt goes on while another page is looked at; coming back shows it.
        if self._add_node.stage is not EnrolStage.IDLE:
            self.setCurrentWidget(self.panel)
