"""The page that adds nodes: the three cards, the search, and the three rows, one at a time.

Rule: it only moves between its parts; each part asks by signals and shows feeds.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QStackedWidget, QWidget

from sparkdesk.core.cluster.enrolment import EnrolStage
from ui.add_node.find_panel import FindPanel
from ui.add_node.model import AddNodeModel
from ui.add_node.search_model import SearchModel
from ui.add_node.view import AddNodePanel
from ui.first_run.model import FirstRunModel
from ui.first_run.view import FirstRunPage


class AddNodePage(QStackedWidget):
    """`cluster_wanted`: what was to be added is added, show the cluster."""

    cluster_wanted = Signal()

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
        self.cards = FirstRunPage(first_run, search, is_first=is_first)
        self.find_panel = FindPanel(search)
        self.panel = AddNodePanel(add_node)
        for part in (self.cards, self.find_panel, self.panel):
            self.addWidget(part)
        first_run.find_wanted.connect(self.open_search)
        first_run.who_given.connect(self._begin)
        first_run.key_file_wanted.connect(add_node.key_file_wanted)
        self.find_panel.back_wanted.connect(self.open_cards)
        self.find_panel.address_wanted.connect(self.open_form)
        self.find_panel.add_wanted.connect(self._begin_candidates)
        self.panel.back_wanted.connect(self.open_cards)
        self.panel.cluster_wanted.connect(self._finish)

    def open_cards(self) -> None:
        """The three cards."""
        self.setCurrentWidget(self.cards)
        self.cards.find_button.setFocus(Qt.FocusReason.OtherFocusReason)

    def open_search(self) -> None:
        """The search, which begins at once."""
        self.setCurrentWidget(self.find_panel)
        self.find_panel.open()

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
        self._add_node.finish()
        self.open_cards()
        self.cluster_wanted.emit()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        # An attempt goes on while another page is looked at; coming back shows it.
        if self._add_node.stage is not EnrolStage.IDLE:
            self.setCurrentWidget(self.panel)
